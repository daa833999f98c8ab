// The configuration as plain data: what a file says once it is read, with the default of every key.
// A field is called like its key in the file, and units come last. Shapes only: reading is in
// reader.h, rules between fields in validate.h. docs/configuration.md describes every key.
//
// An empty std::optional means that the file leaves the value to the machine or to a wider scope;
// the comment says to which.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/health_model.h"
#include "config/vrrp_model.h"
#include "dataplane/net/address.h"

namespace headgate::config {

enum class Idle : uint8_t { busy, adaptive };
enum class LogLevel : uint8_t { error, warning, info, debug };
enum class HugePages : uint8_t { automatic, size_2m, size_1g, none };
enum class Driver : uint8_t { af_xdp, af_packet };
enum class Protocol : uint8_t { tcp = 6, udp = 17 };  // values of the IP header's protocol field
enum class Mode : uint8_t { dr, nat, fullnat, ipip };
enum class Scheduler : uint8_t { rr, wrr, lc, wlc, sed, nq, sh, dh, fo, mh, ovf, lblc, lblcr };
// What a reload does to what commands changed since the file was last read: `replace` makes what
// the file says run, `keep` puts it on top of what the file says now (keep_changes.h).
enum class RuntimeChanges : uint8_t { replace, keep };
// What a TCP packet in mid-stream (no SYN) gets when it has no connection.
enum class MidStream : uint8_t { reset, hash };
// What becomes of the connections of a backend that is taken out, with its service or alone:
// `keep` lets them run to their end or to the drain deadline, `drop` forwards nothing more from the
// client and lets them time out (IPVS with expire_nodest_conn=0), `expire` ends them at once (=1).
enum class OnRemoved : uint8_t { keep, drop, expire };

struct Daemon {
  std::string name = "headgate";  // how this daemon calls itself in logs, the CLI and metrics
  std::string run_dir = "/run/headgate";
  std::optional<std::string> socket;  // empty: RUN_DIR/headgate.sock
  uint16_t socket_mode = 0660;
  std::string file_prefix = "headgate";  // DPDK's --file-prefix: one per daemon on a machine
  Idle idle = Idle::busy;
  LogLevel log_level = LogLevel::info;
  std::string audit_log = "auto";  // an absolute path; auto: RUN_DIR/audit.log; none
  RuntimeChanges runtime_changes = RuntimeChanges::replace;

  bool operator==(const Daemon&) const = default;
  [[nodiscard]] std::string socket_path() const {
    return socket ? *socket : run_dir + "/headgate.sock";
  }
  // Empty: there is none.
  [[nodiscard]] std::string audit_log_path() const {
    if (audit_log == "none") return {};
    return audit_log == "auto" ? run_dir + "/audit.log" : audit_log;
  }
};

struct Workers {
  // One worker per listed core. Empty: the daemon chooses from the cores it may run on.
  std::optional<std::vector<uint16_t>> cores;

  bool operator==(const Workers&) const = default;
};

struct Memory {
  HugePages huge_pages = HugePages::automatic;
  std::optional<uint32_t> memory_mb;       // for DPDK; empty: from ports and queues
  std::optional<uint32_t> mbufs_per_port;  // empty: from queues and descriptors
  std::optional<uint32_t> snapshot_mb;     // empty: from max_services and max_backends
  uint32_t max_services = 16384;
  uint32_t max_backends = 65536;

  bool operator==(const Memory&) const = default;
};

struct Route {
  net::Prefix to;                        // masked
  std::optional<net::IpAddress> via;     // empty: on link
  std::optional<net::IpAddress> source;  // preferred source; empty: the kernel chooses
  std::optional<uint32_t> metric;        // empty: the kernel's default

  bool operator==(const Route&) const = default;
};

// The kernel's side of a port.
struct Twin {
  bool enabled = true;                 // false: `twin: none`
  std::optional<std::string> name;     // interface name; empty: the port's name
  std::vector<net::Prefix> addresses;  // with their host bits
  std::vector<Route> routes;
  std::optional<uint16_t> mtu;  // empty: the port's

  bool operator==(const Twin&) const = default;
};

// A VLAN sub-port: tagged frames of its port, and an interface of its own on the twin.
struct Vlan {
  uint16_t id = 0;                  // 1..4094
  std::optional<std::string> name;  // interface name; empty: TWIN.ID
  std::vector<net::Prefix> addresses;
  std::vector<Route> routes;
  std::optional<uint16_t> mtu;  // empty: the twin's

  bool operator==(const Vlan&) const = default;
};

struct Port {
  std::string name;
  // Exactly one of these three.
  std::optional<std::string> pci;        // 0000:3b:00.0
  std::optional<std::string> interface;  // a kernel interface, through `driver`
  std::optional<std::string> vdev;       // DPDK's --vdev argument as it is

  // For `interface` only: the twin takes over the interface's name, addresses and routes while the
  // daemon runs.
  bool take_over = false;
  Driver driver = Driver::af_xdp;  // for `interface` only
  std::optional<uint16_t> queues;  // of each direction; empty: one per worker
  std::optional<uint16_t> rx_descriptors;
  std::optional<uint16_t> tx_descriptors;
  std::optional<uint16_t> mtu;  // empty: the device's
  bool promiscuous = false;
  std::optional<std::vector<uint8_t>> rss_key;  // empty: the driver's
  Twin twin;
  std::vector<Vlan> vlans;

