// The kernel's way to a probe network: a route through a gateway on a twin, and the gateway's MAC
// as a neighbour that needs no asking. Nobody has that MAC; the frames get no further than the
// exception thread (dataplane/probe_table.h).
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "control/error.h"
#include "control/rtnl.h"
#include "dataplane/net/address.h"

namespace headgate::control {

class ProbeRoute {
 public:
  // Through the twin with this index; `name` is for messages. Of several networks all or none.
  [[nodiscard]] static std::expected<ProbeRoute, Error> install(
      int kernel_index, const std::string& name, const std::vector<net::Prefix>& networks);
  ProbeRoute(ProbeRoute&&) noexcept = default;
  ProbeRoute& operator=(ProbeRoute&& other) noexcept;
  ~ProbeRoute();  // takes away what it has put there

 private:
  ProbeRoute(RtnlSocket socket, int kernel_index)
      : socket_(std::move(socket)), kernel_index_(kernel_index) {}
  [[nodiscard]] std::expected<void, Error> add(const std::string& name, const net::Prefix& network);
  void remove() noexcept;

  RtnlSocket socket_;
  int kernel_index_;
  std::vector<net::Prefix> networks_;  // that are there; empty in what was moved from
};

}  // namespace headgate::control
