// VRRP as the daemon has it: the thread that the virtual routers run on, and beside it, on the
// control loop, what may take its time: tracked scripts, files and processes, the watch over
// workers and links, notification by script, pipe and mail.
//
// Nothing of it runs before a configuration holds a virtual router.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "config/model.h"
#include "control/error.h"
#include "control/programs.h"
#include "control/vrrp/router_host.h"
#include "control/vrrp_status.h"

namespace headgate::control {

// What VRRP needs of the daemon; called on the control loop.
struct VrrpEnvironment {
  std::string state_path;  // a file in the run directory
  // Puts an ownership into the snapshot; `visible` is called when workers see it, or a later one.
  std::function<void(VrrpOwnership ownership, std::function<void()> visible)> set_ownership;
  // Whether health has enough of a service's backends up to take connections.
  std::function<bool(const config::ServiceKey& service)> service_up =
      [](const config::ServiceKey&) { return true; };
  // By the kernel's name of each port's and VLAN's interface: whether the port has a link.
  std::function<std::vector<std::pair<std::string, bool>>()> port_links;
  // By the kernel's name of an interface: the device beneath its port, where there is one.
  std::map<std::string, std::string> devices_beneath;
  // How often each worker has polled, and on which core it does.
  std::function<std::vector<uint64_t>()> worker_polls;
  std::vector<uint16_t> worker_cores;
};

class VrrpManager {
 public:
  VrrpManager(boost::asio::io_context& loop, VrrpEnvironment environment);
  VrrpManager(const VrrpManager&) = delete;
  VrrpManager& operator=(const VrrpManager&) = delete;
  ~VrrpManager();

  // At the start and at each change of the configuration; nothing happens where it does not differ.
  // `programs` is that configuration's.
  [[nodiscard]] std::expected<void, Error> configure(
      const config::Config& config, const std::shared_ptr<const Programs>& programs);

  // Health has changed what service_up says of it.
  void service_changed(const config::Service& service);

  [[nodiscard]] bool runs() const;  // there are virtual routers, or were
  [[nodiscard]] boost::asio::awaitable<VrrpStatus> status();
  [[nodiscard]] boost::asio::awaitable<std::expected<std::string, Error>> failover(
      std::string name);
  [[nodiscard]] boost::asio::awaitable<std::expected<std::string, Error>> maintenance(bool on);

  // Leaves every virtual router; returns when others can take over. finish() then waits for the
  // scripts that this started, at most `bound`; the loop has to run.
  void leave();
  [[nodiscard]] boost::asio::awaitable<void> finish(std::chrono::milliseconds bound);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
