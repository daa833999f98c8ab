#include "tests/bench/cases.h"

#include <algorithm>

#include <fmt/format.h>

namespace headgate::bench {
namespace {

constexpr uint64_t k = 1000;
constexpr uint64_t m = 1000 * k;
constexpr uint64_t flows_per_local_address = 400 * k;

std::string flows_text(uint64_t flows) {
  if (flows >= m) return fmt::format("{} M", flows / m);
  if (flows >= k) return fmt::format("{} K", flows / k);
  return fmt::format("{}", flows);
}

Case established(const char* mode, bool v6, uint64_t flows) {
  Case result;
  result.name = fmt::format("{} {} {}", mode, v6 ? "IPv6" : "IPv4", flows_text(flows));
  result.bed.mode = mode;
  result.bed.v6 = v6;
  const auto capacity = static_cast<uint32_t>(std::max<uint64_t>(flows + flows / 4, 65536));
  (v6 ? result.bed.capacity_v6 : result.bed.capacity_v4) = capacity;
  result.bed.local_addresses = static_cast<uint32_t>(flows / flows_per_local_address + 1);
  result.flows = flows;
  return result;
}

Case as(Case one, CaseKind kind, const std::string& more) {
  one.kind = kind;
  one.name += more;
  return one;
}

void add_modes(std::vector<Case>& cases) {
  for (const uint64_t flows : {uint64_t{1}, k, 64 * k, m, 10 * m})
    cases.push_back(established("dr", false, flows));
  for (const char* mode : {"nat", "fullnat", "ipip"}) {
    for (const uint64_t flows : {uint64_t{1}, k, 64 * k, m, 10 * m}) {
      cases.push_back(established(mode, false, flows));
      cases.back().full_only = flows != k && flows != m;
    }
  }
  for (const char* mode : {"nat", "fullnat"}) {
    for (const uint64_t flows : {k, m}) {
      cases.push_back(as(established(mode, false, flows), CaseKind::established, ", replies"));
      cases.back().replies = true;
    }
  }
  for (const char* mode : {"dr", "nat", "fullnat", "ipip"}) {
    for (const uint64_t flows : {k, m}) {
      cases.push_back(established(mode, true, flows));
      cases.back().full_only = std::string_view(mode) != "dr";
    }
  }
}

// Frames of 512 bytes, packets of 1,500 (1,518 with Ethernet's header and FCS), and the usual mix.
void add_sizes(std::vector<Case>& cases) {
  constexpr uint16_t fcs_bytes = 4;
  for (const char* mode : {"dr", "fullnat"}) {
    for (const uint16_t bytes : {uint16_t{512}, uint16_t{1518}}) {
      cases.push_back(
          as(established(mode, false, k), CaseKind::established, fmt::format(", {} bytes", bytes)));
      cases.back().bed.frame_bytes = bytes - fcs_bytes;
      cases.back().full_only = true;
    }
    cases.push_back(as(established(mode, false, k), CaseKind::established, ", IMIX 7:4:1"));
    cases.back().imix = true;
    cases.back().full_only = true;
  }
}

void add_surroundings(std::vector<Case>& cases) {
  cases.push_back(as(established("dr", false, m), CaseKind::established, ", zipf"));
  cases.back().choice = Choice::zipf;
  cases.push_back(
      as(established("dr", false, m), CaseKind::established, ", 1,000 services, 10,000 backends"));
  cases.back().bed.services = 1000;
  cases.back().bed.all_backends = 10'000;
  cases.push_back(as(cases.back(), CaseKind::swaps, ", 100 changes/s"));
  for (const uint32_t per_packet : {1U, 10U}) {
    cases.push_back(as(established("dr", false, 100 * k), CaseKind::flood,
                       fmt::format(", {}:1 SYN flood", per_packet)));
    cases.back().flood_per_packet = per_packet;
  }
  cases.push_back(as(established("dr", false, m), CaseKind::two_workers, ", two workers"));
  cases.push_back(as(established("fullnat", false, m), CaseKind::two_workers, ", two workers"));
}

void add_far(std::vector<Case>& cases) {
  for (const char* mode : {"dr", "nat", "fullnat", "ipip"}) {
    for (const uint64_t flows : {k, m}) {
      cases.push_back(
          as(established(mode, false, flows), CaseKind::far, ", generator on another core"));
      cases.back().bed.far_generator = true;
      cases.back().full_only = std::string_view(mode) != "dr";
    }
  }
}

// Every packet a new flow that is forgotten a few seconds later; with --full so many seconds later
// that at least ten million live, two keys each with FULLNAT.
void add_fresh(std::vector<Case>& cases) {
  for (const bool many : {false, true}) {
    for (const char* mode : {"dr", "fullnat"}) {
      Case one = established(mode, false, 16 * m);
      one.name = fmt::format("{} IPv4, new UDP flows{}", mode, many ? ", 10 M live" : "");
      one.kind = CaseKind::fresh;
      one.bed.protocol = "udp";
      one.bed.timeout_s = 3;
      one.choice = Choice::fresh;
      if (many) {
        one.live = 14 * m;  // the rate may be lower than when it was tried
        one.seconds = 30;
        one.full_only = true;
      }
      cases.push_back(one);
    }
  }
}

}  // namespace

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_modes(cases);
  add_sizes(cases);
  add_surroundings(cases);
  add_far(cases);
  add_fresh(cases);
  return cases;
}

}  // namespace headgate::bench
