// VRRP in the configuration: virtual routers, sync groups, what they track and whom they tell. As
// model.h: a field is called like its key, with its default; docs/configuration.md describes each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/net/address.h"

namespace headgate::config {

enum class Scope : uint8_t { global, site, link, host };
enum class ScriptStart : uint8_t {
  up,
  down
};  // what a script or file counts as before it is known

// An address of a virtual router.
struct VrrpAddress {
  net::Prefix address;                   // with its host bits: 192.0.2.80/24
  std::optional<std::string> interface;  // that holds it; empty: the instance's
  std::optional<std::string> label;      // IPv4: eth0:1
  Scope scope = Scope::global;

  bool operator==(const VrrpAddress&) const = default;
};

// What is run at a transition, each with the arguments `INSTANCE NAME STATE PRIORITY` or
// `GROUP NAME STATE PRIORITY` for `any`; the others get none of their own. Commands are split into
// words as a shell would, and run without one unless `shell` says so.
struct VrrpNotify {
  std::optional<std::string> master;
  std::optional<std::string> backup;
  std::optional<std::string> fault;
  std::optional<std::string> stop;
  std::optional<std::string> any;   // after the state's own
  std::optional<std::string> user;  // USER or USER:GROUP; empty: vrrp.script_user
  uint32_t timeout_s = 60;
  bool shell = false;
  bool mail = false;  // to vrrp.mail

  bool operator==(const VrrpNotify&) const = default;
};

// Something tracked. With weight 0 an instance is in FAULT while it is down; else a positive weight
// is added to the priority while it is up, a negative one while it is down.
struct VrrpTrack {
  std::string name;    // of an interface, script, file, process or service
  int32_t weight = 0;  // -253..253

  bool operator==(const VrrpTrack&) const = default;
};

struct VrrpGratuitous {
  uint32_t repeat = 5;     // times for each address at once, after becoming master
  uint32_t delay_s = 5;    // until as many again; 0: only once
  uint32_t refresh_s = 0;  // between repetitions while master; 0: none
  uint32_t refresh_repeat = 1;
  std::optional<uint32_t> lower_priority_repeat;   // after a lower master was heard; empty: repeat
  std::optional<uint32_t> lower_priority_delay_s;  // empty: delay_s
  uint32_t interval_us = 0;                        // between two packets on an interface

  bool operator==(const VrrpGratuitous&) const = default;
};

struct VrrpInstance {
  std::string name;
  std::string interface;  // a port's kernel side or VLAN by its name, or any other kernel interface
  uint8_t virtual_router_id = 0;       // 1..255
  uint8_t version = 3;                 // 2 or 3
  uint8_t priority = 100;              // 255: owner of the addresses
  uint32_t advert_interval_ms = 1000;  // v3: 10..40950 in tens; v2: whole seconds up to 255
  bool preempt = true;
  uint32_t preempt_delay_s = 0;
  std::optional<std::string> auth_password;   // v2, simple text, up to 8 characters
  std::optional<net::IpAddress> source;       // empty: the interface's first of the family
  std::vector<net::IpAddress> unicast_peers;  // empty: multicast
  uint8_t unicast_ttl = 255;                  // of what is sent
  uint8_t unicast_min_ttl = 255;              // of what is accepted
  bool virtual_mac = false;                   // 00:00:5e:00:01:VRID, of IPv6 00:00:5e:00:02:VRID
  bool accept = true;   // the host itself takes traffic for the addresses: its interface holds them
  bool strict = false;  // drop adverts with other addresses or another interval
  bool checksum_pseudo_header = true;  // v3 on IPv4
  bool lower_priority_no_advert = false;
  bool higher_priority_send_advert = false;
  VrrpGratuitous gratuitous;
  std::vector<VrrpAddress> addresses;           // of one family, advertised
  std::vector<VrrpAddress> excluded_addresses;  // of either, not advertised
  bool track_interface = true;                  // its own: FAULT while it is down
  bool track_workers = true;                    // FAULT while a worker does not poll; on ports only
  std::vector<VrrpTrack> interfaces;
  std::vector<VrrpTrack> scripts;
  std::vector<VrrpTrack> files;  // the file's number times the weight; weight 0: FAULT unless 0
  std::vector<VrrpTrack> processes;
  std::vector<VrrpTrack> services;  // down without a backend that takes connections
  VrrpNotify notify;

  bool operator==(const VrrpInstance&) const = default;
};

struct VrrpSyncGroup {
  std::string name;
  std::vector<std::string> instances;
  VrrpNotify notify;

  bool operator==(const VrrpSyncGroup&) const = default;
};

// A command that is run again and again: exit status 0 is up.
struct VrrpScript {
  std::string name;
  std::string command;
  uint32_t interval_ms = 1000;
  std::optional<uint32_t> timeout_ms;     // empty: interval_ms
  uint32_t rise = 1;                      // successes in a row until it counts as up
  uint32_t fall = 1;                      // failures in a row until it counts as down
  ScriptStart start = ScriptStart::down;  // until the first result
  std::optional<std::string> user;
  bool shell = false;

  bool operator==(const VrrpScript&) const = default;
};

// A file with a whole number in it.
struct VrrpFile {
  std::string name;
  std::string path;

  bool operator==(const VrrpFile&) const = default;
};

struct VrrpProcess {
  std::string name;
  std::string process;    // the program's name, or its path
  uint32_t quorum = 1;    // as many that run, at least
  uint32_t delay_ms = 0;  // before it counts as up or down

  bool operator==(const VrrpProcess&) const = default;
};

struct Mail {
  std::string server;  // HOST or HOST:PORT, port 25
  std::string from;
  std::vector<std::string> to;
  uint32_t connect_timeout_s = 30;

  bool operator==(const Mail&) const = default;
};

struct Vrrp {
  std::optional<std::string> router_id;    // of this box in mails; empty: daemon.name
  std::optional<std::string> script_user;  // USER or USER:GROUP; empty: keepalived_script, or root
  std::optional<std::string> notify_fifo;  // a pipe that gets a line for each transition
  uint32_t startup_delay_s = 0;
  net::IpAddress multicast_group_v4 = net::Ipv4Address::from_host(0xe0000012);  // 224.0.0.18
  net::IpAddress multicast_group_v6 =
      net::Ipv6Address{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12}};
  std::optional<Mail> mail;
  std::vector<VrrpScript> scripts;
  std::vector<VrrpFile> files;
  std::vector<VrrpProcess> processes;
  std::vector<VrrpInstance> instances;
  std::vector<VrrpSyncGroup> sync_groups;

  bool operator==(const Vrrp&) const = default;
};

// The family of what is advertised: that of the first address; none without an address.
[[nodiscard]] inline net::Family family_of(const VrrpInstance& instance) {
  return instance.addresses.empty() ? net::Family::none
                                    : instance.addresses.front().address.address.family;
}
[[nodiscard]] inline const std::string& interface_of(const VrrpInstance& instance,
                                                     const VrrpAddress& address) {
  return address.interface ? *address.interface : instance.interface;
}

}  // namespace headgate::config
