// The sections of a keepalived.conf, one function each; convert.cpp calls them in an order in which
// names are known before they are used.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/keepalived/draft.h"

namespace headgate::config::keepalived {

// What is tracked by name, with the weight that it has where it is not given another.
struct Tracked {
  int32_t weight = 0;
  bool reverse = false;
};

struct TrackedNames {
  std::map<std::string, Tracked, std::less<>> scripts;
  std::map<std::string, Tracked, std::less<>> files;
  std::map<std::string, Tracked, std::less<>> processes;
};

// A virtual_server_group's entry: a service's address, or a mark.
struct Target {
  net::IpAddress address;
  uint16_t port = 0;
  std::optional<uint32_t> mark;
  net::Family family = net::Family::none;  // of a mark
};

struct Groups {
  std::map<std::string, std::vector<Target>, std::less<>> servers;  // virtual_server_group
  std::map<std::string, std::vector<net::IpAddress>, std::less<>> addresses;  // local_address_group
};

void read_globals(Draft& draft, const Statement& block);
// What mail lacks once all global_defs are read, the last of which is `block`.
void complete_mail(Draft& draft, const Statement& block);
void read_headgate_ports(Draft& draft, const Statement& block);
void read_vrrp_script(Draft& draft, TrackedNames& names, const Statement& block);
void read_track_file(Draft& draft, TrackedNames& names, const Statement& block);
void read_track_process(Draft& draft, TrackedNames& names, const Statement& block);
void read_vrrp_instance(Draft& draft, const TrackedNames& names, const Statement& block);
void read_vrrp_sync_group(Draft& draft, const TrackedNames& names, const Statement& block);
void read_server_group(Draft& draft, Groups& groups, const Statement& block);
void read_local_address_group(Draft& draft, Groups& groups, const Statement& block);
void read_virtual_server(Draft& draft, const Groups& groups, const Statement& block);

// Adds what --port says, and where neither it nor the file says anything, the interfaces of the
// virtual routers.
void complete_ports(Draft& draft);
// Weights that keepalived leaves out, and what needs ports where there are none.
void complete_vrrp(Draft& draft);
// What IPVS does and headgate does otherwise by default, once for a file.
void note_differences(Draft& draft);

}  // namespace headgate::config::keepalived
