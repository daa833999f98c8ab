#include "control/health/data_path_checks.h"

namespace headgate::control {

std::expected<ProbeTarget, Error> DataPathChecks::use(const ProbeSpec& spec) {
  if (!route_) {
    const auto twin = find_twin_();
    if (!twin) return std::unexpected(twin.error());
    auto route = ProbeRoute::install(twin->first, twin->second, {networks_.v4, networks_.v6});
    if (!route) return std::unexpected(route.error());
    route_.emplace(std::move(*route));
  }
  const DataPath& path = *spec.data_path;
  const auto address = addresses_.use(path.service, path.backend, ProbeAddresses::Clock::now());
  if (!address) return std::unexpected(address.error());
  ++users_[{path.service, path.backend}];
  changed_ = true;
  return ProbeTarget{.address = *address, .port = spec.target.port};
}

void DataPathChecks::release(const DataPath& path) {
  const auto user = users_.find({path.service, path.backend});
  if (user == users_.end()) return;
  addresses_.release(path.service, path.backend, ProbeAddresses::Clock::now());
  if (--user->second == 0) users_.erase(user);
  changed_ = true;
}

std::vector<DataPathChecks::Key> DataPathChecks::wanted() {
  changed_ = false;
  std::vector<Key> keys;
  keys.reserve(users_.size());
  for (const auto& [key, users] : users_)
    keys.push_back(key);
  return keys;
}

std::shared_ptr<const dataplane::ProbeTable> DataPathChecks::table(const Ids& ids) {
  if (users_.empty()) return nullptr;
  return addresses_.table([&](const config::ServiceKey& service,
                              const config::BackendKey& backend) -> std::optional<uint32_t> {
    const auto found = ids.find({service, backend});
    if (found == ids.end()) return std::nullopt;
    return found->second;
  });
}

}  // namespace headgate::control
