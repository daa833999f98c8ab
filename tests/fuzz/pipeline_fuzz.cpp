// The packet path under any frames: a service of every mode, family and protocol behind VLANs and
// two workers of which one has no queue on the server side; the input is a series of frames with a
// port, a worker, the time that passes before, and how the frame is cut into buffers. After each
// frame the books balance and what was sent is sound; after each input everything goes away in
// time. tests/fuzz/pipeline_corpus.py makes the seeds and shows the format.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/reader.h"
#include "dataplane/net/checksum.h"
#include "tests/fuzz/frame_check.h"
#include "tests/packet/rig.h"

namespace {

using namespace headgate;
using namespace headgate::tests;
using dataplane::Verdict;
using dataplane::VerdictKind;

constexpr uint32_t workers = 2;
constexpr uint16_t vlan = 100;
constexpr size_t most_frame_bytes = 1900;  // of a buffer

[[noreturn]] void broken(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}
void require(bool holds, const char* what) {
  if (!holds) broken(what);
}

// ---- the configuration ----

std::string backends(const char* first, const char* second, uint16_t port) {
  const std::string with_port = port == 0 ? "" : fmt::format(", \"port\": {}", port);
  return fmt::format(R"([{{"address": "{}"{}}}, {{"address": "{}"{}}}])", first, with_port, second,
                     with_port);
}

std::string service(bool v4, uint16_t port, const char* protocol, const char* mode,
                    const std::string& backend_list, const std::string& more) {
  return fmt::format(
      R"({{"address": "{}", "port": {}, "protocol": "{}", "mode": "{}", "backends": {}{}}})",
      v4 ? "192.0.2.1" : "2001:db8:9::1", port, protocol, mode, backend_list, more);
}

std::string yaml() {
  std::string services;
  for (const bool v4 : {true, false}) {
    const char* first = v4 ? "10.2.0.11" : "fd00:2::11";
    const char* second = v4 ? "10.2.0.99" : "fd00:2::99";  // its MAC is not known
    const std::string local =
        fmt::format(R"(, "local_addresses": ["{}"])", v4 ? "10.2.0.200" : "fd00:2::200");
    const std::string other =
        backends(v4 ? "fd00:2::11" : "10.2.0.11", v4 ? "fd00:2::12" : "10.2.0.12", 0);
    for (const char* protocol : {"tcp", "udp"}) {
      const std::string same = backends(first, second, 0);
      const std::string ported = backends(first, second, 8080);
      const auto add = [&](uint16_t port, const char* mode, const std::string& list,
                           const std::string& more) {
        services += service(v4, port, protocol, mode, list, more) + ",\n";
      };
      add(80, "nat", ported, R"(, "scheduler": "wlc")");
      add(81, "dr", same, R"(, "mid_stream": "hash")");
      add(82, "fullnat", ported, local);
      add(83, "ipip", same, R"(, "scheduler": "mh")");
      add(84, "ipip", other, "");
      add(85, "nat", "[]", "");
      add(86, "fullnat", ported, local + R"(, "persistence": {"timeout_s": 60})");
      add(0, "nat", same, R"(, "persistence": {"timeout_s": 60, "netmask": "24"})");
    }
  }
  services.resize(services.size() - 2);
  return R"({"ports": [{"name": "c0", "vdev": "net_ring0"}, {"name": "r0", "vdev": "net_ring1"}],
"connections": {"max_ipv4": 1024, "max_ipv6": 1024, "embryonic_percent": 2},
"rates": {"rst_per_s": 1000000, "icmp_per_s": 1000000,
          "icmp_echo_per_s": 1000000, "arp_per_s": 1000000},
"services": [)" +
         services + "]}";
}

control::KernelState kernel() {
  control::KernelState state;
  const auto mac = [](const char* text) { return net::parse_mac(text).value(); };
  const auto prefix = [](const char* text) { return net::parse_prefix(text).value(); };
  const auto ip = [](const char* text) { return net::parse_ip(text).value(); };
  state.interfaces = {{"c0", 2, mac("02:00:00:00:0d:01"), 1500, true},
                      {"r0", 3, mac("02:00:00:00:0d:02"), 1500, true},
                      {"c0.100", 4, mac("02:00:00:00:0d:01"), 1400, true}};
  state.addresses = {{0, prefix("10.1.0.1/24"), false, false},
                     {0, prefix("fd00:1::1/64"), false, false},
                     {1, prefix("10.2.0.1/24"), false, false},
                     {1, prefix("fd00:2::1/64"), false, false},
                     {2, prefix("10.3.0.1/24"), false, false}};
  const auto route = [&](const char* to, uint16_t interface, net::IpAddress gateway) {
    control::KernelRoute entry;
    entry.prefix = prefix(to);
    entry.hops.push_back({interface, gateway, 1});
    state.routes.push_back(entry);
  };
  route("10.1.0.0/24", 0, {});
  route("fd00:1::/64", 0, {});
  route("10.2.0.0/24", 1, {});
  route("fd00:2::/64", 1, {});
  route("10.3.0.0/24", 2, {});
  route("203.0.113.0/24", 2, ip("10.3.0.254"));  // clients behind the VLAN
  route("0.0.0.0/0", 0, ip("10.1.0.254"));
  route("::/0", 0, ip("fd00:1::fe"));
  for (const char* known : {"10.1.0.254", "fd00:1::fe"})
    state.neighbours.push_back({0, ip(known), mac("02:00:00:00:0c:01")});
  for (const char* known : {"10.2.0.11", "10.2.0.12", "fd00:2::11", "fd00:2::12"})
    state.neighbours.push_back({1, ip(known), mac("02:00:00:00:0e:11")});
  state.neighbours.push_back({2, ip("10.3.0.254"), mac("02:00:00:00:0c:02")});
  std::ranges::sort(state.addresses);
  std::ranges::sort(state.routes);
  std::ranges::sort(state.neighbours);
  return state;
}

std::unique_ptr<Rig> make_rig() {
  static const bool started = (start_dpdk_for_tests(), true);
  require(started, "DPDK does not start");
  RigOptions options;
  options.workers = workers;
  options.capacity_v4 = 64;  // small: pressure and a full table are near
  options.capacity_v6 = 64;
  options.ports = {{0, true}, {1, true}};
  options.interfaces = {{0, 0}, {1, 0}, {0, vlan}};
  auto rig = std::make_unique<Rig>(options);
  const auto reading = config::read_text(yaml(), "pipeline_fuzz");
  if (!reading) broken(config::to_string(reading.error().front()));
  if (const auto applied = rig->apply(reading->config, kernel()); !applied) broken(applied.error());
  return rig;
}

// ---- what always holds ----

class Books {
 public:
  explicit Books(const Rig& rig) : rig_(rig) { take(now_); }

