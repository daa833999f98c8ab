// Virtual addresses on kernel interfaces: put there while a virtual router is master, taken away
// after. What somebody else put there is used and left alone.
//
// A file in the run directory says what is (about to be) ours, written before the kernel is asked,
// so that a start after a kill finds and removes it. Calls wait for the kernel: 255 addresses take
// a few milliseconds, longer while others hold its routing lock. Thus on a thread of its own:
// AddressQueue.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/vrrp_model.h"
#include "control/error.h"
#include "dataplane/net/address.h"

namespace headgate::control {

struct InterfaceAddress {
  std::string interface;
  net::Prefix prefix;  // with its host bits: 192.0.2.80/24
  std::string label;   // IPv4: eth0:1; empty: the interface's name
  config::Scope scope = config::Scope::global;

  bool operator==(const InterfaceAddress&) const = default;
};

// What became of each address of a call, and why it failed.
struct AddressReport {
  std::vector<InterfaceAddress> done;     // added, or removed
  std::vector<InterfaceAddress> adopted;  // add: was there already, somebody else's
  std::vector<InterfaceAddress> missing;  // remove: ours, but somebody took it away before
  std::vector<Error> errors;
};

class AddressKeeper {
 public:
  // `state_path`: a file of the run directory, which this process alone uses.
  [[nodiscard]] static std::expected<AddressKeeper, Error> open(std::string state_path);
  AddressKeeper(AddressKeeper&&) noexcept;
  AddressKeeper& operator=(AddressKeeper&&) noexcept;
  ~AddressKeeper();  // leaves the addresses: remove_all() first

  // What a process that was killed left behind, and forgets it; before the first add().
  [[nodiscard]] AddressReport remove_stale();

  // Addresses that this object placed already are passed over. IPv6 ones are usable at once,
  // without duplicate address detection; of those with a prefix length of 128 the host opens no
  // connections, as with keepalived. A label or scope other than that of an address which is there
  // already changes nothing. IPv4: turns promote_secondaries on for the interface, so that removing
  // one address never takes others of its network along; remove_all() restores it.
  [[nodiscard]] AddressReport add(std::span<const InterfaceAddress> addresses);
  // Those that this object placed; others are passed over. By interface and prefix.
  [[nodiscard]] AddressReport remove(std::span<const InterfaceAddress> addresses);
  [[nodiscard]] AddressReport remove_all();

  [[nodiscard]] std::vector<InterfaceAddress> placed() const;

 private:
  struct Impl;
  explicit AddressKeeper(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headgate::control
