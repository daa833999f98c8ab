// The thread that VRRP runs on: VrrpRouter with a clock, sockets and a loop of its own, at
// real-time priority where that is allowed. Nothing that the control thread does (a reload, a stuck
// client, a flood of commands) moves an advert.
//
//   control thread                     VRRP's thread
//   configure, tracked, … ──post──►  VrrpRouter ──► AdvertSocket, Announcer, AddressQueue
//   hooks                 ◄──post──  ownership, notifications, log lines
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "control/error.h"
#include "control/log.h"
#include "control/vrrp/notification.h"
#include "control/vrrp/plan.h"
#include "control/vrrp/router_host.h"
#include "control/vrrp/tracking.h"
#include "control/vrrp_status.h"

namespace headgate::control {

// What VRRP asks of the control thread; called on its loop.
struct VrrpHooks {
  // Calls `visible` once the data plane works by it, or when a later call has replaced it.
  std::function<void(VrrpOwnership ownership, std::function<void()> visible)> set_ownership;
  std::function<void(const Notification& notification)> notify;
};

// What an earlier process left on interfaces, where no virtual router is configured any more.
void remove_stale_addresses(const std::string& state_path);

class VrrpThread {
 public:
  // `control` is the loop of the caller's thread. `state_path`: where AddressKeeper notes what it
  // has put on interfaces; what an earlier process left there is removed now. `devices_beneath`:
  // the device under an interface that is a port's kernel side; without its link there is none.
  [[nodiscard]] static std::expected<std::unique_ptr<VrrpThread>, Error> start(
      boost::asio::io_context& control, const std::string& state_path,
      std::map<std::string, std::string> devices_beneath, VrrpHooks hooks);
  VrrpThread(const VrrpThread&) = delete;
  VrrpThread& operator=(const VrrpThread&) = delete;
  ~VrrpThread();  // stop()

  // These return at once; they are done in their order.
  void configure(VrrpPlan plan);
  void tracked(TrackedKind kind, std::string name, TrackedValue value);
  void worker_trouble(std::string text);
  // Whether the port beneath an interface has a link; interfaces without a port are not told.
  void port_link(std::string interface, bool up);

  [[nodiscard]] boost::asio::awaitable<VrrpStatus> status();
  [[nodiscard]] boost::asio::awaitable<std::expected<std::string, Error>> failover(
      std::string name);
  [[nodiscard]] boost::asio::awaitable<std::expected<std::string, Error>> maintenance(bool on);

  // Masters leave, addresses are taken away, the thread ends. Notifications of it and the last
  // ownership, that nothing is ours, are posted to the control loop before it returns.
  void stop();

 private:
  struct Impl;
  explicit VrrpThread(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headgate::control
