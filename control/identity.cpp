#include "control/identity.h"

#include <cassert>
#include <ranges>
#include <string>

namespace headgate::control {
namespace {

// An index is used again only when so many others were freed after it, or no fresh one is left: the
// eight bits of generation then last for a long time.
constexpr size_t min_free_backends = 256;

// The next index that may be used, taken out of where it was, or nothing.
std::optional<uint32_t> take_index(std::deque<uint32_t>& free, size_t min_free, uint32_t& end,
                                   uint32_t limit) {
  if (free.size() > min_free || (end == limit && !free.empty())) {
    const uint32_t index = free.front();
    free.pop_front();
    return index;
  }
  if (end == limit) return std::nullopt;
  return end++;
}

bool has_key(IdState state) {
  return state == IdState::used || state == IdState::removed;
}

// Takes back a journal, newest first: records, keys, and indexes that had been taken.
template <typename Change, typename Record, typename Keys, typename KeyOf>
void undo(std::vector<Change>& journal, std::vector<Record>& records, Keys& keys,
          std::deque<uint32_t>& free, KeyOf key_of) {
  for (const Change& change : std::views::reverse(journal)) {
    Record& record = records[change.index];
    if (has_key(record.state) && !has_key(change.before.state)) {
      keys.erase(key_of(record));
      free.push_front(change.index);
    } else if (has_key(change.before.state) && !has_key(record.state)) {
      keys.emplace(key_of(change.before), change.index);
    }
    record = change.before;
  }
  journal.clear();
}

}  // namespace

size_t IdentityTable::Hash::operator()(const config::ServiceKey& key) const {
  const uint64_t rest = uint64_t{key.firewall_mark} << 32 | uint64_t{key.port} << 16 |
                        uint64_t{key.protocol} << 8 | static_cast<uint8_t>(key.family);
  return dataplane::mix_hash(rest ^ uint64_t{dataplane::address_hash(key.address)} << 7);
}

size_t IdentityTable::Hash::operator()(const BackendKeyOfService& key) const {
  const uint64_t rest = uint64_t{key.service_id} << 16 | key.key.port;
  return dataplane::mix_hash(rest ^ uint64_t{dataplane::address_hash(key.key.address)} << 32);
}

IdentityTable::IdentityTable(uint32_t max_services, uint32_t max_backends)
    : max_services_(max_services),
      max_backends_(max_backends),
      services_(max_services),
      backends_(max_backends) {}

std::optional<uint32_t> IdentityTable::find_service(const config::ServiceKey& key) const {
  const auto found = service_ids_.find(key);
  return found == service_ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<uint32_t> IdentityTable::find_backend(uint32_t service_id,
                                                    const config::BackendKey& key) const {
  const auto found = backend_indexes_.find({service_id, key});
  return found == backend_indexes_.end() ? std::nullopt : std::optional(found->second);
}

std::expected<uint32_t, Error> IdentityTable::use_service(const config::ServiceKey& key) {
  if (const auto known = find_service(key)) {
    if (services_[*known].state != IdState::used) edit_service(*known).state = IdState::used;
    return *known;
  }
  const auto id = take_index(free_services_, 0, service_end_, max_services_);
  if (!id) {
    return std::unexpected(Error{"service " + config::to_string(key) + ": " +
                                 std::to_string(max_services_) +
                                 " services are there, removed ones with connections included: "
                                 "raise memory.max_services and restart"});
  }
  ServiceIdentity& service = edit_service(*id);
  service = {.state = IdState::used, .key = key, .backends = 0};
  service_ids_.emplace(key, *id);
  new_services_.push_back(*id);
  return *id;
}

std::expected<uint32_t, Error> IdentityTable::use_backend(uint32_t service_id,
                                                          const config::BackendKey& key) {
  if (const auto known = find_backend(service_id, key)) {
    if (backends_[*known].state != IdState::used) {
      BackendIdentity& backend = edit_backend(*known);
      backend.state = IdState::used;
      backend.disabled = false;
      backend.deadline = 0;
    }
    return *known;
  }
  const auto index = take_index(free_backends_, min_free_backends, backend_end_, max_backends_);
  if (!index) {
    return std::unexpected(Error{"backend " + config::to_string(key) + " of " +
                                 config::to_string(services_[service_id].key) + ": " +
                                 std::to_string(max_backends_) +
                                 " backends are there, removed ones with connections included: "
                                 "raise memory.max_backends and restart"});
  }
  BackendIdentity& backend = edit_backend(*index);
  const uint8_t generation = backend.generation;
  backend = {};
  backend.state = IdState::used;
  backend.generation = generation;
  backend.service_id = service_id;
  backend.key = key;
  backend_indexes_.emplace(BackendKeyOfService{service_id, key}, *index);
  ++edit_service(service_id).backends;
  new_backends_.push_back(*index);
  return *index;
}

ServiceIdentity& IdentityTable::edit_service(uint32_t service_id) {
  service_journal_.push_back({service_id, services_[service_id]});
  return services_[service_id];
}

BackendIdentity& IdentityTable::edit_backend(uint32_t index) {
  backend_journal_.push_back({index, backends_[index]});
  return backends_[index];
}

void IdentityTable::remove_service(uint32_t service_id) {
  assert(services_[service_id].state == IdState::used);
  edit_service(service_id).state = IdState::removed;
}

void IdentityTable::remove_backend(uint32_t index) {
  BackendIdentity& backend = edit_backend(index);
  assert(backend.state == IdState::used);
  backend.state = IdState::removed;
  backend.disabled = false;
  backend.removed_generation = generation_to_come;
}

void IdentityTable::release_backend(uint32_t index) {
  BackendIdentity& backend = edit_backend(index);
  assert(backend.state == IdState::removed);
  backend.state = IdState::released;
  backend_indexes_.erase({backend.service_id, backend.key});
  backends_going_.push_back(index);
  --edit_service(backend.service_id).backends;
}

void IdentityTable::release_service(uint32_t service_id) {
  ServiceIdentity& service = edit_service(service_id);
  assert(service.state == IdState::removed && service.backends == 0);
  service.state = IdState::released;
  service_ids_.erase(service.key);
  services_going_.push_back(service_id);
}

void IdentityTable::commit(uint64_t generation, std::span<const uint32_t> removed) {
  for (const uint32_t index : removed)
    backends_[index].removed_generation = generation;
  for (const uint32_t id : services_going_)
    released_services_.push_back({generation, id});
  for (const uint32_t index : backends_going_)
    released_backends_.push_back({generation, index});
  service_journal_.clear();
  backend_journal_.clear();
  forget_changes();
}

void IdentityTable::rollback() {
  undo(backend_journal_, backends_, backend_indexes_, free_backends_,
       [](const BackendIdentity& backend) {
         return BackendKeyOfService{backend.service_id, backend.key};
       });
  undo(service_journal_, services_, service_ids_, free_services_,
       [](const ServiceIdentity& service) { return service.key; });
  forget_changes();
}

void IdentityTable::forget_changes() {
  new_services_.clear();
  new_backends_.clear();
  services_going_.clear();
  backends_going_.clear();
}

void IdentityTable::free_released(uint64_t visible_generation) {
  while (!released_services_.empty() &&
         released_services_.front().generation <= visible_generation) {
    const uint32_t id = released_services_.front().index;
    released_services_.pop_front();
    services_[id].state = IdState::free;
    free_services_.push_back(id);
  }
  while (!released_backends_.empty() &&
         released_backends_.front().generation <= visible_generation) {
    const uint32_t index = released_backends_.front().index;
    released_backends_.pop_front();
    BackendIdentity& backend = backends_[index];
    backend.state = IdState::free;
    backend.generation = backend.generation == UINT8_MAX ? 1 : backend.generation + 1;
    free_backends_.push_back(index);
  }
}

}  // namespace headgate::control
