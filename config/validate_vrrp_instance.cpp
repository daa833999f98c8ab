// The rules of one virtual router: its interface, its version's limits, its addresses and peers.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/names.h"
#include "config/vrrp_rules.h"

namespace headgate::config {
namespace {

using net::Family;
using net::IpAddress;

bool is_link_local(const IpAddress& address) {
  return address.is_v6() && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

class InstanceChecker {
 public:
  InstanceChecker(const VrrpInstance& instance, const std::string& path, const VrrpWorld& world,
                  Report& report)
      : instance_(instance),
        path_(path),
        world_(world),
        family_(family_of(instance)),
        report_(report) {}

  void check() {
    check_interface();
    check_version();
    check_priority();
    check_addresses();
    check_source();
    check_peers();
    check_tracks(instance_, path_, world_, report_);
    check_notify(instance_.notify, path_, world_.mail, report_);
  }

 private:
  [[nodiscard]] std::string at(std::string_view key) const {
    return fmt::format("{}.{}", path_, key);
  }
  [[nodiscard]] bool on_port() const { return world_.port_sides.contains(instance_.interface); }
  [[nodiscard]] bool is_owner() const { return instance_.priority == max_priority; }

  void check_interface() {
    const std::string& name = instance_.interface;
    if (instance_.virtual_router_id == 0) {
      report_.error(at("virtual_router_id"),
                    fmt::format("is missing: a number from 1 to {} that its peers share",
                                max_virtual_router_id));
    }
    if (name.empty()) {
      report_.error(at("interface"), "is missing: where adverts are sent and heard");
      return;
    }
    if (world_.port_sides.contains(name)) return;
    if (const auto port = world_.beneath.find(name); port != world_.beneath.end()) {
      report_.error(at("interface"),
                    fmt::format("{} is beneath port {}, which takes its packets: write the name of "
                                "the port's twin",
                                name, port->second),
                    {"ports"});
    } else if (world_.sideless.contains(name)) {
      report_.error(at("interface"),
                    fmt::format("port {} has no interface of the kernel, by `twin: none`: adverts "
                                "need one",
                                name),
                    {"ports"});
    } else {
      check_without_port();
    }
  }

  void check_without_port() {
    const auto refuse = [&](std::string_view key, std::string_view why) {
      report_.error(
          at(key),
          fmt::format("{}: {} is neither the twin nor a VLAN of a port", why, instance_.interface),
          {at("interface"), "ports"});
    };
    if (instance_.virtual_mac) refuse("virtual_mac", "only a port takes frames to a virtual MAC");
    if (!instance_.accept) {
      refuse("accept", "only a port can take the addresses' traffic without the host");
    }
  }

  void check_version() {
    const uint32_t interval = instance_.advert_interval_ms;
    const std::string version = at("version");
    if (instance_.version == 2) {
      if (family_ == Family::ipv6) {
        report_.error(version, "2 carries IPv4 addresses only: take version 3", {at("addresses")});
      }
      if (interval % 1000 != 0) {
        report_.error(at("advert_interval_ms"),
                      fmt::format("{} is no whole number of seconds, and version 2 knows no others",
                                  interval),
                      {version});
      }
      return;
    }
    if (interval > max_advert_interval_ms) {
      report_.error(at("advert_interval_ms"),
                    fmt::format("{} is above {}, the most that version 3 can say", interval,
                                max_advert_interval_ms),
                    {version});
    } else if (interval % 10 != 0) {
      report_.error(
          at("advert_interval_ms"),
          fmt::format("{} is no multiple of 10: adverts tell hundredths of a second", interval),
          {version});
    }
    if (instance_.auth_password) {
      report_.error(at("auth_password"),
                    "version 3 has no authentication: remove it, or take version 2", {version});
    }
  }

  void check_priority() {
    const auto no_effect = [&](std::string_view key, std::string_view why) {
      report_.warning(at(key), fmt::format("has no effect: {}", why),
                      {at("priority"), at("preempt"), at("version"), at("addresses")});
    };
    if (is_owner() && !instance_.preempt) {
      report_.error(at("preempt"),
                    "an owner (priority 255) is master as soon as it runs: switch it on, or take a "
                    "priority below 255",
                    {at("priority")});
    }
    if (instance_.preempt_delay_s > 0 && is_owner()) {
      no_effect("preempt_delay_s", "an owner (priority 255) is master as soon as it runs");
    } else if (instance_.preempt_delay_s > 0 && !instance_.preempt) {
      no_effect("preempt_delay_s", "`preempt` is off");
    }
    if (!instance_.checksum_pseudo_header && (instance_.version == 2 || family_ == Family::ipv6)) {
      no_effect("checksum_pseudo_header", "it is for version 3 on IPv4");
    }
  }

  void check_addresses() {
    if (instance_.addresses.empty()) {
      report_.error(at("addresses"), "no address: list at least one that the virtual router holds");
    } else if (instance_.addresses.size() > max_virtual_addresses) {
      report_.error(at("addresses"),
                    fmt::format("{} addresses, and an advert carries {}: move some to "
                                "`excluded_addresses`",
                                instance_.addresses.size(), max_virtual_addresses));
    }
    check_list(instance_.addresses, "addresses");
    check_list(instance_.excluded_addresses, "excluded_addresses");
    if (family_ == Family::ipv6 && !is_link_local(instance_.addresses.front().address.address)) {
      report_.warning(at("addresses[0].address"),
                      fmt::format("{} is no link-local address, and RFC 9568 has one come first: "
                                  "hosts learn their router by it",
                                  net::to_string(instance_.addresses.front().address.address)));
    }
  }

  void check_list(const std::vector<VrrpAddress>& list, std::string_view key) {
    for (size_t i = 0; i < list.size(); ++i) {
      const IpAddress& address = list[i].address.address;
      const std::string path = fmt::format("{}.{}[{}]", path_, key, i);
      const std::string own = path + ".address";
      if (address.family == Family::none) {
        report_.error(own, "is missing: the address with its network's length");
        continue;
      }
      if (!seen_.insert(address).second) {
        report_.error(own, fmt::format("{} is listed twice", net::to_string(address)));
      }
      if (&list == &instance_.addresses && address.family != family_ && family_ != Family::none) {
        report_.error(
            own,
            fmt::format("{} is {}, and the first address is {}: one virtual router "
                        "advertises one family; move it to `excluded_addresses`, or to a "
                        "virtual router of its own",
                        net::to_string(address), name_of(address.family), name_of(family_)),
            {path_ + ".addresses[0].address"});
      }
      check_fixed(address, own);
      check_label(list[i], path);
    }
  }

  // An address that a twin has for good is on both boxes at once, unless one of them owns it.
  void check_fixed(const IpAddress& address, const std::string& path) {
    const auto fixed = world_.fixed_addresses.find(address);
    if (fixed == world_.fixed_addresses.end() || is_owner()) return;
    report_.warning(path,
                    fmt::format("{} is an address of {} for good: a virtual router below priority "
                                "255 does not hold it while it is backup; remove it there",
                                net::to_string(address), fixed->second),
                    {at("priority")});
  }

  void check_label(const VrrpAddress& address, const std::string& path) {
    if (!address.label) return;
    const std::string label = path + ".label";
    const std::string& interface = interface_of(instance_, address);
    if (address.address.address.is_v6()) {
      report_.error(label, "IPv6 addresses have none: remove it", {path + ".address"});
    } else if (!interface.empty() && *address.label != interface &&
               !address.label->starts_with(interface + ":")) {
      report_.error(label,
                    fmt::format("{} does not begin with the interface's name: write {}:1, say",
                                *address.label, interface),
                    {at("interface"), path + ".interface"});
    }
  }

  void check_source() {
    if (!instance_.source || instance_.source->family == Family::none) return;
    const IpAddress& source = *instance_.source;
    check_family(source, at("source"));
    if (!is_owner() && seen_.contains(source)) {
      report_.error(at("source"),
                    fmt::format("{} is one of the virtual addresses, which a backup does not hold: "
                                "write an address that the interface always has",
                                net::to_string(source)),
                    {at("priority")});
    }
  }

  void check_peers() {
    const std::vector<IpAddress>& peers = instance_.unicast_peers;
    if (peers.size() > max_unicast_peers) {
      report_.error(at("unicast_peers"),
                    fmt::format("{} peers, and there can be {}", peers.size(), max_unicast_peers));
    }
    std::set<IpAddress> seen;
    for (size_t i = 0; i < peers.size(); ++i) {
      if (peers[i].family == Family::none) continue;  // reported as it was read
      const std::string path = fmt::format("{}.unicast_peers[{}]", path_, i);
      check_family(peers[i], path);
      if (!seen.insert(peers[i]).second) {
        report_.error(path, fmt::format("{} is listed twice", net::to_string(peers[i])));
      } else if (instance_.source == peers[i]) {
        report_.error(path,
                      fmt::format("{} is the source of its own: list the other routers only",
                                  net::to_string(peers[i])),
                      {at("source")});
      } else if (seen_.contains(peers[i])) {
        report_.error(path, fmt::format("{} is one of the virtual addresses: write the peer's own",
                                        net::to_string(peers[i])));
      }
    }
    check_unicast();
  }

  void check_unicast() {
    if (instance_.unicast_peers.empty()) {
      const auto no_effect = [&](std::string_view key) {
        report_.warning(at(key), "has no effect without `unicast_peers`: multicast has 255",
                        {at("unicast_peers")});
      };
      if (instance_.unicast_ttl != UINT8_MAX) no_effect("unicast_ttl");
      if (instance_.unicast_min_ttl != UINT8_MAX) no_effect("unicast_min_ttl");
    } else if (instance_.virtual_mac) {
      report_.warning(at("virtual_mac"),
                      "with unicast peers no advert shows it to switches, which may forget where "
                      "it is: use multicast, or switch it off",
                      {at("unicast_peers")});
    }
  }

  void check_family(const IpAddress& address, const std::string& path) {
    if (family_ == Family::none || address.family == family_) return;
    report_.error(path,
                  fmt::format("{} is {}, and the virtual router is {}", net::to_string(address),
                              name_of(address.family), name_of(family_)),
                  {path_ + ".addresses[0].address"});
  }

  const VrrpInstance& instance_;
  const std::string& path_;
  const VrrpWorld& world_;
  const Family family_;
  Report& report_;
  std::set<IpAddress> seen_;  // its addresses, advertised or not
};

}  // namespace

void check_instance(const VrrpInstance& instance, const std::string& path, const VrrpWorld& world,
                    Report& report) {
  InstanceChecker(instance, path, world, report).check();
}

}  // namespace headgate::config
