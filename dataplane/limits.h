// Sizes and bounds of the data plane, in one place, with the relations between them asserted.
#pragma once

#include <bit>
#include <cstdint>

namespace headgate::dataplane {

// Coarse time: `last_seen` of a connection and the timer wheels count ticks since the daemon's
// start. Ticks are compared by their signed difference, so they may wrap.
using Tick = uint32_t;
inline constexpr uint32_t ticks_per_second = 4;
[[nodiscard]] constexpr bool is_past(Tick tick, Tick now) noexcept {
  return static_cast<int32_t>(now - tick) >= 0;
}

// Workers are numbered from 0; an entry names its owner in eight bits.
inline constexpr uint32_t max_workers = 128;
// Threads that are not workers but take part in the table (control, dumps, sync later).
inline constexpr uint32_t max_other_actors = 16;

// Entries a worker takes from the unused part of a pool at once, and gives back to the others at
// once.
inline constexpr uint32_t max_chunk_entries = 1024;
// Indexes of a pool have 31 bits; the top values are the timer wheel's slot heads and "none".
inline constexpr uint32_t max_pool_entries = 1U << 30;

// One slot a tick: the wheel sees 1024 s ahead, above the 900 s of an established TCP connection.
// What is armed beyond is looked at once on the way and armed again.
inline constexpr uint32_t wheel_slots = 4096;
// Requests of other workers to look at an entry early that a wheel holds until it next advances.
inline constexpr uint32_t rearm_ring_entries = 1024;

// A key goes to its alternate bucket rather than its home if that has this many keys and the
// alternate has fewer. Simulated with two keys a connection: at 5 no insert finds both buckets full
// even in a full table, and 3.5 % of the keys are away at 70 % of the connections; at 7 (home
// first, always) one insert in 20,000 fails at 70 % and one in 700 in a full table.
inline constexpr uint32_t crowded_bucket_keys = 5;

// How often an insert tries again after another thread's insert of the same key killed its
// announcement, and how often it looks at a rival's announcement before it kills that.
inline constexpr uint32_t max_insert_tries = 16;
inline constexpr uint32_t max_give_way_spins = 64;

// Ports that DPDK may number, and frames that wait for the end of a burst on each.
inline constexpr uint32_t max_ports = 32;
inline constexpr uint32_t tx_buffer_frames = 64;
// Frames taken from one receive queue at once: enough to hide a cache miss behind the others.
inline constexpr uint32_t burst_frames = 32;

// How long an answer to a packet that was scheduled by itself (NAT, FULLNAT) is waited for.
inline constexpr uint32_t one_packet_reply_ticks = 5 * ticks_per_second;

// What lblc and lblcr remember: destinations of all services together, backends of one destination,
// for how long without use, and how long a set of backends stays as it is before it gets smaller.
inline constexpr uint32_t locality_groups = 8192;
inline constexpr uint32_t locality_ways = 4;
inline constexpr uint32_t locality_servers = 6;
inline constexpr uint32_t locality_idle_ticks = 24 * 3600 * ticks_per_second;
inline constexpr uint32_t locality_shrink_ticks = 360 * ticks_per_second;

// Unicast packets a second that one worker takes for routing protocols and hands to the kernel
// before all others. Anybody can send what looks like them; what is beyond shares the way of the
// rest.
inline constexpr uint32_t unicast_control_per_second = 10'000;

// Packets of one worker that wait for a neighbour, those for neighbours that are no backend and no
// gateway, those for one neighbour, and for how long.
inline constexpr uint32_t held_packets = 256;
inline constexpr uint32_t held_packets_unconfigured = held_packets / 2;
inline constexpr uint32_t held_packets_per_neighbour = 16;
inline constexpr uint64_t hold_time_ms = 3000;

// Source ports of probes through the data path on the wire, so many at a time: below those that
// Linux gives to sockets of its own. And how long one waits for an answer.
inline constexpr uint32_t probe_first_port = 1024;
inline constexpr uint32_t probe_flow_count = 32768 - probe_first_port;
inline constexpr uint32_t probe_idle_seconds = 30;

static_assert(max_workers + max_other_actors < 256);
static_assert(std::has_single_bit(wheel_slots) && std::has_single_bit(rearm_ring_entries));
static_assert(burst_frames <= tx_buffer_frames && held_packets_per_neighbour <= held_packets);
static_assert(wheel_slots / ticks_per_second > 900);

}  // namespace headgate::dataplane
