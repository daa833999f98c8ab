// A packet on its way through the pipeline: where its headers are and what the stages found out.
// One lives on the stack per packet of a burst; the frame itself stays in its mbuf.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "dataplane/flow_key.h"
#include "dataplane/limits.h"
#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"
#include "dataplane/snapshot.h"
#include "dataplane/verdict.h"

namespace headgate::dataplane {

struct Packet {
  Packet() noexcept {}  // filled by parse_plain() or parse_frame()
  // Off the path, where clearing it costs nothing.
  explicit Packet(rte_mbuf* frame) noexcept
      : mbuf(frame),
        l3(nullptr),
        l4(nullptr),
        interface(0),
        l2_length(0),
        l3_length(0),
        l4_length(0),
        family(net::Family::none),
        protocol(0),
        tcp_flags(0),
        ports(0),
        hash(0),
        key6{} {}

  rte_mbuf* mbuf;
  uint8_t* l3;         // IP header
  uint8_t* l4;         // transport header
  uint16_t interface;  // ingress: index of SnapshotRoot::interfaces
  uint16_t l2_length;  // bytes before l3: 14, or 18 with a VLAN tag
  uint16_t l3_length;  // bytes of the IP packet, as its header says
  uint16_t l4_length;  // bytes from l4 to the end of the IP packet
  net::Family family;  // of the IP header at l3
  uint8_t protocol;    // of l4
  uint8_t tcp_flags;   // 0 unless TCP
  uint32_t ports;      // source and destination as received, as they lie there; 0 unless TCP or UDP
  uint64_t hash;       // of the flow key
  union {
    FlowKey4 key4;
    FlowKey6 key6;
  };

  [[nodiscard]] bool is_v4() const noexcept { return family == net::Family::ipv4; }
  [[nodiscard]] net::be16 source_port() const noexcept {
    return net::be16::from_raw(static_cast<uint16_t>(ports));
  }
  [[nodiscard]] net::be16 destination_port() const noexcept {
    return net::be16::from_raw(static_cast<uint16_t>(ports >> 16));
  }
  // As they are in the header now.
  [[nodiscard]] net::IpAddress source() const noexcept {
    if (is_v4()) return ipv4().source;
    return ipv6().source;
  }
  [[nodiscard]] net::IpAddress destination() const noexcept {
    if (is_v4()) return ipv4().destination;
    return ipv6().destination;
  }
  [[nodiscard]] net::Ipv4Header& ipv4() const noexcept {
    return *reinterpret_cast<net::Ipv4Header*>(l3);
  }
  [[nodiscard]] net::Ipv6Header& ipv6() const noexcept {
    return *reinterpret_cast<net::Ipv6Header*>(l3);
  }
  [[nodiscard]] net::TcpHeader& tcp() const noexcept {
    return *reinterpret_cast<net::TcpHeader*>(l4);
  }
  [[nodiscard]] net::UdpHeader& udp() const noexcept {
    return *reinterpret_cast<net::UdpHeader*>(l4);
  }
  [[nodiscard]] net::IcmpHeader& icmp() const noexcept {
    return *reinterpret_cast<net::IcmpHeader*>(l4);
  }
  [[nodiscard]] uint8_t ttl() const noexcept { return is_v4() ? ipv4().ttl : ipv6().hop_limit; }
};

// Who a packet is from and to.
struct Endpoints {
  net::IpAddress source;
  net::IpAddress destination;
  net::be16 source_port;
  net::be16 destination_port;
};

// The packets of a burst that go through the connection table, and the slots of the table where
// they may be.
inline constexpr uint32_t flows_ahead = 2;
struct Flows {
  Flows() noexcept {}  // filled from the front

  std::array<Packet, burst_frames> packets;
  // Words of Slot; the last ones are for looking ahead.
  std::array<uint64_t, burst_frames + flows_ahead> candidates;
  uint32_t count = 0;

  [[nodiscard]] std::span<Packet> all() noexcept { return {packets.data(), count}; }
};

// What a frame turned out to be.
enum class FrameKind : uint8_t {
  flow,      // TCP or UDP with ports: goes through the connection table
  icmp,      // ICMP of the packet's family
  other_ip,  // another transport protocol
  fragment,  // an IP fragment: has no flow key of its own
  arp,
  twin_control,  // the kernel's: what keeps links, routes and neighbours alive
  twin_other,    // the kernel's: other broadcast and multicast, other VLANs and protocols
  drop,          // `verdict` says why
};

struct ParseResult {
  FrameKind kind;
  Verdict verdict;
};

}  // namespace headgate::dataplane