  bool operator==(const Port&) const = default;
  [[nodiscard]] std::string twin_name() const {
    if (take_over && interface) return *interface;
    return twin.name ? *twin.name : name;
  }
  [[nodiscard]] std::string vlan_name(const Vlan& vlan) const {
    return vlan.name ? *vlan.name : twin_name() + "." + std::to_string(vlan.id);
  }
};

struct Connections {
  uint32_t max_ipv4 = 1048576;
  uint32_t max_ipv6 = 262144;
  // Share of a table that connections whose handshake is not complete may hold.
  uint32_t embryonic_percent = 25;
  // Once that share is filled this far, an embryonic connection lives only so long.
  uint32_t embryonic_pressure_percent = 75;
  uint32_t embryonic_pressure_timeout_s = 10;
  bool tcp_reuse = true;    // a SYN on a connection in TIME_WAIT or CLOSE is scheduled anew
  bool sloppy_tcp = false;  // ACK and FIN without a connection make one, not only SYN

  bool operator==(const Connections&) const = default;
};

// Idle time-outs in each state; the table of LVS.
struct Timeouts {
  uint32_t tcp_established_s = 900;
  uint32_t tcp_syn_sent_s = 120;
  uint32_t tcp_syn_recv_s = 60;
  uint32_t tcp_fin_wait_s = 120;
  uint32_t tcp_time_wait_s = 120;
  uint32_t tcp_close_s = 10;
  uint32_t tcp_close_wait_s = 60;
  uint32_t tcp_last_ack_s = 30;
  uint32_t tcp_listen_s = 120;
  uint32_t udp_s = 300;

  bool operator==(const Timeouts&) const = default;
};

// How many packets of its own the daemon sends, all workers together; 0 sends none.
struct Rates {
  uint32_t rst_per_s = 10000;       // TCP resets
  uint32_t icmp_per_s = 1000;       // ICMP errors: unreachable, time exceeded, too big
  uint32_t icmp_echo_per_s = 1000;  // answers to pings of VIPs
  uint32_t arp_per_s = 1000;        // ARP and ND answers for VIPs, and requests of our own

  bool operator==(const Rates&) const = default;
};

struct Forwarding {
  // What comes from a backend's side and belongs to no connection: false drops and counts it, true
  // leaves it to the twin, whose kernel may route it.
  bool routing = false;
  // Of scheduler mh, prime; empty: by the number of a service's backends, 100 slots for each.
  std::optional<uint32_t> maglev_table_size;
  // Source addresses towards FULLNAT backends, of both families, for services without a set.
  std::vector<net::IpAddress> local_addresses;

  bool operator==(const Forwarding&) const = default;
};

// The ports from `first` to `last`, both included.
struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;

  bool operator==(const PortRange&) const = default;
  auto operator<=>(const PortRange&) const = default;
};

// Packets that get a firewall mark on their way in, as iptables would give it in front of IPVS. Of
// several rules that fit the first one counts; then the service of that mark, before any other.
struct MarkRule {
  uint32_t mark = 0;
  net::Prefix destination;            // masked; a single address is answered for like a VIP
  std::optional<net::Prefix> source;  // masked; empty: every client
  std::optional<Protocol> protocol;   // empty: tcp and udp
  std::vector<PortRange> ports;       // of the destination; empty: all

  bool operator==(const MarkRule&) const = default;
};

struct Persistence {
  uint32_t timeout_s = 360;
  std::optional<uint8_t> netmask;  // prefix length that groups clients; empty: each address alone
  bool leave_quiescent = false;    // not to a backend that has got weight 0 since

  bool operator==(const Persistence&) const = default;
};

// Where clients go when too few backends are up.
struct SorryServer {
  net::IpAddress address;
  uint16_t port = 0;         // 0 until normalize() put the service's port in
  std::optional<Mode> mode;  // empty: the service's

  bool operator==(const SorryServer&) const = default;
};

struct Backend {
  std::string name;  // may be empty
  net::IpAddress address;
  uint16_t port = 0;  // 0 until normalize() put the service's port in
  uint16_t weight = 1;
  std::optional<Mode> mode;                  // empty: the service's
  uint32_t upper_threshold = 0;              // connections; 0: no limit
  uint32_t lower_threshold = 0;              // 0: three quarters of upper_threshold
  bool enabled = true;                       // false: as if not there, but keeps its place and id
  std::optional<uint32_t> drain_deadline_s;  // empty: the service's
  // Set by health (control/pool_view.h), never by a file: out of its service, and what becomes of
  // its connections. `enabled` is false then as well.
  std::optional<OnDown> down;
  uint16_t priority = 0;                   // of its pool: a higher one waits for those below
  std::vector<Check> checks;               // empty: the service's
  std::optional<bool> inhibit_on_failure;  // empty: the service's
  std::optional<BackendNotify> notify;     // empty: the service's

