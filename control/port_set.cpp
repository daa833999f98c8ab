#include "control/port_set.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace headgate::control {
namespace {

using dataplane::PortKind;

Error from_dataplane(const dataplane::Error& error) {
  return {error.text()};
}

PortKind kind_of(const config::Port& port) {
  if (port.pci) return PortKind::pci;
  if (port.vdev) return PortKind::vdev;
  return port.driver == config::Driver::af_xdp ? PortKind::af_xdp : PortKind::af_packet;
}

const std::string& device_of(const config::Port& port) {
  if (port.pci) return *port.pci;
  return port.vdev ? *port.vdev : *port.interface;
}

uint16_t wanted_queues(const config::Port& port, uint16_t workers) {
  return std::min(port.queues.value_or(workers), workers);
}

dataplane::PortOptions options_of(const config::Port& port, uint16_t workers) {
  dataplane::PortOptions options;
  options.name = port.name;
  options.kind = kind_of(port);
  options.device = device_of(port);
  options.queues = wanted_queues(port, workers);
  options.rx_descriptors = port.rx_descriptors.value_or(0);
  options.tx_descriptors = port.tx_descriptors.value_or(0);
  options.mtu = port.mtu;
  options.promiscuous = port.promiscuous;
  options.rss_key = port.rss_key.value_or(std::vector<uint8_t>{});
  return options;
}

// Memory has to be asked for before the ports are there to say what they need.
uint32_t memory_mb(const config::Config& config, uint16_t workers) {
  if (config.memory.memory_mb) return *config.memory.memory_mb;
  std::vector<dataplane::PoolDemand> demands;
  std::vector<PortKind> kinds;
  uint32_t buffer = dataplane::PoolOptions{}.buffer_size;
  for (const config::Port& port : config.ports) {
    const auto needs = dataplane::expected_needs(options_of(port, workers));
    kinds.push_back(kind_of(port));
    demands.push_back(needs.demand);
    buffer = std::max(buffer, needs.buffer_size);
  }
  uint32_t mbufs = dataplane::mbufs_needed(demands, workers);
  if (config.memory.mbufs_per_port) {
    mbufs = std::max<uint32_t>(
        mbufs, *config.memory.mbufs_per_port * static_cast<uint32_t>(config.ports.size()));
  }
  return dataplane::estimate_memory_mb(mbufs, dataplane::choose_pool_layout(kinds), buffer);
}

dataplane::HugePages huge_pages_of(config::HugePages pages) {
  switch (pages) {
    case config::HugePages::automatic:
      return dataplane::HugePages::automatic;
    case config::HugePages::size_2m:
      return dataplane::HugePages::size_2m;
    case config::HugePages::size_1g:
      return dataplane::HugePages::size_1g;
    case config::HugePages::none:
      return dataplane::HugePages::none;
  }
  return dataplane::HugePages::automatic;
}

dataplane::EalLogLevel eal_log_level(config::LogLevel level) {
  return level == config::LogLevel::debug ? dataplane::EalLogLevel::debug
                                          : dataplane::EalLogLevel::error;
}

std::vector<dataplane::TwinPort> twin_ports_of(const PortEntry& entry, uint16_t worker) {
  std::vector<dataplane::TwinPort> result;
  if (!entry.twin) return result;
  const uint16_t id = entry.port->id();
  result.push_back({.port = id, .vlan = 0, .fd = entry.twin->fd(), .worker = worker});
  for (size_t v = 0; v < entry.vlan_twins.size(); ++v) {
    result.push_back({.port = id,
                      .vlan = entry.config.vlans[v].id,
                      .fd = entry.vlan_twins[v].fd(),
                      .worker = worker});
  }
  return result;
}

// A port receives these MACs and no longer the others. A line for each that changes nothing but the
// way, or does not work.
std::vector<std::string> receive(PortEntry& entry, std::vector<net::MacAddress> macs) {
  std::set<std::string> lines;
  for (const net::MacAddress& mac : entry.virtual_macs) {
    if (!std::ranges::binary_search(macs, mac)) entry.port->remove_mac(mac);
  }
  std::erase_if(macs, [&](const net::MacAddress& mac) {
    if (std::ranges::binary_search(entry.virtual_macs, mac)) return false;
    const auto added = entry.port->add_mac(mac);
    lines.insert(added ? *added : added.error().text());
    return !added;
  });
  entry.virtual_macs = std::move(macs);
  return {lines.begin(), lines.end()};
}

uint16_t twin_mtu(const PortEntry& entry) {
  return entry.config.twin.mtu.value_or(entry.port->mtu());
}

uint16_t vlan_mtu(const PortEntry& entry, const config::Vlan& vlan) {
  return vlan.mtu.value_or(twin_mtu(entry));
}

}  // namespace