  // Against what came out since the last call.
  void balance(const Output& output) {
    std::array<uint64_t, 4> before = now_;
    take(now_);
    require(rig_.sum_rule_violation().empty(), "received and verdicts differ");
    require(rig_.lost_mbufs() == 0, "a buffer is lost");
    require(gained(VerdictKind::sent, before) == output.sent.size(), "sent frames miscounted");
    require(gained(VerdictKind::twin, before) == output.twin.size(), "twin frames miscounted");
    uint64_t released = 0;
    for (uint32_t w = 0; w < workers; ++w)
      released += rig_.counters().worker(w).released.get();
    const uint64_t held = now_[static_cast<size_t>(VerdictKind::held)] - released;
    require(held == rig_.held(), "held packets miscounted");
  }

 private:
  using Kinds = std::array<uint64_t, 4>;

  void take(Kinds& kinds) const {
    kinds = {};
    for (uint32_t i = 0; i < dataplane::verdict_count; ++i) {
      const auto verdict = static_cast<Verdict>(i);
      kinds[static_cast<size_t>(dataplane::info(verdict).kind)] += rig_.counters().verdict(verdict);
    }
  }
  [[nodiscard]] uint64_t gained(VerdictKind kind, const Kinds& before) const {
    return now_[static_cast<size_t>(kind)] - before[static_cast<size_t>(kind)];
  }

