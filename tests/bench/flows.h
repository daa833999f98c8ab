// The packets of the benchmarks: frames of numbered flows, computed from the number, so that no
// table of the generator's has to be read to make one. All checksums are right.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "dataplane/net/address.h"

namespace headgate::bench {

inline constexpr uint32_t most_frame_bytes = 1536;

// How frames of a set of flows look. Clients are numbered: flow i comes from client address
// `first_client + i / ports_per_client`, port 1024 + i % ports_per_client.
struct FlowShape {
  bool v6 = false;
  uint8_t protocol = 6;  // TCP or UDP
  uint8_t tcp_flags = 0x10;
  uint16_t frame_bytes = 60;  // without the FCS: 60 is a 64-byte frame. IPv6 needs 74 at least
  net::MacAddress source_mac{};
  net::MacAddress destination_mac{};
  net::IpAddress vip;
  uint16_t vport = 80;
  net::IpAddress first_client;
};
inline constexpr uint32_t ports_per_client = 16384;

// What the packets of a flow look like behind headgate, learned when it was set up: replies are
// made from it. Of IPv6 addresses the last four bytes; all in network byte order.
struct Learned {
  uint32_t source = 0;
  uint32_t destination = 0;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
};

// Writes frames of one shape: copies a template and puts in what differs.
class FrameWriter {
 public:
  FrameWriter() = default;
  explicit FrameWriter(const FlowShape& shape);

  [[nodiscard]] uint16_t bytes() const { return bytes_; }
  // The client's packet of a flow to the VIP.
  void write(uint8_t* frame, uint64_t flow) const noexcept;
  // A server's packet of a flow, as headgate's server side sends and gets it.
  void write_reply(uint8_t* frame, const Learned& learned) const noexcept;

 private:
  struct Ends {
    uint32_t source;
    uint32_t destination;
    uint16_t source_port;
    uint16_t destination_port;
  };
  void put(uint8_t* frame, const Ends& ends) const noexcept;

  alignas(64) std::array<uint8_t, most_frame_bytes> template_{};
  uint16_t bytes_ = 0;
  uint16_t copied_ = 0;  // bytes_ up to whole cache lines
  bool v6_ = false;
  bool udp_ = false;
  uint16_t l4_checksum_at_ = 0;
  uint32_t first_client_ = 0;  // host byte order
  Ends vip_{};
  uint64_t ip_sum_ = 0;  // over the template with zeroes where `put` writes
  uint64_t l4_sum_ = 0;
};

// The addresses and ports of a frame that headgate sent.
[[nodiscard]] Learned learn(const uint8_t* frame, bool v6) noexcept;

}  // namespace headgate::bench
