#include "control/health/probe_addresses.h"

#include <algorithm>

#include <fmt/format.h>

namespace headgate::control {
namespace {

// Addresses of a network but the last, IPv4's broadcast.
uint64_t room_of(const net::Prefix& network) {
  constexpr unsigned plenty = 32;  // bits
  const unsigned bits =
      network.address.bits() - std::min<unsigned>(network.length, network.address.bits());
  return (uint64_t{1} << std::min(bits, plenty)) - 1;
}

}  // namespace

ProbeAddresses::ProbeAddresses(ProbeNetworks networks) {
  v4_.network = networks.v4;
  v4_.limit = room_of(networks.v4);
  v6_.network = networks.v6;
  v6_.limit = room_of(networks.v6);
}

std::optional<net::IpAddress> ProbeAddresses::take(Family& family) {
  if (!family.free.empty()) {
    const net::IpAddress address = family.free.front();
    family.free.pop_front();
    return address;
  }
  if (family.next >= family.limit) return std::nullopt;
  return address_in(family.network, family.next++);
}

std::expected<net::IpAddress, Error> ProbeAddresses::use(const config::ServiceKey& service,
                                                         const config::BackendKey& backend,
                                                         Clock::time_point now) {
  if (service.address.family == net::Family::none) {
    return std::unexpected(Error{fmt::format(
        "{}: has no address of its own, so nothing can be asked through its data path; leave out "
        "data_path",
        to_string(service))});
  }
  forget_released(now);
  const Key key{service, backend};
  if (const auto found = slots_.find(key); found != slots_.end()) {
    used_ += found->second.users++ == 0 ? 1 : 0;
    return found->second.address;
  }
  Family& family = service.address.is_v4() ? v4_ : v6_;
  const auto address = take(family);
  if (!address) {
    return std::unexpected(Error{fmt::format(
        "no probe address is left in {}: choose a larger network", to_string(family.network))});
  }
  slots_.emplace(key, Slot{*address, 1, {}});
  ++used_;
  return *address;
}

void ProbeAddresses::release(const config::ServiceKey& service, const config::BackendKey& backend,
                             Clock::time_point now) {
  const Key key{service, backend};
  const auto found = slots_.find(key);
  if (found == slots_.end() || found->second.users == 0) return;
  if (--found->second.users != 0) return;
  --used_;
  found->second.released = now;
  released_.emplace_back(now, key);
}

void ProbeAddresses::forget_released(Clock::time_point now) {
  while (!released_.empty() && released_.front().first + grace <= now) {
    const auto [when, key] = std::move(released_.front());
    released_.pop_front();
    const auto found = slots_.find(key);
    // It may have been used again, and released again since.
    if (found == slots_.end() || found->second.users != 0) continue;
    if (found->second.released != when) continue;
    const net::IpAddress address = found->second.address;
    (address.is_v4() ? v4_ : v6_).free.push_back(address);
    slots_.erase(found);
  }
}

std::shared_ptr<const dataplane::ProbeTable> ProbeAddresses::table(const FindBackend& find) const {
  dataplane::ProbeTable table;
  table.networks = {v4_.network, v6_.network};
  table.entries.reserve(slots_.size());
  for (const auto& [key, slot] : slots_) {
    const auto& [service, backend] = key;
    if (const auto id = find(service, backend)) {
      table.entries.push_back({slot.address, service.address, net::be16::from_host(service.port),
                               service.protocol, *id});
    }
  }
  std::ranges::sort(table.entries, {}, &dataplane::ProbeEntry::address);
  return std::make_shared<const dataplane::ProbeTable>(std::move(table));
}

std::optional<net::IpAddress> probe_source(dataplane::RegionView region,
                                           const dataplane::SnapshotRoot& root, uint32_t backend_id,
                                           net::Family family) {
  const dataplane::BackendRow* row = dataplane::find_backend(region, root, backend_id);
  if (row == nullptr || row->tunnel_source.family != family) return std::nullopt;
  return row->tunnel_source;
}

}  // namespace headgate::control
