// Weighted Maglev hashing: "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
// section 3.4.
//
// Each backend has a permutation of the table's slots, made from its own address and port. The
// backends take turns; who has the turn takes the first slot of its permutation that is still free,
// until none is. A backend of weight w gets w turns where one of weight 1 gets one. Since neither
// permutations nor turns depend on the order of the list, equal sets of backends have equal tables
// on every machine, and a backend that comes or goes moves little beyond its own share.
//
// This runs on control's helper threads and allocates.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/net/address.h"

namespace headgate::dataplane {

struct MaglevBackend {
  net::IpAddress address;
  net::be16 port;
  uint32_t weight = 0;  // 0: gets no slot
};

inline constexpr uint32_t maglev_max_backends = 0xffff;

// Fills `table`, whose size is a prime of at least 3, with indexes into `backends`; all
// maglev_empty when no backend has weight. The backends differ in address or port; there are at
// most maglev_max_backends. Takes about size × (3 + log2(backends)) steps.
void fill_maglev(std::span<const MaglevBackend> backends, std::span<uint16_t> table);

// The smallest prime that is not below `n`.
[[nodiscard]] uint32_t next_prime(uint32_t n) noexcept;
[[nodiscard]] bool is_prime(uint32_t n) noexcept;

// A size for a service of so many backends: the smallest of a few that gives each a hundred slots
// where that is possible, and shares within one per cent of each other (the paper's figure). The
// steps are wide because another size is another table altogether: nearly every flow would move.
[[nodiscard]] uint32_t maglev_table_size(uint32_t backends) noexcept;
inline constexpr std::array<uint32_t, 7> maglev_table_sizes{251,   1021,   4093,  16381,
                                                            65537, 262139, 655373};
inline constexpr uint32_t maglev_default_table = 65537;  // what memory is reckoned with

}  // namespace headgate::dataplane
