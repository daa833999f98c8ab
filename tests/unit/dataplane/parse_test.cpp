// parse_plain() and parse_frame() agree: what the first takes, the second finds to be the same
// flow.
#include "dataplane/parse.h"

#include <array>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/net/checksum.h"
#include "dataplane/parse_plain.h"

namespace headgate::dataplane {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr net::MacAddress mac{{0x02, 0, 0, 0, 0, 1}};

// A snapshot of one port with one untagged interface, and nothing else.
struct World {
  struct alignas(64) Memory {
    std::array<uint8_t, 64> header{};
    SnapshotRoot root{};
    PortEntry port{};
    Interface interface{};
  } memory;

  World() {
    memory.root.ports = {{offsetof(Memory, port)}, 1, 0};
    memory.root.interfaces = {{offsetof(Memory, interface)}, 1, 0};
    memory.port.untagged_interface = 0;
    memory.interface.mac = mac;
  }
  [[nodiscard]] RegionView region() { return RegionView(reinterpret_cast<std::byte*>(&memory)); }
  [[nodiscard]] Ingress ingress() const {
    return {.port = 0, .interface = 0, .mac = detail::load_mac(&memory.interface.mac)};
  }
};

// A frame in a buffer of its own, in one segment or two.
struct Frame {
  Frame(const Bytes& bytes, size_t first_segment) {
    std::ranges::copy(bytes, memory.begin());
    const size_t head = std::min(first_segment, bytes.size());
    first.buf_addr = memory.data();
    first.buf_len = static_cast<uint16_t>(memory.size());
    first.data_len = static_cast<uint16_t>(head);
    first.pkt_len = static_cast<uint32_t>(bytes.size());
    first.nb_segs = 1;
    if (head == bytes.size()) return;
    first.nb_segs = 2;
    first.next = &second;
    second.buf_addr = memory.data() + head;
    second.buf_len = static_cast<uint16_t>(memory.size() - head);
    second.data_len = static_cast<uint16_t>(bytes.size() - head);
    second.nb_segs = 1;
  }
  std::array<uint8_t, 2048> memory{};
  std::array<rte_mbuf, 2> mbufs{};
  rte_mbuf& first = mbufs[0];
  rte_mbuf& second = mbufs[1];
};

Bytes ethernet(uint16_t type) {
  Bytes frame(sizeof(net::EthernetHeader));
  std::ranges::copy(mac.bytes, frame.begin());
  frame[6] = 0x02;
  frame[12] = static_cast<uint8_t>(type >> 8);
  frame[13] = static_cast<uint8_t>(type);
  return frame;
}

void add_transport(Bytes& frame, uint8_t protocol) {
  const size_t at = frame.size();
  frame.resize(at + (protocol == net::protocol_tcp ? 20 : 8) + 4);
  frame[at] = 0x30;
  frame[at + 1] = 0x39;
  frame[at + 3] = 80;
  if (protocol == net::protocol_tcp) {
    frame[at + 12] = 5 << 4;
    frame[at + 13] = net::tcp_ack;
  } else {
    frame[at + 5] = 12;
  }
}

void sum_ipv4(Bytes& frame) {
  frame[24] = frame[25] = 0;
  const net::be16 sum = net::checksum_finish(net::checksum_add(0, {&frame[14], 20}));
  std::memcpy(&frame[24], &sum, 2);
}

Bytes frame_v4(uint8_t protocol) {
  Bytes frame = ethernet(net::ethertype_ipv4);
  const std::array<uint8_t, 20> header{0x45, 0, 0,   0,  1, 2, 0x40, 0, 64, protocol,
                                       0,    0, 198, 51, 7, 9, 192,  0, 2,  1};
  frame.insert(frame.end(), header.begin(), header.end());
  add_transport(frame, protocol);
  frame[17] = static_cast<uint8_t>(frame.size() - 14);
  sum_ipv4(frame);
  return frame;
}

Bytes frame_v6(uint8_t protocol) {
  Bytes frame = ethernet(net::ethertype_ipv6);
  Bytes header(40);
  header[0] = 0x60;
  header[6] = protocol;
  header[7] = 64;
  header[8] = header[24] = 0x20;
  header[9] = header[25] = 0x01;
  header[23] = 9;
  header[39] = 1;
  frame.insert(frame.end(), header.begin(), header.end());
  add_transport(frame, protocol);
  frame[19] = static_cast<uint8_t>(frame.size() - 54);
  return frame;
}

FlowKey6 key_of(const Packet& packet) {
  if (!packet.is_v4()) return packet.key6;
  FlowKey6 key{};
  std::memcpy(static_cast<void*>(&key), &packet.key4, sizeof(packet.key4));
  return key;
}

// Whether parse_plain() takes the frame; if so, all that parse_frame() says of it has to be equal.
bool taken_alike(World& world, const Bytes& bytes, size_t first_segment) {
  Frame plain(bytes, first_segment);
  Packet packet;
  std::memset(static_cast<void*>(&packet), 0, sizeof(packet));
  if (!parse_plain(world.ingress(), &plain.first, packet)) {
    EXPECT_EQ(plain.first.pkt_len, bytes.size()) << "a frame that it does not take stays whole";
    return false;
  }
  Frame any(bytes, first_segment);
  Packet expected;
  const ParseResult result =
      parse_frame(world.region(), world.memory.root, &any.first, 0, expected);
  EXPECT_EQ(result.kind, FrameKind::flow);
  if (result.kind != FrameKind::flow) return true;
  expected.key6 = {};
  if (expected.is_v4()) {
    expected.key4 = flow_key<FlowKey4>(&expected.ipv4().source, &expected.ports, expected.protocol);
  } else {
    expected.key6 = flow_key<FlowKey6>(&expected.ipv6().source, &expected.ports, expected.protocol);
  }
  EXPECT_EQ(packet.family, expected.family);
  EXPECT_EQ(packet.interface, expected.interface);
  EXPECT_EQ(packet.l2_length, expected.l2_length);
  EXPECT_EQ(packet.l3_length, expected.l3_length);
  EXPECT_EQ(packet.l4_length, expected.l4_length);
  EXPECT_EQ(packet.protocol, expected.protocol);
  EXPECT_EQ(packet.tcp_flags, expected.tcp_flags);
  EXPECT_EQ(packet.ports, expected.ports);
  EXPECT_EQ(key_of(packet), key_of(expected));
  EXPECT_EQ(packet.mbuf, &plain.first);
  EXPECT_EQ(packet.l3 - plain.memory.data(), expected.l3 - any.memory.data());
  EXPECT_EQ(packet.l4 - plain.memory.data(), expected.l4 - any.memory.data());
  EXPECT_EQ(plain.first.pkt_len, any.first.pkt_len);
  EXPECT_EQ(plain.first.data_len, any.first.data_len);
  return true;
}

const std::vector<Bytes>& plain_frames() {
  static const std::vector<Bytes> frames{frame_v4(net::protocol_tcp), frame_v4(net::protocol_udp),
                                         frame_v6(net::protocol_tcp), frame_v6(net::protocol_udp)};
  return frames;
}

TEST(Parse, PlainFramesAreTakenAndPaddingIsCutOff) {
  World world;
  for (Bytes frame : plain_frames()) {
    EXPECT_TRUE(taken_alike(world, frame, frame.size()));
    frame.resize(frame.size() + 6);
    EXPECT_TRUE(taken_alike(world, frame, frame.size()));
    EXPECT_FALSE(taken_alike(world, frame, frame.size() - 3)) << "padding in two segments";
  }
}

TEST(Parse, FramesOfTwoSegmentsAreTakenWhenTheHeadersAreInTheFirst) {
  World world;
  for (const Bytes& frame : plain_frames()) {
    EXPECT_TRUE(taken_alike(world, frame, frame.size() - 2));
    EXPECT_FALSE(taken_alike(world, frame, frame.size() - 5));
  }
}

TEST(Parse, ShortFramesAreNotTaken) {
  World world;
  for (const Bytes& frame : plain_frames()) {
    for (size_t length = 0; length < frame.size(); ++length) {
      EXPECT_FALSE(taken_alike(world, Bytes(frame.begin(), frame.begin() + length), 2048));
    }
  }
}

TEST(Parse, NoFrameIsTakenWhenThePortIsNotOurs) {
  World world;
  Bytes frame = frame_v4(net::protocol_udp);
  std::fill_n(frame.begin(), 6, uint8_t{0xff});
  Frame bytes(frame, frame.size());
  Packet packet;
  EXPECT_FALSE(parse_plain({.port = 0, .interface = none16, .mac = no_mac}, &bytes.first, packet));
}

// Every value of every header byte, alone; with the checksum put right, so that it is not what
// keeps the frame out, and as it is.
TEST(Parse, AnyByteMayBeAnything) {
  World world;
  uint32_t taken = 0;
  for (const Bytes& frame : plain_frames()) {
    for (size_t at = 0; at < frame.size(); ++at) {
      for (uint32_t value = 0; value < 256; ++value) {
        Bytes changed = frame;
        changed[at] = static_cast<uint8_t>(value);
        taken += taken_alike(world, changed, changed.size());
        if (frame[12] != 0x08) continue;
        sum_ipv4(changed);
        taken += taken_alike(world, changed, changed.size());
      }
    }
  }
  EXPECT_GT(taken, 10'000U);
}

TEST(Parse, AnyFewBytesMayBeAnything) {
  World world;
  std::mt19937 random(20);  // NOLINT(cert-msc51-cpp): the same each time
  uint32_t taken = 0;
  for (uint32_t i = 0; i < 200'000; ++i) {
    Bytes frame = plain_frames()[random() % 4];
    for (uint32_t changes = random() % 4; changes > 0; --changes)
      frame[12 + random() % (frame.size() - 12)] = static_cast<uint8_t>(random());
    frame.resize(frame.size() + random() % 8);
    if (frame[12] == 0x08) sum_ipv4(frame);
    taken += taken_alike(world, frame, random() % 2 == 0 ? frame.size() : random() % frame.size());
    if (HasFailure()) return;
  }
  EXPECT_GT(taken, 10'000U);
}

}  // namespace
}  // namespace headgate::dataplane
