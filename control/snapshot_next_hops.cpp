// There can be as many neighbours as backends, and one of them changes at a time: so the rows are
// copied and those that differ are made anew, and what is known of each row is kept from change to
// change. Nothing here looks up every neighbour unless the interfaces changed.
#include "control/snapshot_next_hops.h"

#include <algorithm>
#include <compare>
#include <span>
#include <utility>
#include <vector>

#include "control/slot_table.h"

namespace headgate::control {
namespace {

using dataplane::NeighbourSlot;
using dataplane::NextHop;
using dataplane::NextHopState;

NextHop fixed_row(NextHopState state) {
  NextHop hop{};
  hop.state = state;
  hop.interface = dataplane::none16;
  hop.port = dataplane::none16;
  return hop;
}

NextHop row_of(const SnapshotDraft& draft, const NextHopKey& key) {
  const dataplane::Interface& interface = draft.network().interfaces()[key.interface];
  NextHop hop{};
  hop.state = NextHopState::unresolved;
  hop.interface = key.interface;
  hop.port = interface.port;
  hop.vlan = interface.vlan;
  hop.mtu = key.mtu_limit == 0 ? interface.mtu : std::min(interface.mtu, key.mtu_limit);
  hop.source = interface.mac;
  hop.gateway = key.gateway;
  const net::MacAddress* const mac = draft.network().find_neighbour(key.interface, key.gateway);
  if (mac != nullptr) {
    hop.state = NextHopState::resolved;
    hop.destination = *mac;
  }
  return hop;
}

// Which rows the kernel's neighbours have, and which of them changed. Both lists are sorted, so one
// walk along them finds what came, went, or got another MAC.
class NeighbourRows {
 public:
  explicit NeighbourRows(SnapshotDraft& draft) : draft_(draft), known_(draft.model.known_rows) {
    const std::vector<KernelNeighbour>& before = draft.model.network.neighbours();
    const std::vector<KernelNeighbour>& after = draft.network().neighbours();
    if (&before == &after) return;
    auto old = before.begin();
    for (const KernelNeighbour& neighbour : after) {
      while (old != before.end() && order(*old, neighbour) < 0)
        mark(*old++, false);
      const bool same_key = old != before.end() && order(*old, neighbour) == 0;
      if (!same_key || *old != neighbour) mark(neighbour, true);
      if (same_key) ++old;
    }
    while (old != before.end())
      mark(*old++, false);
  }

  [[nodiscard]] const std::vector<uint32_t>& changed() const { return changed_; }
  [[nodiscard]] std::vector<bool> known() && { return std::move(known_); }

 private:
  static std::strong_ordering order(const KernelNeighbour& a, const KernelNeighbour& b) {
    if (const auto interface = a.interface <=> b.interface; interface != 0) return interface;
    return a.address <=> b.address;
  }
  void mark(const KernelNeighbour& neighbour, bool known) {
    const uint32_t index = draft_.model.next_hops.use({neighbour.interface, 0, neighbour.address});
    if (index >= known_.size()) known_.resize(index + 1);
    known_[index] = known;
    changed_.push_back(index);
  }

