// The virtual routers as `show vrrp` tells of them: plain values, copied from the thread that runs
// them at one moment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/net/address.h"

namespace headgate::control {

struct VrrpAddressStatus {
  net::Prefix address;
  std::string interface;   // that holds it while master
  bool advertised = true;  // false: an excluded one
  bool held = false;       // now, by this box
};

// Packets that were discarded, by the name of vrrp::Discard.
struct VrrpDiscardCount {
  std::string reason;
  uint64_t count = 0;
};

struct VrrpInstanceStatus {
  std::string name;
  std::string interface;
  net::Family family = net::Family::none;
  uint8_t virtual_router_id = 0;
  uint8_t version = 0;
  std::string state;   // name_of(vrrp::State)
  std::string reason;  // of the last transition: name_of(vrrp::Reason)
  uint8_t base_priority = 0;
  uint8_t priority = 0;                  // effective
  std::optional<net::IpAddress> master;  // our own while master; empty: nobody was heard
  uint8_t master_priority = 0;
  uint64_t in_state_s = 0;
  uint64_t became_master = 0;  // times
  uint64_t transitions = 0;    // of all kinds
  uint64_t adverts_sent = 0;
  uint64_t adverts_received = 0;  // accepted
  uint64_t priority_zero_sent = 0;
  uint64_t priority_zero_received = 0;
  uint64_t send_errors = 0;   // adverts that the kernel did not take
  uint64_t late_adverts = 0;  // sent more than half an interval late
  uint64_t worst_lateness_us = 0;
  std::vector<VrrpDiscardCount> discards;  // reasons that never happened may be left out
  bool addresses_mismatch = false;         // the master's adverts have others than configured
  bool interval_mismatch = false;
  std::vector<std::string> faults;  // causes, for people: "interface eth0 is down"
  uint32_t interval_ms = 0;         // in use: the master's
  std::vector<VrrpAddressStatus> addresses;
  std::vector<net::IpAddress> peers;  // unicast; empty: multicast
  std::string group;                  // sync group; empty: none
};

struct VrrpGroupStatus {
  std::string name;
  std::string state;
  std::vector<std::string> members;
};

struct VrrpStatus {
  bool maintenance = false;  // all instances have been told to leave
  std::vector<VrrpInstanceStatus> instances;
  std::vector<VrrpGroupStatus> groups;
};

}  // namespace headgate::control
