#include "control/vrrp/vrrp_thread.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <optional>
#include <pthread.h>
#include <sched.h>
#include <set>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/vrrp/address_queue.h"
#include "control/vrrp/advert_socket.h"
#include "control/vrrp/lateness.h"
#include "control/vrrp/link_watch.h"
#include "control/vrrp/router.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

constexpr int realtime_priority = 50;
// How often a socket that could not be opened is tried again.
constexpr std::chrono::seconds reopen_period{1};
// How long what waits in sockets is read before timers are looked at.
constexpr std::chrono::milliseconds drain_patience{10};
// Log lines that may be on their way to the control thread.
constexpr size_t max_lines_waiting = 1000;

vrrp::Time now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

RouterLink router_link(const LinkState& state, bool port_has_link) {
  RouterLink link;
  link.index = state.index;
  link.up = state.usable() && port_has_link;
  link.mac = state.mac;
  for (const net::Prefix& prefix : state.ipv4)
    link.sources.push_back(prefix.address);
  if (const net::IpAddress local = state.link_local(); local.family != net::Family::none) {
    link.sources.push_back(local);
  }
  return link;
}

// Empty: it runs at real-time priority; else why not.
std::string take_realtime_priority() {
  sched_param parameters{};
  parameters.sched_priority = realtime_priority;
  // Programs that are started from here shall not inherit it.
  if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameters) == 0) return {};
  return std::generic_category().message(errno);
}

void remove_stale(AddressKeeper& keeper) {
  const AddressReport stale = keeper.remove_stale();
  for (const InterfaceAddress& address : stale.done) {
    log_warning("vrrp: removed {} from {}, which an earlier process left there",
                net::to_string(address.prefix), address.interface);
  }
  for (const Error& error : stale.errors)
    log_error("vrrp: {}", error.text);
}

}  // namespace

void remove_stale_addresses(const std::string& state_path) {
  if (access(state_path.c_str(), F_OK) != 0) return;
  if (auto keeper = AddressKeeper::open(state_path)) {
    remove_stale(*keeper);
  } else {
    log_error("vrrp: {}", keeper.error().text);
  }
}

struct VrrpThread::Impl final : RouterHost {
  Impl(asio::io_context& control_loop, VrrpHooks its_hooks)
      : control(control_loop), hooks(std::move(its_hooks)) {}

  // ---- on the control thread

  template <typename Call>
  void post(Call call) {
    asio::post(loop, [this, call = std::move(call)]() mutable { turn([&] { call(*this); }); });
  }

  // ---- on VRRP's thread

  void run();
  // Whatever happens in it, the timer is set to what is due next.
  template <typename Step>
  void turn(Step step) {
    try {
      step();
    } catch (const std::exception& exception) {
      log(LogLevel::error, fmt::format("vrrp: {}", exception.what()));
    }
    after_turn();
  }
  void configure(VrrpPlan plan);
  void open_sockets();
  void link_changed(const LinkState& state);
  void tell_link(const std::string& interface);
  void after_turn();
  void timer_came();
  void drain_sockets();

  // RouterHost
  bool send_advert(const OutgoingAdvert& advert) override;
  void hold(const std::vector<InterfaceAddress>& addresses, bool held) override;
  void announce(const Announcement& announcement) override { announcer.announce(announcement); }
  void cancel_announcements(const std::vector<InterfaceAddress>& addresses) override;
  void set_ownership(VrrpOwnership ownership, uint64_t serial) override;
  void notify(Notification notification) override;
  void log(LogLevel level, std::string text) override;
  std::string lateness_cause(vrrp::Duration late) override { return probe->cause(late); }

  using SocketKey = std::pair<std::string, net::Family>;
  struct Listener {
    std::unique_ptr<AdvertSocket> socket;
    net::IpAddress group;
  };

  asio::io_context& control;
  VrrpHooks hooks;
  // What was posted to the control loop finds its end here when the object has gone.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  // Log lines on their way to the control loop, and those that were too many.
  std::shared_ptr<std::atomic<size_t>> lines_waiting = std::make_shared<std::atomic<size_t>>(0);
  uint64_t lines_lost = 0;

