#include <atomic>
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <rte_cycles.h>

#include "dataplane/eal.h"
#include "tests/bench/cases.h"
#include "tests/fuzz/frame_check.h"

namespace headgate::bench {
namespace {

constexpr uint32_t sampled_every = 997;

// What a case counts from the moment where its flows are there.
struct Books {
  Books(Source& source, Sink& sink) : made(source.made()), sent(sink.sent()) {}
  uint64_t made;
  uint64_t sent;
  uint64_t floor = 0;  // of `made`: packets of the floor
};

std::string check_samples(const Sink& sink, uint64_t& verified) {
  for (const Sink::Sample& sample : sink.samples()) {
    const std::vector<uint8_t> bytes(sample.frame.begin(), sample.frame.begin() + sample.bytes);
    const tests::FrameJudgement judged = tests::judge_with_padding(bytes);
    if (!judged.parses || !judged.header_right || !judged.transport_right) {
      return fmt::format("a frame of {} bytes that was sent is wrong", sample.bytes);
    }
    ++verified;
  }
  return verified == 0 ? "no frame was looked at" : "";
}

void finish(Result& result, Bed& bed, const Source& source, const Sink& sink, const Books& books) {
  result.packets = source.made() - books.made - books.floor;
  const uint64_t out = sink.sent() - books.sent;
  result.mistake = check_samples(sink, result.verified);
  if (out != result.packets) {
    result.mistake = fmt::format("{} packets in, {} out; {}", result.packets, out, bed.not_sent());
  }
}

// Another thread that publishes a snapshot again and again.
class Swapper {
 public:
  Swapper(Bed& bed, bool wanted) {
    if (!wanted) return;
    thread_ = std::jthread([this, &bed](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        bed.swap_snapshot();
        ++swaps_;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    });
  }
  [[nodiscard]] uint32_t swaps() const { return swaps_; }

