// All virtual routers of this box: it feeds their state machines with adverts, timers and what they
// track, moves sync groups together, and asks its host to do what they want. It has no socket, no
// clock and no thread; every call says what time it is.
//
//   packet() ─┐                                         ┌─> send_advert, hold, announce
//   tick() ───┼─> vrrp::step() ─> actions ─> perform() ─┼─> set_ownership, once for each call
//   tracked() ┘        ▲                                └─> notify
//                      └── events for the rest of a sync group
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/error.h"
#include "control/vrrp/plan.h"
#include "control/vrrp/router_host.h"
#include "control/vrrp/tracking.h"
#include "control/vrrp/virtual_router.h"
#include "control/vrrp_status.h"
#include "vrrp/advert.h"
#include "vrrp/group.h"
#include "vrrp/machine.h"

namespace headgate::control {

class VrrpRouter {
 public:
  using Time = vrrp::Time;

  explicit VrrpRouter(RouterHost& host) : host_(host) {}
  VrrpRouter(const VrrpRouter&) = delete;
  VrrpRouter& operator=(const VrrpRouter&) = delete;
  ~VrrpRouter() = default;

  // At the start and at each reload: virtual routers that stay the same go on as they are.
  void configure(VrrpPlan plan, Time now);
  // Masters leave by priority 0; nothing is run any more.
  void stop(Time now);

  // Where adverts are to be received: interface and family, with the groups to join.
  struct Endpoint {
    std::string interface;
    net::Family family = net::Family::none;
    net::IpAddress group;
    auto operator<=>(const Endpoint&) const = default;
  };
  [[nodiscard]] std::vector<Endpoint> endpoints() const;

  void packet(const std::string& interface, const vrrp::Received& packet, Time now);
  void link_changed(const std::string& interface, const RouterLink& link, Time now);
  void tracked(TrackedKind kind, const std::string& name, TrackedValue value, Time now);
  // Empty: all workers poll.
  void worker_trouble(const std::string& text, Time now);
  void ownership_visible(uint64_t serial, Time now);

  // By hand. The text says what was done, or why not.
  [[nodiscard]] std::expected<std::string, Error> failover(const std::string& name, Time now);
  [[nodiscard]] std::string maintenance(bool on, Time now);

  [[nodiscard]] std::optional<Time> next_deadline() const;
  void tick(Time now);

  [[nodiscard]] VrrpStatus status(Time now) const;
  [[nodiscard]] VrrpOwnership ownership() const;

 private:
  using ClaimKey = std::pair<std::string, net::Prefix>;
  using WireKey = std::pair<std::string, net::Family>;
  struct Group {
    config::VrrpSyncGroup config;
    std::vector<VirtualRouter*> members;
    vrrp::State announced = vrrp::State::init;  // to its notify scripts

    [[nodiscard]] std::vector<vrrp::Member> states() const;  // in the order of `members`
  };

  [[nodiscard]] std::vector<std::unique_ptr<VirtualRouter>> take_over(VrrpPlan& plan, Time now);
  void adopt(VirtualRouter& router, VrrpInstancePlan plan, Time now);
  void exchange_addresses(VirtualRouter& router, const VrrpInstancePlan& before, Time now);
  void index_all(std::vector<config::VrrpSyncGroup> groups);
  void unite_groups(Time now);
  void start(VirtualRouter& router, Time now);
  void tick(VirtualRouter& router, Time now);

  void handle(VirtualRouter& router, const vrrp::Event& event, Time now);
  void perform(VirtualRouter& router, const vrrp::SendAdvert& action, Time now);
  void perform(VirtualRouter& router, const vrrp::Claim& action, Time now);
  void perform(VirtualRouter& router, const vrrp::Release& action, Time now);
  void perform(VirtualRouter& router, const vrrp::Announce& action, Time now);
  void perform(VirtualRouter& router, const vrrp::Transition& action, Time now);
  void send(VirtualRouter& router, const std::vector<uint8_t>& message,
            const net::IpAddress& source, const net::IpAddress& destination);
  void take(const VrrpInstancePlan& plan, const std::vector<InterfaceAddress>& addresses);
  void let_go(const std::vector<InterfaceAddress>& addresses);
  void announce_now(VirtualRouter& router);
  void discarded(VirtualRouter& router, const vrrp::Received& packet, vrrp::Discard reason,
                 Time now);
  void tell_mismatch(VirtualRouter& router, const vrrp::Received& packet, vrrp::Mismatch mismatch,
                     Time now);
  void count_lateness(VirtualRouter& router, Time due, Time now);
  void move_group(VirtualRouter& router, const vrrp::Transition& transition, Time now);
  void notify_group(Group& group);

  void judge_all(Time now);
  void judge(VirtualRouter& router);
  void apply_faults(VirtualRouter& router, Time now);
  [[nodiscard]] static ClaimKey claim_key(const InterfaceAddress& address);
  [[nodiscard]] std::vector<std::string> group_faults(const VirtualRouter& router) const;
  [[nodiscard]] const RouterLink& link_of(const VirtualRouter& router) const;

  void requeue(VirtualRouter& router);
  void flush();
  [[nodiscard]] VirtualRouter* find(const std::string& name) const;

  RouterHost& host_;
  std::vector<std::unique_ptr<VirtualRouter>> routers_;
  std::map<std::string, Group> groups_;
  std::map<WireKey, std::map<uint8_t, VirtualRouter*>> wires_;
  std::set<net::IpAddress> virtual_addresses_;
  std::map<ClaimKey, uint32_t> claims_;  // addresses that are ours, by how many routers
  std::map<std::string, RouterLink> links_;
  TrackedValues values_;
  std::string worker_trouble_;
  std::optional<Time> first_configured_;  // startup_delay counts from here
  bool maintenance_ = false;
  bool stopped_ = false;
  bool moving_group_ = false;  // what follows is part of a group's move
  std::set<std::pair<Time, VirtualRouter*>> deadlines_;
  bool ownership_dirty_ = false;
  uint64_t ownership_serial_ = 0;  // of the last that was handed out
  uint64_t visible_serial_ = 0;
};

}  // namespace headgate::control