std::expected<std::unique_ptr<PortSet>, Error> PortSet::open(const config::Config& config,
                                                             uint16_t workers) {
  std::unique_ptr<PortSet> set(new PortSet);
  using Step = std::expected<void, Error> (PortSet::*)(const config::Config&, uint16_t);
  static constexpr Step steps[] = {&PortSet::protect_devices, &PortSet::start_dpdk,
                                   &PortSet::open_ports,      &PortSet::make_buffers,
                                   &PortSet::start_ports,     &PortSet::make_twins};
  // VRRP alone needs none of it, but devices that an earlier run left behind are put right.
  const auto needed = std::span(steps).first(config.ports.empty() ? 1 : std::size(steps));
  for (const Step step : needed) {
    if (auto done = ((*set).*step)(config, workers); !done) return std::unexpected(done.error());
  }
  return set;
}

PortSet::~PortSet() {
  for (PortEntry& entry : ports_) {
    entry.vlan_twins.clear();
    entry.twin.reset();
    if (entry.port != nullptr) entry.port->stop();
  }
  for (PortEntry& entry : ports_)
    entry.port.reset();
  ports_.clear();  // gives the devices beneath back
}

std::expected<void, Error> PortSet::protect_devices(const config::Config& config,
                                                    uint16_t workers) {
  std::ranges::move(recover_devices(config.daemon.run_dir), std::back_inserter(notes_));
  std::ranges::move(recover_loans(config.daemon.run_dir), std::back_inserter(notes_));
  for (const config::Port& port : config.ports) {
    ports_.emplace_back();
    ports_.back().config = port;
    if (!port.interface) continue;
    if (port.take_over) {
      auto loan = InterfaceLoan::borrow(*port.interface, config.daemon.run_dir);
      if (!loan) return std::unexpected(loan.error());
      std::ranges::copy(loan->notes(), std::back_inserter(notes_));
      ports_.back().loan.emplace(std::move(*loan));
    }
    BeneathOptions options;
    options.interface = ports_.back().interface_beneath();
    options.state_dir = config.daemon.run_dir;
    options.promiscuous = port.promiscuous;
    options.mtu = port.mtu;
    if (port.driver == config::Driver::af_xdp) options.af_xdp_queues = wanted_queues(port, workers);
    auto beneath = DeviceBeneath::protect(options);
    if (!beneath) return std::unexpected(beneath.error());
    ports_.back().beneath.emplace(std::move(*beneath));
    for (const std::string& note : ports_.back().beneath->notes())
      notes_.push_back(note);
  }
  return {};
}

std::expected<void, Error> PortSet::start_dpdk(const config::Config& config, uint16_t workers) {
  dataplane::EalOptions options;
  options.file_prefix = config.daemon.file_prefix;
  options.huge_pages = huge_pages_of(config.memory.huge_pages);
  options.memory_mb = memory_mb(config, workers);
  options.log_level = eal_log_level(config.daemon.log_level);
  for (const config::Port& port : config.ports) {
    if (port.pci) options.pci.push_back(*port.pci);
  }
  auto eal = dataplane::Eal::start(options);
  if (!eal) return std::unexpected(from_dataplane(eal.error()));
  eal_.emplace(std::move(*eal));
  notes_.push_back(eal_->notice());
  return {};
}

