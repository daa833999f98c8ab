// The rules of services and backends. Tens of thousands of backends pass through here on every
// change: nothing is quadratic, and paths are put together only for what is wrong.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/names.h"
#include "config/report.h"

namespace headgate::config {
namespace {

using net::Family;
using net::IpAddress;

std::set<IpAddress> host_addresses(const Config& config) {
  std::set<IpAddress> result;
  const auto add = [&](const std::vector<net::Prefix>& addresses) {
    for (const net::Prefix& prefix : addresses)
      result.insert(prefix.address);
  };
  for (const Port& port : config.ports) {
    add(port.twin.addresses);
    for (const Vlan& vlan : port.vlans)
      add(vlan.addresses);
  }
  return result;
}

void check_local_set(const std::vector<IpAddress>& addresses, const std::string& path,
                     const std::set<IpAddress>& host, Report& report) {
  if (addresses.size() > max_local_addresses) {
    report.error(path, fmt::format("{} addresses, and a set may have {}", addresses.size(),
                                   max_local_addresses));
  }
  std::vector<IpAddress> sorted = addresses;
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  if (twice != sorted.end()) {
    report.error(path, fmt::format("{} is listed twice", net::to_string(*twice)));
  }
  for (const IpAddress& address : addresses) {
    if (!host.contains(address) || address.family == Family::none) continue;
    report.warning(path, fmt::format("{} is the address of a twin as well: connections of the host "
                                     "may collide with those of fullnat; use one of its own",
                                     net::to_string(address)));
  }
}

// Checks one service with what it has to itself.
class ServiceChecker {
 public:
  ServiceChecker(const Config& config, const std::set<IpAddress>& host, size_t index,
                 Report& report)
      : config_(config),
        host_(host),
        service_(config.services[index]),
        path_(fmt::format("services[{}]", index)),
        family_(family_of(service_)),
        report_(report) {}

  void check() {
    check_identity();
    check_scheduler();
    if (service_.persistence && service_.persistence->netmask && family_ != Family::none &&
        *service_.persistence->netmask > address_bits()) {
      report_.error(path_ + ".persistence.netmask",
                    fmt::format("{} is longer than an {} address: at most {}",
                                *service_.persistence->netmask, name_of(family_), address_bits()));
    }
    check_backends();
    check_local_addresses();
  }

 private:
  [[nodiscard]] int address_bits() const { return family_ == Family::ipv4 ? 32 : 128; }

  void check_identity() {
    const std::string mark = path_ + ".firewall_mark";
    const std::string address = path_ + ".address";
    const std::string port = path_ + ".port";
    const std::string persistence = path_ + ".persistence";
    if (service_.firewall_mark) {
      if (service_.address.family != Family::none) {
        report_.error(mark, "a service has an address or a firewall mark, not both");
      }
      if (service_.port != 0 || service_.protocol != Protocol::tcp) {
        report_.error(service_.port != 0 ? port : path_ + ".protocol",
                      "a firewall_mark service has neither port nor protocol: the mark alone "
                      "selects its packets");
      }
      return;
    }
    if (service_.address.family == Family::none) {
      report_.error(address, "is missing: write the virtual address, or `firewall_mark`", {mark});
      return;
    }
    if (service_.family != Family::none && service_.family != service_.address.family) {
      report_.error(path_ + ".family",
                    fmt::format("{} contradicts the address {}: leave `family` to firewall marks",
                                name_of(service_.family), net::to_string(service_.address)),
                    {address});
    }
    if (service_.port == 0 && !service_.persistence) {
      report_.error(port,
                    "is missing: write the port; a service of all ports (0) needs `persistence`",
                    {persistence});
    }
  }

  void check_scheduler() {
    const Scheduler scheduler = service_.scheduler;
    const bool hashes = scheduler == Scheduler::sh || scheduler == Scheduler::mh;
    const auto no_effect = [&](std::string_view key, std::string_view who) {
      report_.warning(
          fmt::format("{}.{}", path_, key),
          fmt::format("has no effect with scheduler {}: it is for {}", name_of(scheduler), who),
          {path_ + ".scheduler"});
    };
    if (!hashes && service_.hash_port) no_effect("hash_port", "sh and mh");
    if (!hashes && !service_.fallback) no_effect("fallback", "sh and mh");
    if (scheduler != Scheduler::mh && service_.maglev_table_size) {
      no_effect("maglev_table_size", "mh");
    }
    if (scheduler == Scheduler::mh) check_maglev();
    if (service_.one_packet && !service_.firewall_mark && service_.protocol != Protocol::udp) {
      report_.error(path_ + ".one_packet", "is for UDP: a TCP connection has to stay where it is",
                    {path_ + ".protocol"});
    }
  }

