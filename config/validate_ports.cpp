// The rules of ports, their twins and VLANs.
#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/names.h"
#include "config/report.h"

namespace headgate::config {
namespace {

class PortChecker {
 public:
  PortChecker(const Config& config, Report& report) : config_(config), report_(report) {}

  void check() {
    if (config_.ports.size() > max_ports) {
      report_.error("ports",
                    fmt::format("{} ports, and there can be {}", config_.ports.size(), max_ports));
    }
    // First all interfaces beneath, so that no twin is called like one of a later port.
    for (size_t i = 0; i < config_.ports.size(); ++i)
      check_device(i);
    for (size_t i = 0; i < config_.ports.size(); ++i)
      check_port(i);
  }

 private:
  void check_device(size_t index) {
    const Port& port = config_.ports[index];
    const std::string path = fmt::format("ports[{}]", index);
    const int given = (port.pci ? 1 : 0) + (port.interface ? 1 : 0) + (port.vdev ? 1 : 0);
    if (given != 1) {
      const std::string pci = path + ".pci";
      const std::string interface = path + ".interface";
      const std::string vdev = path + ".vdev";
      report_.error(path,
                    given == 0 ? "no device: write one of `pci`, `interface` and `vdev`"
                               : "several devices: keep one of `pci`, `interface` and `vdev`",
                    {pci, interface, vdev});
    }
    if (port.pci) claim_device(*port.pci, path + ".pci");
    if (port.interface) claim_device(*port.interface, path + ".interface");
    // DPDK tells virtual devices apart by what comes before the first comma.
    if (port.vdev) claim_device(port.vdev->substr(0, port.vdev->find(',')), path + ".vdev");
    if (!port.interface && port.driver != Driver::af_xdp) {
      report_.error(path + ".driver",
                    fmt::format("{} goes with `interface` only: a `pci` or `vdev` "
                                "port brings its own driver",
                                name_of(port.driver)));
    }
    if (port.take_over) check_take_over(port, path);
    if (port.interface && !port.take_over) {
      interfaces_.try_emplace(*port.interface, "the interface beneath " + path);
    }
  }

  // The twin gets the interface's name, and nothing else may have it.
  void check_take_over(const Port& port, const std::string& path) {
    const std::string key = path + ".take_over";
    if (!port.interface) {
      report_.error(key, "goes with `interface` only: no other port has an interface to take over",
                    {path + ".interface"});
    } else if (!port.twin.enabled) {
      report_.error(key, "needs a twin, which bears the interface's name and addresses",
                    {path + ".twin"});
    } else if (port.twin.name && *port.twin.name != *port.interface) {
      report_.error(
          key, fmt::format("gives the twin the name {}: leave `twin.name` out", *port.interface),
          {path + ".twin.name"});
    }
  }

  void claim_device(const std::string& device, const std::string& path) {
    const auto [other, fresh] = devices_.try_emplace(device, path);
    if (!fresh) {
      report_.error(path, fmt::format("{} is taken by {} already", device, other->second));
    }
  }

  void check_port(size_t index) {
    const Port& port = config_.ports[index];
    const std::string path = fmt::format("ports[{}]", index);
    if (port.name.empty()) {
      report_.error(path + ".name", "is missing: a port needs a name");
    } else if (const auto [other, fresh] = names_.try_emplace(port.name, path); !fresh) {
      report_.error(path + ".name",
                    fmt::format("{} is the name of {} already", port.name, other->second));
      return;  // its twin's name would only repeat this
    }
    if (!port.twin.enabled) {
      if (!port.vlans.empty()) {
        report_.error(path + ".vlans", "VLANs sit on the twin, and `twin: none` turns that off");
      }
      return;
    }
    check_twin(port, path);
    check_vlans(port, path);
  }

  void check_twin(const Port& port, const std::string& path) {
    const std::string twin = path + ".twin";
    claim_interface(port.twin_name(), port.twin.name ? twin + ".name" : path + ".name", twin);
    check_mtu(port.twin.mtu, port.mtu, twin + ".mtu", "the port's");
    check_addresses(port.twin.addresses, twin);
    check_routes(port.twin.routes, twin);
  }

