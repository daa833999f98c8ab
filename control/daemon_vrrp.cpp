// The daemon's side of VRRP: what the virtual routers need of it, and how they follow its
// configuration.
#include <algorithm>
#include <map>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "control/daemon.h"
#include "control/log.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// What is given to a twin leaves through a worker within a millisecond or two.
constexpr std::chrono::milliseconds last_adverts_linger{20};

// The interfaces of ports and VLANs by their kernel names, numbered as everywhere.
std::map<std::string, uint16_t> interface_numbers(const std::vector<config::Port>& ports) {
  std::map<std::string, uint16_t> numbers;
  uint16_t next = 0;
  for (const config::Port& port : ports)
    numbers[port.twin_name()] = next++;
  for (const config::Port& port : ports) {
    for (const config::Vlan& vlan : port.vlans)
      numbers[port.vlan_name(vlan)] = next++;
  }
  return numbers;
}

Ownership ownership_by_number(VrrpOwnership named, const std::vector<config::Port>& ports) {
  const auto numbers = interface_numbers(ports);
  Ownership ownership;
  ownership.inactive = std::move(named.inactive);
  for (OwnedMac& mac : named.virtual_macs) {
    const auto number = numbers.find(mac.interface);
    if (number == numbers.end()) continue;
    ownership.virtual_macs.push_back({.interface = number->second,
                                      .family = mac.family,
                                      .vrid = mac.vrid,
                                      .addresses = std::move(mac.addresses)});
  }
  return ownership;
}

}  // namespace

// Nobody's at first: each address is inactive until its virtual router is master.
Ownership ownership_at_start(const config::Vrrp& vrrp) {
  Ownership ownership;
  for (const config::VrrpInstance& instance : vrrp.instances) {
    for (const auto* list : {&instance.addresses, &instance.excluded_addresses}) {
      for (const config::VrrpAddress& address : *list)
        ownership.inactive.push_back(address.address.address);
    }
  }
  return ownership;
}

VrrpEnvironment Daemon::vrrp_environment() {
  VrrpEnvironment environment;
  environment.state_path = config_.daemon.run_dir + "/vrrp-addresses";
  environment.set_ownership = [this](VrrpOwnership ownership, std::function<void()> visible) {
    asio::co_spawn(loop_, take_ownership(std::move(ownership), std::move(visible)), asio::detached);
  };
  environment.port_links = [this] {
    std::vector<std::pair<std::string, bool>> links;
    if (!ports_) return links;
    for (const PortEntry& entry : ports_->ports()) {
      const bool up = entry.port->link().up;
      links.emplace_back(entry.config.twin_name(), up);
      for (const config::Vlan& vlan : entry.config.vlans)
        links.emplace_back(entry.config.vlan_name(vlan), up);
    }
    return links;
  };
  for (const PortEntry& entry : ports_->ports()) {
    const std::string device = entry.interface_beneath();
    if (device.empty()) continue;
    environment.devices_beneath[entry.config.twin_name()] = device;
    for (const config::Vlan& vlan : entry.config.vlans)
      environment.devices_beneath[entry.config.vlan_name(vlan)] = device;
  }
  environment.service_up = [this](const config::ServiceKey& key) {
    const auto pool = health_->book().pool_state(key);
    return !pool || pool->quorum;
  };
  environment.worker_polls = [this] {
    std::vector<uint64_t> polls;
    polls.reserve(cores_.size());
    for (uint32_t i = 0; i < cores_.size(); ++i)
      polls.push_back(state_->counters.worker(i).polls.get());
    return polls;
  };
  environment.worker_cores = cores_;
  return environment;
}

asio::awaitable<void> Daemon::take_ownership(VrrpOwnership ownership,
                                             std::function<void()> visible) {
  const auto done =
      co_await changes_->set_ownership(ownership_by_number(std::move(ownership), config_.ports));
  if (!done) log_error("vrrp: {}", done.error().text);
  visible();
}

Daemon::Done Daemon::start_vrrp() {
  vrrp_ = std::make_unique<VrrpManager>(loop_, vrrp_environment());
  followed_config_ = state_->config;
  if (auto done = vrrp_->configure(*followed_config_, programs_); !done) return done;
  receive_virtual_macs();
  offer_vrrp();
  return {};
}

// A newer configuration is followed.
void Daemon::follow_vrrp() {
  if (auto done = vrrp_->configure(*followed_config_, programs_); !done) {
    log_error("vrrp: {}", done.error().text);
  }
  receive_virtual_macs();
  offer_vrrp();
}

// Of all virtual routers that may become master: a port's filters are set ahead, not at a
// fail-over.
void Daemon::receive_virtual_macs() {
  if (!ports_) return;
  VrrpOwnership wanted;
  for (const config::VrrpInstance& instance : followed_config_->vrrp.instances) {
    if (!instance.virtual_mac) continue;
    wanted.virtual_macs.push_back({.interface = instance.interface,
                                   .family = family_of(instance),
                                   .vrid = instance.virtual_router_id,
                                   .addresses = {}});
  }
  const Ownership ownership = ownership_by_number(std::move(wanted), config_.ports);
  for (const std::string& note : ports_->receive_virtual_macs(ownership.virtual_macs))
    log_info("{}", note);
}

// To the command line, from the first virtual router on.
void Daemon::offer_vrrp() {
  VrrpControl& control = state_->surroundings.vrrp;
  if (!vrrp_->runs() || control.status) return;
  control.status = [this] { return vrrp_->status(); };
  control.failover = [this](std::string name) { return vrrp_->failover(std::move(name)); };
  control.maintenance = [this](bool on) { return vrrp_->maintenance(on); };
}

// Before anything else stops: the adverts that say so leave through workers.
void Daemon::leave_vrrp() {
  if (!vrrp_ || !vrrp_->runs()) return;
  vrrp_->leave();
  finish_on_loop(vrrp_->finish(last_scripts_patience), last_adverts_linger);
}

}  // namespace headgate::control
