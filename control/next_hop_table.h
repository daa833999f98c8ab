// Which row of the snapshot's next hops belongs to which neighbour. A row keeps its index as long
// as something refers to it. The first rows stand for addresses that have no neighbour.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dataplane/snapshot.h"

namespace headgate::control {

struct NextHopKey {
  uint16_t interface = 0;
  uint16_t mtu_limit = 0;  // of the route; 0: the interface's alone
  net::IpAddress gateway;  // family none: the row is free

  bool operator==(const NextHopKey&) const = default;
};

// A neighbour whose MAC is needed and not known.
struct WantedNeighbour {
  uint16_t interface = 0;
  net::IpAddress address;

  bool operator==(const WantedNeighbour&) const = default;
  auto operator<=>(const WantedNeighbour&) const = default;
};

// One row for each state that needs no neighbour.
inline constexpr uint32_t next_hop_unreachable = 0;
inline constexpr uint32_t next_hop_prohibited = 1;
inline constexpr uint32_t next_hop_blackhole = 2;
inline constexpr uint32_t next_hop_local = 3;
inline constexpr uint32_t next_hop_fixed_rows = 4;

class NextHopTable {
 public:
  NextHopTable() : keys_(next_hop_fixed_rows) {}

  // Finds or allocates.
  [[nodiscard]] uint32_t use(const NextHopKey& key);
  // Rows 0..end()-1, free ones among them.
  [[nodiscard]] uint32_t end() const { return static_cast<uint32_t>(keys_.size()); }
  // Gateway's family none: a fixed row, or free.
  [[nodiscard]] const NextHopKey& key(uint32_t index) const { return keys_[index]; }

  // Rows that use() allocated since the last commit().
  [[nodiscard]] const std::vector<uint32_t>& added() const { return added_; }

  // Frees the rows whose `used` is false, when the change is committed.
  void sweep(const std::vector<bool>& used);
  [[nodiscard]] bool is_going(uint32_t index) const;
  // Free rows from here on need not be in the snapshot.
  [[nodiscard]] uint32_t live_end() const;
  [[nodiscard]] bool is_free(uint32_t index) const {
    return keys_[index].gateway.family == net::Family::none || is_going(index);
  }

  // What use() and sweep() did since the last commit() takes effect, or is taken back.
  void commit();
  void rollback();

 private:
  // Not noexcept: see IdentityTable::Hash.
  struct Hash {
    size_t operator()(const NextHopKey& key) const;
  };

  std::vector<NextHopKey> keys_;
  std::unordered_map<NextHopKey, uint32_t, Hash> indexes_;
  std::deque<uint32_t> free_;    // the longest free first
  std::vector<uint32_t> added_;  // since the last commit()
  std::vector<bool> going_;      // by index, since the last commit(); may be shorter
};

}  // namespace headgate::control
