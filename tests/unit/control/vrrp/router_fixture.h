// VrrpRouter with a host that notes what it is asked for, in virtual time.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/model.h"
#include "control/vrrp/plan.h"
#include "control/vrrp/router.h"

namespace headgate::control {

inline net::IpAddress ip(std::string_view text) {
  return net::parse_ip(text).value();
}

struct FakeHost final : RouterHost {
  struct Sent {
    std::string interface;
    vrrp::Advert advert;
    net::IpAddress source;
    net::IpAddress destination;
    uint8_t ttl = 0;
    bool from_virtual_mac = false;
  };

  bool send_advert(const OutgoingAdvert& advert) override {
    const auto decoded = vrrp::decode({.message = advert.message,
                                       .source = advert.source,
                                       .destination = advert.destination,
                                       .ttl = advert.ttl});
    EXPECT_TRUE(decoded.has_value());
    if (!sends) return false;
    sent.push_back({std::string(advert.interface), decoded.value_or(vrrp::Advert{}), advert.source,
                    advert.destination, advert.ttl, advert.virtual_mac != nullptr});
    log_of_calls.push_back("advert " + std::to_string(sent.back().advert.priority));
    return true;
  }
  void hold(const std::vector<InterfaceAddress>& addresses, bool is_held) override {
    for (const InterfaceAddress& address : addresses) {
      held[net::to_string(address.prefix)] = is_held;
      log_of_calls.push_back((is_held ? "hold " : "drop ") + net::to_string(address.prefix));
    }
  }
  void announce(const Announcement& announcement) override {
    announced.push_back(announcement);
    log_of_calls.push_back("announce " + std::to_string(announcement.repeat));
  }
  void cancel_announcements(const std::vector<InterfaceAddress>& addresses) override {
    for (const InterfaceAddress& address : addresses)
      cancelled.push_back(net::to_string(address.prefix));
  }
  void set_ownership(VrrpOwnership wanted, uint64_t its_serial) override {
    ownership = std::move(wanted);
    serial = its_serial;
    ++ownerships;
    log_of_calls.emplace_back("ownership");
  }
  void notify(Notification notification) override {
    notified.push_back(std::string(name_of(notification.kind)) + " " + notification.name + " " +
                       std::string(name_of(notification.state)) + " " +
                       std::to_string(notification.priority));
  }
  void log(LogLevel level, std::string text) override {
    if (level <= LogLevel::info) {
      lines.push_back(std::move(text));
    } else {
      ++debug_lines;
    }
  }
  std::string lateness_cause(vrrp::Duration /*late*/) override { return "the test slept"; }

  bool sends = true;
  std::vector<Sent> sent;
  std::map<std::string, bool> held;
  std::vector<Announcement> announced;
  std::vector<std::string> cancelled;
  VrrpOwnership ownership;
  uint64_t serial = 0;
  int ownerships = 0;
  std::vector<std::string> notified;
  std::vector<std::string> lines;
  size_t debug_lines = 0;
  std::vector<std::string> log_of_calls;
};

class VrrpRouterTest : public testing::Test {
 protected:
  using Milliseconds = std::chrono::milliseconds;

  static config::VrrpAddress address(const std::string& text) {
    config::VrrpAddress result;
    result.address = net::parse_prefix(text).value();
    return result;
  }
  static config::VrrpSyncGroup group(std::string name, std::vector<std::string> instances) {
    config::VrrpSyncGroup result;
    result.name = std::move(name);
    result.instances = std::move(instances);
    return result;
  }

  // Version 3, priority 100, one second, on eth0.
  static config::VrrpInstance instance(std::string name, uint8_t id, const std::string& vip) {
    config::VrrpInstance result;
    result.name = std::move(name);
    result.interface = "eth0";
    result.virtual_router_id = id;
    result.addresses = {address(vip)};
    return result;
  }

  void configure(std::vector<config::VrrpInstance> instances,
                 std::vector<config::VrrpSyncGroup> groups = {}) {
    config_.vrrp.instances = std::move(instances);
    config_.vrrp.sync_groups = std::move(groups);
    router_.configure(plan_vrrp(config_), now_);
    run_for(Milliseconds(0));
  }

  void link(const std::string& name, bool up = true, const std::string& address = "10.0.0.1") {
    router_.link_changed(name,
                         {.index = 2,
                          .up = up,
                          .mac = {{2, 0, 0, 0, 0, 1}},
                          .sources = {ip(address), ip("fe80::1")}},
                         now_);
  }

  // Lets the time pass, each timer at its moment; the data plane takes every ownership at once.
  void run_for(vrrp::Duration time) {
    const vrrp::Time end = now_ + time;
    while (true) {
      if (visible_at_once_ && host_.serial != visible_) {
        visible_ = host_.serial;
        router_.ownership_visible(visible_, now_);
      }
      const auto next = router_.next_deadline();
      if (!next || *next > end) break;
      now_ = std::max(now_, *next);
      router_.tick(now_);
    }
    now_ = end;
  }

  // An advert of another router on eth0.
  void hear(uint8_t id, uint8_t priority, const std::string& from = "10.0.0.2",
            const std::string& address = "192.0.2.80", uint8_t ttl = 255) {
    vrrp::Advert advert;
    advert.vrid = id;
    advert.priority = priority;
    advert.addresses = {ip(address)};
    const auto message = vrrp::encode(advert, ip(from), ip("224.0.0.18"));
    router_.packet(
        "eth0",
        {.message = message, .source = ip(from), .destination = ip("224.0.0.18"), .ttl = ttl},
        now_);
  }

  VrrpInstanceStatus status_of(const std::string& name) {
    for (VrrpInstanceStatus& status : router_.status(now_).instances) {
      if (status.name == name) return status;
    }
    ADD_FAILURE() << "no virtual router " << name;
    return {};
  }
  std::string state_of(const std::string& name) { return std::string(status_of(name).state); }

  config::Config config_;
  FakeHost host_;
  VrrpRouter router_{host_};
  vrrp::Time now_{std::chrono::hours(1)};
  uint64_t visible_ = 0;
  bool visible_at_once_ = true;
};

}  // namespace headgate::control