  SnapshotDraft& draft_;
  std::vector<bool> known_;
  std::vector<uint32_t> changed_;
};

// Rows that packets go to by a backend or a route.
std::vector<bool> needed_rows(SnapshotDraft& draft) {
  NextHopTable& table = draft.model.next_hops;
  std::vector<uint32_t> gateways;
  for (const NetworkView::Gateway& gateway : draft.network().gateways()) {
    gateways.push_back(table.use({gateway.interface, gateway.mtu_limit, gateway.address}));
  }
  std::vector<bool> needed(table.end());
  for (const uint32_t index : gateways)
    needed[index] = true;
  for (uint32_t index = 0; index < draft.model.identity.backend_end(); ++index) {
    const dataplane::BackendRow& row = draft.row(index);
    if (row.id != dataplane::none && row.next_hop != dataplane::none) needed[row.next_hop] = true;
  }
  return needed;
}

// The rows as they run, with those that may differ made anew.
std::expected<void, Error> put_rows(SnapshotDraft& draft, const std::vector<uint32_t>& changed) {
  const NextHopTable& table = draft.model.next_hops;
  const uint32_t end = table.live_end();
  std::vector<bool> stale(table.end(), draft.marks.interfaces);
  for (const uint32_t index : table.added())
    stale[index] = true;
  for (const uint32_t index : changed)
    stale[index] = true;
  for (uint32_t index = 0; index < table.end(); ++index) {
    // Rows with a route's MTU stand beside the one that the neighbour's change is known by.
    const bool beside_changed = !changed.empty() && table.key(index).mtu_limit != 0;
    if (beside_changed || table.is_going(index)) stale[index] = true;
  }
  Block& block = draft.part(Part::next_hops);
  const size_t running = block.bytes / sizeof(NextHop);
  if (running == end && std::ranges::find(stale, true) == stale.end()) return {};

  const auto rows = draft.blocks.replace_with_copy(block, draft.root.next_hops, end);
  if (!rows) return std::unexpected(rows.error());
  if (running == 0) {
    (*rows)[next_hop_unreachable] = fixed_row(NextHopState::unreachable);
    (*rows)[next_hop_prohibited] = fixed_row(NextHopState::prohibited);
    (*rows)[next_hop_blackhole] = fixed_row(NextHopState::blackhole);
    (*rows)[next_hop_local] = fixed_row(NextHopState::local);
  }
  for (uint32_t index = next_hop_fixed_rows; index < end; ++index) {
    if (!stale[index]) continue;
    (*rows)[index] = table.is_free(index) ? fixed_row(NextHopState::unreachable)
                                          : row_of(draft, table.key(index));
  }
  return {};
}

bool is_neighbour(const NextHopTable& table, uint32_t index) {
  return !table.is_free(index) && table.key(index).mtu_limit == 0;
}

void add_neighbour(std::span<NeighbourSlot> slots, const NextHopTable& table, uint32_t index) {
  if (!is_neighbour(table, index)) return;
  const NextHopKey& key = table.key(index);
  NeighbourSlot& slot = find_slot(slots, dataplane::neighbour_hash(key.gateway, key.interface),
                                  [](const auto& s) { return s.next_hop == dataplane::none; });
  slot.address = key.gateway;
  slot.interface = key.interface;
  slot.next_hop = index;
}

std::expected<void, Error> put_neighbour_slots(SnapshotDraft& draft) {
  const NextHopTable& table = draft.model.next_hops;
  bool gone = false;
  size_t count = 0;
  for (uint32_t index = next_hop_fixed_rows; index < table.end(); ++index) {
    gone |= table.is_going(index);
    count += is_neighbour(table, index);
  }
  Block& block = draft.part(Part::neighbour_slots);
  const size_t running = block.bytes / sizeof(NeighbourSlot);
  if (!gone && table.added().empty()) return {};
  if (!gone && 2 * count <= running) {
    const auto slots = draft.blocks.replace_with_copy(block, draft.root.neighbour_slots, running);
    if (!slots) return std::unexpected(slots.error());
    for (const uint32_t index : table.added())
      add_neighbour(*slots, table, index);
    return {};
  }
  NeighbourSlot empty{};
  empty.next_hop = dataplane::none;
  std::vector<NeighbourSlot> slots = make_slots(count, empty);
  for (uint32_t index = next_hop_fixed_rows; index < table.end(); ++index) {
    add_neighbour(slots, table, index);
  }
  return draft.blocks.put_array(block, draft.root.neighbour_slots,
                                std::span<const NeighbourSlot>(slots));
}

std::vector<WantedNeighbour> wanted_of(std::span<const NextHop> rows,
                                       const std::vector<bool>& needed) {
  std::vector<WantedNeighbour> wanted;
  for (uint32_t i = next_hop_fixed_rows; i < rows.size(); ++i) {
    if (needed[i] && rows[i].state == NextHopState::unresolved) {
      wanted.push_back({rows[i].interface, rows[i].gateway});
    }
  }
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
  return wanted;
}

}  // namespace

std::expected<void, Error> put_next_hops(SnapshotDraft& draft) {
  NextHopTable& table = draft.model.next_hops;
  NeighbourRows neighbours(draft);
  const std::vector<bool> needed = needed_rows(draft);
  const std::vector<uint32_t> changed = neighbours.changed();
  std::vector<bool> known = std::move(neighbours).known();
  known.resize(table.end());
  std::vector<bool> used = needed;
  for (uint32_t i = 0; i < table.end(); ++i)
    used[i] = used[i] || known[i];
  table.sweep(used);
  auto done = put_rows(draft, changed);
  if (done) done = put_neighbour_slots(draft);
  if (!done) return done;
  draft.new_wanted = wanted_of(draft.blocks.elements<NextHop>(draft.part(Part::next_hops)), needed);
  draft.new_known_rows = std::move(known);
  return {};
}

}  // namespace headgate::control
