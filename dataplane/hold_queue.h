// Packets that wait until a neighbour's MAC is known. They are finished but for the Ethernet
// header. Bounded in number, per neighbour and in time; a worker looks through them when a new
// snapshot arrives or their time is up. Answers to made-up addresses on link may take half of the
// room: the rest is for backends and gateways, which are asked for only once something waits.
#pragma once

#include <array>
#include <cstdint>

#include <rte_mbuf.h>

#include "dataplane/limits.h"
#include "dataplane/net/address.h"
#include "dataplane/verdict.h"

namespace headgate::dataplane {

struct HeldPacket {
  rte_mbuf* mbuf;
  net::IpAddress neighbour;
  uint16_t interface;
  uint16_t l2_length;  // bytes before the IP header
  Verdict verdict;     // when it leaves at last
  bool configured;     // a backend or gateway; else any address on link
  uint64_t deadline_ns;
};

class HoldQueue {
 public:
  enum class Result : uint8_t { first, held, full };

  // `first`: nothing else waits for this neighbour, so it has to be asked for. `full`: not taken.
  [[nodiscard]] Result add(const HeldPacket& packet) noexcept {
    uint32_t same = 0;
    uint32_t others = 0;
    for (uint32_t i = 0; i < count_; ++i) {
      same +=
          packets_[i].interface == packet.interface && packets_[i].neighbour == packet.neighbour;
      others += !packets_[i].configured;
    }
    if (!packet.configured && others >= held_packets_unconfigured) return Result::full;
    if (count_ == packets_.size() || same >= held_packets_per_neighbour) return Result::full;
    packets_[count_++] = packet;
    return same == 0 ? Result::first : Result::held;
  }

  [[nodiscard]] uint32_t size() const noexcept { return count_; }

  // Calls decide(packet) on each in order of arrival; true takes it out.
  template <typename Decide>
  void sweep(Decide decide) noexcept {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count_; ++i) {
      const HeldPacket packet = packets_[i];
      if (!decide(packet)) packets_[kept++] = packet;
    }
    count_ = kept;
  }

 private:
  std::array<HeldPacket, held_packets> packets_{};
  uint32_t count_ = 0;
};

}  // namespace headgate::dataplane