  void check_vlans(const Port& port, const std::string& port_path) {
    std::map<uint16_t, size_t> ids;
    for (size_t i = 0; i < port.vlans.size(); ++i) {
      const Vlan& vlan = port.vlans[i];
      const std::string path = fmt::format("{}.vlans[{}]", port_path, i);
      if (vlan.id == 0) {
        report_.error(path + ".id", fmt::format("is missing: a VLAN id from 1 to {}", max_vlan_id));
      } else if (const auto [other, fresh] = ids.try_emplace(vlan.id, i); !fresh) {
        report_.error(path + ".id",
                      fmt::format("{} is the id of vlans[{}] already", vlan.id, other->second));
        continue;
      }
      const std::string id = path + ".id";
      claim_interface(port.vlan_name(vlan), vlan.name ? path + ".name" : path, path, id);
      check_mtu(vlan.mtu, port.twin.mtu ? port.twin.mtu : port.mtu, path + ".mtu", "the twin's");
      check_addresses(vlan.addresses, path);
      check_routes(vlan.routes, path);
    }
  }

  // Names of kernel interfaces that headgate makes: `owner` is what gets the name.
  void claim_interface(const std::string& name, const std::string& path, const std::string& owner,
                       const std::string& cause = {}) {
    if (name.empty()) return;
    if (name.size() > max_interface_name) {
      report_.error(path,
                    fmt::format("the interface would be called {}, and the kernel takes {} "
                                "characters: set `name`",
                                name, max_interface_name),
                    {cause});
      return;
    }
    const auto [other, fresh] = interfaces_.try_emplace(name, owner);
    if (!fresh) {
      report_.error(
          path,
          fmt::format("{} is the name of {} already: set another `name`", name, other->second),
          {cause});
    }
  }

  void check_mtu(std::optional<uint16_t> mtu, std::optional<uint16_t> limit,
                 const std::string& path, std::string_view whose) {
    if (mtu && limit && *mtu > *limit) {
      report_.error(path, fmt::format("{} is above {} MTU of {}", *mtu, whose, *limit));
    }
  }

  void check_addresses(const std::vector<net::Prefix>& addresses, const std::string& owner) {
    for (size_t i = 0; i < addresses.size(); ++i) {
      const net::Prefix& prefix = addresses[i];
      if (prefix.address.family == net::Family::none) continue;  // reported as it was read
      const std::string path = fmt::format("{}.addresses[{}]", owner, i);
      const auto [other, fresh] = addresses_.try_emplace(prefix.address, path);
      if (!fresh) {
        report_.error(path, fmt::format("{} is given by {} already", net::to_string(prefix.address),
                                        other->second));
      }
      const uint32_t host_bits = prefix.address.is_v4() ? 32U - prefix.length : 0U;
      if (host_bits < 2 || host_bits >= 32) continue;
      const uint32_t host = prefix.address.v4().host() & ((1U << host_bits) - 1);
      if (host == 0 || host == (1U << host_bits) - 1) {
        report_.warning(
            path,
            fmt::format("{} is the {} of its network, which a host should not have",
                        net::to_string(prefix), host == 0 ? "first address" : "broadcast address"));
      }
    }
  }

  void check_routes(const std::vector<Route>& routes, const std::string& owner) {
    for (size_t i = 0; i < routes.size(); ++i) {
      const Route& route = routes[i];
      const std::string path = fmt::format("{}.routes[{}]", owner, i);
      if (route.to.address.family == net::Family::none) {
        report_.error(path + ".to", "is missing: the network that the route leads to");
        continue;
      }
      check_family(route.via, route, path + ".via");
      check_family(route.source, route, path + ".source");
      const std::pair key(route.to, route.metric.value_or(0));
      const auto [other, fresh] = routes_.try_emplace(key, path);
      if (!fresh) {
        const std::string metric = path + ".metric";
        report_.error(
            path + ".to",
            fmt::format("{} is the route of {} already: give one of them another `metric`",
                        net::to_string(route.to), other->second),
            {metric});
      }
    }
  }

  void check_family(const std::optional<net::IpAddress>& address, const Route& route,
                    const std::string& path) {
    if (!address || address->family == net::Family::none) return;
    if (address->family != route.to.address.family) {
      report_.error(path,
                    fmt::format("{} is {}, and the route to {} is {}", net::to_string(*address),
                                name_of(address->family), net::to_string(route.to),
                                name_of(route.to.address.family)),
                    {path.substr(0, path.rfind('.')) + ".to"});
    }
  }

  const Config& config_;
  Report& report_;
  // What was seen, and where.
  std::map<std::string, std::string> names_;
  std::map<std::string, std::string> devices_;
  std::map<std::string, std::string> interfaces_;
  std::map<net::IpAddress, std::string> addresses_;
  std::map<std::pair<net::Prefix, uint32_t>, std::string> routes_;
};

}  // namespace

void check_ports(const Config& config, Report& report) {
  PortChecker(config, report).check();
}

}  // namespace headgate::config
