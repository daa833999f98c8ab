// The rules between the parts of the section `vrrp`: names, sync groups, and virtual routers that
// would get into each other's way.
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/names.h"
#include "config/report.h"
#include "config/text.h"
#include "config/vrrp_rules.h"

namespace headgate::config {
namespace {

using net::Family;

// Every element has a name that no other of its list has.
template <typename T>
void check_names(const std::vector<T>& list, std::string_view path, std::string_view what,
                 Report& report) {
  std::map<std::string_view, size_t> names;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = fmt::format("{}[{}].name", path, i);
    if (list[i].name.empty()) {
      report.error(at, fmt::format("is missing: a {} needs a name", what));
    } else if (const auto [other, fresh] = names.try_emplace(list[i].name, i); !fresh) {
      report.error(
          at, fmt::format("{} is the name of {}[{}] already", list[i].name, path, other->second));
    }
  }
}

class VrrpChecker {
 public:
  VrrpChecker(const Config& config, Report& report)
      : vrrp_(config.vrrp), world_(world_of(config)), report_(report) {}

  void check() {
    check_lists();
    check_sources();
    if (vrrp_.mail) check_mail(*vrrp_.mail);
    for (size_t i = 0; i < vrrp_.instances.size(); ++i)
      check_instance(vrrp_.instances[i], instance_path(i), world_, report_);
    check_identities();
    check_shared_addresses();
    check_groups();
  }

 private:
  static std::string instance_path(size_t index) {
    return fmt::format("vrrp.instances[{}]", index);
  }

  void check_lists() {
    check_names(vrrp_.scripts, "vrrp.scripts", "script", report_);
    check_names(vrrp_.files, "vrrp.files", "file", report_);
    check_names(vrrp_.processes, "vrrp.processes", "process", report_);
    check_names(vrrp_.instances, "vrrp.instances", "virtual router", report_);
    check_names(vrrp_.sync_groups, "vrrp.sync_groups", "sync group", report_);
    if (vrrp_.instances.size() > max_virtual_routers) {
      report_.error("vrrp.instances", fmt::format("{} virtual routers, and there can be {}",
                                                  vrrp_.instances.size(), max_virtual_routers));
    }
  }

  // Scripts, files and processes: what instances track.
  void check_sources() {
    for (size_t i = 0; i < vrrp_.scripts.size(); ++i) {
      const VrrpScript& script = vrrp_.scripts[i];
      const std::string path = fmt::format("vrrp.scripts[{}]", i);
      if (script.command.empty()) {
        report_.error(path + ".command", "is missing: the program that tells up from down");
      } else {
        check_command(script.command, script.shell, path + ".command", report_);
      }
    }
    for (size_t i = 0; i < vrrp_.files.size(); ++i) {
      if (!vrrp_.files[i].path.empty()) continue;
      report_.error(fmt::format("vrrp.files[{}].path", i),
                    "is missing: the file that holds the number");
    }
    for (size_t i = 0; i < vrrp_.processes.size(); ++i) {
      if (!vrrp_.processes[i].process.empty()) continue;
      report_.error(fmt::format("vrrp.processes[{}].process", i),
                    "is missing: the name or path of the program that must run");
    }
  }

  void check_mail(const Mail& mail) {
    if (mail.server.empty()) report_.error("vrrp.mail.server", "is missing: HOST or HOST:PORT");
    if (mail.from.empty()) report_.error("vrrp.mail.from", "is missing: the sender's mail address");
    if (mail.to.empty()) {
      report_.error("vrrp.mail.to", "no recipient: write at least one mail address");
    } else if (mail.to.size() > max_mail_recipients) {
      report_.error("vrrp.mail.to", fmt::format("{} recipients, and there can be {}",
                                                mail.to.size(), max_mail_recipients));
    }
  }

  // Receivers tell virtual routers apart by interface, family and id.
  void check_identities() {
    std::map<std::tuple<std::string_view, Family, uint8_t>, size_t> seen;
    for (size_t i = 0; i < vrrp_.instances.size(); ++i) {
      const VrrpInstance& instance = vrrp_.instances[i];
      const Family family = family_of(instance);
      if (instance.interface.empty() || instance.virtual_router_id == 0 || family == Family::none) {
        continue;
      }
      const auto [other, fresh] =
          seen.try_emplace({instance.interface, family, instance.virtual_router_id}, i);
      if (fresh) continue;
      const std::string path = instance_path(i);
      report_.error(
          path + ".virtual_router_id",
          fmt::format("{} is the {} virtual router of {} on {} already: give one of them "
                      "another id",
                      instance.virtual_router_id, name_of(family), instance_path(other->second),
                      instance.interface),
          {path + ".interface", path + ".addresses", instance_path(other->second) + ".interface"});
    }
  }

