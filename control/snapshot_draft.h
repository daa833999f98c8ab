// The state behind the snapshot's builder: what runs (SnapshotModel), and one change to it that is
// being worked out (SnapshotDraft). A draft reads through to the model and keeps what differs to
// itself, so that dropping it leaves no trace.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/model.h"
#include "control/block_arena.h"
#include "control/block_transaction.h"
#include "control/identity.h"
#include "control/maglev_tables.h"
#include "control/network_view.h"
#include "control/next_hop_table.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

// A service as it is in the snapshot.
struct ServiceState {
  bool present = false;    // has a block
  bool lingering = false;  // removed, but its VIP is ours as long as connections of it live
  config::ServiceKey key;
  uint32_t serial = 0;
  Block block;
  Block maglev;
  Block scratch;
  MaglevInput maglev_input;
  std::vector<uint32_t> members;  // backend indexes, in the configuration's order, disabled too
  std::vector<net::IpAddress> local_addresses;  // of its own
  config::OnRemoved on_backend_removed = config::OnRemoved::keep;
  std::optional<uint32_t> drain_deadline_s;
};

// Blocks of which there is one each.
enum class Part : uint8_t {
  service_slots,
  address_slots,
  mark_rules,
  mark_slots,
  chunk_list,
  next_hops,
  neighbour_slots,
  routes_v4,
  ranges_v4,
  routes_v6,
  ranges_v6,
  interfaces,
  ports,
  shared_local_v4,  // forwarding.local_addresses
  shared_local_v6,
  count
};
using Parts = std::array<Block, static_cast<size_t>(Part::count)>;

// What the newest published snapshot consists of.
struct SnapshotModel {
  SnapshotModel(BlockArena& block_arena, uint32_t worker_count, uint32_t max_services,
                uint32_t max_backends, std::vector<dataplane::Interface> places)
      : arena(block_arena),
        workers(worker_count),
        identity(max_services, max_backends),
        network(std::move(places)) {}

  BlockArena& arena;
  uint32_t workers;
  uint64_t generation = 0;         // that published it; ownership may have been changed since
  dataplane::SnapshotRoot root{};  // without ownership: see published_root.h
  Parts parts{};
  std::vector<Block> chunks;  // by chunk number
  IdentityTable identity;
  std::vector<ServiceState> services;  // by service id
  NetworkView network;
  NextHopTable next_hops;
  std::vector<bool> known_rows;  // next hops whose neighbour the kernel knows; may be shorter
  config::Forwarding forwarding;
  std::vector<config::MarkRule> firewall_marks;
  std::vector<WantedNeighbour> wanted;
};

// What a change has made necessary.
struct DraftMarks {
  bool service_slots = false;
  bool addresses = false;  // by more than the added backends
  bool interfaces = false;
  bool next_hops = false;  // rows came, went or changed
};

struct SnapshotDraft {
  explicit SnapshotDraft(SnapshotModel& running)
      : model(running),
        based_on(running.generation),
        blocks(running.arena),
        root(running.root),
        parts(running.parts),
        chunks(running.chunks) {}
  ~SnapshotDraft();
  SnapshotDraft(const SnapshotDraft&) = delete;
  SnapshotDraft& operator=(const SnapshotDraft&) = delete;

  SnapshotModel& model;
  uint64_t based_on;  // the model's generation; its own is known at the commit
  dataplane::Tick now = 0;
  BlockTransaction blocks;
  dataplane::SnapshotRoot root;
  Block root_block;  // what commit() has to publish, where something differs
  Parts parts;
  std::vector<Block> chunks;
  DraftMarks marks;
  bool differs = false;  // from what runs, as far as workers can see; known after place()
  bool committed = false;
  std::vector<uint32_t> added_backends;    // whose addresses are new, by this change
  std::vector<uint32_t> removed_backends;  // by this change

  std::unordered_map<uint32_t, ServiceState> services;  // those that differ, by id
  std::unordered_map<uint32_t, std::unique_ptr<dataplane::BackendChunk>> rows;  // by chunk
  std::optional<NetworkView> new_network;
  std::optional<config::Forwarding> new_forwarding;
  std::optional<std::vector<config::MarkRule>> new_firewall_marks;
  std::optional<std::vector<WantedNeighbour>> new_wanted;
  std::optional<std::vector<bool>> new_known_rows;

  [[nodiscard]] Block& part(Part which) { return parts[static_cast<size_t>(which)]; }
  [[nodiscard]] const NetworkView& network() const {
    return new_network ? *new_network : model.network;
  }
  [[nodiscard]] const config::Forwarding& forwarding() const {
    return new_forwarding ? *new_forwarding : model.forwarding;
  }
  [[nodiscard]] const std::vector<config::MarkRule>& firewall_marks() const {
    return new_firewall_marks ? *new_firewall_marks : model.firewall_marks;
  }

  [[nodiscard]] const ServiceState& service(uint32_t id) const;
  [[nodiscard]] ServiceState& edit_service(uint32_t id);

  // The row of a backend as the draft has it; id none when there is none.
  [[nodiscard]] const dataplane::BackendRow& row(uint32_t index) const;
  void set_row(uint32_t index, const dataplane::BackendRow& row);
  void clear_row(uint32_t index);

  // Takes a removed backend out of the snapshot, and its service with the last one.
  void release_backend(uint32_t index);
  void release_service_if_empty(uint32_t id);

  // Puts all that became necessary into blocks, the root last.
  [[nodiscard]] std::expected<void, Error> place();
  // Makes it the model, of this generation. Returns the blocks that it replaced.
  [[nodiscard]] std::vector<Block> commit(uint64_t generation);

 private:
  [[nodiscard]] std::expected<void, Error> place_rows();
  [[nodiscard]] std::expected<void, Error> place_service_slots();
  [[nodiscard]] std::expected<void, Error> place_addresses();
  [[nodiscard]] std::expected<void, Error> place_added_addresses();
  [[nodiscard]] std::expected<void, Error> place_root();
};

// Calls visit(id, const ServiceState&) for each service of the draft, in the order of their ids.
template <typename Visit>
void for_each_service_state(const SnapshotDraft& draft, Visit visit) {
  for (uint32_t id = 0; id < draft.model.identity.service_end(); ++id) {
    const ServiceState& state = draft.service(id);
    if (state.present || state.lingering) visit(id, state);
  }
}

}  // namespace headgate::control
