// Which source port a FULLNAT connection takes: an endless supply of guesses, cut off.
//
// There is no pool. The caller tries one candidate after the other by inserting the reply key
//   backend address:port -> local address:candidate
// into the connection table, and the first that goes in is the connection's. The candidates walk
// through the range in a permutation of the flow's own (double hashing: start and stride come from
// the flow's hash), so flows do not run into each other's tracks and no port comes twice.
//
// First come ports whose reply will arrive on the caller's own queue, as computed from the port's
// RSS key and redirection table; then, when those are taken or rare, any.
//
// Bounds: with a fraction f of the ports of this (local address, backend) in use a walk fails with
// probability about f^512: 3·10⁻⁵ at 98 %, one in 170 at 99 %. A walk that fails costs hundreds of
// cache misses, so once one did, those of the same tick are short: whoever takes up all ports of a
// service must not take up the worker as well with a packet every so often.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/limits.h"
#include "dataplane/net/address.h"
#include "dataplane/rss.h"

namespace headgate::dataplane {

struct PortRange {
  uint16_t first = 1024;
  uint16_t last = 65535;  // not below `first`

  [[nodiscard]] constexpr uint32_t size() const noexcept { return uint32_t{last} - first + 1; }
};

// The reply that has to land on `queue` of the port it will arrive on.
struct ReplyTuple {
  const RssTable* rss = nullptr;  // null: unknown, every port is as good as any
  net::IpAddress backend;
  net::IpAddress local;
  net::be16 backend_port;
  uint16_t queue = 0;
};

class PortCandidates {
 public:
  // `flow_hash`: of the client's side of the flow, so that a SYN that is sent again meets the same
  // candidates. With several local addresses use one object each.
  PortCandidates(uint64_t flow_hash, PortRange range, const ReplyTuple& reply,
                 uint32_t most = max_candidates) noexcept;

  // The next port to try (host order), or nothing: give up.
  [[nodiscard]] std::optional<uint16_t> next() noexcept;
  // Whether the reply to the last candidate arrives on the caller's queue. False if unknown.
  [[nodiscard]] bool on_own_queue() const noexcept { return on_own_queue_; }

  static constexpr uint32_t max_candidates = 512;
  static constexpr uint32_t few_candidates = 16;
  static constexpr uint32_t max_own_queue_candidates = 64;
  static constexpr uint32_t max_own_queue_steps = 2048;  // ports looked at to find those

 private:
  [[nodiscard]] uint16_t step() noexcept;
  [[nodiscard]] bool lands_on_own_queue(uint16_t port) const noexcept;
  [[nodiscard]] std::optional<uint16_t> next_on_own_queue() noexcept;

  PortRange range_;
  const RssTable* rss_;
  net::Family family_;
  uint16_t queue_;
  uint32_t most_;           // candidates
  uint32_t base_hash_ = 0;  // of the reply with port 0
  uint32_t start_;
  uint32_t wanted_stride_;
  uint32_t stride_ = 0;     // from the second step on: most flows get the first port they try
  uint32_t place_;          // of the walk, below range_.size()
  uint32_t steps_ = 0;      // of the walk
  uint32_t given_ = 0;      // candidates
  uint32_t own_steps_ = 0;  // of the first walk, once it is over
  bool own_phase_;
  bool on_own_queue_ = false;
};

// A worker's memory of the pairs of local address and backend where a whole walk failed of late.
// Pairs may share a place: the later one is remembered.
class ExhaustedPairs {
 public:
  [[nodiscard]] bool has(uint32_t pair_hash, Tick now) const noexcept {
    const Pair& pair = pairs_[pair_hash % pairs_.size()];
    return pair.hash == pair_hash && pair.failed == now;
  }
  void add(uint32_t pair_hash, Tick now) noexcept {
    pairs_[pair_hash % pairs_.size()] = {pair_hash, now};
  }

 private:
  struct Pair {
    uint32_t hash = 0;
    Tick failed = 0;
  };
  std::array<Pair, 64> pairs_{};
};

}  // namespace headgate::dataplane
