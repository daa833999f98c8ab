// Ethernet frames that VRRP builds itself, because their sender is not what the kernel would write:
// advertisements from a virtual MAC, gratuitous ARP and unsolicited neighbour advertisements. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/net/address.h"

namespace headgate::control {

using EthernetFrame = std::vector<uint8_t>;

inline constexpr uint8_t advert_tos = 0xc0;  // internetwork control; of IPv6 the traffic class

// Where frames for a multicast group go: RFC 1112 section 6.4, RFC 2464 section 7.
[[nodiscard]] net::MacAddress multicast_mac(const net::IpAddress& group);

// The IPv4 header of an advertisement: TOS 0xc0, no options, may be fragmented. The total length
// and checksum are filled in.
[[nodiscard]] std::vector<uint8_t> advert_ipv4_packet(std::span<const uint8_t> message,
                                                      const net::IpAddress& source,
                                                      const net::IpAddress& destination,
                                                      uint8_t ttl, uint16_t id);

// A whole advertisement for a multicast group; `id` is of IPv4 only.
[[nodiscard]] EthernetFrame advert_frame(std::span<const uint8_t> message,
                                         const net::IpAddress& source, const net::IpAddress& group,
                                         const net::MacAddress& sender, uint8_t ttl, uint16_t id);

// A broadcast ARP request whose sender and target are `address`: 42 bytes, the driver pads.
[[nodiscard]] EthernetFrame gratuitous_arp_frame(const net::MacAddress& sender,
                                                 const net::IpAddress& address);

// A neighbour advertisement for `address`, from it to all nodes: override flag, target link-layer
// address, hop limit 255 (RFC 4861 sections 4.4 and 7.2.6). `router`: this host forwards.
[[nodiscard]] EthernetFrame unsolicited_na_frame(const net::MacAddress& sender,
                                                 const net::IpAddress& address, bool router);

}  // namespace headgate::control