  asio::io_context loop{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(loop);
  std::thread thread;
  std::optional<LatenessProbe> probe;
  VrrpRouter router{*this};
  std::unique_ptr<LinkWatch> links;
  Announcer announcer{loop, [this](const std::string& interface, const Error& error) {
                        log(LogLevel::warning,
                            fmt::format("vrrp: announcements on {}: {}", interface, error.text));
                      }};
  std::optional<AddressQueue> addresses;
  std::map<SocketKey, Listener> sockets;
  std::map<SocketKey, std::string> troubles;  // why a socket is not open, told once
  std::map<std::string, bool> port_links;
  std::map<std::string, std::string> devices_beneath;
  asio::steady_timer timer{loop};
  std::optional<vrrp::Time> timer_at;
  asio::steady_timer reopen{loop};
  bool reopen_waits = false;
  bool stopped = false;
};

std::expected<std::unique_ptr<VrrpThread>, Error> VrrpThread::start(
    asio::io_context& control, const std::string& state_path,
    std::map<std::string, std::string> devices_beneath, VrrpHooks hooks) {
  auto keeper = AddressKeeper::open(state_path);
  if (!keeper) return std::unexpected(keeper.error());
  remove_stale(*keeper);
  auto impl = std::make_unique<Impl>(control, std::move(hooks));
  impl->devices_beneath = std::move(devices_beneath);
  auto links = LinkWatch::open(
      impl->loop, [impl = impl.get()](const LinkState& state) { impl->link_changed(state); });
  if (!links) return std::unexpected(links.error());
  impl->links = std::move(*links);
  impl->addresses.emplace(impl->loop, std::move(*keeper));
  impl->thread = std::thread([impl = impl.get()] { impl->run(); });
  return std::unique_ptr<VrrpThread>(new VrrpThread(std::move(impl)));
}

VrrpThread::VrrpThread(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

VrrpThread::~VrrpThread() {
  stop();
  *impl_->alive = false;
}

void VrrpThread::configure(VrrpPlan plan) {
  impl_->post([plan = std::move(plan)](Impl& impl) mutable { impl.configure(std::move(plan)); });
}

void VrrpThread::tracked(TrackedKind kind, std::string name, TrackedValue value) {
  impl_->post([kind, name = std::move(name), value = std::move(value)](Impl& impl) mutable {
    impl.router.tracked(kind, name, std::move(value), now());
  });
}

void VrrpThread::worker_trouble(std::string text) {
  impl_->post([text = std::move(text)](Impl& impl) { impl.router.worker_trouble(text, now()); });
}

void VrrpThread::port_link(std::string interface, bool up) {
  impl_->post([interface = std::move(interface), up](Impl& impl) {
    impl.port_links[interface] = up;
    impl.tell_link(interface);
  });
}

// Each coroutine runs on VRRP's loop; the caller goes on on its own.
asio::awaitable<VrrpStatus> VrrpThread::status() {
  if (impl_->stopped) co_return VrrpStatus{};
  const auto ask = [](Impl& impl) -> asio::awaitable<VrrpStatus> {
    co_return impl.router.status(now());
  };
  co_return co_await asio::co_spawn(impl_->loop, ask(*impl_), asio::use_awaitable);
}

asio::awaitable<std::expected<std::string, Error>> VrrpThread::failover(std::string name) {
  if (impl_->stopped) co_return std::unexpected(Error{"the daemon stops"});
  const auto ask = [](Impl& impl,
                      std::string which) -> asio::awaitable<std::expected<std::string, Error>> {
    auto done = impl.router.failover(which, now());
    impl.after_turn();
    co_return done;
  };
  co_return co_await asio::co_spawn(impl_->loop, ask(*impl_, std::move(name)), asio::use_awaitable);
}

asio::awaitable<std::expected<std::string, Error>> VrrpThread::maintenance(bool on) {
  if (impl_->stopped) co_return std::unexpected(Error{"the daemon stops"});
  const auto ask = [](Impl& impl,
                      bool wanted) -> asio::awaitable<std::expected<std::string, Error>> {
    auto done = impl.router.maintenance(wanted, now());
    impl.after_turn();
    co_return done;
  };
  co_return co_await asio::co_spawn(impl_->loop, ask(*impl_, on), asio::use_awaitable);
}

void VrrpThread::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  asio::post(impl_->loop, [impl = impl_.get()] {
    impl->router.stop(now());
    impl->addresses->remove_all([impl](const AddressReport&) { impl->loop.stop(); });
  });
  impl_->thread.join();
}

// ---- on VRRP's thread

void VrrpThread::Impl::run() {
  pthread_setname_np(pthread_self(), "vrrp");
  probe.emplace();
  const std::string refused = take_realtime_priority();
  if (!refused.empty()) {
    log(LogLevel::warning, fmt::format("vrrp: no real-time priority: {}", refused));
  }
  while (!loop.stopped()) {
    try {
      loop.run();
    } catch (const std::exception& exception) {
      log(LogLevel::error, fmt::format("vrrp: {}", exception.what()));
    }
  }
}

void VrrpThread::Impl::configure(VrrpPlan plan) {
  std::set<std::string> names;
  for (const VrrpInstancePlan& instance : plan.instances) {
    names.insert(instance.config.interface);
    for (const InterfaceAddress& address : instance.held)
      names.insert(address.interface);
    for (const config::VrrpTrack& track : instance.config.interfaces)
      names.insert(track.name);
  }
  std::set<std::string> watched = names;
  for (const auto& [interface, device] : devices_beneath)
    watched.insert(device);
  links->watch({watched.begin(), watched.end()});
  for (const std::string& name : names)
    tell_link(name);
  router.configure(std::move(plan), now());
  open_sockets();
}

void VrrpThread::Impl::open_sockets() {
  const std::vector<VrrpRouter::Endpoint> wanted = router.endpoints();
  std::erase_if(sockets, [&](const auto& entry) {
    return std::ranges::none_of(wanted, [&](const VrrpRouter::Endpoint& endpoint) {
      return SocketKey{endpoint.interface, endpoint.family} == entry.first;
    });
  });
  bool missing = false;
  for (const VrrpRouter::Endpoint& endpoint : wanted) {
    const SocketKey key{endpoint.interface, endpoint.family};
    const int index = links->state(endpoint.interface).index;
    auto& [socket, group] = sockets[key];
    if (socket && socket->interface_index() == index && group == endpoint.group) continue;
    socket.reset();
    if (index == 0) continue;  // link_changed() comes when it is there
    auto opened = AdvertSocket::open(
        loop,
        {.interface = endpoint.interface, .family = endpoint.family, .group = endpoint.group});
    if (!opened) {
      missing = true;
      if (std::exchange(troubles[key], opened.error().text) != opened.error().text) {
        log(LogLevel::error, fmt::format("vrrp: {}", opened.error().text));
      }
      continue;
    }
    troubles.erase(key);
    socket = std::move(*opened);
    group = endpoint.group;
    socket->on_packet([this, name = endpoint.interface](const vrrp::Received& packet) {
      turn([&] { router.packet(name, packet, now()); });
    });
  }
  if (!missing || reopen_waits) return;
  reopen_waits = true;
  reopen.expires_after(reopen_period);
  reopen.async_wait([this](const boost::system::error_code& error) {
    reopen_waits = false;
    if (!error) turn([this] { open_sockets(); });
  });
}

void VrrpThread::Impl::link_changed(const LinkState& state) {
  turn([&] {
    open_sockets();  // what becomes master by it sends at once
    tell_link(state.name);
    for (const auto& [interface, device] : devices_beneath) {
      if (device == state.name) tell_link(interface);
    }
  });
}

void VrrpThread::Impl::tell_link(const std::string& interface) {
  const auto port = port_links.find(interface);
  const auto beneath = devices_beneath.find(interface);
  const bool has_link =
      (port == port_links.end() || port->second) &&
      (beneath == devices_beneath.end() || links->state(beneath->second).usable());
  router.link_changed(interface, router_link(links->state(interface), has_link), now());
}

// Sets the timer to what is due next.
void VrrpThread::Impl::after_turn() {
  const std::optional<vrrp::Time> next = router.next_deadline();
  if (next == timer_at) return;
  timer_at = next;
  if (!next) {
    timer.cancel();
    return;
  }
  timer.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(*next)));
  timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) timer_came();
  });
}

