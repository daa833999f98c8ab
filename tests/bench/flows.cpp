#include "tests/bench/flows.h"

#include "dataplane/net/checksum.h"

namespace headgate::bench {
namespace {

constexpr uint32_t ethernet_bytes = 14;
constexpr uint32_t l3_at = ethernet_bytes;

// Where the last four bytes of the addresses are, and where the transport header begins.
struct Places {
  uint32_t source;
  uint32_t destination;
  uint32_t l4;
};
constexpr Places places(bool v6) {
  return v6 ? Places{l3_at + 20, l3_at + 36, l3_at + 40}
            : Places{l3_at + 12, l3_at + 16, l3_at + 20};
}

void put16(uint8_t* at, uint16_t host) {
  const net::be16 word = net::be16::from_host(host);
  std::memcpy(at, &word, sizeof(word));
}

uint32_t last_word(const net::IpAddress& address) {
  uint32_t word;
  std::memcpy(&word, address.is_v4() ? address.bytes.data() : address.bytes.data() + 12, 4);
  return word;
}

void put_v4(uint8_t* ip, uint16_t length, uint8_t protocol) {
  ip[0] = 0x45;
  put16(ip + 2, length);
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = protocol;
}
void put_v6(uint8_t* ip, uint16_t payload, uint8_t protocol, const net::IpAddress& source,
            const net::IpAddress& destination) {
  ip[0] = 0x60;
  put16(ip + 4, payload);
  ip[6] = protocol;
  ip[7] = 64;
  std::memcpy(ip + 8, source.bytes.data(), 12);
  std::memcpy(ip + 24, destination.bytes.data(), 12);
}

}  // namespace

FrameWriter::FrameWriter(const FlowShape& shape)
    : bytes_(shape.frame_bytes),
      copied_(static_cast<uint16_t>((shape.frame_bytes + 63) / 64 * 64)),
      v6_(shape.v6),
      first_client_(__builtin_bswap32(last_word(shape.first_client))) {
  const Places at = places(v6_);
  uint8_t* frame = template_.data();
  std::memcpy(frame, shape.destination_mac.bytes.data(), 6);
  std::memcpy(frame + 6, shape.source_mac.bytes.data(), 6);
  put16(frame + 12, v6_ ? 0x86dd : 0x0800);
  uint8_t* ip = frame + l3_at;
  const auto l4_bytes = static_cast<uint16_t>(bytes_ - at.l4);
  if (v6_) {
    put_v6(ip, l4_bytes, shape.protocol, shape.first_client, shape.vip);
  } else {
    put_v4(ip, static_cast<uint16_t>(bytes_ - l3_at), shape.protocol);
  }
  uint8_t* l4 = frame + at.l4;
  const bool tcp = shape.protocol == 6;
  udp_ = !tcp;
  l4_checksum_at_ = static_cast<uint16_t>(at.l4 + (tcp ? 16 : 6));
  if (tcp) {
    l4[7] = 1;
    l4[12] = 0x50;
    l4[13] = shape.tcp_flags;
    put16(l4 + 14, 0xffff);
  } else {
    put16(l4 + 4, l4_bytes);
  }
  ip_sum_ = v6_ ? 0 : net::checksum_of_20_bytes(ip);
  const size_t address_bytes = v6_ ? 16 : 4;
  const uint8_t* addresses = ip + (v6_ ? 8 : 12);
  const uint64_t pseudo =
      net::pseudo_header_sum({addresses, address_bytes}, {addresses + address_bytes, address_bytes},
                             shape.protocol, l4_bytes);
  l4_sum_ = net::checksum_add(pseudo, {l4, l4_bytes});
  vip_.destination = last_word(shape.vip);
  vip_.destination_port = __builtin_bswap16(shape.vport);
}

void FrameWriter::put(uint8_t* frame, const Ends& ends) const noexcept {
  std::memcpy(frame, template_.data(), 64);
  // Whole cache lines of bytes, no text.
  // NOLINTBEGIN(bugprone-not-null-terminated-result)
  for (uint16_t at = 64; at < copied_; at = static_cast<uint16_t>(at + 64)) {
    std::memcpy(frame + at, template_.data() + at, 64);
  }
  // NOLINTEND(bugprone-not-null-terminated-result)
  const Places at = places(v6_);
  std::memcpy(frame + at.source, &ends.source, 4);
  std::memcpy(frame + at.destination, &ends.destination, 4);
  std::memcpy(frame + at.l4, &ends.source_port, 2);
  std::memcpy(frame + at.l4 + 2, &ends.destination_port, 2);
  const uint64_t addresses = uint64_t{ends.source} + ends.destination;
  if (!v6_) {
    const net::be16 checksum = net::checksum_finish(ip_sum_ + addresses);
    std::memcpy(frame + l3_at + 10, &checksum, 2);
  }
  net::be16 checksum =
      net::checksum_finish(l4_sum_ + addresses + ends.source_port + ends.destination_port);
  if (checksum.raw() == 0 && udp_) checksum = net::be16::from_raw(0xffff);
  std::memcpy(frame + l4_checksum_at_, &checksum, 2);
}

void FrameWriter::write(uint8_t* frame, uint64_t flow) const noexcept {
  Ends ends = vip_;
  ends.source = __builtin_bswap32(first_client_ + static_cast<uint32_t>(flow / ports_per_client));
  ends.source_port = __builtin_bswap16(static_cast<uint16_t>(1024 + flow % ports_per_client));
  put(frame, ends);
}

void FrameWriter::write_reply(uint8_t* frame, const Learned& learned) const noexcept {
  put(frame, {learned.destination, learned.source, learned.destination_port, learned.source_port});
}

Learned learn(const uint8_t* frame, bool v6) noexcept {
  const Places at = places(v6);
  Learned learned;
  std::memcpy(&learned.source, frame + at.source, 4);
  std::memcpy(&learned.destination, frame + at.destination, 4);
  std::memcpy(&learned.source_port, frame + at.l4, 2);
  std::memcpy(&learned.destination_port, frame + at.l4 + 2, 2);
  return learned;
}

}  // namespace headgate::bench