std::expected<void, Error> PortSet::open_ports(const config::Config&, uint16_t workers) {
  std::vector<dataplane::PortLimits> limits;
  for (PortEntry& entry : ports_) {
    dataplane::PortOptions options = options_of(entry.config, workers);
    if (entry.loan) options.device = entry.loan->beneath();
    auto port = dataplane::Port::open(options);
    if (!port) return std::unexpected(from_dataplane(port.error()));
    entry.port = std::move(*port);
    limits.push_back(entry.port->limits());
  }
  plan_ = dataplane::plan_queues(workers, limits);
  for (const std::string& note : plan_.notes)
    notes_.push_back(note);
  return {};
}

std::expected<void, Error> PortSet::make_buffers(const config::Config& config, uint16_t workers) {
  std::vector<PortKind> kinds;
  std::vector<dataplane::PoolDemand> demands;
  dataplane::PoolOptions options;
  for (size_t i = 0; i < ports_.size(); ++i) {
    const dataplane::Port& port = *ports_[i].port;
    kinds.push_back(port.kind());
    demands.push_back(port.demand(plan_.ports[i]));
    options.buffer_size = std::max(options.buffer_size, port.buffer_size());
  }
  options.layout = dataplane::choose_pool_layout(kinds);
  options.mbufs = dataplane::mbufs_needed(demands, workers);
  if (config.memory.mbufs_per_port) {
    options.mbufs = *config.memory.mbufs_per_port * static_cast<uint32_t>(ports_.size());
  }
  options.shared_cores = config.daemon.idle == config::Idle::adaptive;
  auto pool = dataplane::make_pool(options);
  if (!pool) return std::unexpected(from_dataplane(pool.error()));
  pool_ = std::move(*pool);
  return {};
}

std::expected<void, Error> PortSet::start_ports(const config::Config&, uint16_t) {
  for (size_t i = 0; i < ports_.size(); ++i) {
    PortEntry& entry = ports_[i];
    if (auto started = entry.port->start(plan_.ports[i], pool_.get()); !started) {
      return std::unexpected(from_dataplane(started.error()));
    }
    for (const std::string& note : entry.port->notes())
      notes_.push_back(note);
    const dataplane::RssInfo& rss = entry.port->rss();
    const bool hashes_ports = rss.tcp4_ports && rss.udp4_ports && rss.tcp6_ports && rss.udp6_ports;
    if (rss.valid && hashes_ports && dataplane::RssTable::usable(rss.key, rss.reta)) {
      entry.rss = std::make_unique<dataplane::RssTable>(rss.key, rss.reta);
    }
  }
  return {};
}

std::expected<void, Error> PortSet::make_twins(const config::Config&, uint16_t) {
  for (PortEntry& entry : ports_) {
    if (!entry.config.twin.enabled) continue;
    auto twin = dataplane::Tap::create(
        {.name = entry.config.twin_name(), .mac = entry.port->mac(), .mtu = twin_mtu(entry)});
    if (!twin) return std::unexpected(from_dataplane(twin.error()));
    entry.twin.emplace(std::move(*twin));
    for (const config::Vlan& vlan : entry.config.vlans) {
      auto tap = dataplane::Tap::create({.name = entry.config.vlan_name(vlan),
                                         .mac = entry.port->mac(),
                                         .mtu = vlan_mtu(entry, vlan)});
      if (!tap) return std::unexpected(from_dataplane(tap.error()));
      entry.vlan_twins.push_back(std::move(*tap));
    }
    if (entry.loan) {
      std::ranges::move(entry.loan->hand_over(entry.twin->interface_index()),
                        std::back_inserter(notes_));
    }
  }
  return {};
}

