// What VrrpRouter asks of the world around it. The daemon's is VrrpThread; tests have their own,
// and run the router in virtual time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/log.h"
#include "control/vrrp/addresses.h"
#include "control/vrrp/announcer.h"
#include "control/vrrp/notification.h"
#include "dataplane/net/address.h"
#include "vrrp/machine.h"

namespace headgate::control {

// A kernel interface as far as a virtual router cares.
struct RouterLink {
  int index = 0;    // the kernel's; 0: there is no such interface
  bool up = false;  // with a carrier
  net::MacAddress mac;
  std::vector<net::IpAddress> sources;  // addresses that adverts may come from, the first one first
  bool operator==(const RouterLink&) const = default;
};

struct OutgoingAdvert {
  std::string_view interface;
  net::Family family = net::Family::none;
  const std::vector<uint8_t>& message;
  net::IpAddress source;
  net::IpAddress destination;
  uint8_t ttl = vrrp::advert_ttl;
  const net::MacAddress* virtual_mac = nullptr;  // null: the interface's own
};

// The addresses of a virtual router whose frames have a MAC of their own.
struct OwnedMac {
  std::string interface;
  net::Family family = net::Family::none;
  uint8_t vrid = 0;
  std::vector<net::IpAddress> addresses;
  bool operator==(const OwnedMac&) const = default;
};

// Which addresses of virtual routers are whose, all of them at once.
struct VrrpOwnership {
  std::vector<net::IpAddress> inactive;  // another router's: not to be answered for; sorted
  std::vector<OwnedMac> virtual_macs;    // of those that are ours
  bool operator==(const VrrpOwnership&) const = default;
};

class RouterHost {
 public:
  RouterHost() = default;
  RouterHost(const RouterHost&) = delete;
  RouterHost& operator=(const RouterHost&) = delete;
  virtual ~RouterHost() = default;

  // False: it could not be sent.
  virtual bool send_advert(const OutgoingAdvert& advert) = 0;
  // Puts the addresses on their interfaces, or takes them away.
  virtual void hold(const std::vector<InterfaceAddress>& addresses, bool held) = 0;
  virtual void announce(const Announcement& announcement) = 0;
  // They are another's now: nothing that still waits for them is announced.
  virtual void cancel_announcements(const std::vector<InterfaceAddress>& addresses) = 0;
  // The data plane is to work by this; VrrpRouter::ownership_visible() tells when it does. A later
  // call replaces one that is under way.
  virtual void set_ownership(VrrpOwnership ownership, uint64_t serial) = 0;
  virtual void notify(Notification notification) = 0;
  virtual void log(LogLevel level, std::string text) = 0;
  // Why the caller was late by so much, in words.
  virtual std::string lateness_cause(vrrp::Duration late) = 0;
};

}  // namespace headgate::control
