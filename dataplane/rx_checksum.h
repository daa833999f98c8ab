// What a port's receive offload says of an IPv4 header. Only "good" is taken as an answer, since
// only that saves work: whatever else is said, the path sums the header itself and judges by that.
//
// So a frame gets the same verdict with the offload and without it, also where "bad" would be the
// wrong one: for a tunnel over UDP to a service of ours (VXLAN, GTP-U) NICs that look into it speak
// of the inner header, which is the backend's to judge.
#pragma once

#include <cstdint>

#include <rte_config.h>
#include <rte_mbuf_core.h>

namespace headgate::dataplane {

// `flags` are ol_flags as the driver left them. With OUTER_IP_CKSUM_BAD, "good" is said of the
// inner header of a tunnel and the outer one, which the path looks at, is wrong.
[[nodiscard]] constexpr bool ipv4_checksum_is_verified(uint64_t flags) noexcept {
  constexpr uint64_t telling = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD;
  return (flags & telling) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}

}  // namespace headgate::dataplane