  const Rig& rig_;
  Kinds now_{};
};

// The table's own counts and the live counts of the rows against a scan of the entries.
void check_table(const Rig& rig, bool empty) {
  struct {
    uint64_t v4 = 0;
    uint64_t v6 = 0;
    uint64_t embryonic = 0;
    uint64_t active = 0;
    uint64_t inactive = 0;
  } seen;
  const dataplane::ConnTable& table = rig.connections();
  const auto look = [&](dataplane::StateWord state, uint64_t& found) {
    if (!state.has(dataplane::ConnFlag::published)) return;
    ++found;  // one that is unlinked as well, until its owner's next tick
    if (state.has(dataplane::ConnFlag::dying)) return;
    seen.embryonic += state.has(dataplane::ConnFlag::embryonic);
    seen.active += state.has(dataplane::ConnFlag::counted_active);
    seen.inactive += state.has(dataplane::ConnFlag::counted_inactive);
  };
  for (uint32_t i = 0; i < table.capacity(net::Family::ipv4); ++i)
    look(table.v4(dataplane::ConnRef::make(false, i)).common.state(), seen.v4);
  for (uint32_t i = 0; i < table.capacity(net::Family::ipv6); ++i)
    look(table.v6(dataplane::ConnRef::make(true, i)).common.state(), seen.v6);
  const dataplane::ConnTableCounters counted = table.counters();
  if (counted.in_use4 != seen.v4 || counted.in_use6 != seen.v6) {
    broken(fmt::format("{} and {} connections in use, {} and {} found", counted.in_use4,
                       counted.in_use6, seen.v4, seen.v6));
  }
  require(counted.embryonic == seen.embryonic, "embryonic against a scan");
  uint64_t active = 0;
  uint64_t inactive = 0;
  static constexpr uint32_t services = 64;
  for (uint32_t id = 0; id < services; ++id) {
    active += rig.counters().service(id).active;
    inactive += rig.counters().service(id).inactive;
  }
  require(active == seen.active && inactive == seen.inactive, "live connections against a scan");
  require(!empty || seen.v4 + seen.v6 == 0, "a connection outlives every time-out");
}

// ---- the input ----

// A frame of the input: four bytes and then its own.
//   0  bit 0 port, bit 1 worker, bit 2 from the kernel's side, bit 3 checksums made right,
//      bits 4..6 time that passes before it, bit 7 buffers as byte 1 says
//   1  the length of all buffers but the last, 0 as 1
//   2  length of the frame, low byte first; 0: the answer to the frame that was sent last, with
//      byte 1 as TCP flags
struct Record {
  uint16_t port;
  uint32_t worker;
  bool from_twin;
  bool repair;
  uint64_t pause_ms;
  uint8_t answer_flags;
  Frame frame;  // empty: an answer
};

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool next(Record& record) {
    static constexpr std::array<uint64_t, 8> pauses_ms{0, 0, 1, 250, 3000, 11000, 61000, 301000};
    static constexpr size_t header = 4;
    if (bytes_.size() < header) return false;
    const uint8_t what = bytes_[0];
    const size_t wanted = bytes_[2] | size_t{bytes_[3]} << 8;
    const size_t length = std::min({wanted, bytes_.size() - header, most_frame_bytes});
    record.port = what & 1;
    record.worker = (what >> 1) & 1;
    record.from_twin = (what & 4) != 0;
    record.repair = (what & 8) != 0;
    record.answer_flags = bytes_[1];
    record.pause_ms = pauses_ms[(what >> 4) & 7];
    const auto frame = bytes_.subspan(header, length);
    record.frame.bytes.assign(frame.begin(), frame.end());
    record.frame.segments.clear();
    if ((what & 0x80) != 0 && length != 0) cut(record.frame, std::max<uint16_t>(bytes_[1], 1));
    bytes_ = bytes_.subspan(header + frame.size());
    return true;
  }

