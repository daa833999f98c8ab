#include "control/plan_hash.h"

#include <algorithm>
#include <map>
#include <utility>

#include "control/snapshot_services.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

namespace {

// A table whose entries mean the same in two lists of backends: numbers of their own for each
// address and port.
using Numbers = std::map<std::pair<net::IpAddress, uint16_t>, uint32_t>;

constexpr uint32_t nobody = UINT32_MAX;

std::vector<uint32_t> table_of(const MaglevInput& input, Numbers& numbers) {
  std::vector<uint16_t> slots(input.slots);
  dataplane::fill_maglev(input.backends, slots);
  std::vector<uint32_t> number_of;
  number_of.reserve(input.backends.size());
  for (const dataplane::MaglevBackend& backend : input.backends) {
    const auto next = static_cast<uint32_t>(numbers.size());
    number_of.push_back(
        numbers.try_emplace({backend.address, backend.port.host()}, next).first->second);
  }
  std::vector<uint32_t> table(slots.size());
  std::ranges::transform(slots, table.begin(), [&](uint16_t slot) {
    return slot == dataplane::maglev_empty ? nobody : number_of[slot];
  });
  return table;
}

}  // namespace

HashShare moved_hash_space(const MaglevInput& before, const MaglevInput& after) {
  if (before.slots == 0 || after.slots == 0) return {1, 1};
  Numbers numbers;
  const std::vector<uint32_t> old_table = table_of(before, numbers);
  const std::vector<uint32_t> new_table = table_of(after, numbers);
  const uint64_t old_size = old_table.size();
  const uint64_t new_size = new_table.size();
  if (old_size == new_size) {
    HashShare share{0, old_size};
    for (size_t i = 0; i < old_size; ++i)
      share.moved += old_table[i] != new_table[i] ? 1 : 0;
    return share;
  }
  // Both ends of a slot, counted in pieces of 1 / (old_size * new_size): sizes are below 2^24.
  HashShare share{0, old_size * new_size};
  for (uint64_t at = 0, i = 0, j = 0; at < share.all;) {
    const uint64_t old_end = (i + 1) * new_size;
    const uint64_t new_end = (j + 1) * old_size;
    const uint64_t end = std::min(old_end, new_end);
    if (old_table[i] != new_table[j]) share.moved += end - at;
    at = end;
    i += end == old_end ? 1 : 0;
    j += end == new_end ? 1 : 0;
  }
  return share;
}

HashChanges hash_changes(const IdentityTable& identity, const config::Config& running,
                         const config::Config& wanted) {
  std::map<config::ServiceKey, const config::Service*> after;
  for (const config::Service& service : wanted.services)
    after.emplace(config::key_of(service), &service);
  HashChanges result;
  for (const config::Service& service : running.services) {
    HashChange change;
    change.service = config::key_of(service);
    change.before = maglev_input_of(identity, running.forwarding, service);
    if (const auto found = after.find(change.service); found != after.end()) {
      change.after = maglev_input_of(identity, wanted.forwarding, *found->second);
    }
    if (change.before.slots == 0 && change.after.slots == 0) continue;
    ++result.tables;
    if (!change.before.same_as(change.after)) result.changed.push_back(std::move(change));
  }
  return result;
}

}  // namespace headgate::control
