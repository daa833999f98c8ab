// Interfaces by name as the kernel has them, and a call when one changes: it comes, goes, is
// renamed, its link or its addresses change.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/error.h"
#include "dataplane/net/address.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

struct LinkState {
  std::string name;
  int index = 0;  // the kernel's; 0: there is no such interface, and all else is empty
  net::MacAddress mac;
  uint32_t mtu = 0;
  bool up = false;       // by the administrator
  bool running = false;  // with a carrier
  // With host bits. IPv4 in the kernel's order, primary ones first; IPv6 without tentative ones.
  std::vector<net::Prefix> ipv4;
  std::vector<net::Prefix> ipv6;

  [[nodiscard]] bool exists() const { return index != 0; }
  [[nodiscard]] bool usable() const { return up && running; }
  [[nodiscard]] bool has(const net::IpAddress& address) const;
  [[nodiscard]] net::IpAddress first_ipv4() const;  // family none: there is none
  [[nodiscard]] net::IpAddress link_local() const;  // IPv6: the first of fe80::/10, or family none
  bool operator==(const LinkState&) const = default;
};

class LinkWatch {
 public:
  // On the loop; changes that came together are one call for each interface. The state is the same
  // as state() then returns. The call may watch others, or destroy the watch.
  using OnChange = std::function<void(const LinkState& state)>;

  // In the network namespace of the thread that opens it; knows all interfaces when it returns.
  [[nodiscard]] static std::expected<std::unique_ptr<LinkWatch>, Error> open(
      boost::asio::io_context& loop, OnChange on_change);
  ~LinkWatch();  // no call comes after
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;

  // The interfaces whose changes are told, in the place of those before.
  void watch(const std::vector<std::string>& names);
  // Of any interface, watched or not.
  [[nodiscard]] LinkState state(const std::string& name) const;

  [[nodiscard]] uint64_t resyncs() const;  // times that the kernel dropped messages

 private:
  struct Impl;
  explicit LinkWatch(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