  // The same address in two virtual routers: the master of either takes it, perhaps on two boxes.
  void check_shared_addresses() {
    std::map<std::pair<net::IpAddress, std::string_view>, size_t> holders;
    for (size_t i = 0; i < vrrp_.instances.size(); ++i) {
      const VrrpInstance& instance = vrrp_.instances[i];
      for (const auto* list : {&instance.addresses, &instance.excluded_addresses}) {
        for (size_t j = 0; j < list->size(); ++j) {
          share((*list)[j], i, list == &instance.addresses ? "addresses" : "excluded_addresses", j,
                holders);
        }
      }
    }
  }

  void share(const VrrpAddress& address, size_t index, std::string_view list, size_t place,
             std::map<std::pair<net::IpAddress, std::string_view>, size_t>& holders) {
    const net::IpAddress& ip = address.address.address;
    if (ip.family == Family::none) return;
    const VrrpInstance& instance = vrrp_.instances[index];
    // A link-local address is one of its link only.
    const bool link_local = ip.is_v6() && ip.bytes[0] == 0xfe && (ip.bytes[1] & 0xc0) == 0x80;
    const std::string_view where =
        link_local ? interface_of(instance, address) : std::string_view{};
    const auto [other, fresh] = holders.try_emplace({ip, where}, index);
    if (fresh || other->second == index) return;  // twice in one: told by check_instance()
    report_.warning(fmt::format("{}.{}[{}].address", instance_path(index), list, place),
                    fmt::format("{} is an address of {} as well: two routers may hold it at once",
                                net::to_string(ip), instance_path(other->second)));
  }

  void check_groups() {
    std::map<std::string_view, size_t> member_of;
    std::vector<std::string_view> known;
    known.reserve(vrrp_.instances.size());
    for (const VrrpInstance& instance : vrrp_.instances)
      known.push_back(instance.name);
    const std::set<std::string_view> names(known.begin(), known.end());
    for (size_t i = 0; i < vrrp_.sync_groups.size(); ++i) {
      const VrrpSyncGroup& group = vrrp_.sync_groups[i];
      const std::string path = fmt::format("vrrp.sync_groups[{}]", i);
      check_notify(group.notify, path, world_.mail, report_);
      const std::string list = path + ".instances";
      if (group.instances.empty()) {
        report_.error(list, "no member: list the virtual routers that move together");
      } else if (group.instances.size() == 1) {
        report_.warning(list, "has no effect with one member: list those that move with it");
      }
      for (size_t j = 0; j < group.instances.size(); ++j) {
        const std::string at = fmt::format("{}[{}]", list, j);
        check_member(group.instances[j], at, i, names, known, member_of);
      }
    }
  }

  void check_member(std::string_view name, const std::string& path, size_t group,
                    const std::set<std::string_view>& names,
                    const std::vector<std::string_view>& known,
                    std::map<std::string_view, size_t>& member_of) {
    if (name.empty()) return;  // reported as it was read
    if (!names.contains(name)) {
      const std::string_view near = nearest(name, known);
      report_.error(path,
                    fmt::format("{} is no virtual router of vrrp.instances{}", name,
                                near.empty() ? "" : fmt::format("; did you mean {}?", near)),
                    {"vrrp.instances"});
      return;
    }
    const auto [other, fresh] = member_of.try_emplace(name, group);
    if (fresh) return;
    report_.error(path, other->second == group
                            ? fmt::format("{} is listed twice", name)
                            : fmt::format("{} is in vrrp.sync_groups[{}] already: it can move with "
                                          "one group only",
                                          name, other->second));
  }

  const Vrrp& vrrp_;
  const VrrpWorld world_;
  Report& report_;
};

}  // namespace

VrrpWorld world_of(const Config& config) {
  VrrpWorld world;
  world.mail = config.vrrp.mail.has_value();
  for (const VrrpScript& script : config.vrrp.scripts)
    world.scripts.insert(script.name);
  for (const VrrpFile& file : config.vrrp.files)
    world.files.insert(file.name);
  for (const VrrpProcess& process : config.vrrp.processes)
    world.processes.insert(process.name);
  for (const Service& service : config.services)
    world.services.insert(name_of(service));
  const auto side = [&](std::string name, const std::vector<net::Prefix>& addresses) {
    for (const net::Prefix& prefix : addresses)
      world.fixed_addresses.try_emplace(prefix.address, name);
    world.port_sides.insert(std::move(name));
  };
  for (const Port& port : config.ports) {
    if (port.interface) world.beneath.try_emplace(*port.interface, port.name);
    if (!port.twin.enabled) {
      world.sideless.insert(port.name);
      continue;
    }
    side(port.twin_name(), port.twin.addresses);
    for (const Vlan& vlan : port.vlans)
      side(port.vlan_name(vlan), vlan.addresses);
  }
  return world;
}

void check_vrrp(const Config& config, Report& report) {
  if (config.vrrp == Vrrp{}) return;
  VrrpChecker(config, report).check();
}

}  // namespace headgate::config
