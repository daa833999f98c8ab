// The one list of keys: for each section its keys in the order in which they are written, with the
// member that holds the value and the codec that reads, checks and writes it. The reader, the dump,
// the checks of ranges, the diff and the test of the documentation all walk this list, so a key or
// a section is added here and nowhere else.
//
// Schema<T>::fields(f) calls f(Key, member) for a section, a list of sections or an optional one,
// and f(Key, member, codec) for a value, an optional value or a list of values.
// Schema<T>::label(value) names an element of a list of sections, for ports[wan] in a diff.
#pragma once

#include <string>

#include "config/codecs.h"
#include "config/health_schema.h"
#include "config/limits.h"
#include "config/model.h"
#include "config/schema_base.h"
#include "config/vrrp_schema.h"

namespace headgate::config {

inline constexpr Number timeout{1, max_timeout_s};
inline constexpr Number rate{0, max_rate_per_s};
inline constexpr Number mtu{min_mtu, max_mtu};
inline constexpr Number maglev_size{min_maglev_table, max_maglev_table};

template <>
struct Schema<Daemon> {
  static void fields(auto&& f) {
    f(Key{"name"}, &Daemon::name, label_text());
    f(Key{"run_dir", {}, Takes::restart}, &Daemon::run_dir, path_text());
    f(Key{"socket", "auto", Takes::restart}, &Daemon::socket, socket_text());
    f(Key{"socket_mode", {}, Takes::restart}, &Daemon::socket_mode, FileMode{});
    f(Key{"file_prefix", {}, Takes::restart}, &Daemon::file_prefix, label_text());
    f(Key{"idle", {}, Takes::restart}, &Daemon::idle, Word<Idle>{});
    f(Key{"log_level"}, &Daemon::log_level, Word<LogLevel>{});
    f(Key{"audit_log"}, &Daemon::audit_log, audit_log_text());
    f(Key{"runtime_changes"}, &Daemon::runtime_changes, Word<RuntimeChanges>{});
  }
};

template <>
struct Schema<Workers> {
  static void fields(auto&& f) {
    f(Key{"cores", "auto", Takes::restart}, &Workers::cores, Cores{});
  }
};

template <>
struct Schema<Memory> {
  static void fields(auto&& f) {
    f(Key{"huge_pages"}, &Memory::huge_pages, Word<HugePages>{});
    f(Key{"memory_mb", "auto"}, &Memory::memory_mb, Number{min_memory_mb, max_memory_mb});
    f(Key{"mbufs_per_port", "auto"}, &Memory::mbufs_per_port, Number{min_mbufs, max_mbufs});
    f(Key{"snapshot_mb", "auto"}, &Memory::snapshot_mb, Number{min_memory_mb, max_memory_mb});
    f(Key{"max_services"}, &Memory::max_services, Number{1, config::max_services});
    f(Key{"max_backends"}, &Memory::max_backends, Number{1, config::max_backends});
  }
};

template <>
struct Schema<Route> {
  static void fields(auto&& f) {
    f(Key{"to"}, &Route::to, Network{});
    f(Key{"via", "none"}, &Route::via, Address{});
    f(Key{"source", "auto"}, &Route::source, Address{});
    f(Key{"metric", "auto"}, &Route::metric, Number{});
  }
  static std::string label(const Route& route) { return net::to_string(route.to); }
};

template <>
struct Schema<Twin> {
  static void fields(auto&& f) {
    f(Key{"name", "auto"}, &Twin::name, interface_text());
    f(Key{"addresses", {}, Takes::reload}, &Twin::addresses, InterfaceAddress{});
    f(Key{"routes", {}, Takes::reload}, &Twin::routes);
    f(Key{"mtu", "auto"}, &Twin::mtu, mtu);
  }
};

template <>
struct Schema<Vlan> {
  static void fields(auto&& f) {
    f(Key{"id"}, &Vlan::id, Number{1, max_vlan_id});
    f(Key{"name", "auto"}, &Vlan::name, interface_text());
    f(Key{"addresses", {}, Takes::reload}, &Vlan::addresses, InterfaceAddress{});
    f(Key{"routes", {}, Takes::reload}, &Vlan::routes);
    f(Key{"mtu", "auto"}, &Vlan::mtu, mtu);
  }
  static std::string label(const Vlan& vlan) { return std::to_string(vlan.id); }
};

template <>
struct Schema<Port> {
  static void fields(auto&& f) {
    constexpr Number descriptors{min_descriptors, max_descriptors};
    f(Key{"name"}, &Port::name, interface_text());
    f(Key{"pci", "none"}, &Port::pci, pci_text());
    f(Key{"interface", "none"}, &Port::interface, interface_text());
    f(Key{"vdev", "none"}, &Port::vdev, device_arguments_text());
    f(Key{"take_over"}, &Port::take_over, Switch{});
    f(Key{"driver"}, &Port::driver, Word<Driver>{});
    f(Key{"queues", "auto"}, &Port::queues, Number{1, max_queues});
    f(Key{"rx_descriptors", "auto"}, &Port::rx_descriptors, descriptors);
    f(Key{"tx_descriptors", "auto"}, &Port::tx_descriptors, descriptors);
    f(Key{"mtu", "auto"}, &Port::mtu, mtu);
    f(Key{"promiscuous"}, &Port::promiscuous, Switch{});
    f(Key{"rss_key", "auto"}, &Port::rss_key, HexBytes{min_rss_key, max_rss_key});
    f(Key{"twin", "none"}, &Port::twin);
    f(Key{"vlans"}, &Port::vlans);
  }
  static std::string label(const Port& port) { return port.name; }
};

template <>
struct Schema<Connections> {
  static void fields(auto&& f) {
    constexpr Number entries{min_connections, max_connections};
    f(Key{"max_ipv4", {}, Takes::restart}, &Connections::max_ipv4, entries);
    f(Key{"max_ipv6", {}, Takes::restart}, &Connections::max_ipv6, entries);
    f(Key{"embryonic_percent"}, &Connections::embryonic_percent, Number{1, 100});
    f(Key{"embryonic_pressure_percent"}, &Connections::embryonic_pressure_percent, Number{1, 100});
    f(Key{"embryonic_pressure_timeout_s"}, &Connections::embryonic_pressure_timeout_s, timeout);
    f(Key{"tcp_reuse"}, &Connections::tcp_reuse, Switch{});
    f(Key{"sloppy_tcp"}, &Connections::sloppy_tcp, Switch{});
  }
};

template <>
struct Schema<Timeouts> {
  static void fields(auto&& f) {
    f(Key{"tcp_established_s"}, &Timeouts::tcp_established_s, timeout);
    f(Key{"tcp_syn_sent_s"}, &Timeouts::tcp_syn_sent_s, timeout);
    f(Key{"tcp_syn_recv_s"}, &Timeouts::tcp_syn_recv_s, timeout);
    f(Key{"tcp_fin_wait_s"}, &Timeouts::tcp_fin_wait_s, timeout);
    f(Key{"tcp_time_wait_s"}, &Timeouts::tcp_time_wait_s, timeout);
    f(Key{"tcp_close_s"}, &Timeouts::tcp_close_s, timeout);
    f(Key{"tcp_close_wait_s"}, &Timeouts::tcp_close_wait_s, timeout);
    f(Key{"tcp_last_ack_s"}, &Timeouts::tcp_last_ack_s, timeout);
    f(Key{"tcp_listen_s"}, &Timeouts::tcp_listen_s, timeout);
    f(Key{"udp_s"}, &Timeouts::udp_s, timeout);
  }
};

template <>
struct Schema<Rates> {
  static void fields(auto&& f) {
    f(Key{"rst_per_s"}, &Rates::rst_per_s, rate);
    f(Key{"icmp_per_s"}, &Rates::icmp_per_s, rate);
    f(Key{"icmp_echo_per_s"}, &Rates::icmp_echo_per_s, rate);
    f(Key{"arp_per_s"}, &Rates::arp_per_s, rate);
  }
};

template <>
struct Schema<Forwarding> {
  static void fields(auto&& f) {
    f(Key{"routing"}, &Forwarding::routing, Switch{});
    f(Key{"maglev_table_size", "auto"}, &Forwarding::maglev_table_size, maglev_size);
    f(Key{"local_addresses"}, &Forwarding::local_addresses, AddressRanges{});
  }
};

template <>
struct Schema<MarkRule> {
  static void fields(auto&& f) {
    f(Key{"mark"}, &MarkRule::mark, Number{1, UINT32_MAX});
    f(Key{"destination"}, &MarkRule::destination, AddressOrNetwork{});
    f(Key{"source", "none"}, &MarkRule::source, AddressOrNetwork{});
    f(Key{"protocol", "none"}, &MarkRule::protocol, Word<Protocol>{});
    f(Key{"ports"}, &MarkRule::ports, Ports{});
  }
  static std::string label(const MarkRule& rule) {
    return fmt::format("{} {}", rule.mark, net::to_string(rule.destination));
  }
};

template <>
struct Schema<Persistence> {
  static void fields(auto&& f) {
    f(Key{"timeout_s"}, &Persistence::timeout_s, timeout);
    f(Key{"netmask", "none"}, &Persistence::netmask, Netmask{});
    f(Key{"leave_quiescent"}, &Persistence::leave_quiescent, Switch{});
  }
};

template <>
struct Schema<SorryServer> {
  static void fields(auto&& f) {
    f(Key{"address"}, &SorryServer::address, BackendAddress{});
    f(Key{"port"}, &SorryServer::port, Number{0, UINT16_MAX});
    f(Key{"mode", "auto"}, &SorryServer::mode, Word<Mode>{});
  }
};

template <>
struct Schema<Backend> {
  static void fields(auto&& f) {
    f(Key{"name"}, &Backend::name, label_text());
    f(Key{"address"}, &Backend::address, BackendAddress{});
    f(Key{"port"}, &Backend::port, Number{0, UINT16_MAX});
    f(Key{"weight"}, &Backend::weight, Number{0, max_weight});
    f(Key{"mode", "auto"}, &Backend::mode, Word<Mode>{});
    f(Key{"upper_threshold"}, &Backend::upper_threshold, Number{});
    f(Key{"lower_threshold"}, &Backend::lower_threshold, Number{});
    f(Key{"enabled"}, &Backend::enabled, Switch{});
    f(Key{"drain_deadline_s", "auto"}, &Backend::drain_deadline_s, Number{0, max_timeout_s});
    f(Key{"priority"}, &Backend::priority, Number{0, max_pool_priority});
    f(Key{"checks"}, &Backend::checks);
    f(Key{"inhibit_on_failure", "auto"}, &Backend::inhibit_on_failure, Switch{});
    f(Key{"notify", "auto"}, &Backend::notify);
  }
};

template <>
struct Schema<Service> {
  static void fields(auto&& f) {
    f(Key{"name"}, &Service::name, label_text());
    f(Key{"address"}, &Service::address, Address{});
    f(Key{"port"}, &Service::port, Number{0, UINT16_MAX});
    f(Key{"protocol"}, &Service::protocol, Word<Protocol>{});
    f(Key{"firewall_mark", "none"}, &Service::firewall_mark, Number{1, UINT32_MAX});
    f(Key{"family"}, &Service::family, Word<net::Family>{});
    f(Key{"mode"}, &Service::mode, Word<Mode>{});
    f(Key{"scheduler"}, &Service::scheduler, Word<Scheduler>{});
    f(Key{"fallback"}, &Service::fallback, Switch{});
    f(Key{"hash_port"}, &Service::hash_port, Switch{});
    f(Key{"list_fallback"}, &Service::list_fallback, Switch{});
    f(Key{"maglev_table_size", "auto"}, &Service::maglev_table_size, maglev_size);
    f(Key{"persistence", "none"}, &Service::persistence);
    f(Key{"mid_stream"}, &Service::mid_stream, Word<MidStream>{});
    f(Key{"local_addresses"}, &Service::local_addresses, AddressRanges{});
    f(Key{"on_backend_removed"}, &Service::on_backend_removed, Word<OnRemoved>{});
    f(Key{"drain_deadline_s", "none"}, &Service::drain_deadline_s, Number{0, max_timeout_s});
    f(Key{"newest_first"}, &Service::newest_first, Switch{});
    f(Key{"udp_counts_as_active"}, &Service::udp_counts_as_active, Switch{});
    f(Key{"one_packet"}, &Service::one_packet, Switch{});
    f(Key{"checks"}, &Service::checks);
    f(Key{"inhibit_on_failure"}, &Service::inhibit_on_failure, Switch{});
    f(Key{"on_down"}, &Service::on_down, Word<OnDown>{});
    f(Key{"slow_start_s"}, &Service::slow_start_s, Number{0, max_slow_start_s});
    f(Key{"panic_percent"}, &Service::panic_percent, Number{0, 100});
    f(Key{"quorum"}, &Service::quorum, Number{1, max_quorum});
    f(Key{"quorum_hysteresis"}, &Service::quorum_hysteresis, Number{0, max_quorum});
    f(Key{"sorry_server", "none"}, &Service::sorry_server);
    f(Key{"passive", "none"}, &Service::passive);
    f(Key{"notify"}, &Service::notify);
    f(Key{"backends"}, &Service::backends);
  }
};

template <>
struct Schema<Config> {
  static void fields(auto&& f) {
    f(Key{"daemon"}, &Config::daemon);
    f(Key{"workers"}, &Config::workers);
    f(Key{"memory", {}, Takes::restart}, &Config::memory);
    f(Key{"ports", {}, Takes::restart}, &Config::ports);
    f(Key{"connections"}, &Config::connections);
    f(Key{"timeouts"}, &Config::timeouts);
    f(Key{"rates"}, &Config::rates);
    f(Key{"forwarding"}, &Config::forwarding);
    f(Key{"firewall_marks"}, &Config::firewall_marks);
    f(Key{"services"}, &Config::services);
    f(Key{"vrrp"}, &Config::vrrp);
    f(Key{"health"}, &Config::health);
  }
};

}  // namespace headgate::config
