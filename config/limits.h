// Every limit of a configuration, with the relations between them asserted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace headgate::config {

// Input that a mistake or an attacker made large is refused before it costs memory.
inline constexpr size_t max_file_bytes = 64UL << 20;
inline constexpr size_t max_yaml_nodes = 8UL << 20;  // with every alias written out

// Kernel: IFNAMSIZ - 1 and sizeof(sockaddr_un::sun_path) - 1.
inline constexpr size_t max_interface_name = 15;
inline constexpr size_t max_socket_path = 107;
inline constexpr size_t max_name = 63;
inline constexpr size_t max_path = 200;

// What the data plane numbers in few bits.
inline constexpr size_t max_ports = 32;
inline constexpr size_t max_workers = 128;
inline constexpr size_t max_backends_per_service = 65534;

inline constexpr uint32_t max_core = 1023;
inline constexpr uint32_t max_queues = 128;
inline constexpr uint32_t min_descriptors = 32;
inline constexpr uint32_t max_descriptors = 32768;
inline constexpr uint32_t min_mtu = 1280;  // RFC 8200 section 5: what IPv6 needs
inline constexpr uint32_t max_mtu = 9702;  // a jumbo frame of 9728 bytes with its headers
inline constexpr uint32_t min_mbufs = 1024;
inline constexpr uint32_t max_mbufs = 1U << 24;
inline constexpr uint32_t max_memory_mb = 4U << 20;
inline constexpr uint32_t min_memory_mb = 16;
inline constexpr size_t min_rss_key = 40;
inline constexpr size_t max_rss_key = 64;
inline constexpr uint32_t max_vlan_id = 4094;

inline constexpr uint32_t min_connections = 1024;
inline constexpr uint32_t max_connections = 1U << 28;
inline constexpr uint32_t max_services = 1U << 20;
inline constexpr uint32_t max_backends = 1U << 24;
inline constexpr uint32_t max_weight = 65535;
inline constexpr uint32_t max_timeout_s = 7U * 24 * 3600;
inline constexpr uint32_t max_rate_per_s = 10'000'000;
// Bounds of Maglev tables; both primes, so that rounding up stays within them.
inline constexpr uint32_t min_maglev_table = 251;
inline constexpr uint32_t max_maglev_table = 16777213;
// Fewer slots than this for each backend spread badly: the shares are off by a tenth and more.
inline constexpr uint32_t good_maglev_slots_per_backend = 10;
inline constexpr size_t max_local_addresses = 4096;  // in one set

static_assert(min_mtu < max_mtu && max_mtu <= UINT16_MAX);
static_assert(max_weight <= UINT16_MAX);
static_assert(max_backends >= max_services && max_backends >= max_backends_per_service);
static_assert(max_workers <= max_core + 1 && max_queues <= max_workers);
static_assert(max_maglev_table < 1U << 24);

}  // namespace headgate::config
