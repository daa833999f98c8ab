#include "control/vrrp/virtual_router.h"

#include <algorithm>

#include <fmt/format.h>

namespace headgate::control {

net::IpAddress source_of(const VrrpInstancePlan& plan, const RouterLink& link,
                         const std::set<net::IpAddress>& virtual_addresses) {
  if (plan.config.source) return *plan.config.source;
  const auto found = std::ranges::find_if(link.sources, [&](const net::IpAddress& address) {
    return address.family == plan.family && !virtual_addresses.contains(address);
  });
  return found == link.sources.end() ? net::IpAddress{} : *found;
}

std::vector<std::string> own_faults(const VirtualRouter& router, const RouterLink& link,
                                    const std::string& worker_trouble, bool maintenance) {
  const config::VrrpInstance& config = router.plan.config;
  std::vector<std::string> faults;
  if (maintenance) faults.emplace_back("maintenance");
  if (link.index == 0) {
    faults.push_back(fmt::format("there is no interface {}", config.interface));
  } else if (config.track_interface && !link.up) {
    faults.push_back(fmt::format("interface {} is down", config.interface));
  } else if (router.plan.settings.source.family == net::Family::none) {
    const bool is_v4 = router.plan.family == net::Family::ipv4;
    faults.push_back(fmt::format("interface {} has no {} address to send from", config.interface,
                                 is_v4 ? "IPv4" : "link-local IPv6"));
  }
  if (config.track_workers && !worker_trouble.empty()) faults.push_back(worker_trouble);
  faults.insert(faults.end(), router.verdicts.faults.begin(), router.verdicts.faults.end());
  return faults;
}

}  // namespace headgate::control
