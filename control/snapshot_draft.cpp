#include "control/snapshot_draft.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "control/slot_table.h"
#include "control/snapshot_marks.h"

namespace headgate::control {
namespace {

using dataplane::backend_chunk_rows;
using dataplane::BackendChunk;
using dataplane::BackendRow;

BackendRow free_row() {
  BackendRow row{};
  row.id = dataplane::none;
  row.next_hop = dataplane::none;
  return row;
}

// Whether the workers have to look for connections of this backend that are to end.
bool begins_to_end(const BackendRow& before, const BackendRow& now) {
  const bool new_deadline = now.deadline_tick != 0 && now.deadline_tick != before.deadline_tick;
  constexpr uint8_t ends = dataplane::backend_expire | dataplane::backend_reset;
  return new_deadline || (now.flags & ~before.flags & ends) != 0;
}

bool is_free(const BackendChunk& chunk) {
  return std::ranges::all_of(chunk.rows,
                             [](const BackendRow& row) { return row.id == dataplane::none; });
}

// The addresses that the workers tell apart, with the flags of each.
class AddressTable {
 public:
  explicit AddressTable(std::span<dataplane::AddressSlot> slots) : slots_(slots) {}

  void add(const net::IpAddress& address, uint8_t flags) {
    if (address.family == net::Family::none) return;
    dataplane::AddressSlot& slot = find(address);
    slot.address = address;
    slot.flags |= flags;
  }

 private:
  dataplane::AddressSlot& find(const net::IpAddress& address) {
    return find_slot(slots_, dataplane::address_hash(address),
                     [&](const dataplane::AddressSlot& slot) {
                       return slot.address.family == net::Family::none || slot.address == address;
                     });
  }

