#include "dataplane/one_packet.h"

#include <algorithm>
#include <optional>

#include "dataplane/flow_entry.h"
#include "dataplane/forward.h"
#include "dataplane/lifetime.h"
#include "dataplane/output.h"

namespace headgate::dataplane {
namespace {

// How often an entry is looked for or made again after it was just ending, or made by another.
constexpr int entry_tries = 3;

// The packet on its way: to whom, and by what it was scheduled.
struct Passage {
  const Packet& packet;
  const ServiceBlock& service;
  const BackendRow& backend;
};

// The entry by which answers are known, or why there is none.
struct ReplyEntry {
  ConnRef ref{};
  PublishStatus status = PublishStatus::inserted;
};

Hit find_reply(const ConnTable& table, const Packet& packet, const Ends& ends) noexcept {
  if (packet.is_v4()) {
    return table.find(FlowKey4{.source = ends.backend.v4(),
                               .destination = ends.local.v4(),
                               .source_port = ends.backend_port,
                               .destination_port = ends.local_port,
                               .protocol = packet.protocol});
  }
  return table.find(FlowKey6{.source = ends.backend.v6(),
                             .destination = ends.local.v6(),
                             .source_port = ends.backend_port,
                             .destination_port = ends.local_port,
                             .protocol = packet.protocol});
}

bool has_forward_key(const ConnTable& table, ConnRef ref, const Packet& packet) noexcept {
  return ref.is_v6() ? table.v6(ref).key(Direction::forward) == packet.key6
                     : table.v4(ref).key(Direction::forward) == packet.key4;
}

// Whether the entry is that of an earlier packet on the same passage.
bool is_shared(const ConnTable& table, ConnRef ref, const Passage& passage) noexcept {
  const ConnCommon& entry = table.common(ref);
  return entry.state().has(ConnFlag::one_packet) && entry.service_id == passage.service.id &&
         entry.backend_id.load(std::memory_order_relaxed) == passage.backend.id &&
         entry.mode == static_cast<uint8_t>(passage.backend.mode) &&
         has_forward_key(table, ref, passage.packet);
}

void fill(Worker& worker, ConnRef ref, const Passage& passage) noexcept {
  ConnCommon& entry = worker.connections.common(ref);
  entry.protocol = passage.packet.protocol;
  entry.kind = EntryKind::flow;
  entry.mode = static_cast<uint8_t>(passage.backend.mode);
  entry.service_id = passage.service.id;
  entry.backend_id.store(passage.backend.id, std::memory_order_relaxed);
  entry.last_seen.store(worker.now.tick, std::memory_order_relaxed);
  entry.set_state(entry.state().with_state(ConnState::udp).with(ConnFlag::one_packet));
}

// The holder of the wanted key: shared where it may be. Nothing: it was ending, try again.
std::optional<ReplyEntry> settle_with(Worker& worker, ConnRef holder,
                                      const Passage& passage) noexcept {
  ConnCommon& entry = worker.connections.common(holder);
  if (entry.state().has(ConnFlag::dying)) {
    end_connection(worker, holder);
    return std::nullopt;
  }
  if (!is_shared(worker.connections, holder, passage)) {
    return ReplyEntry{{}, PublishStatus::reply_taken};
  }
  entry.touch(worker.now.tick);
  return ReplyEntry{holder, PublishStatus::inserted};
}

std::optional<ReplyEntry> make(Worker& worker, const Passage& passage, const Ends& ends) noexcept {
  ConnTable& table = worker.connections;
  const ConnRef ref = table.allocate(worker.options.id, passage.packet.family);
  if (ref.is_none()) return ReplyEntry{{}, PublishStatus::full};
  fill(worker, ref, passage);
  fill_keys(table, ref, passage.packet, ends);
  const PublishResult result = table.publish(worker.options.id, ref, Keys::reply_only);
  if (result.status == PublishStatus::inserted) {
    worker.wheel.arm(ref, next_look(worker, ref));
    return ReplyEntry{ref, PublishStatus::inserted};
  }
  table.discard(worker.options.id, ref, result.seen);
  if (result.status == PublishStatus::unlinked) return std::nullopt;
  if (result.status == PublishStatus::reply_taken && !result.holder.is_miss()) {
    return settle_with(worker, result.holder.ref, passage);
  }
  return ReplyEntry{{}, result.status};
}

// With these ends: the one that is there, or a new one.
ReplyEntry entry_with(Worker& worker, const Passage& passage, const Ends& ends) noexcept {
  for (int i = 0; i < entry_tries; ++i) {
    const Hit known = find_reply(worker.connections, passage.packet, ends);
    const std::optional<ReplyEntry> entry =
        known.is_miss() ? make(worker, passage, ends) : settle_with(worker, known.ref, passage);
    if (entry) return *entry;
  }
  return {{}, PublishStatus::contended};
}

// With one port after the other until one is this passage's or free. The first candidates are the
// same for each packet of the client's port, so that it meets the entry of its earlier ones.
ReplyEntry fullnat_entry(Worker& worker, const Passage& passage) noexcept {
  const uint32_t count = std::min(passage.service.local_addresses.count, most_local_addresses);
  for (uint32_t i = 0; i < count; ++i) {
    const ReplyTuple reply =
        fullnat_reply(worker, passage.packet, passage.service, passage.backend, i);
    const uint32_t pair = pair_hash(reply.local, passage.backend);
    const bool exhausted = worker.exhausted_pairs.has(pair, worker.now.tick);
    PortCandidates candidates(
        passage.packet.hash, PortRange{}, reply,
        exhausted ? PortCandidates::few_candidates : PortCandidates::max_candidates);
    while (const std::optional<uint16_t> candidate = candidates.next()) {
      const ReplyEntry entry = entry_with(worker, passage,
                                          {passage.backend.address, reply.local, reply.backend_port,
                                           net::be16::from_host(*candidate)});
      if (entry.status != PublishStatus::reply_taken) return entry;
    }
    worker.exhausted_pairs.add(pair, worker.now.tick);
  }
  return {{}, PublishStatus::reply_taken};
}

ReplyEntry reply_entry(Worker& worker, const Passage& passage) noexcept {
  if (passage.backend.mode == Mode::fullnat) return fullnat_entry(worker, passage);
  const Packet& packet = passage.packet;
  return entry_with(worker, passage,
                    {passage.backend.address, packet.source(),
                     backend_port_of(packet, passage.backend), packet.source_port()});
}

void refuse_entry(Worker& worker, Packet& packet, const ServiceBlock& service, Mode mode,
                  PublishStatus why) noexcept {
  switch (why) {
    case PublishStatus::reply_taken:
      return refuse_reply_key(worker, packet, service, mode);
    case PublishStatus::full:
      return refuse(worker, packet, service, Verdict::drop_table_full);
    default:
      return refuse(worker, packet, service, Verdict::drop_insert_contended);
  }
}

}  // namespace

void forward_one_packet(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept {
  const uint32_t id = choose_backend(worker, packet, service);
  const BackendRow* backend = id == none ? nullptr : find_backend(worker.region, *worker.root, id);
  if (backend == nullptr) return no_backend(worker, packet, service);
  ConnRef ref{};
  if (!is_stateless_mode(backend->mode)) {
    const ReplyEntry entry = reply_entry(worker, {packet, service, *backend});
    if (entry.status != PublishStatus::inserted) {
      return refuse_entry(worker, packet, service, backend->mode, entry.status);
    }
    ref = entry.ref;
  }
  worker.counters.services[service.id].connections.add(1);
  worker.counters.backends[backend_index(id)].connections.add(1);
  forward_scheduled(worker, packet, *backend, ref);
}

}  // namespace headgate::dataplane