void VrrpThread::Impl::timer_came() {
  timer_at.reset();
  probe->mark();
  turn([&] {
    drain_sockets();
    router.tick(now());
  });
}

// A thread that was late must not take a master for dead whose adverts are waiting here. A flood
// must not hold up the timers either.
void VrrpThread::Impl::drain_sockets() {
  const vrrp::Time end = now() + drain_patience;
  bool more = true;
  while (more && now() < end) {
    more = false;
    for (auto& [key, listener] : sockets) {
      if (listener.socket && listener.socket->receive_waiting() == AdvertSocket::max_batch) {
        more = true;
      }
    }
  }
}

bool VrrpThread::Impl::send_advert(const OutgoingAdvert& advert) {
  const auto found = sockets.find({std::string(advert.interface), advert.family});
  if (found == sockets.end() || !found->second.socket) return false;
  AdvertSocket& socket = *found->second.socket;
  const auto sent =
      advert.virtual_mac != nullptr
          ? socket.send_from_mac(advert.message, advert.source, advert.destination,
                                 *advert.virtual_mac)
          : socket.send(advert.message, advert.source, advert.destination, advert.ttl);
  if (!sent) log(LogLevel::warning, fmt::format("vrrp: {}", sent.error().text));
  return sent.has_value();
}

void VrrpThread::Impl::hold(const std::vector<InterfaceAddress>& list, bool held) {
  const auto report = [this](const AddressReport& done) {
    for (const Error& error : done.errors)
      log(LogLevel::error, fmt::format("vrrp: {}", error.text));
    for (const InterfaceAddress& address : done.adopted) {
      log(LogLevel::warning, fmt::format("vrrp: {} is on {} already, put there by somebody else",
                                         net::to_string(address.prefix), address.interface));
    }
  };
  if (held) {
    addresses->add(list, report);
  } else {
    addresses->remove(list, report);
  }
}