  std::span<dataplane::AddressSlot> slots_;
};

}  // namespace

SnapshotDraft::~SnapshotDraft() {
  if (committed) return;
  model.identity.rollback();
  model.next_hops.rollback();
}

const ServiceState& SnapshotDraft::service(uint32_t id) const {
  static const ServiceState absent;
  if (const auto found = services.find(id); found != services.end()) return found->second;
  return id < model.services.size() ? model.services[id] : absent;
}

ServiceState& SnapshotDraft::edit_service(uint32_t id) {
  const auto found = services.find(id);
  if (found != services.end()) return found->second;
  return services.emplace(id, service(id)).first->second;
}

const BackendRow& SnapshotDraft::row(uint32_t index) const {
  static const BackendRow free = free_row();
  const uint32_t chunk = index / backend_chunk_rows;
  const uint32_t position = index % backend_chunk_rows;
  if (const auto found = rows.find(chunk); found != rows.end()) {
    return found->second->rows[position];
  }
  if (chunk >= model.chunks.size() || !model.chunks[chunk]) return free;
  return reinterpret_cast<const BackendChunk*>(blocks.at(model.chunks[chunk]))->rows[position];
}

void SnapshotDraft::set_row(uint32_t index, const BackendRow& wanted) {
  const BackendRow& before = row(index);
  if (std::memcmp(&before, &wanted, sizeof(wanted)) == 0) return;
  if (begins_to_end(before, wanted)) ++root.sweep_serial;
  const uint32_t chunk = index / backend_chunk_rows;
  std::unique_ptr<BackendChunk>& staged = rows[chunk];
  if (!staged) {
    staged = std::make_unique<BackendChunk>();
    if (chunk < model.chunks.size() && model.chunks[chunk]) {
      std::memcpy(staged.get(), blocks.at(model.chunks[chunk]), sizeof(BackendChunk));
    } else {
      staged->rows.fill(free_row());
    }
  }
  staged->rows[index % backend_chunk_rows] = wanted;
}

void SnapshotDraft::clear_row(uint32_t index) {
  set_row(index, free_row());
}

void SnapshotDraft::release_backend(uint32_t index) {
  const uint32_t service_id = model.identity.backend(index).service_id;
  model.identity.release_backend(index);
  clear_row(index);
  marks.next_hops = true;
  marks.addresses = true;
  release_service_if_empty(service_id);
}

void SnapshotDraft::release_service_if_empty(uint32_t id) {
  const ServiceIdentity& identity = model.identity.service(id);
  if (identity.state != IdState::removed || identity.backends != 0) return;
  model.identity.release_service(id);
  // The serial stays: workers tell the next service with this id from it.
  ServiceState& state = edit_service(id);
  const uint32_t serial = state.serial;
  state = {};
  state.serial = serial;
  marks.addresses = true;
}

std::expected<void, Error> SnapshotDraft::place() {
  auto done = place_rows();
  if (done && marks.service_slots) done = place_service_slots();
  if (done && marks.addresses) done = place_addresses();
  if (done && !marks.addresses && !added_backends.empty()) done = place_added_addresses();
  if (done) done = place_root();
  return done;
}

std::expected<void, Error> SnapshotDraft::place_rows() {
  const uint32_t end = model.identity.backend_end();
  chunks.resize((end + backend_chunk_rows - 1) / backend_chunk_rows);
  for (const auto& [number, staged] : rows) {
    const std::span<const BackendChunk> content(staged.get(), is_free(*staged) ? 0 : 1);
    if (auto done = blocks.put(chunks[number], std::as_bytes(content)); !done) return done;
  }
  std::vector<dataplane::Offset<BackendChunk>> list(chunks.size());
  std::ranges::transform(chunks, list.begin(), [](const Block& block) {
    return dataplane::Offset<BackendChunk>{block.offset};
  });
  return blocks.put_array(part(Part::chunk_list), root.backend_chunks,
                          std::span(std::as_const(list)));
}

std::expected<void, Error> SnapshotDraft::place_service_slots() {
  size_t count = 0;
  for_each_service_state(*this,
                         [&](uint32_t, const ServiceState& state) { count += state.present; });
  std::vector<dataplane::ServiceSlot> slots = make_slots(count, dataplane::ServiceSlot{});
  for_each_service_state(*this, [&](uint32_t, const ServiceState& state) {
    if (!state.present) return;
    const uint32_t hash =
        state.key.protocol == 0
            ? dataplane::service_mark_hash(state.key.firewall_mark, state.key.family)
            : dataplane::service_key_hash(state.key.address, state.key.protocol,
                                          net::be16::from_host(state.key.port));
    dataplane::ServiceSlot& slot =
        find_slot(std::span(slots), hash,
                  [](const dataplane::ServiceSlot& candidate) { return !candidate.block; });
    slot.hash = hash;
    slot.block = {state.block.offset};
  });
  return blocks.put_array(part(Part::service_slots), root.service_slots,
                          std::span<const dataplane::ServiceSlot>(slots));
}

std::expected<void, Error> SnapshotDraft::place_addresses() {
  const auto& host = network().host_addresses();
  const auto& shared = forwarding().local_addresses;
  const std::vector<net::IpAddress> marked = addresses_by_mark(*this);
  size_t entries = host.size() + shared.size() + marked.size();
  for (uint32_t index = 0; index < model.identity.backend_end(); ++index) {
    entries += row(index).id != dataplane::none;
  }
  for_each_service_state(*this, [&](uint32_t, const ServiceState& state) {
    entries += 1 + state.local_addresses.size();
  });
  std::vector<dataplane::AddressSlot> slots = make_slots(entries, dataplane::AddressSlot{});
  AddressTable table(slots);
  for_each_service_state(*this, [&](uint32_t, const ServiceState& state) {
    table.add(state.key.address, dataplane::address_vip);
    for (const auto& local : state.local_addresses)
      table.add(local, dataplane::address_local);
  });
  for (const auto& address : marked)
    table.add(address, dataplane::address_vip);
  for (const auto& local : shared)
    table.add(local, dataplane::address_local);
  for (const auto& address : host)
    table.add(address, dataplane::address_host);
  for (uint32_t index = 0; index < model.identity.backend_end(); ++index) {
    const BackendRow& backend = row(index);
    if (backend.id != dataplane::none) table.add(backend.address, dataplane::address_backend);
  }
  return blocks.put_array(part(Part::address_slots), root.address_slots,
                          std::span<const dataplane::AddressSlot>(slots));
}

// With ten thousands of backends one more must not cost a walk through all of them.
std::expected<void, Error> SnapshotDraft::place_added_addresses() {
  const auto running = blocks.elements<dataplane::AddressSlot>(part(Part::address_slots));
  const auto used = static_cast<size_t>(std::ranges::count_if(
      running, [](const auto& slot) { return slot.address.family != net::Family::none; }));
  if (2 * (used + added_backends.size()) > running.size()) return place_addresses();
  const auto slots =
      blocks.replace_with_copy(part(Part::address_slots), root.address_slots, running.size());
  if (!slots) return std::unexpected(slots.error());
  AddressTable table(*slots);
  for (const uint32_t index : added_backends) {
    table.add(row(index).address, dataplane::address_backend);
  }
  return {};
}

std::expected<void, Error> SnapshotDraft::place_root() {
  root.generation = model.generation;
  differs = model.generation == 0 || !blocks.empty() ||
            std::memcmp(&root, &model.root, sizeof(root)) != 0;
  if (!differs) return {};
  return blocks.put(root_block, std::as_bytes(std::span(&root, 1)));
}

std::vector<Block> SnapshotDraft::commit(uint64_t generation) {
  if (differs) model.generation = generation;
  model.root = root;
  model.root.generation = model.generation;
  model.parts = parts;
  model.chunks = std::move(chunks);
  if (model.services.size() < model.identity.service_end()) {
    model.services.resize(model.identity.service_end());
  }
  for (auto& [id, state] : services)
    model.services[id] = std::move(state);
  if (new_network) model.network = std::move(*new_network);
  if (new_forwarding) model.forwarding = std::move(*new_forwarding);
  if (new_firewall_marks) model.firewall_marks = std::move(*new_firewall_marks);
  if (new_wanted) model.wanted = std::move(*new_wanted);
  if (new_known_rows) model.known_rows = std::move(*new_known_rows);
  model.identity.commit(generation, removed_backends);
  model.next_hops.commit();
  committed = true;
  return blocks.commit();
}

}  // namespace headgate::control
