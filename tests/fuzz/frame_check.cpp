#include "tests/fuzz/frame_check.h"

#include <algorithm>
#include <optional>
#include <span>

namespace headgate::tests {
namespace {

using Bytes = std::span<uint8_t>;

constexpr uint16_t type_vlan = 0x8100;
constexpr uint16_t type_ipv4 = 0x0800;
constexpr uint16_t type_ipv6 = 0x86dd;
constexpr uint16_t type_arp = 0x0806;
constexpr size_t arp_length = 28;

uint16_t word(Bytes bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
void put(Bytes bytes, size_t at, size_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

// RFC 1071, as the text has it.
uint32_t sum(Bytes bytes, uint32_t start = 0) {
  uint32_t total = start;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    total += static_cast<uint32_t>(bytes[i] << 8) | low;
    total = (total & 0xffff) + (total >> 16);
  }
  return total;
}

// Where the parts of an IP packet are. `payload` ends where the IP header says.
struct Parts {
  Bytes header;     // of IP, extension headers not included
  Bytes addresses;  // source and destination
  uint8_t protocol = 0;
  Bytes payload;
  bool fragment = false;
  bool exact = false;  // nothing follows the packet
};

std::optional<Parts> parts_of_ipv4(Bytes packet) {
  if (packet.size() < 20 || packet[0] >> 4 != 4) return std::nullopt;
  const size_t header = (packet[0] & size_t{15}) * 4;
  const size_t total = word(packet, 2);
  if (header < 20 || total < header || packet.size() < total) return std::nullopt;
  return Parts{.header = packet.first(header),
               .addresses = packet.subspan(12, 8),
               .protocol = packet[9],
               .payload = packet.subspan(header, total - header),
               .fragment = (word(packet, 6) & 0x3fff) != 0,
               .exact = packet.size() == total};
}

std::optional<Parts> parts_of_ipv6(Bytes packet) {
  if (packet.size() < 40 || packet[0] >> 4 != 6) return std::nullopt;
  const size_t total = 40U + word(packet, 4);
  if (packet.size() < total) return std::nullopt;
  Parts parts{.header = packet.first(40),
              .addresses = packet.subspan(8, 32),
              .protocol = packet[6],
              .payload = packet.subspan(40, total - 40),
              .fragment = false,
              .exact = packet.size() == total};
  while (parts.protocol == 0 || parts.protocol == 43 || parts.protocol == 60) {
    if (parts.payload.size() < 8) return std::nullopt;
    const size_t length = (parts.payload[1] + size_t{1}) * 8;
    if (parts.payload.size() < length) return std::nullopt;
    parts.protocol = parts.payload[0];
    parts.payload = parts.payload.subspan(length);
  }
  parts.fragment = parts.protocol == 44;
  return parts;
}

std::optional<Parts> parts_of(Bytes packet) {
  if (packet.empty()) return std::nullopt;
  return packet[0] >> 4 == 4 ? parts_of_ipv4(packet) : parts_of_ipv6(packet);
}

uint32_t pseudo_sum(const Parts& parts) {
  return sum(parts.addresses,
             parts.protocol + static_cast<uint32_t>(parts.payload.size() & 0xffff));
}

bool is_v4(const Parts& parts) {
  return parts.addresses.size() == 8;
}

// Where the checksum of a transport header is, how long the header is, and whether the addresses
// count; nothing for a protocol without one.
struct Checksum {
  size_t offset;
  size_t header;
  bool with_addresses;
};
std::optional<Checksum> checksum_of(const Parts& parts) {
  if (parts.protocol == 6) return Checksum{16, 20, true};
  if (parts.protocol == 17) return Checksum{6, 8, true};
  if (parts.protocol == 1 && is_v4(parts)) return Checksum{2, 8, false};
  if (parts.protocol == 58 && !is_v4(parts)) return Checksum{2, 8, true};
  return std::nullopt;
}

bool transport_is_right(const Parts& parts) {
  const auto checksum = checksum_of(parts);
  if (!checksum || parts.fragment) return true;
  if (parts.payload.size() < checksum->header) return false;
  if (parts.protocol == 17) {
    if (word(parts.payload, 4) != parts.payload.size()) return false;
    if (word(parts.payload, 6) == 0) return is_v4(parts);
  }
  return sum(parts.payload, checksum->with_addresses ? pseudo_sum(parts) : 0) == 0xffff;
}

FrameJudgement judge_packet(Bytes packet, bool padded) {
  const auto parts = parts_of(packet);
  if (!parts || !(parts->exact || padded)) return {};
  FrameJudgement found{.parses = true,
                       .header_right = !is_v4(*parts) || sum(parts->header) == 0xffff,
                       .transport_right = transport_is_right(*parts)};
  if (parts->protocol != 4 && parts->protocol != 41) return found;
  const FrameJudgement inner = judge_packet(parts->payload, false);
  return {inner.parses, found.header_right && inner.header_right, inner.transport_right};
}

struct Layer3 {
  uint16_t type = 0;
  Bytes packet;
};
std::optional<Layer3> layer3_of(Bytes frame) {
  if (frame.size() < 14) return std::nullopt;
  if (word(frame, 12) != type_vlan) return Layer3{word(frame, 12), frame.subspan(14)};
  if (frame.size() < 18) return std::nullopt;
  return Layer3{word(frame, 16), frame.subspan(18)};
}

FrameJudgement judge_frame(std::vector<uint8_t> frame, bool padded) {
  const auto layer3 = layer3_of(frame);
  if (!layer3) return {};
  if (layer3->type == type_arp) return {layer3->packet.size() == arp_length || padded, true, true};
  if (layer3->type != type_ipv4 && layer3->type != type_ipv6) return {};
  return judge_packet(layer3->packet, padded);
}

}  // namespace

FrameJudgement judge(const std::vector<uint8_t>& frame) {
  return judge_frame(frame, false);
}

FrameJudgement judge_with_padding(const std::vector<uint8_t>& frame) {
  return judge_frame(frame, true);
}

void repair(std::vector<uint8_t>& frame) {
  const auto layer3 = layer3_of(frame);
  if (!layer3 || layer3->packet.size() < 20) return;
  const Bytes packet = layer3->packet;
  if (packet[0] >> 4 == 4) {
    if (word(packet, 2) > packet.size()) put(packet, 2, packet.size());
  } else if (packet.size() >= 40 && word(packet, 4) > packet.size() - 40) {
    put(packet, 4, packet.size() - 40);
  }
  const auto parts = parts_of(packet);
  if (!parts) return;
  if (is_v4(*parts)) {
    put(parts->header, 10, 0);
    put(parts->header, 10, 0xffff - sum(parts->header));
  }
  const auto checksum = checksum_of(*parts);
  if (!checksum || parts->fragment || parts->payload.size() < checksum->header) return;
  if (parts->protocol == 17) {
    put(parts->payload, 4, parts->payload.size());
    if (is_v4(*parts) && word(parts->payload, 6) == 0) return;
  }
  put(parts->payload, checksum->offset, 0);
  const uint32_t total = sum(parts->payload, checksum->with_addresses ? pseudo_sum(*parts) : 0);
  const uint32_t value = 0xffff - total;
  put(parts->payload, checksum->offset, value == 0 && parts->protocol == 17 ? 0xffff : value);
}

std::vector<uint8_t> answer_to(std::vector<uint8_t> frame, uint8_t tcp_flags) {
  const auto layer3 = layer3_of(frame);
  const auto parts = layer3 ? parts_of(layer3->packet) : std::nullopt;
  if (!parts || parts->payload.size() < 8) return {};
  const auto swap = [](Bytes bytes) {
    const size_t half = bytes.size() / 2;
    std::ranges::swap_ranges(bytes.first(half), bytes.subspan(half, half));
  };
  swap(Bytes(frame).first(12));
  swap(parts->addresses);
  parts->header[is_v4(*parts) ? 8 : 7] = 64;  // hops that it may take
  const bool has_ports = parts->protocol == 6 || parts->protocol == 17;
  if (has_ports) swap(parts->payload.first(4));
  if (parts->protocol == 6 && parts->payload.size() >= 20) parts->payload[13] = tcp_flags;
  repair(frame);
  return frame;
}

}  // namespace headgate::tests
