// The life of a connection: states, live counts, time-outs, the end.
#pragma once

#include <optional>

#include "dataplane/tcp_state.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

// Moves the TCP state on for a packet with these flags (UDP: stays), keeps the live counts of
// backend and service in step and lets the wheel know when the time-out became shorter. Nearly all
// packets change nothing, and that is all that advance_state() itself finds out.
void change_state(Worker& worker, ConnRef ref, Direction direction, uint8_t tcp_flags) noexcept;
// `state` is that of the entry, as it was found.
inline void advance_state(Worker& worker, StateWord state, ConnRef ref, Direction direction,
                          uint8_t tcp_flags) noexcept {
  const ConnState next =
      next_state(state.state(), direction, tcp_flags, state.has(ConnFlag::half_view));
  if (next != state.state()) [[unlikely]]
    change_state(worker, ref, direction, tcp_flags);
}

// Sets the flags that go with the phase of a connection that is about to be published.
[[nodiscard]] StateWord with_counts(StateWord state, bool udp_inactive) noexcept;
// Counts a connection that this worker has published with this state. What other workers have made
// of it since is for them to count.
void count_in(Worker& worker, ConnRef ref, StateWord published) noexcept;
// The same for one that its backend counts already.
void count_in_at_service(Worker& worker, ConnRef ref, StateWord published) noexcept;

// Whether the time of this backend's connections is up (drain).
[[nodiscard]] inline bool deadline_passed(const Worker& worker,
                                          const BackendRow& backend) noexcept {
  return backend.deadline_tick != 0 && is_past(backend.deadline_tick, worker.now.tick);
}

// A SYN, or a SYN-ACK, on a connection that was found in SYN_RECV with `state`: counts those whose
// backend does not answer, NAT's and FULLNAT's, once each.
void note_handshake(Worker& worker, ConnRef ref, Direction direction, StateWord state) noexcept;

// Ends a connection now: its keys are gone when this returns, the entry follows after its wheel's
// look and a grace period.
void end_connection(Worker& worker, ConnRef ref) noexcept;

// The tick at which the connection expires if nothing more is seen of it.
[[nodiscard]] Tick expiry(const Worker& worker, ConnRef ref) noexcept;

// When the wheel is to look at a living connection of this worker: when it expires, or before, to
// keep its persistence template or to see whether half-open ones have to give way.
[[nodiscard]] Tick next_look(Worker& worker, ConnRef ref) noexcept;

// The wheel's look at an entry of this worker: nothing when the entry is done with, else the tick
// of the next look.
[[nodiscard]] std::optional<Tick> look_at_connection(Worker& worker, ConnRef ref) noexcept;

}  // namespace headgate::dataplane
