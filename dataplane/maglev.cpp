#include "dataplane/maglev.h"

#include <algorithm>
#include <queue>
#include <vector>

#include "dataplane/snapshot.h"

namespace headgate::dataplane {

namespace {

// A backend that takes part in the filling.
struct Candidate {
  uint64_t identity;  // the two halves stand for the paper's h1 and h2
  uint32_t index;     // into the list of backends
  uint32_t weight;
  uint32_t next;  // slot of the permutation to try next
  uint32_t skip;
  uint32_t turns = 0;  // taken

  // Its place in the permutation moves on by one.
  [[nodiscard]] uint32_t preference(uint32_t table_size) noexcept {
    const uint32_t slot = next;
    next = slot + skip < table_size ? slot + skip : slot + skip - table_size;
    return slot;
  }
};

uint64_t identity_of(const MaglevBackend& backend) noexcept {
  const uint32_t low =
      mix_hash(address_hash(backend.address) | (static_cast<uint64_t>(backend.port.raw()) << 32));
  const uint32_t high = mix_hash(low ^ 0x9e3779b97f4a7c15ULL) ^ address_hash(backend.address);
  return (static_cast<uint64_t>(mix_hash(high)) << 32) | low;
}

// Backends with weight, in an order that depends on nothing but themselves.
std::vector<Candidate> candidates_of(std::span<const MaglevBackend> backends, uint32_t size) {
  std::vector<Candidate> result;
  result.reserve(backends.size());
  for (uint32_t i = 0; i < backends.size(); ++i) {
    if (backends[i].weight == 0) continue;
    const uint64_t identity = identity_of(backends[i]);
    result.push_back({.identity = identity,
                      .index = i,
                      .weight = backends[i].weight,
                      .next = static_cast<uint32_t>(identity) % size,
                      .skip = static_cast<uint32_t>(identity >> 32) % (size - 1) + 1});
  }
  std::ranges::sort(result, [&](const Candidate& a, const Candidate& b) {
    if (a.identity != b.identity) return a.identity < b.identity;
    const MaglevBackend& x = backends[a.index];
    const MaglevBackend& y = backends[b.index];
    return x.address != y.address ? x.address < y.address : x.port < y.port;
  });
  return result;
}

}  // namespace

void fill_maglev(std::span<const MaglevBackend> backends, std::span<uint16_t> table) {
  const auto size = static_cast<uint32_t>(table.size());
  std::ranges::fill(table, maglev_empty);
  std::vector<Candidate> candidates = candidates_of(backends, size);
  if (candidates.empty()) return;

  // The turn is whose next one is due first: turn t of a backend of weight w at time t / w.
  const auto is_later = [&](uint32_t a, uint32_t b) {
    const uint64_t due_a = (candidates[a].turns + uint64_t{1}) * candidates[b].weight;
    const uint64_t due_b = (candidates[b].turns + uint64_t{1}) * candidates[a].weight;
    return due_a != due_b ? due_a > due_b : a > b;
  };
  std::vector<uint32_t> order(candidates.size());
  for (uint32_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::priority_queue<uint32_t, std::vector<uint32_t>, decltype(is_later)> turns(is_later,
                                                                                 std::move(order));
  for (uint32_t filled = 0; filled < size; ++filled) {
    const uint32_t turn = turns.top();
    turns.pop();
    Candidate& candidate = candidates[turn];
    uint32_t slot = candidate.preference(size);
    while (table[slot] != maglev_empty)
      slot = candidate.preference(size);
    table[slot] = static_cast<uint16_t>(candidate.index);
    ++candidate.turns;
    turns.push(turn);
  }
}

bool is_prime(uint32_t n) noexcept {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (uint32_t divisor = 3; uint64_t{divisor} * divisor <= n; divisor += 2) {
    if (n % divisor == 0) return false;
  }
  return true;
}

uint32_t next_prime(uint32_t n) noexcept {
  while (!is_prime(n))
    ++n;
  return n;
}

uint32_t maglev_table_size(uint32_t backends) noexcept {
  for (const uint32_t size : maglev_table_sizes) {
    if (size / 100 >= backends) return size;
  }
  return maglev_table_sizes.back();
}

}  // namespace headgate::dataplane