  void check_maglev() {
    const auto size = maglev_table_size_of(config_.forwarding, service_);
    if (!size) return;
    const uint32_t slots = *size;
    const size_t backends = service_.backends.size();
    if (slots >= backends * good_maglev_slots_per_backend) return;
    const std::string path =
        service_.maglev_table_size ? path_ + ".maglev_table_size" : path_ + ".scheduler";
    if (slots < backends) {
      report_.error(path,
                    fmt::format("a Maglev table of {} slots cannot hold {} backends: set "
                                "`maglev_table_size` to {} or more",
                                slots, backends, backends * 100),
                    {path_ + ".maglev_table_size", "forwarding.maglev_table_size"});
      return;
    }
    report_.warning(path,
                    fmt::format("a Maglev table of {} slots spreads {} backends unevenly: "
                                "`maglev_table_size` of {} or more is better",
                                slots, backends, backends * 100),
                    {path_ + ".maglev_table_size", "forwarding.maglev_table_size"});
  }

  void check_backends() {
    const size_t count = service_.backends.size() + (service_.sorry_server ? 1 : 0);
    if (count > max_backends_per_service) {
      report_.error(path_ + ".backends",
                    fmt::format("{} backends{}, and a service can have {}", count,
                                service_.sorry_server ? " with the sorry server" : "",
                                max_backends_per_service));
    }
    find_duplicates();
    if (service_.sorry_server) {
      check_loopback(service_.sorry_server->address, mode_of(service_, *service_.sorry_server),
                     path_ + ".sorry_server.address", path_ + ".sorry_server.mode");
    }
    for (size_t i = 0; i < service_.backends.size(); ++i) {
      const Backend& backend = service_.backends[i];
      check_backend_address(backend, i);
      if (backend.lower_threshold == 0) continue;
      if (backend.upper_threshold == 0) {
        report_.error(of_backend(i, "lower_threshold"), "has no meaning without `upper_threshold`",
                      {of_backend(i, "upper_threshold")});
      } else if (backend.lower_threshold >= backend.upper_threshold) {
        report_.error(of_backend(i, "lower_threshold"),
                      fmt::format("{} is not below upper_threshold, {}", backend.lower_threshold,
                                  backend.upper_threshold),
                      {of_backend(i, "upper_threshold")});
      }
    }
  }

  void find_duplicates() {
    std::vector<std::pair<BackendKey, size_t>> keys;
    std::map<std::string_view, size_t> names;
    keys.reserve(service_.backends.size());
    for (size_t i = 0; i < service_.backends.size(); ++i) {
      const Backend& backend = service_.backends[i];
      if (backend.address.family != Family::none) keys.emplace_back(key_of(backend), i);
      if (backend.name.empty()) continue;
      check_name_is_no_other_address(backend, i);
      if (const auto [other, fresh] = names.try_emplace(backend.name, i); !fresh) {
        report_.error(of_backend(i, "name"), fmt::format("{} is the name of backends[{}] already",
                                                         backend.name, other->second));
      }
    }
    std::ranges::sort(keys);
    for (size_t k = 1; k < keys.size(); ++k) {
      const auto& [key, index] = keys[k];
      const auto& [key_before, index_before] = keys[k - 1];
      if (key != key_before) continue;
      report_.error(of_backend(index, "address"),
                    fmt::format("{} is backends[{}] already: keep one and set its weight",
                                to_string(key), index_before),
                    {of_backend(index, "port"), of_backend(index_before, "port"),
                     of_backend(index, "mode"), path_ + ".port"});
    }
  }

  // Commands take a name and an address in the same place: one would change another backend.
  void check_name_is_no_other_address(const Backend& backend, size_t index) {
    const auto address = net::parse_ip(backend.name);
    if (!address || *address == backend.address) return;
    report_.error(
        of_backend(index, "name"),
        fmt::format("{} is an address, and not this backend's: give it another name", backend.name),
        {of_backend(index, "address")});
  }

