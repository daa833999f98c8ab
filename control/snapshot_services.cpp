#include "control/snapshot_services.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "control/service_block.h"
#include "dataplane/scheduler.h"

namespace headgate::control {
namespace {

using dataplane::BackendRow;

bool chooses_by_table(config::Scheduler scheduler) {
  return scheduler == config::Scheduler::mh || scheduler == config::Scheduler::sh ||
         scheduler == config::Scheduler::dh;
}

// What can be forwarded without a connection: nothing of ours is in the packet's addresses.
bool is_stateless(config::Mode mode) {
  return mode == config::Mode::dr || mode == config::Mode::ipip;
}

uint32_t maglev_weight(const IdentityTable& identity, std::optional<uint32_t> service_id,
                       const config::Service& service, const config::Backend& backend) {
  if (service.scheduler == config::Scheduler::dh) return backend.weight == 0 ? 0 : 1;
  if (backend.weight != 0 || service.fallback || !service_id) return backend.weight;
  // LVS builds the table from the last weight that was not 0, and refuses who lands there.
  const auto index = identity.find_backend(*service_id, config::key_of(backend));
  return index ? identity.backend(*index).last_weight : 0;
}

BackendRow removed(BackendRow row, config::OnRemoved on_removed, dataplane::Tick deadline) {
  row.flags |= dataplane::backend_removed;
  if (on_removed == config::OnRemoved::drop) row.flags |= dataplane::backend_cut;
  if (on_removed == config::OnRemoved::expire) row.flags |= dataplane::backend_expire;
  row.deadline_tick = deadline;
  return row;
}

// A backend that health has taken out: there is no deadline, since it may be back.
BackendRow down(BackendRow row, config::OnDown on_down) {
  row.flags |= dataplane::backend_removed;
  if (on_down == config::OnDown::reset) row.flags |= dataplane::backend_reset;
  if (on_down == config::OnDown::reschedule) row.flags |= dataplane::backend_expire;
  return row;
}

// The tick `seconds` from now; 0 stands for "never", so that tick is passed over.
dataplane::Tick deadline_after(dataplane::Tick now, std::optional<uint32_t> seconds) {
  if (!seconds) return 0;
  return std::max<dataplane::Tick>(now + *seconds * dataplane::ticks_per_second, 1);
}

}  // namespace

MaglevInput maglev_input_of(const IdentityTable& identity, const config::Forwarding& forwarding,
                            const config::Service& service) {
  MaglevInput input;
  const auto service_id = identity.find_service(config::key_of(service));
  bool wanted = chooses_by_table(service.scheduler);
  for (const config::Backend& backend : service.backends) {
    if (!backend.enabled) continue;
    wanted |= is_stateless(config::mode_of(service, backend));
    input.backends.push_back({.address = backend.address,
                              .port = net::be16::from_host(backend.port),
                              .weight = maglev_weight(identity, service_id, service, backend)});
  }
  const size_t count = input.backends.size();
  if (!wanted || count == 0 || count > dataplane::maglev_max_backends) return {};
  // By all backends, those that are out as well: a table of another size moves every client.
  const uint32_t by_backends =
      dataplane::maglev_table_size(static_cast<uint32_t>(service.backends.size()));
  input.slots = service.scheduler == config::Scheduler::mh
                    ? config::maglev_table_size_of(forwarding, service).value_or(by_backends)
                    : by_backends;
  return input;
}

Reach reach(SnapshotDraft& draft, const net::IpAddress& address) {
  const Resolution way = draft.network().resolve(address);
  if (!way.routed) return {};
  switch (way.state) {
    case dataplane::NextHopState::unreachable:
      return {next_hop_unreachable, way.source};
    case dataplane::NextHopState::prohibited:
      return {next_hop_prohibited, way.source};
    case dataplane::NextHopState::blackhole:
      return {next_hop_blackhole, way.source};
    case dataplane::NextHopState::local:
      return {next_hop_local, way.source};
    case dataplane::NextHopState::unresolved:
    case dataplane::NextHopState::resolved:
      break;
  }
  return {draft.model.next_hops.use({way.interface, way.mtu_limit, way.gateway}), way.source};
}

std::expected<void, Error> ServiceStage::put_shared_local_addresses() {
  const auto put_family = [&](net::Family family, Part part) -> std::expected<void, Error> {
    const auto addresses = of_family(draft_.forwarding().local_addresses, family);
    return draft_.blocks.put(draft_.part(part), std::as_bytes(std::span(addresses)));
  };
  auto done = put_family(net::Family::ipv4, Part::shared_local_v4);
  if (done) done = put_family(net::Family::ipv6, Part::shared_local_v6);
  return done;
}

std::expected<void, Error> ServiceStage::put(const config::Service& service) {
  const auto id = draft_.model.identity.use_service(config::key_of(service));
  if (!id) return std::unexpected(id.error());
  ServiceState& state = draft_.edit_service(*id);
  if (!state.present || state.local_addresses != service.local_addresses) {
    draft_.marks.addresses = true;
  }
  if (!state.present) draft_.marks.service_slots = true;
  state.present = true;
  state.lingering = false;
  state.key = config::key_of(service);
  state.local_addresses = service.local_addresses;
  state.on_backend_removed = service.on_backend_removed;
  state.drain_deadline_s = service.drain_deadline_s;
  auto done = put_backends(*id, state, service);
  if (done) done = put_maglev(state, service);
  if (done) done = put_block(*id, state, service);
  return done;
}

std::expected<void, Error> ServiceStage::put_backends(uint32_t service_id, ServiceState& state,
                                                      const config::Service& service) {
  std::vector<uint32_t> members;
  members.reserve(service.backends.size());
  for (const config::Backend& backend : service.backends) {
    const auto index = put_backend(service_id, service, backend);
    if (!index) return std::unexpected(index.error());
    members.push_back(*index);
  }
  if (members == state.members) return {};
  std::vector<uint32_t> sorted = members;
  std::ranges::sort(sorted);
  for (const uint32_t index : state.members) {
    if (!std::ranges::binary_search(sorted, index)) remove_backend(index, state);
  }
  state.members = std::move(members);
  return {};
}

std::expected<uint32_t, Error> ServiceStage::put_backend(uint32_t service_id,
                                                         const config::Service& service,
                                                         const config::Backend& backend) {
  IdentityTable& identity = draft_.model.identity;
  const config::BackendKey key = config::key_of(backend);
  const bool is_new = !identity.find_backend(service_id, key);
  const auto index = identity.use_backend(service_id, key);
  if (!index) return index;
  if (is_new) draft_.added_backends.push_back(*index);

  BackendIdentity wanted = identity.backend(*index);
  wanted.drain_deadline_s = backend.drain_deadline_s;
  if (backend.weight != 0) wanted.last_weight = backend.weight;
  const bool disabled = !backend.enabled && !backend.down;
  if (disabled && !wanted.disabled) {
    wanted.deadline = deadline_after(draft_.now, config::drain_deadline_of(service, backend));
  } else if (!disabled && (backend.weight != 0 || wanted.disabled)) {
    wanted.deadline = 0;
  }
  wanted.disabled = disabled;
  if (wanted != identity.backend(*index)) identity.edit_backend(*index) = wanted;

  const config::Mode mode = config::mode_of(service, backend);
  const Reach way = reach(draft_, backend.address);
  BackendRow row{};
  row.id = identity.backend_id(*index);
  row.service_id = service_id;
  row.next_hop = way.next_hop;
  row.deadline_tick = wanted.deadline;
  row.mode = static_cast<dataplane::Mode>(mode);
  // DR and IPIP leave the packet as it is, whatever port is written in the file.
  row.port = net::be16::from_host(is_stateless(mode) ? uint16_t{0} : backend.port);
  row.address = backend.address;
  // Whatever the mode: connections that began in a tunnel stay in it when the mode changes.
  row.tunnel_source = way.source;
  if (backend.weight == 0) {
    row.flags |= dataplane::backend_quiescent;
    if (service.on_backend_removed == config::OnRemoved::expire) {
      row.flags |= dataplane::backend_reopens;
    }
  }
  if (disabled) row = removed(row, service.on_backend_removed, wanted.deadline);
  if (!backend.enabled && backend.down) row = down(row, *backend.down);
  set_row(*index, row);
  return index;
}

void ServiceStage::set_row(uint32_t index, const BackendRow& row) {
  if (draft_.row(index).next_hop != row.next_hop) draft_.marks.next_hops = true;
  draft_.set_row(index, row);
}

void ServiceStage::remove_backend(uint32_t index, const ServiceState& state) {
  IdentityTable& identity = draft_.model.identity;
  const BackendIdentity before = identity.backend(index);
  identity.remove_backend(index);
  draft_.removed_backends.push_back(index);
  if (before.disabled) return;  // its row is flagged already, and its deadline runs
  const auto drain = before.drain_deadline_s ? before.drain_deadline_s : state.drain_deadline_s;
  const dataplane::Tick deadline = deadline_after(draft_.now, drain);
  set_row(index, removed(draft_.row(index), state.on_backend_removed, deadline));
}

void ServiceStage::remove(uint32_t service_id) {
  draft_.model.identity.remove_service(service_id);
  ServiceState& state = draft_.edit_service(service_id);
  for (const uint32_t index : state.members)
    remove_backend(index, state);
  state.members.clear();
  state.present = false;
  state.lingering = true;
  draft_.blocks.drop(state.block);
  draft_.blocks.drop(state.maglev);
  draft_.blocks.drop(state.scratch);
  state.maglev_input = {};
  draft_.marks.service_slots = true;
  draft_.marks.addresses = true;
  draft_.release_service_if_empty(service_id);
}

void ServiceStage::set_deadline(uint32_t backend_index, dataplane::Tick deadline) {
  draft_.model.identity.edit_backend(backend_index).deadline = deadline;
}

std::expected<void, Error> ServiceStage::put_maglev(ServiceState& state,
                                                    const config::Service& service) {
  MaglevInput input = maglev_input_of(draft_.model.identity, draft_.forwarding(), service);
  if (input.same_as(state.maglev_input)) return {};
  if (input.slots == 0) {
    draft_.blocks.drop(state.maglev);
  } else if (const Block table = tables_.claim(state.key, input)) {
    draft_.blocks.adopt(state.maglev, table);
  } else {
    auto done = draft_.blocks.replace(state.maglev, input.slots * sizeof(uint16_t));
    if (!done) return done;
    fill_maglev_block(draft_.model.arena, state.maglev, input);
  }
  state.maglev_input = std::move(input);
  return {};
}

bool ServiceStage::forgets_sooner(const Block& before, const dataplane::ServiceBlock& now) const {
  if (!before) return false;
  const auto* block = reinterpret_cast<const dataplane::ServiceBlock*>(draft_.blocks.at(before));
  return now.persistence_ticks < block->persistence_ticks;
}

std::expected<void, Error> ServiceStage::put_block(uint32_t service_id, ServiceState& state,
                                                   const config::Service& service) {
  ServiceContent content = service_content(draft_, service_id, service);
  const size_t scratch_bytes =
      dataplane::scheduler_scratch_bytes(static_cast<uint32_t>(content.backends.size())) *
      draft_.model.workers;
  if (state.scratch.bytes != scratch_bytes) {
    if (scratch_bytes == 0) {
      draft_.blocks.drop(state.scratch);
    } else if (auto done = draft_.blocks.replace(state.scratch, scratch_bytes); !done) {
      return done;
    }
  }
  content.header.serial = state.serial;
  content.header.maglev = {.first = {state.maglev.offset}, .count = state.maglev_input.slots};
  content.header.scheduler_scratch = {.first = {state.scratch.offset},
                                      .count = static_cast<uint32_t>(scratch_bytes)};
  const std::vector<std::byte> as_before = content.bytes_at(state.block.offset);
  if (state.block.bytes == as_before.size() &&
      std::memcmp(draft_.blocks.at(state.block), as_before.data(), as_before.size()) == 0) {
    return {};
  }
  draft_.marks.service_slots = true;
  if (forgets_sooner(state.block, content.header)) ++draft_.root.sweep_serial;
  content.header.serial = ++state.serial;
  if (auto done = draft_.blocks.replace(state.block, as_before.size()); !done) return done;
  const std::vector<std::byte> bytes = content.bytes_at(state.block.offset);
  std::memcpy(draft_.blocks.at(state.block), bytes.data(), bytes.size());
  return {};
}

}  // namespace headgate::control
