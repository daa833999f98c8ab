// Connections: the entries of the connection table, as they lie in shared memory.
//
//   Connection4, one cache line                    Connection6, two cache lines
//    0 protocol kind mode origin                    0 ConnCommon, 32 bytes
//    4 backend_id   (atomic)                       32 client_port vport backend_port local_port
//    8 service_id                                  40 sequence_delta[2]
//   12 state        (atomic)                       48 client_ip
//   16 last_seen    (atomic)                       64 vip
//   20 timer_next   (owner)                        80 backend_ip
//   24 timer_prev   (owner)                        96 local_ip
//   28 change_serial(atomic)                      112 reserved
//   32 client_ip vip | backend_ip local_ip
//   48 client_port vport | backend_port local_port
//   56 sequence_delta[2]
//
// The two halves of the addresses and of the ports are the two keys of the entry, in a packet's
// order:
//   forward key  client_ip:client_port   -> vip:vport
//   reply key    backend_ip:backend_port -> local_ip:local_port
// where `local` is the client itself for NAT and an address and port of ours for FULLNAT. DR and
// IPIP flows and persistence templates have a forward key only; they keep the backend's address in
// backend_ip all the same, and local zero.
//
// Who writes: the worker that allocated the entry (its owner, named in the state word) fills
// everything before it publishes the keys. From then on until the entry is reused, which takes a
// grace period after both keys are gone, only the atomic members change, and the owner's timer
// links.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/conn_state.h"
#include "dataplane/flow_key.h"
#include "dataplane/limits.h"
#include "dataplane/net/address.h"

namespace headgate::dataplane {

// Index of an entry: bit 31 says which pool.
struct ConnRef {
  uint32_t value = 0xffffffff;

  constexpr bool operator==(const ConnRef&) const noexcept = default;
  [[nodiscard]] constexpr bool is_none() const noexcept { return value == 0xffffffff; }
  [[nodiscard]] constexpr bool is_v6() const noexcept { return (value >> 31) != 0; }
  [[nodiscard]] constexpr uint32_t index() const noexcept { return value & 0x7fffffff; }
  [[nodiscard]] static constexpr ConnRef make(bool v6, uint32_t index) noexcept {
    return ConnRef{(v6 ? 0x80000000U : 0U) | index};
  }
};
inline constexpr ConnRef no_conn{};

// The state word: 0..3 ConnState, 4..23 flags, 24..31 the owner (worker) of the entry.
enum class ConnFlag : uint32_t {
  dying = 1U << 4,             // unlinked: its keys are gone or going, nothing may be sent by it
  published = 1U << 5,         // every key it has is in the table
  counted_active = 1U << 6,    // counts as an active connection of its backend
  counted_inactive = 1U << 7,  // counts as an inactive one
  embryonic = 1U << 8,         // counts against the quota of half-open connections
  no_output = 1U << 9,         // nothing came back from the backend yet
  half_view = 1U << 10,        // replies do not pass here (DR, IPIP): input alone drives the state
  one_packet = 1U << 11,       // of one-packet scheduling: has a reply key alone, lives seconds
  client_fin = 1U << 12,
  backend_fin = 1U << 13,
  has_reply_key = 1U << 14,  // set by ConnTable::publish
  has_template = 1U << 15,   // began by way of a persistence template
  // In SYN_RECV, of one with a reply key: the client has repeated its SYN; and since then the
  // backend has answered, or the connection is counted as unanswered.
  syn_repeated = 1U << 16,
  syn_settled = 1U << 17,
};

class StateWord {
 public:
  constexpr StateWord() noexcept = default;
  explicit constexpr StateWord(uint32_t bits) noexcept : bits_(bits) {}

  constexpr bool operator==(const StateWord&) const noexcept = default;
  [[nodiscard]] constexpr uint32_t bits() const noexcept { return bits_; }
  [[nodiscard]] constexpr ConnState state() const noexcept {
    return static_cast<ConnState>(bits_ & 0xf);
  }
  [[nodiscard]] constexpr bool has(ConnFlag flag) const noexcept {
    return (bits_ & static_cast<uint32_t>(flag)) != 0;
  }
  // May be relied on and changed by any actor: published and not dying.
  [[nodiscard]] constexpr bool is_settled() const noexcept {
    return has(ConnFlag::published) && !has(ConnFlag::dying);
  }
  [[nodiscard]] constexpr uint32_t owner() const noexcept { return bits_ >> 24; }

  [[nodiscard]] constexpr StateWord with_state(ConnState state) const noexcept {
    return StateWord{(bits_ & ~0xfU) | static_cast<uint32_t>(state)};
  }
  [[nodiscard]] constexpr StateWord with(ConnFlag flag) const noexcept {
    return StateWord{bits_ | static_cast<uint32_t>(flag)};
  }
  [[nodiscard]] constexpr StateWord without(ConnFlag flag) const noexcept {
    return StateWord{bits_ & ~static_cast<uint32_t>(flag)};
  }
  [[nodiscard]] static constexpr StateWord of_owner(uint32_t worker) noexcept {
    return StateWord{worker << 24};
  }

