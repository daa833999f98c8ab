#include "tests/bench/run.h"

#include <fmt/format.h>

#include "tests/fuzz/frame_check.h"

namespace headgate::bench {
namespace {

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

}  // namespace

void finish(Result& result, Bed& bed, const Source& source, const Sink& sink, const Books& books) {
  result.packets = source.made() - books.made - books.floor;
  const uint64_t out = sink.sent() - books.sent;
  result.mistake = check_samples(sink, result.verified);
  if (out != result.packets) {
    result.mistake = fmt::format("{} packets in, {} out; {}", result.packets, out, bed.not_sent());
  }
}

Result run_case(const Case& one, const RunOptions& options, rte_mempool* pool,
                rte_mempool* own_pool) {
  BedOptions bed_options = one.bed;
  bed_options.pages = options.pages;
  if (one.kind == CaseKind::two_workers) bed_options.workers = 2;
  if (one.live != 0) {
    Bed trial(bed_options, pool, own_pool);
    bed_options.timeout_s = timeout_for_live(one, trial);
  }
  Bed bed(bed_options, pool, own_pool);
  Result result;
  switch (one.kind) {
    case CaseKind::two_workers:
      result = run_two_workers(one, options, bed);
      break;
    case CaseKind::far:
      result = run_far(one, options, bed);
      break;
    case CaseKind::fresh:
      result = run_fresh(one, options, bed);
      break;
    case CaseKind::flood:
      result = run_flood(one, options, bed);
      break;
    case CaseKind::established:
    case CaseKind::swaps:
      result = run_established(one, options, bed);
      break;
  }
  result.name = one.name;
  result.connection_bytes = bed.connection_bytes();
  return result;
}

}  // namespace headgate::bench
