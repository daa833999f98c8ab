// Packets of connections that are there; also while snapshots come and go.
#include <atomic>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "dataplane/eal.h"
#include "tests/bench/run.h"

namespace headgate::bench {
namespace {

// Another thread that publishes a snapshot again and again, on another core where there is one.
class Swapper {
 public:
  Swapper(Bed& bed, bool wanted, std::optional<uint16_t> core) {
    if (!wanted) return;
    thread_ = std::jthread([this, &bed, core](const std::stop_token& stop) {
      const auto thread = dataplane::RegisteredThread::enter("swapper", core);
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

}  // namespace

Result run_established(const Case& one, const RunOptions& options, Bed& bed) {
  std::vector<Learned> learned;
  bed.establish(one.flows, one.replies ? &learned : nullptr);
  Source& source = one.replies ? bed.servers(0) : bed.clients(0);
  Sink& sink = one.replies ? bed.to_clients(0) : bed.to_servers(0);
  const Traffic traffic{.choice = one.choice,
                        .flows = one.flows,
                        .writer = one.replies ? &bed.replies() : &bed.requests(),
                        .mix = one.imix ? bed.imix() : std::vector<const FrameWriter*>{},
                        .learned = one.replies ? &learned : nullptr};
  const auto floor_port = one.replies ? bed.server_port() : bed.client_port();
  source.set(traffic);
  time_turns(bed, 0, source, std::max<uint64_t>(options.slices.packets, one.flows), nullptr);

  Result result;
  Books books(source, sink);
  BurstTimes times;
  BurstTimes floor_times;
  std::vector<double> ns;
  std::vector<double> floor_ns;
  sink.sample_every(sampled_every);
  Swapper swapper(bed, one.kind == CaseKind::swaps, options.other_core);
  for (uint32_t i = 0; i < options.slices.count; ++i) {
    const uint64_t before = source.made();
    floor_ns.push_back(time_floor(floor_port, source, options.slices.packets / 4, &floor_times));
    books.floor += source.made() - before;
    ns.push_back(time_turns(bed, 0, source, options.slices.packets, &times));
  }
  result.ns = spread_of(ns);
  result.floor_ns = spread_of(floor_ns);
  result.set_burst_times(times, floor_times);
  finish(result, bed, source, sink, books);
  if (one.kind == CaseKind::swaps) result.remark = fmt::format("{} changes", swapper.swaps());
  return result;
}

}  // namespace headgate::bench