  bool operator==(const Backend&) const = default;
};

struct Service {
  std::string name;  // empty: ServiceKey's text serves as name
  // Either address, port and protocol, or firewall_mark and family.
  net::IpAddress address;
  uint16_t port = 0;  // 0: all ports, with persistence only
  Protocol protocol = Protocol::tcp;
  std::optional<uint32_t> firewall_mark;
  net::Family family = net::Family::none;  // of a firewall_mark service; none counts as ipv4

  Mode mode = Mode::dr;  // of backends that do not name theirs
  Scheduler scheduler = Scheduler::wlc;
  bool fallback = true;                       // sh, mh: another backend when the chosen one cannot
  bool hash_port = false;                     // sh, mh: the client's port is part of the hash
  bool list_fallback = true;                  // ipvsadm lists `fallback` as a flag of sh and mh
  std::optional<uint32_t> maglev_table_size;  // prime; empty: forwarding.maglev_table_size
  std::optional<Persistence> persistence;
  MidStream mid_stream = MidStream::reset;
  std::vector<net::IpAddress> local_addresses;  // FULLNAT; empty: forwarding.local_addresses
  OnRemoved on_backend_removed = OnRemoved::keep;
  std::optional<uint32_t> drain_deadline_s;  // empty: connections run to their end
  bool newest_first = false;                 // order of schedulers as in IPVS: last backend first
  bool udp_counts_as_active = true;          // false as in IPVS: UDP flows count as inactive
  bool one_packet = false;                   // UDP: each packet is scheduled by itself
  std::vector<Check> checks;                 // of backends without their own; all have to succeed
  bool inhibit_on_failure = false;  // a backend that is down has weight 0 in place of being out
  OnDown on_down = OnDown::keep;
  uint32_t slow_start_s = 0;   // a backend that comes up gets its weight bit by bit
  uint32_t panic_percent = 0;  // fewer backends up than this: all are used
  uint32_t quorum = 1;         // weight of backends that are up
  uint32_t quorum_hysteresis = 0;
  std::optional<SorryServer> sorry_server;
  std::optional<Passive> passive;
  ServiceNotify notify;
  std::vector<Backend> backends;

  bool operator==(const Service&) const = default;
};

struct Config {
  Daemon daemon;
  Workers workers;
  Memory memory;
  std::vector<Port> ports;
  Connections connections;
  Timeouts timeouts;
  Rates rates;
  Forwarding forwarding;
  std::vector<MarkRule> firewall_marks;
  std::vector<Service> services;
  Vrrp vrrp;
  Health health;

  bool operator==(const Config&) const = default;
};

// What makes a service the same one across reloads. A firewall_mark service has no address, port 0
// and protocol 0.
struct ServiceKey {
  net::Family family = net::Family::none;
  uint8_t protocol = 0;  // 6, 17, or 0 for a firewall mark
  uint16_t port = 0;
  uint32_t firewall_mark = 0;
  net::IpAddress address;

  bool operator==(const ServiceKey&) const = default;
  auto operator<=>(const ServiceKey&) const = default;
};

// What makes a backend the same one within its service.
struct BackendKey {
  net::IpAddress address;
  uint16_t port = 0;

  bool operator==(const BackendKey&) const = default;
  auto operator<=>(const BackendKey&) const = default;
};

[[nodiscard]] ServiceKey key_of(const Service& service);
[[nodiscard]] BackendKey key_of(const Backend& backend);
[[nodiscard]] std::string to_string(const ServiceKey& key);  // 192.0.2.1:80/tcp, mark:6/ipv4
[[nodiscard]] std::string to_string(const BackendKey& key);  // 10.0.0.1:80, [fd00::1]:80
[[nodiscard]] net::Family family_of(const Service& service);
// The given name, else the text of the key.
[[nodiscard]] std::string name_of(const Service& service);
[[nodiscard]] std::string name_of(const Backend& backend);

// Whether it takes new connections, as far as the configuration says.
[[nodiscard]] inline bool takes_part(const Backend& backend) {
  return backend.enabled && backend.weight > 0;
}
[[nodiscard]] inline Mode mode_of(const Service& service, const Backend& backend) {
  return backend.mode.value_or(service.mode);
}
[[nodiscard]] inline Mode mode_of(const Service& service, const SorryServer& sorry) {
  return sorry.mode.value_or(service.mode);
}
// Empty: by the number of its backends.
[[nodiscard]] inline std::optional<uint32_t> maglev_table_size_of(const Forwarding& forwarding,
                                                                  const Service& service) {
  return service.maglev_table_size ? service.maglev_table_size : forwarding.maglev_table_size;
}
[[nodiscard]] inline const std::vector<net::IpAddress>& local_addresses_of(const Config& config,
                                                                           const Service& service) {
  return service.local_addresses.empty() ? config.forwarding.local_addresses
                                         : service.local_addresses;
}
// Empty: no deadline.
[[nodiscard]] inline std::optional<uint32_t> drain_deadline_of(const Service& service,
                                                               const Backend& backend) {
  return backend.drain_deadline_s ? backend.drain_deadline_s : service.drain_deadline_s;
}

}  // namespace headgate::config