std::vector<dataplane::Interface> PortSet::interfaces() const {
  std::vector<dataplane::Interface> result;
  const auto add = [&](const PortEntry& entry, uint16_t vlan, uint16_t mtu) {
    dataplane::Interface interface{};
    interface.port = entry.port->id();
    interface.vlan = vlan;
    interface.mtu = mtu;
    interface.mac = entry.port->mac();
    result.push_back(interface);
  };
  for (const PortEntry& entry : ports_)
    add(entry, 0, twin_mtu(entry));
  for (const PortEntry& entry : ports_) {
    for (const config::Vlan& vlan : entry.config.vlans)
      add(entry, vlan.id, vlan_mtu(entry, vlan));
  }
  return result;
}

std::vector<std::string> PortSet::interface_names() const {
  std::vector<std::string> result;
  result.reserve(ports_.size());
  for (const PortEntry& entry : ports_)
    result.push_back(entry.config.name);
  for (const PortEntry& entry : ports_) {
    for (const config::Vlan& vlan : entry.config.vlans) {
      result.push_back(entry.config.vlan_name(vlan));
    }
  }
  return result;
}

std::vector<int> PortSet::kernel_indexes() const {
  std::vector<int> result;
  result.reserve(ports_.size());
  for (const PortEntry& entry : ports_) {
    result.push_back(entry.twin ? entry.twin->interface_index() : 0);
  }
  for (const PortEntry& entry : ports_) {
    for (size_t v = 0; v < entry.config.vlans.size(); ++v) {
      result.push_back(entry.twin ? entry.vlan_twins[v].interface_index() : 0);
    }
  }
  return result;
}

std::vector<std::string> PortSet::receive_virtual_macs(const std::vector<VirtualMac>& macs) {
  const std::vector<dataplane::Interface> places = interfaces();
  std::vector<std::string> lines;
  for (PortEntry& entry : ports_) {
    std::vector<net::MacAddress> wanted;
    for (const VirtualMac& mac : macs) {
      const bool here =
          mac.interface < places.size() && places[mac.interface].port == entry.port->id();
      if (here) wanted.push_back(net::virtual_mac(mac.family, mac.vrid));
    }
    std::ranges::sort(wanted);  // VLANs of a port may have the same
    const auto same = std::ranges::unique(wanted);
    wanted.erase(same.begin(), same.end());
    std::ranges::move(receive(entry, std::move(wanted)), std::back_inserter(lines));
  }
  return lines;
}

std::vector<dataplane::TwinPort> PortSet::twin_ports() const {
  std::vector<dataplane::TwinPort> result;
  for (size_t i = 0; i < ports_.size(); ++i) {
    std::ranges::copy(twin_ports_of(ports_[i], plan_.ports[i].twin_worker),
                      std::back_inserter(result));
  }
  return result;
}

std::vector<TwinNetworkPart> PortSet::twin_network(const config::Config& config) const {
  std::vector<TwinNetworkPart> result;
  for (size_t i = 0; i < ports_.size() && i < config.ports.size(); ++i) {
    const PortEntry& entry = ports_[i];
    const config::Port& wanted = config.ports[i];
    if (!entry.twin) continue;
    result.push_back({.kernel_index = entry.twin->interface_index(),
                      .name = entry.twin->name(),
                      .addresses = wanted.twin.addresses,
                      .routes = wanted.twin.routes});
    for (size_t v = 0; v < entry.vlan_twins.size() && v < wanted.vlans.size(); ++v) {
      result.push_back({.kernel_index = entry.vlan_twins[v].interface_index(),
                        .name = entry.vlan_twins[v].name(),
                        .addresses = wanted.vlans[v].addresses,
                        .routes = wanted.vlans[v].routes});
    }
  }
  return result;
}

}  // namespace headgate::control
