// What the exception thread does with probes through the data path: see probe_table.h. Frames of
// the kernel to a probe address become frames to the VIP, marked with the backend; what comes from
// there becomes an answer of the probe address. ICMP errors about a probe become errors about what
// the kernel sent, so that its socket hears of them.
//
// Not taken: fragments, options in front of a transport header that are no IPv6 extension, other
// protocols than TCP and UDP, and errors about the outer header of a tunnel.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

#include "dataplane/packet.h"
#include "dataplane/probe_flows.h"
#include "dataplane/probe_table.h"

namespace headgate::dataplane {

// X(name, description)
#define HEADGATE_PROBE_COUNTS(X)                                                                \
  X(sent, "frames of the kernel to a probe address, handed to a worker")                        \
  X(received, "answers of a backend to a probe")                                                \
  X(errors, "ICMP errors about a probe")                                                        \
  X(drop_unknown, "to an address of the probe network that stands for nothing")                 \
  X(drop_not_supported, "to or from a probe: another protocol, a fragment, or a broken header") \
  X(drop_no_port, "a probe for which no source port was left")                                  \
  X(drop_no_flow, "from a VIP of ours to the host, but no answer to a probe")

enum class ProbeCount : uint8_t {
#define HEADGATE_PROBE_COUNT_ENUM(name, text) name,
  HEADGATE_PROBE_COUNTS(HEADGATE_PROBE_COUNT_ENUM)
#undef HEADGATE_PROBE_COUNT_ENUM
};
struct ProbeCountInfo {
  std::string_view name;
  std::string_view description;
};
inline constexpr std::array probe_count_table{
#define HEADGATE_PROBE_COUNT_ROW(name, text) ProbeCountInfo{#name, text},
    HEADGATE_PROBE_COUNTS(HEADGATE_PROBE_COUNT_ROW)
#undef HEADGATE_PROBE_COUNT_ROW
};
// Written by the exception thread, read by anyone; by ProbeCount.
using ProbeCounters = std::array<std::atomic<uint64_t>, probe_count_table.size()>;

class ProbePath {
 public:
  // From one thread at a time, for the next refresh(). Null: there are no probes and no probe
  // networks.
  void set(std::shared_ptr<const ProbeTable> table);
  void refresh();

  enum class Leaving : uint8_t { ordinary, probe, dropped };
  // A frame that the kernel sent through `twin`, in one segment. A probe's has been changed, and
  // mbuf->hash.usr is its backend's id; else that is 0.
  [[nodiscard]] Leaving leave(rte_mbuf* mbuf, uint16_t twin, uint64_t now_ns) noexcept;

  enum class Arriving : uint8_t { ordinary, probe, dropped };
  // A frame of class probe. A probe's has been changed and is for `twin`. What is none is dropped
  // if its mbuf->hash.usr says so: see probe_or_nothing in exception.h.
  [[nodiscard]] Arriving arrive(rte_mbuf* mbuf, uint16_t& twin, uint64_t now_ns) noexcept;

  [[nodiscard]] const ProbeCounters& counters() const noexcept { return counters_; }

 private:
  void count(ProbeCount what) noexcept;
  [[nodiscard]] Leaving send(Packet& packet, ParseResult parsed, uint16_t twin,
                             uint64_t now_ns) noexcept;
  [[nodiscard]] ProbeFlow* answered_flow(Packet& packet, uint64_t now_ns) noexcept;
  [[nodiscard]] ProbeFlow* reported_flow(Packet& packet, uint64_t now_ns) noexcept;

  std::mutex mutex_;
  std::shared_ptr<const ProbeTable> next_;  // under mutex_, as is the next one
  std::unique_ptr<ProbeFlows> next_flows_;  // comes with the first table
  std::atomic<bool> has_next_{false};
  bool has_flows_ = false;  // whoever calls set()
  // The exception thread's.
  std::shared_ptr<const ProbeTable> table_;
  std::unique_ptr<ProbeFlows> flows_;  // wherever there is or was a table
  ProbeCounters counters_{};
};

}  // namespace headgate::dataplane
