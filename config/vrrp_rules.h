// What the rules of virtual routers look things up in, and the parts that check them; internal to
// validate_vrrp*.cpp.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "config/model.h"
#include "config/report.h"

namespace headgate::config {

// Names and addresses of the whole configuration, as views into it.
struct VrrpWorld {
  std::set<std::string_view> scripts;
  std::set<std::string_view> files;
  std::set<std::string_view> processes;
  std::set<std::string, std::less<>> services;
  std::set<std::string, std::less<>> port_sides;          // twins and VLANs
  std::map<std::string_view, std::string_view> beneath;   // interface of a port, its port's name
  std::set<std::string_view> sideless;                    // ports with `twin: none`
  std::map<net::IpAddress, std::string> fixed_addresses;  // of twins and VLANs, with who has them
  bool mail = false;
};
[[nodiscard]] VrrpWorld world_of(const Config& config);

// What one virtual router has to itself; `path` is vrrp.instances[N].
void check_instance(const VrrpInstance& instance, const std::string& path, const VrrpWorld& world,
                    Report& report);
// What it tracks.
void check_tracks(const VrrpInstance& instance, const std::string& path, const VrrpWorld& world,
                  Report& report);
// `path` is that of the command.
void check_command(std::string_view command, bool shell, const std::string& path, Report& report);
// `path` is that of the section around `notify`.
void check_notify(const VrrpNotify& notify, const std::string& path, bool mail, Report& report);

}  // namespace headgate::config