void VrrpThread::Impl::cancel_announcements(const std::vector<InterfaceAddress>& list) {
  std::map<std::string, std::vector<net::IpAddress>> by_interface;
  for (const InterfaceAddress& address : list)
    by_interface[address.interface].push_back(address.prefix.address);
  for (const auto& [interface, these] : by_interface)
    announcer.cancel(interface, these);
}

void VrrpThread::Impl::set_ownership(VrrpOwnership ownership, uint64_t serial) {
  auto visible = [this, serial, still_there = alive] {
    if (!*still_there) return;
    post([serial](Impl& impl) { impl.router.ownership_visible(serial, now()); });
  };
  asio::post(control, [this, still_there = alive, ownership = std::move(ownership),
                       visible = std::move(visible)]() mutable {
    if (*still_there) hooks.set_ownership(std::move(ownership), std::move(visible));
  });
}

// Also after the end of this object: the last states are told then.
void VrrpThread::Impl::notify(Notification notification) {
  asio::post(control, [notify = hooks.notify, notification = std::move(notification)] {
    notify(notification);
  });
}

// Whoever reads the log must not be able to hold up this thread.
void VrrpThread::Impl::log(LogLevel level, std::string text) {
  if (!Log::get().enabled(level)) return;
  // Nor may a control thread that is held up collect them without end.
  if (lines_waiting->load() >= max_lines_waiting) {
    ++lines_lost;
    return;
  }
  if (lines_lost > 0) {
    text += fmt::format(" ({} lines before it were lost)", std::exchange(lines_lost, 0));
  }
  ++*lines_waiting;
  asio::post(control, [level, text = std::move(text), waiting = lines_waiting] {
    --*waiting;
    Log::get().write(level, text);
  });
}

}  // namespace headgate::control