  void check_backend_address(const Backend& backend, size_t index) {
    if (backend.address.family == Family::none) {
      report_.error(of_backend(index, "address"), "is missing: the address of the backend");
      return;
    }
    if (family_ == Family::none) return;
    const Mode mode = mode_of(service_, backend);
    if (mode == Mode::fullnat) uses_fullnat_ = true;
    check_loopback(backend.address, mode, of_backend(index, "address"), of_backend(index, "mode"));
    if (backend.address.family != family_ && mode != Mode::ipip) {
      report_.error(of_backend(index, "address"),
                    fmt::format("{} is {} and the service is {}: {} cannot translate between the "
                                "two, only ipip can carry one in the other",
                                net::to_string(backend.address), name_of(backend.address.family),
                                name_of(family_), name_of(mode)),
                    {of_backend(index, "mode"), path_ + ".mode", path_ + ".family"});
    }
    if (!service_.firewall_mark && backend.address == service_.address) {
      report_.error(of_backend(index, "address"),
                    fmt::format("{} is the service's own address: write that of the real server",
                                net::to_string(backend.address)));
    }
  }

  // Where this host itself serves, packets go to its twin as they came.
  void check_loopback(const IpAddress& address, Mode mode, const std::string& path,
                      const std::string& mode_path) {
    if (!net::is_loopback(address) || mode == Mode::dr) return;
    report_.error(path,
                  fmt::format("{} is this host, which takes packets to the VIP itself in dr mode "
                              "only: write `mode: dr`, or the address of a twin",
                              net::to_string(address)),
                  {mode_path, path_ + ".mode"});
  }

  void check_local_addresses() {
    check_local_set(service_.local_addresses, path_ + ".local_addresses", host_, report_);
    const auto& set = local_addresses_of(config_, service_);
    if (service_.sorry_server && mode_of(service_, *service_.sorry_server) == Mode::fullnat) {
      uses_fullnat_ = true;
    }
    if (!uses_fullnat_) {
      if (!service_.local_addresses.empty()) {
        report_.warning(path_ + ".local_addresses", "has no effect: no backend is in fullnat mode",
                        {path_ + ".backends", path_ + ".mode"});
      }
      return;
    }
    if (std::ranges::none_of(set, [&](const IpAddress& a) { return a.family == family_; })) {
      report_.error(
          path_ + ".local_addresses",
          fmt::format("no {} address, which fullnat needs as source towards the backends: "
                      "set them here or in forwarding.local_addresses",
                      name_of(family_)),
          {"forwarding.local_addresses"});
    }
    if (std::ranges::find(set, service_.address) != set.end()) {
      report_.error(path_ + ".address",
                    fmt::format("{} is among the local addresses of fullnat as well: those must be "
                                "addresses of their own",
                                net::to_string(service_.address)));
    }
  }

  [[nodiscard]] std::string of_backend(size_t index, std::string_view key) const {
    return fmt::format("{}.backends[{}].{}", path_, index, key);
  }

  const Config& config_;
  const std::set<IpAddress>& host_;  // addresses of twins
  const Service& service_;
  const std::string path_;
  const Family family_;
  Report& report_;
  bool uses_fullnat_ = false;
};

void find_duplicate_services(const Config& config, Report& report) {
  std::map<ServiceKey, size_t> keys;
  std::map<std::string_view, size_t> names;
  for (size_t i = 0; i < config.services.size(); ++i) {
    const Service& service = config.services[i];
    const std::string path = fmt::format("services[{}]", i);
    if (!service.name.empty()) {
      if (const auto [other, fresh] = names.try_emplace(service.name, i); !fresh) {
        report.error(path + ".name", fmt::format("{} is the name of services[{}] already",
                                                 service.name, other->second));
      }
    }
    if (family_of(service) == Family::none) continue;
    const ServiceKey key = key_of(service);
    const auto [other, fresh] = keys.try_emplace(key, i);
    if (fresh) continue;
    const std::string before = fmt::format("services[{}]", other->second);
    report.error(
        path + (service.firewall_mark ? ".firewall_mark" : ".address"),
        fmt::format("{} is {} already: put the backends of both into one", to_string(key), before),
        {path + ".port", path + ".protocol", path + ".family", before + ".port",
         before + ".protocol", before + ".family"});
  }
}

}  // namespace

void check_services(const Config& config, Report& report) {
  const std::set<IpAddress> host = host_addresses(config);
  check_local_set(config.forwarding.local_addresses, "forwarding.local_addresses", host, report);
  find_duplicate_services(config, report);
  for (size_t i = 0; i < config.services.size(); ++i)
    ServiceChecker(config, host, i, report).check();
}

}  // namespace headgate::config
