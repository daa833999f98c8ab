// The verdict: what became of a packet. Every packet ends in exactly one; this list is the only
// place that names them: the enum, counter names, CLI and docs all come from it.
//
// Kinds: sent (left through a port), twin (handed to the kernel), held (waits for a neighbour;
// leaves this state as "released" and gets a second verdict), drop (ended here, with this name).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace headgate::dataplane {

// X(name, kind, description)
#define HEADGATE_VERDICTS(X)                                                               \
  X(sent_dr, sent, "forwarded by DR")                                                      \
  X(sent_nat, sent, "forwarded by NAT")                                                    \
  X(sent_nat_reply, sent, "reply translated back by NAT")                                  \
  X(sent_fullnat, sent, "forwarded by FULLNAT")                                            \
  X(sent_fullnat_reply, sent, "reply translated back by FULLNAT")                          \
  X(sent_ipip, sent, "forwarded in an IP tunnel")                                          \
  X(sent_arp_reply, sent, "ARP request for one of our addresses answered")                 \
  X(sent_nd_reply, sent, "neighbour solicitation for one of our addresses answered")       \
  X(sent_echo_reply, sent, "ICMP echo request to a VIP answered")                          \
  X(sent_rst, sent, "TCP reset of our own")                                                \
  X(sent_icmp_error, sent, "ICMP error of our own")                                        \
  X(sent_from_twin, sent, "frame of the kernel sent")                                      \
  X(sent_stateless, sent, "forwarded by hash without a connection")                        \
  X(sent_probe, sent, "health check sent to a backend as a client's packet")               \
  X(twin_not_ours, twin, "not for a service: handed to the kernel")                        \
  X(twin_control, twin, "ARP, ND, VRRP, BGP or the like: handed to the kernel")            \
  X(twin_backend, twin, "from a backend's address to the host: handed to the kernel")      \
  X(twin_probe, twin, "to the host, may be an answer to such a health check")              \
  X(held_neighbour, held, "waits until the neighbour's MAC is known")                      \
  X(drop_truncated, drop, "shorter than its headers say")                                  \
  X(drop_malformed, drop, "header with an impossible value")                               \
  X(drop_not_for_us, drop, "unicast frame with another station's MAC")                     \
  X(drop_bad_source, drop, "source address that no packet may have")                       \
  X(drop_ip_checksum, drop, "wrong IPv4 header checksum")                                  \
  X(drop_fragment, drop, "fragment for a service")                                         \
  X(drop_icmp_error, drop, "ICMP error about a connection, not translated yet")            \
  X(drop_icmp_checksum, drop, "ICMP with a wrong checksum")                                \
  X(drop_no_service, drop, "to a VIP without a service for it; answered where due")        \
  X(drop_vip_inactive, drop, "to a VIP or local address that another router is master of") \
  X(drop_no_backend, drop, "the service has no usable backend; answered")                  \
  X(drop_no_connection, drop, "mid-stream without a connection; answered with a reset")    \
  X(drop_reply_no_connection, drop, "from a backend, without a connection")                \
  X(drop_not_routed, drop, "not for an address of ours, and routing is off")               \
  X(drop_own_source, drop, "source is one of our own addresses")                           \
  X(drop_ttl_exceeded, drop, "TTL ran out; answered")                                      \
  X(drop_too_big, drop, "larger than the path; answered where due")                        \
  X(drop_no_route, drop, "no route to the next hop; answered")                             \
  X(drop_neighbour_queue_full, drop, "too many packets wait for a neighbour")              \
  X(drop_neighbour_timeout, drop, "the neighbour did not answer in time")                  \
  X(drop_blackhole, drop, "the route says blackhole")                                      \
  X(drop_backend_removed, drop, "connection of a removed backend, dropped as configured")  \
  X(drop_backend_reset, drop, "connection of a backend that is down, reset as configured") \
  X(drop_drain_deadline, drop, "the drain deadline of the backend has passed")             \
  X(drop_probe, drop, "such a health check for which there is no way to the backend")      \
  X(drop_table_full, drop, "no free connection entry")                                     \
  X(drop_embryonic_quota, drop, "too many connections without a completed handshake")      \
  X(drop_insert_contended, drop, "lost too many races for a connection's key")             \
  X(drop_no_local_port, drop, "FULLNAT found no free source port; answered")               \
  X(drop_reply_key_taken, drop, "another service uses the same backend and client port")   \
  X(drop_rate_limited, drop, "answer of our own withheld by its rate limit")               \
  X(drop_no_mbuf, drop, "no buffer left for a packet of our own")                          \
  X(drop_tx_full, drop, "transmit queue full")                                             \
  X(drop_tx_port_down, drop, "the port is not there or down")                              \
  X(drop_twin_ring_full, drop, "the ring to the kernel's side is full")                    \
  X(drop_twin_none, drop, "the port has no kernel side")

enum class VerdictKind : uint8_t { sent, twin, held, drop };

enum class Verdict : uint8_t {
#define HEADGATE_VERDICT_ENUM(name, kind, text) name,
  HEADGATE_VERDICTS(HEADGATE_VERDICT_ENUM)
#undef HEADGATE_VERDICT_ENUM
};

struct VerdictInfo {
  std::string_view name;
  VerdictKind kind;
  std::string_view description;
};

inline constexpr std::array verdict_table{
#define HEADGATE_VERDICT_ROW(name, kind, text) VerdictInfo{#name, VerdictKind::kind, text},
    HEADGATE_VERDICTS(HEADGATE_VERDICT_ROW)
#undef HEADGATE_VERDICT_ROW
};
inline constexpr uint32_t verdict_count = verdict_table.size();

[[nodiscard]] constexpr const VerdictInfo& info(Verdict verdict) noexcept {
  return verdict_table[static_cast<uint32_t>(verdict)];
}

}  // namespace headgate::dataplane