 private:
  static void cut(Frame& frame, uint16_t piece) {
    static constexpr size_t most_pieces = 32;
    auto left = static_cast<uint16_t>(frame.bytes.size());
    while (left > piece && frame.segments.size() + 1 < most_pieces) {
      frame.segments.push_back(piece);
      left = static_cast<uint16_t>(left - piece);
    }
    frame.segments.push_back(left);
  }

  std::span<const uint8_t> bytes_;
};

class Run {
 public:
  explicit Run(Rig& rig) : rig_(rig), books_(rig) {}

  void frame(Record& record) {
    if (record.pause_ms != 0) finish(rig_.jump_ms(record.pause_ms));
    if (record.frame.bytes.empty()) record.frame.bytes = answer_to(last_sent_, record.answer_flags);
    if (record.frame.bytes.empty()) return;
    if (record.repair) repair(record.frame.bytes);
    if (record.from_twin) return frame_of_kernel(record);
    const FrameJudgement found = judge_with_padding(record.frame.bytes);
    all_right_ = all_right_ && (!found.parses || found.transport_right);
    // Worker 1 has no queue on port 1: its share of that port's frames never comes.
    const uint32_t worker = record.port == 1 ? 0 : record.worker;
    finish(rig_.inject(record.port, {record.frame}, worker));
  }

  void end() {
    finish(rig_.jump_ms(1'000'000));
    finish(rig_.settle(4));
    finish(rig_.jump_ms(1'000'000));  // templates go after the connections that they outlive
    finish(rig_.settle(4));
    check_table(rig_, true);
    require(rig_.held() == 0, "a packet is held forever");
    (void)rig_.neighbour_requests();
  }

 private:
  void finish(const Output& output) {
    books_.balance(output);
    for (const SentFrame& sent : output.sent)
      check_sent(sent.bytes);
    if (!output.sent.empty()) last_sent_ = output.sent.back().bytes;
    const Output later = rig_.settle(1);
    books_.balance(later);
    for (const SentFrame& sent : later.sent)
      check_sent(sent.bytes);
    check_table(rig_, false);
  }

  // It leaves as it is, whatever it is.
  void frame_of_kernel(const Record& record) {
    Output output = rig_.inject_from_twin(record.port, record.frame, record.worker);
    const auto same = std::ranges::find(output.sent, record.frame.bytes, &SentFrame::bytes);
    require(same != output.sent.end(), "the kernel's frame was changed or lost");
    books_.balance(output);
    output.sent.erase(same);
    for (const SentFrame& sent : output.sent)
      check_sent(sent.bytes);
  }

  void check_sent(const std::vector<uint8_t>& bytes) const {
    const FrameJudgement found = judge(bytes);
    const auto fault = [&](const char* what) {
      std::string hex;
      for (const uint8_t byte : bytes)
        hex += fmt::format("{:02x}", byte);
      broken(fmt::format("{}: {}", what, hex));
    };
    if (!found.parses) fault("a sent frame does not parse");
    if (!found.header_right) fault("a sent frame with a wrong IPv4 header checksum");
    if (all_right_ && !found.transport_right) fault("a sent frame with a wrong checksum");
  }

  Rig& rig_;
  Books books_;
  std::vector<uint8_t> last_sent_;
  bool all_right_ = true;  // every frame that came in so far had right checksums
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<Rig> rig = make_rig();
  Reader reader({data, size});
  Run run(*rig);
  Record record;
  while (reader.next(record))
    run.frame(record);
  run.end();
  return 0;
}
