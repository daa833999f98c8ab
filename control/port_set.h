// The ports of a configuration, with everything that belongs to one: the kernel device beneath, the
// DPDK port, its twin and those of its VLANs, buffers and queues.
//
//   recover and protect devices ─> DPDK ─> open ports ─> plan queues ─> buffers ─> start ─> twins,
//   which get what interfaces have lent
//
// Interfaces are numbered as everywhere: the ports in the file's order, then the VLANs of the first
// port, of the second, and so on.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model.h"
#include "control/device_beneath.h"
#include "control/error.h"
#include "control/interface_loan.h"
#include "control/ownership.h"
#include "control/twin_network.h"
#include "dataplane/eal.h"
#include "dataplane/exception.h"
#include "dataplane/pool.h"
#include "dataplane/port.h"
#include "dataplane/queue_plan.h"
#include "dataplane/rss.h"
#include "dataplane/snapshot.h"
#include "dataplane/twin.h"

namespace headgate::control {

struct PortEntry {
  config::Port config;
  // In the order in which they come to be; they go in the opposite one.
  std::optional<InterfaceLoan> loan;  // `take_over`
  std::optional<DeviceBeneath> beneath;
  std::unique_ptr<dataplane::Port> port;
  std::unique_ptr<dataplane::RssTable> rss;  // null: not known
  std::optional<dataplane::Tap> twin;
  std::vector<dataplane::Tap> vlan_twins;     // as config.vlans; empty without a twin
  std::vector<net::MacAddress> virtual_macs;  // that the port receives, sorted

  // The kernel's interface beneath, as it is called now; empty: there is none.
  [[nodiscard]] std::string interface_beneath() const {
    return loan ? loan->beneath() : config.interface.value_or("");
  }
};

class PortSet {
 public:
  // Starts DPDK as well, unless there are no ports. `workers` is the number of polling cores. What
  // fails is named, and all that was done before is undone.
  [[nodiscard]] static std::expected<std::unique_ptr<PortSet>, Error> open(
      const config::Config& config, uint16_t workers);
  PortSet(const PortSet&) = delete;
  PortSet& operator=(const PortSet&) = delete;
  ~PortSet();  // closes ports, then restores devices; nobody may poll any more

  [[nodiscard]] const std::vector<PortEntry>& ports() const { return ports_; }
  [[nodiscard]] const dataplane::QueuePlan& plan() const { return plan_; }
  [[nodiscard]] rte_mempool* pool() const { return pool_.get(); }

  // By interface index.
  [[nodiscard]] std::vector<dataplane::Interface> interfaces() const;
  [[nodiscard]] std::vector<std::string> interface_names() const;
  [[nodiscard]] std::vector<int> kernel_indexes() const;  // 0: no twin

  [[nodiscard]] std::vector<dataplane::TwinPort> twin_ports() const;
  // Addresses and routes that `config`, with the same ports, wants the twins to have.
  [[nodiscard]] std::vector<TwinNetworkPart> twin_network(const config::Config& config) const;

  // The virtual MACs that ports receive from now on, of all virtual routers that may become master:
  // a device takes longer to be told than a fail-over may, and the workers take frames to those
  // alone that we are master of (Ownership). Lines for the log, where something has changed.
  std::vector<std::string> receive_virtual_macs(const std::vector<VirtualMac>& macs);

  // What an operator should know, a line each: memory, queues, what a device would not do.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  PortSet() = default;
  // The steps of open(), in order.
  using Done = std::expected<void, Error>;
  [[nodiscard]] Done protect_devices(const config::Config& config, uint16_t workers);
  [[nodiscard]] Done start_dpdk(const config::Config& config, uint16_t workers);
  [[nodiscard]] Done open_ports(const config::Config& config, uint16_t workers);
  [[nodiscard]] Done make_buffers(const config::Config& config, uint16_t workers);
  [[nodiscard]] Done start_ports(const config::Config& config, uint16_t workers);
  [[nodiscard]] Done make_twins(const config::Config& config, uint16_t workers);

  // In the order in which they come to be; they go in the opposite one.
  std::optional<dataplane::Eal> eal_;
  dataplane::Pool pool_;
  std::vector<PortEntry> ports_;
  dataplane::QueuePlan plan_;
  std::vector<std::string> notes_;
};

}  // namespace headgate::control
