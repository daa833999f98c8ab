// Addresses and routes that the YAML file gives to the twins, put into the kernel by rtnetlink.
// Only what was put there by this object is ever taken away: what an operator or a routing daemon
// adds with `ip` stays. The twins themselves end with the process, and all of this with them.
#pragma once

#include <expected>
#include <memory>
#include <vector>

#include "config/model.h"
#include "control/error.h"

namespace headgate::control {

struct TwinNetworkPart {
  int kernel_index = 0;  // Tap::interface_index()
  std::string name;      // for messages
  std::vector<net::Prefix> addresses;
  std::vector<config::Route> routes;
  bool operator==(const TwinNetworkPart&) const = default;
};

class TwinNetwork {
 public:
  [[nodiscard]] static std::expected<TwinNetwork, Error> open();
  TwinNetwork(TwinNetwork&&) noexcept;
  TwinNetwork& operator=(TwinNetwork&&) noexcept;
  ~TwinNetwork();

  // Makes the kernel hold what `wanted` says; removes what an earlier call put there and is no
  // longer wanted, then adds. IPv6 addresses without duplicate address detection. Goes on after a
  // failure and returns every one: an empty list is success.
  [[nodiscard]] std::vector<Error> apply(const std::vector<TwinNetworkPart>& wanted);

 private:
  struct Impl;
  explicit TwinNetwork(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headgate::control
