// One core, then two, in turn; one worker alone stands in the floor's place. The floor itself is
// run on both cores at once as well: what the machine makes of two cores that share nothing.
#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "dataplane/eal.h"
#include "tests/bench/run.h"

namespace headgate::bench {
namespace {

enum class Order : uint8_t { wait, run, floor, end };

// What the second core is told to do, and whether it does.
struct SecondCore {
  std::atomic<Order> order{Order::wait};
  std::atomic<Order> at{Order::wait};

  void tell(Order wanted) {
    order = wanted;
    while (at != wanted)
      std::this_thread::yield();
  }
  void follow(Bed& bed) {
    const uint16_t port = bed.client_port();
    while (at != Order::end) {
      const Order now = order;
      at = now;
      if (now == Order::run) bed.turn(1);
      if (now == Order::floor) floor_turn(port, 1);
    }
  }
};

// The time of `slice`, which the first core runs, per packet of both cores.
template <class Slice>
double time_both(Bed& bed, SecondCore& second, Order order, Slice slice) {
  second.tell(order);
  const uint64_t mine = bed.clients(0).made();
  const uint64_t others = bed.clients(1).made();
  const double each = slice();
  const auto made = static_cast<double>(bed.clients(0).made() - mine);
  const auto both = made + static_cast<double>(bed.clients(1).made() - others);
  second.tell(Order::wait);
  return each * made / both;
}

struct Times {
  std::vector<double> alone, both, floor_alone, floor_both;
};

}  // namespace

Result run_two_workers(const Case& one, const RunOptions& options, Bed& bed) {
  bed.establish(one.flows);
  const uint64_t share = one.flows / 2;
  for (uint32_t i = 0; i < 2; ++i) {
    bed.clients(i).set(
        {.choice = one.choice, .flows = share, .first_flow = i * share, .writer = &bed.requests()});
    bed.to_servers(i).sample_every(sampled_every);
  }
  SecondCore second;
  std::jthread other([&] {
    const auto thread = dataplane::RegisteredThread::enter("bench2", options.other_core);
    second.follow(bed);
  });
  const uint32_t packets = options.slices.packets;
  const uint16_t port = bed.client_port();
  Source& source = bed.clients(0);
  Books first_books(source, bed.to_servers(0));
  Books second_books(bed.clients(1), bed.to_servers(1));
  BurstTimes burst_times;
  BurstTimes alone_times;
  Times times;
  const auto floor = [&] { return time_floor(port, source, packets / 4, nullptr); };
  const auto worker = [&] { return time_turns(bed, 0, source, packets, &burst_times); };
  for (uint32_t i = 0; i < options.slices.count; ++i) {
    const uint64_t first_made = source.made();
    const uint64_t second_made = bed.clients(1).made();
    times.floor_alone.push_back(floor());
    times.floor_both.push_back(time_both(bed, second, Order::floor, floor));
    first_books.floor += source.made() - first_made;
    second_books.floor += bed.clients(1).made() - second_made;
    times.alone.push_back(time_turns(bed, 0, source, packets, &alone_times));
    times.both.push_back(time_both(bed, second, Order::run, worker));
  }
  second.tell(Order::end);
  other.join();
  Result result;
  result.ns = spread_of(times.both);
  result.floor_ns = spread_of(times.alone);
  result.set_burst_times(burst_times, alone_times);
  Result of_other;
  finish(of_other, bed, bed.clients(1), bed.to_servers(1), second_books);
  finish(result, bed, bed.clients(0), bed.to_servers(0), first_books);
  if (!of_other.mistake.empty()) result.mistake = of_other.mistake;
  result.packets += of_other.packets;
  result.verified += of_other.verified;
  const double floor_ratio =
      spread_of(times.floor_alone).median / spread_of(times.floor_both).median;
  result.remark = fmt::format(
      "{:.2f} x one worker, whose time stands under floor; the floor on both cores is {:.2f} x "
      "that "
      "on one",
      result.floor_ns.median / result.ns.median, floor_ratio);
  result.more = {{"floor_on_two_cores", floor_ratio}};
  return result;
}

}  // namespace headgate::bench
