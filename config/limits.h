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
inline constexpr size_t max_mark_rules = 1024;       // with each range of ports counted

// Virtual routers. What the protocol carries in a byte, or in twelve bits of centiseconds.
inline constexpr uint32_t max_virtual_router_id = 255;
inline constexpr uint32_t max_priority = 255;
inline constexpr size_t max_virtual_addresses = 255;  // advertised by one virtual router
inline constexpr uint32_t min_advert_interval_ms = 10;
inline constexpr uint32_t max_advert_interval_ms = 40950;      // of version 3
inline constexpr uint32_t max_v2_advert_interval_ms = 255000;  // of version 2, in seconds
inline constexpr size_t max_auth_password = 8;
inline constexpr int32_t max_track_weight = 253;  // between the priorities 1 and 254
inline constexpr size_t max_virtual_routers = 4096;
inline constexpr size_t max_unicast_peers = 255;
inline constexpr size_t max_command = 4000;
inline constexpr size_t max_text = 255;  // of names from elsewhere: users, mail addresses, services
inline constexpr uint32_t max_preempt_delay_s = 1000;
inline constexpr uint32_t max_startup_delay_s = 1000;
inline constexpr uint32_t max_gratuitous_repeat = 100;
inline constexpr uint32_t max_gratuitous_delay_s = 3600;
inline constexpr uint32_t max_gratuitous_refresh_s = 86400;
inline constexpr uint32_t max_gratuitous_interval_us = 1'000'000;
inline constexpr uint32_t min_script_interval_ms = 10;
inline constexpr uint32_t max_script_interval_ms = 24U * 3600 * 1000;
inline constexpr uint32_t max_script_results = 65535;  // in a row
inline constexpr uint32_t max_processes = 65535;
inline constexpr uint32_t max_process_delay_ms = 3600U * 1000;
inline constexpr uint32_t max_mail_timeout_s = 300;
inline constexpr size_t max_mail_recipients = 64;

// Health checks and the pools that they decide on.
inline constexpr uint32_t min_check_interval_ms = 100;
inline constexpr uint32_t max_check_interval_ms = 3600U * 1000;
inline constexpr uint32_t min_check_timeout_ms = 10;
inline constexpr uint32_t max_check_retries = 1000;
inline constexpr uint32_t max_check_results = 65535;  // in a row
inline constexpr size_t max_checks = 32;              // of one backend
inline constexpr size_t max_check_urls = 64;          // of one check
inline constexpr size_t max_status_ranges = 64;       // of one page
inline constexpr uint32_t min_http_status = 100;      // RFC 9110 section 15: three digits
inline constexpr uint32_t max_http_status = 599;
inline constexpr size_t max_http_path = 2000;
inline constexpr size_t max_regex = 1000;
// RE2 looks a page through in time for any expression, but that time grows with both.
inline constexpr int max_regex_steps = 1000;
inline constexpr int64_t max_regex_memory_bytes = 2 << 20;
inline constexpr size_t md5_digits = 32;
inline constexpr size_t sha256_digits = 64;
inline constexpr size_t max_dns_name = 253;  // RFC 1035 section 2.3.4, as text
inline constexpr size_t max_dns_label = 63;
inline constexpr uint32_t max_reply_bytes = 65535;
inline constexpr size_t max_payload_bytes = 1232;  // a datagram that no path has to fragment
inline constexpr uint32_t max_slow_start_s = 24U * 3600;
inline constexpr uint32_t max_pool_priority = 65535;
inline constexpr uint32_t max_quorum = 4'294'770'690;  // all backends of a service, all at most
inline constexpr uint32_t max_passive_failures = 1'000'000;
inline constexpr uint32_t max_scripts_at_once = 1024;

// A keepalived.conf, and what a few lines of it can be written out to.
inline constexpr size_t max_keepalived_files = 1024;
inline constexpr size_t max_keepalived_includes = 32;  // files that include each other
inline constexpr size_t max_keepalived_depth = 32;     // definitions in definitions
inline constexpr size_t max_keepalived_blocks = 16;    // blocks in blocks
inline constexpr size_t max_keepalived_line = 1UL << 20;
inline constexpr size_t max_keepalived_lines = 4UL << 20;
inline constexpr size_t max_keepalived_rounds = 65536;     // of one ~SEQ
inline constexpr size_t max_keepalived_steps = 4UL << 20;  // lines looked at, with repetitions
inline constexpr size_t max_keepalived_addresses = 4096;   // of one range
inline constexpr size_t max_keepalived_targets = 65536;    // of one virtual_server_group
inline constexpr size_t max_keepalived_notes = 10000;
inline constexpr size_t max_keepalived_errors = 1000;

// Keys of one section, in the reader's bookkeeping.
inline constexpr size_t max_keys = 64;

static_assert(max_quorum == uint64_t{max_weight} * max_backends_per_service);
static_assert(max_payload_bytes == min_mtu - 40 - 8);  // headers of IPv6 and UDP
static_assert(max_payload_bytes <= max_reply_bytes);
static_assert(min_check_timeout_ms <= min_check_interval_ms);
static_assert(min_check_interval_ms < max_check_interval_ms);
static_assert(md5_digits == 2UL * 16 && sha256_digits == 2UL * 32);
static_assert(max_advert_interval_ms == 0xfffU * 10);
static_assert(max_v2_advert_interval_ms == 255U * 1000);
static_assert(max_track_weight == 254 - 1);
static_assert(max_gratuitous_repeat <= UINT16_MAX);
static_assert(min_mtu < max_mtu && max_mtu <= UINT16_MAX);
static_assert(max_weight <= UINT16_MAX);
static_assert(max_backends >= max_services && max_backends >= max_backends_per_service);
static_assert(max_workers <= max_core + 1 && max_queues <= max_workers);
static_assert(max_maglev_table < 1U << 24);

}  // namespace headgate::config