 private:
  std::atomic<uint32_t> swaps_{0};
  std::jthread thread_;
};

Result run_established(const Case& one, const RunOptions& options, Bed& bed) {
  std::vector<Learned> learned;
  bed.establish(one.flows, one.replies ? &learned : nullptr);
  Source& source = one.replies ? bed.servers(0) : bed.clients(0);
  Sink& sink = one.replies ? bed.to_clients(0) : bed.to_servers(0);
  Traffic traffic{.choice = one.choice,
                  .flows = one.flows,
                  .writer = one.replies ? &bed.replies() : &bed.requests(),
                  .learned = one.replies ? &learned : nullptr};
  traffic.flood_per_packet = one.flood_per_packet;
  traffic.flood = &bed.floods();
  const auto floor_port = one.replies ? bed.server_port() : bed.client_port();
  source.set(traffic);
  const uint64_t live = bed.in_use();
  time_turns(bed, 0, source, std::max<uint64_t>(options.slices.packets, one.flows), nullptr);

  Result result;
  Books books(source, sink);
  BurstTimes times;
  std::vector<double> ns;
  std::vector<double> floor_ns;
  sink.sample_every(sampled_every);
  Swapper swapper(bed, one.kind == CaseKind::swaps);
  for (uint32_t i = 0; i < options.slices.count; ++i) {
    const uint64_t before = source.made();
    floor_ns.push_back(time_floor(floor_port, source, options.slices.packets / 4));
    books.floor += source.made() - before;
    ns.push_back(time_turns(bed, 0, source, options.slices.packets, &times));
  }
  result.ns = spread_of(ns);
  result.floor_ns = spread_of(floor_ns);
  result.p50_ns = times.quantile(0.5);
  result.p99_ns = times.quantile(0.99);
  result.max_ns = times.quantile(1);
  finish(result, bed, source, sink, books);
  if (one.kind == CaseKind::swaps) result.remark = fmt::format("{} changes", swapper.swaps());
  if (one.kind == CaseKind::flood) {
    result.remark = fmt::format("{} connections before, {} after", live, bed.in_use());
    if (bed.in_use() < live) result.mistake = "connections were evicted";
  }
  return result;
}

// One core, then two, in turn; `floor` is one worker alone.
Result run_two_workers(const Case& one, const RunOptions& options, Bed& bed) {
  bed.establish(one.flows);
  const uint64_t share = one.flows / 2;
  for (uint32_t i = 0; i < 2; ++i) {
    bed.clients(i).set(
        {.choice = one.choice, .flows = share, .first_flow = i * share, .writer = &bed.requests()});
    bed.to_servers(i).sample_every(sampled_every);
  }
  enum Order : int { wait, run, end };
  std::atomic<int> order{wait};
  std::atomic<bool> runs{false};
  std::jthread other([&] {
    const auto thread =
        dataplane::RegisteredThread::enter("bench2", dataplane::usable_cores().front());
    while (order != end) {
      runs = order == run;
      if (runs) bed.turn(1);
    }
    runs = false;
  });
  Books first(bed.clients(0), bed.to_servers(0));
  Books second(bed.clients(1), bed.to_servers(1));
  Result result;
  BurstTimes times;
  std::vector<double> ns;
  std::vector<double> alone_ns;
  for (uint32_t i = 0; i < options.slices.count; ++i) {
    alone_ns.push_back(time_turns(bed, 0, bed.clients(0), options.slices.packets, nullptr));
    order = run;
    while (!runs)
      std::this_thread::yield();
    const uint64_t others = bed.clients(1).made();
    const uint64_t mine = bed.clients(0).made();
    const double each = time_turns(bed, 0, bed.clients(0), options.slices.packets, &times);
    const auto made = static_cast<double>(bed.clients(0).made() - mine);
    const auto both = made + static_cast<double>(bed.clients(1).made() - others);
    ns.push_back(each * made / both);
    order = wait;
    while (runs)
      std::this_thread::yield();
  }
  order = end;
  other.join();
  result.ns = spread_of(ns);
  result.floor_ns = spread_of(alone_ns);
  result.p50_ns = times.quantile(0.5);
  result.p99_ns = times.quantile(0.99);
  result.max_ns = times.quantile(1);
  Result of_other;
  finish(of_other, bed, bed.clients(1), bed.to_servers(1), second);
  finish(result, bed, bed.clients(0), bed.to_servers(0), first);
  if (!of_other.mistake.empty()) result.mistake = of_other.mistake;
  result.packets += of_other.packets;
  result.verified += of_other.verified;
  result.remark = fmt::format("{:.2f} x one worker, whose time stands under floor",
                              result.floor_ns.median / result.ns.median);
  return result;
}

Result run_fresh(const Case& one, const RunOptions& options, Bed& bed) {
  Source& source = bed.clients(0);
  Sink& sink = bed.to_servers(0);
  source.set({.choice = Choice::fresh, .flows = one.flows, .writer = &bed.openings()});
  // Until as many have expired as are made: twice the time-out.
  const uint64_t settle_ns = 2ULL * one.bed.timeout_s * 1'000'000'000;
  for (const uint64_t begin = rte_rdtsc();
       static_cast<double>(rte_rdtsc() - begin) * tsc_ns() < static_cast<double>(settle_ns);) {
    time_turns(bed, 0, source, 10'000, nullptr);
  }
  const Books books(source, sink);
  const uint64_t live = bed.in_use();
  sink.sample_every(sampled_every * 16);
  Result result;
  BurstTimes times;
  std::vector<double> ns;
  double total = 0;
  while (total < options.fresh_seconds * 1e9) {
    ns.push_back(time_turns(bed, 0, source, options.slices.packets, &times));
    total += ns.back() * options.slices.packets;
  }
  result.ns = spread_of(ns);
  result.floor_ns.median = time_floor(bed.client_port(), source, options.slices.packets);
  result.p50_ns = times.quantile(0.5);
  result.p99_ns = times.quantile(0.99);
  result.max_ns = times.quantile(1);
  Books all = books;
  all.floor = source.made() - books.made - (sink.sent() - books.sent);
  const uint64_t dropped = all.floor - std::min<uint64_t>(all.floor, options.slices.packets);
  finish(result, bed, source, sink, all);
  result.remark =
      fmt::format("{:.1f} M connections/s for {:.0f} s, {:.1f} M live before, {:.1f} M after",
                  static_cast<double>(result.packets) / total * 1000, total / 1e9,
                  static_cast<double>(live) / 1e6, static_cast<double>(bed.in_use()) / 1e6);
  if (dropped > 64) result.mistake = fmt::format("{} not made; {}", dropped, bed.not_sent());
  return result;
}

}  // namespace

Result run_case(const Case& one, const RunOptions& options, rte_mempool* pool,
                rte_mempool* own_pool) {
  BedOptions bed_options = one.bed;
  bed_options.pages = options.pages;
  if (one.kind == CaseKind::two_workers) bed_options.workers = 2;
  Bed bed(bed_options, pool, own_pool);
  Result result;
  switch (one.kind) {
    case CaseKind::two_workers:
      result = run_two_workers(one, options, bed);
      break;
    case CaseKind::fresh:
      result = run_fresh(one, options, bed);
      break;
    case CaseKind::established:
    case CaseKind::flood:
    case CaseKind::swaps:
      result = run_established(one, options, bed);
      break;
  }
  result.name = one.name;
  return result;
}

}  // namespace headgate::bench
