// The daemon's side of checks through the data path: probe addresses for (service, backend), the
// kernel's route to them on a port's twin, and the table by which the exception thread knows them.
// All on the control loop.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/error.h"
#include "control/health/health_book.h"
#include "control/health/probe_addresses.h"
#include "control/health/probe_route.h"

namespace headgate::control {

class DataPathChecks {
 public:
  // The twin that is to lead to the probe networks: its index and name in the kernel.
  using FindTwin = std::function<std::expected<std::pair<int, std::string>, Error>()>;
  using Key = std::pair<config::ServiceKey, config::BackendKey>;
  using Ids = std::map<Key, uint32_t>;  // of backends

  DataPathChecks(ProbeNetworks networks, FindTwin find_twin)
      : networks_(networks), find_twin_(std::move(find_twin)), addresses_(networks) {}

  // Where to connect to. Each wants a release().
  [[nodiscard]] std::expected<ProbeTarget, Error> use(const ProbeSpec& spec);
  void release(const DataPath& path);

  // Whether a new table is due, since wanted() was asked.
  [[nodiscard]] bool changed() const { return changed_; }
  // Whose ids the next table wants.
  [[nodiscard]] std::vector<Key> wanted();
  // The table for these ids; null where there are no such checks.
  [[nodiscard]] std::shared_ptr<const dataplane::ProbeTable> table(const Ids& ids);

 private:
  ProbeNetworks networks_;
  FindTwin find_twin_;
  ProbeAddresses addresses_;
  std::map<Key, uint32_t> users_;
  std::optional<ProbeRoute> route_;
  bool changed_ = false;
};

}  // namespace headgate::control
