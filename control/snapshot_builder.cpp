#include "control/snapshot_builder.h"

#include <algorithm>
#include <cassert>
#include <deque>
#include <iterator>
#include <utility>

#include "control/snapshot_draft.h"
#include "control/snapshot_marks.h"
#include "control/snapshot_network.h"
#include "control/snapshot_next_hops.h"
#include "control/snapshot_services.h"
#include "control/snapshot_settings.h"

namespace headgate::control {
namespace {

// Services as workers are to have them: the configuration's own where it alone decides.
struct WantedServices {
  std::vector<const config::Service*> list;
  std::deque<config::Service> laid_over;  // by health
};

void add(WantedServices& wanted, const config::Service& service, const PoolViews* pools) {
  if (!has_pool(service)) {
    wanted.list.push_back(&service);
    return;
  }
  const PoolView* view = nullptr;
  if (pools != nullptr) {
    const auto found = pools->find(config::key_of(service));
    if (found != pools->end()) view = found->second.get();
  }
  wanted.list.push_back(&wanted.laid_over.emplace_back(with_pool(service, view)));
}

// The services that a change is about, as far as the configuration has them.
WantedServices services_of(const SnapshotChange& change, bool all) {
  WantedServices services;
  std::vector<config::ServiceKey> keys = change.services;
  std::ranges::transform(change.drains, std::back_inserter(keys), &Drain::service);
  std::ranges::sort(keys);
  for (const config::Service& service : change.config->services) {
    if (all || std::ranges::binary_search(keys, config::key_of(service))) {
      add(services, service, change.pools);
    }
  }
  return services;
}

bool looks_at_all(const SnapshotModel& model, const SnapshotChange& change) {
  // Maglev sizes and local addresses are every service's.
  return change.all_services || change.config->forwarding != model.forwarding;
}

// Ids of services that run and are not wanted any more.
std::vector<uint32_t> services_gone(const SnapshotModel& model, const SnapshotChange& change,
                                    const std::vector<const config::Service*>& wanted) {
  std::vector<bool> stays(model.identity.service_end());
  for (const config::Service* service : wanted) {
    const auto id = model.identity.find_service(config::key_of(*service));
    if (id) stays[*id] = true;
  }
  std::vector<uint32_t> gone;
  const auto consider = [&](uint32_t id) {
    if (!stays[id] && model.identity.service(id).state == IdState::used) {
      stays[id] = true;
      gone.push_back(id);
    }
  };
  if (looks_at_all(model, change)) {
    for (uint32_t id = 0; id < model.identity.service_end(); ++id)
      consider(id);
    return gone;
  }
  for (const config::ServiceKey& key : change.services) {
    if (const auto id = model.identity.find_service(key)) consider(*id);
  }
  return gone;
}

// Connections that wait for a time-out which is shorter now are to be looked at.
void put_settings(dataplane::SnapshotRoot& root, const dataplane::Settings& settings) {
  const auto& before = root.settings.timeout_ticks;
  const bool sooner =
      !std::ranges::equal(settings.timeout_ticks, before, std::ranges::greater_equal{});
  root.settings = settings;
  if (sooner) ++root.sweep_serial;
}

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

void SnapshotChange::merge(SnapshotChange later) {
  if (later.config != nullptr) config = later.config;
  settings |= later.settings;
  all_services |= later.all_services;
  append(services, later.services);
  append(drains, later.drains);
  if (later.pools != nullptr) pools = later.pools;
  if (later.kernel != nullptr) kernel = later.kernel;
  kernel_parts |= later.kernel_parts;
  reclaim |= later.reclaim;
  now = later.now;
}

PreparedSnapshot::PreparedSnapshot(std::unique_ptr<SnapshotDraft> draft)
    : draft_(std::move(draft)) {}
PreparedSnapshot::PreparedSnapshot(PreparedSnapshot&&) noexcept = default;
PreparedSnapshot& PreparedSnapshot::operator=(PreparedSnapshot&&) noexcept = default;
PreparedSnapshot::~PreparedSnapshot() = default;

bool PreparedSnapshot::empty() const {
  return !draft_->differs;
}
uint64_t PreparedSnapshot::new_bytes() const {
  return draft_->blocks.new_bytes();
}
size_t PreparedSnapshot::new_blocks() const {
  return draft_->blocks.new_blocks();
}

SnapshotBuilder::SnapshotBuilder(BlockArena& arena, SnapshotStore& store, CounterView& counters,
                                 std::vector<dataplane::Interface> interfaces)
    : arena_(arena),
      store_(store),
      counters_(counters),
      published_(arena, store, interfaces.size()) {
  const dataplane::RegionLimits& limits = dataplane::header_of(arena.region()).limits;
  model_ = std::make_unique<SnapshotModel>(arena, limits.workers, limits.max_services,
                                           limits.max_backends, std::move(interfaces));
}

SnapshotBuilder::~SnapshotBuilder() = default;

MaglevTables SnapshotBuilder::maglev_tables(const SnapshotChange& change) const {
  MaglevTables tables(arena_);
  if (change.config == nullptr) return tables;
  const WantedServices services = services_of(change, looks_at_all(*model_, change));
  for (const config::Service* service : services.list) {
    MaglevInput input = maglev_input_of(model_->identity, change.config->forwarding, *service);
    if (input.slots == 0) continue;
    const config::ServiceKey key = config::key_of(*service);
    const auto id = model_->identity.find_service(key);
    if (id && input.same_as(model_->services[*id].maglev_input)) continue;
    tables.add(key, std::move(input));
  }
  return tables;
}

std::expected<PreparedSnapshot, Error> SnapshotBuilder::prepare(const SnapshotChange& change,
                                                                MaglevTables tables) {
  auto draft = std::make_unique<SnapshotDraft>(*model_);
  draft->now = change.now;
  if (auto done = put_all(*draft, change, tables); !done) return std::unexpected(done.error());
  return PreparedSnapshot(std::move(draft));
}

std::expected<void, Error> SnapshotBuilder::put_all(SnapshotDraft& draft,
                                                    const SnapshotChange& change,
                                                    MaglevTables& tables) {
  if (model_->generation == 0) {
    draft.marks.next_hops = true;
    if (auto done = put_ports(draft); !done) return done;
    if (auto done = put_interfaces(draft); !done) return done;
  }
  if (change.kernel != nullptr && change.kernel_parts.any()) {
    if (auto done = put_network(draft, *change.kernel, change.kernel_parts); !done) return done;
  }
  if (change.config != nullptr) {
    if (auto done = put_config(draft, change, tables); !done) return done;
  }
  if (change.reclaim) {
    for (const uint32_t index : reclaimer_.due(model_->identity))
      draft.release_backend(index);
  }
  if (draft.marks.next_hops) {
    if (auto done = put_next_hops(draft); !done) return done;
  }
  return draft.place();
}

std::expected<void, Error> SnapshotBuilder::put_config(SnapshotDraft& draft,
                                                       const SnapshotChange& change,
                                                       MaglevTables& tables) {
  const config::Config& config = *change.config;
  if (change.settings) put_settings(draft.root, make_settings(config, model_->workers));
  const bool all = looks_at_all(*model_, change);
  const auto services = services_of(change, all);
  const auto gone = services_gone(*model_, change, services.list);
  ServiceStage stage(draft, tables);
  if (config.forwarding != model_->forwarding) {
    draft.new_forwarding = config.forwarding;
    draft.marks.addresses = true;
    if (auto done = stage.put_shared_local_addresses(); !done) return done;
  }
  if (config.firewall_marks != model_->firewall_marks) {
    draft.new_firewall_marks = config.firewall_marks;
    draft.marks.addresses = true;
    if (auto done = put_marks(draft); !done) return done;
  }
  for (const uint32_t id : gone)
    stage.remove(id);
  for (const Drain& drain : change.drains) {
    if (const auto id = backend_id(drain.service, drain.backend)) {
      stage.set_deadline(dataplane::backend_index(*id), drain.deadline);
    }
  }
  for (const config::Service* service : services.list) {
    if (auto done = stage.put(*service); !done) return done;
  }
  return {};
}

uint64_t SnapshotBuilder::commit(PreparedSnapshot prepared) {
  SnapshotDraft& draft = *prepared.draft_;
  assert(&draft.model == model_.get() && draft.based_on == model_->generation);
  // Before anyone can count for their new owners.
  for (const uint32_t id : model_->identity.new_services()) {
    counters_.zero_service(id);
    dataplane::service_shared(arena_.region())[id].fallback_until_tick.store(
        0, std::memory_order_relaxed);
  }
  for (const uint32_t index : model_->identity.new_backends())
    counters_.zero_backend(index);
  // Changes of ownership may have been published since it was prepared.
  const uint64_t generation = store_.generation() + 1;
  reclaimer_.watch(draft.removed_backends, generation);
  std::vector<Block> retired = draft.commit(generation);
  if (draft.differs) published_.adopt(draft.root_block, std::move(retired));
  model_->identity.free_released(store_.passed_generation());
  return store_.generation();
}

std::expected<uint64_t, Error> SnapshotBuilder::set_ownership(Ownership ownership) {
  return published_.set(std::move(ownership));
}

std::expected<uint64_t, Error> SnapshotBuilder::apply(const SnapshotChange& change) {
  auto prepared = prepare(change);
  if (!prepared) return std::unexpected(prepared.error());
  return commit(std::move(*prepared));
}

bool SnapshotBuilder::reclaimable() {
  model_->identity.free_released(store_.passed_generation());
  return reclaimer_.look(model_->identity, counters_, store_);
}

const std::vector<WantedNeighbour>& SnapshotBuilder::wanted_neighbours() const {
  return model_->wanted;
}

const IdentityTable& SnapshotBuilder::identity() const {
  return model_->identity;
}

std::optional<uint32_t> SnapshotBuilder::service_id(const config::ServiceKey& key) const {
  return model_->identity.find_service(key);
}

std::optional<uint32_t> SnapshotBuilder::backend_id(const config::ServiceKey& service,
                                                    const config::BackendKey& backend) const {
  const auto id = service_id(service);
  if (!id) return std::nullopt;
  const auto index = model_->identity.find_backend(*id, backend);
  if (!index) return std::nullopt;
  return model_->identity.backend_id(*index);
}

}  // namespace headgate::control
