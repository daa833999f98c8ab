// Links and their addresses as the messages of rtnetlink tell, in the order in which they come.
// Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/vrrp/link_watch.h"

struct nlmsghdr;

namespace headgate::control {

class LinkTable {
 public:
  void apply(const nlmsghdr* message);  // others than of links and addresses change nothing
  [[nodiscard]] LinkState state(const std::string& name) const;

 private:
  struct Ipv4Entry {
    net::Prefix prefix;
    bool secondary = false;
  };
  struct Link {
    LinkState state;              // without IPv4
    std::vector<Ipv4Entry> ipv4;  // as the kernel has them
  };

  void apply_address(const struct AddressMessage& address);

  std::map<int, Link> links_;  // by the kernel's index
};

}  // namespace headgate::control