 private:
  uint32_t bits_ = 0;
};

struct ConnCommon {
  uint8_t protocol;  // IP protocol number
  EntryKind kind;
  uint8_t mode;    // Mode of snapshot.h
  uint8_t origin;  // 0: made here; others are for state synchronisation
  std::atomic<uint32_t> backend_id;
  uint32_t service_id;
  std::atomic<uint32_t> state_bits;
  std::atomic<uint32_t> last_seen;
  uint32_t timer_next;  // owner: wheel while published, free list before and after
  uint32_t timer_prev;  // owner
  std::atomic<uint32_t> change_serial;

  [[nodiscard]] StateWord state() const noexcept {
    return StateWord{state_bits.load(std::memory_order_acquire)};
  }
  // For the owner, before it publishes. Keeps nothing: start from state().
  void set_state(StateWord word) noexcept {
    state_bits.store(word.bits(), std::memory_order_relaxed);
  }
  // Writes only when the tick changed, so that a busy connection does not pull its line between
  // cores.
  void touch(Tick now) noexcept {
    if (last_seen.load(std::memory_order_relaxed) != now) {
      last_seen.store(now, std::memory_order_relaxed);
    }
  }
};

// How a packet leaves that matched one of the keys: as the other key says, turned around. Words as
// they lie in the header, source first.
struct Translation4 {
  uint64_t addresses;
  uint32_t ports;
};
struct Translation6 {
  net::Ipv6Address source;
  net::Ipv6Address destination;
  uint32_t ports;
};

namespace detail {
// Two ports that lie one after the other, exchanged.
[[nodiscard]] inline uint32_t exchanged_ports(const net::be16& first) noexcept {
  uint32_t ports;
  std::memcpy(&ports, reinterpret_cast<const uint8_t*>(&first), sizeof(ports));
  return std::rotl(ports, 16);
}
}  // namespace detail

struct alignas(64) Connection4 {
  ConnCommon common;
  net::Ipv4Address client_ip;
  net::Ipv4Address vip;
  net::Ipv4Address backend_ip;
  net::Ipv4Address local_ip;
  net::be16 client_port;
  net::be16 vport;
  net::be16 backend_port;
  net::be16 local_port;
  uint32_t sequence_delta[2];  // per direction, for options and SYN cookies

  [[nodiscard]] FlowKey4 key(Direction direction) const noexcept {
    const bool forward = direction == Direction::forward;
    return {.source = forward ? client_ip : backend_ip,
            .destination = forward ? vip : local_ip,
            .source_port = forward ? client_port : backend_port,
            .destination_port = forward ? vport : local_port,
            .protocol = common.protocol,
            .kind = common.kind};
  }
  [[nodiscard]] Translation4 translation(Direction direction) const noexcept {
    const bool forward = direction == Direction::forward;
    uint64_t addresses;
    std::memcpy(&addresses, reinterpret_cast<const uint8_t*>(forward ? &backend_ip : &client_ip),
                sizeof(addresses));
    return {std::rotl(addresses, 32),
            detail::exchanged_ports(forward ? backend_port : client_port)};
  }
};

struct alignas(64) Connection6 {
  ConnCommon common;
  net::be16 client_port;
  net::be16 vport;
  net::be16 backend_port;
  net::be16 local_port;
  uint32_t sequence_delta[2];
  net::Ipv6Address client_ip;
  net::Ipv6Address vip;
  net::Ipv6Address backend_ip;
  net::Ipv6Address local_ip;
  uint8_t reserved[16];

  [[nodiscard]] FlowKey6 key(Direction direction) const noexcept {
    const bool forward = direction == Direction::forward;
    return {.source = forward ? client_ip : backend_ip,
            .destination = forward ? vip : local_ip,
            .source_port = forward ? client_port : backend_port,
            .destination_port = forward ? vport : local_port,
            .protocol = common.protocol,
            .kind = common.kind};
  }
  [[nodiscard]] Translation6 translation(Direction direction) const noexcept {
    const bool forward = direction == Direction::forward;
    return {forward ? local_ip : vip, forward ? backend_ip : client_ip,
            detail::exchanged_ports(forward ? backend_port : client_port)};
  }
};

static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(ConnCommon) == 32 && offsetof(ConnCommon, state_bits) == 12);
static_assert(offsetof(ConnCommon, kind) == offsetof(ConnCommon, protocol) + 1);
static_assert(sizeof(Connection4) == 64 && alignof(Connection4) == 64);
static_assert(offsetof(Connection4, client_ip) == 32 && offsetof(Connection4, backend_ip) == 40);
static_assert(offsetof(Connection4, client_port) == 48 &&
              offsetof(Connection4, backend_port) == 52);
static_assert(offsetof(Connection4, sequence_delta) == 56);
static_assert(sizeof(Connection6) == 128 && alignof(Connection6) == 64);
static_assert(offsetof(Connection6, client_ip) == 48 && offsetof(Connection6, vip) == 64);

}  // namespace headgate::dataplane
