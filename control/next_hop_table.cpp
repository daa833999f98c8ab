#include "control/next_hop_table.h"

#include <ranges>

namespace headgate::control {

size_t NextHopTable::Hash::operator()(const NextHopKey& key) const {
  return dataplane::mix_hash(dataplane::neighbour_hash(key.gateway, key.interface) |
                             uint64_t{key.mtu_limit} << 32);
}

uint32_t NextHopTable::use(const NextHopKey& key) {
  if (const auto found = indexes_.find(key); found != indexes_.end()) return found->second;
  uint32_t index;
  if (free_.empty()) {
    index = end();
    keys_.push_back(key);
  } else {
    index = free_.front();
    free_.pop_front();
    keys_[index] = key;
  }
  indexes_.emplace(key, index);
  added_.push_back(index);
  return index;
}

void NextHopTable::sweep(const std::vector<bool>& used) {
  going_.assign(end(), false);
  for (uint32_t index = next_hop_fixed_rows; index < end(); ++index) {
    going_[index] = !used[index] && keys_[index].gateway.family != net::Family::none;
  }
}

bool NextHopTable::is_going(uint32_t index) const {
  return index < going_.size() && going_[index];
}

uint32_t NextHopTable::live_end() const {
  uint32_t live = end();
  while (live > next_hop_fixed_rows && is_free(live - 1))
    --live;
  return live;
}

void NextHopTable::commit() {
  for (uint32_t index = next_hop_fixed_rows; index < going_.size(); ++index) {
    if (!going_[index]) continue;
    indexes_.erase(keys_[index]);
    keys_[index] = {};
    free_.push_back(index);
  }
  going_.clear();
  added_.clear();
  if (const uint32_t live = live_end(); live != end()) {
    keys_.resize(live);
    std::erase_if(free_, [live](uint32_t index) { return index >= live; });
  }
}

void NextHopTable::rollback() {
  for (const uint32_t index : std::views::reverse(added_)) {
    indexes_.erase(keys_[index]);
    keys_[index] = {};
    free_.push_front(index);
  }
  going_.clear();
  added_.clear();
}

}  // namespace headgate::control
