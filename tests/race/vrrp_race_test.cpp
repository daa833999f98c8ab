// VRRP's threads under a storm from the control thread: two routers on a wire, each on a thread of
// its own, are configured, asked, told and sent away as fast as one loop can, while they send and
// hear each other's adverts every 10 ms. ThreadSanitizer sees what they share; afterwards they must
// work as if nothing had been.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "config/model.h"
#include "control/log.h"
#include "control/vrrp/vrrp_thread.h"
#include "tests/e2e/control/vrrp/pair.h"

namespace headgate::test {
namespace {

namespace asio = boost::asio;

using control::Notification;
using control::NotifyState;
using control::TrackedKind;
using control::VrrpStatus;
using control::VrrpThread;

constexpr auto storm_time = std::chrono::seconds(2);
constexpr uint8_t ordinary_priority = 100;
constexpr uint8_t higher_priority = 150;

config::VrrpInstance instance(const std::string& name, const std::string& interface,
                              uint8_t priority, const std::string& address) {
  config::VrrpInstance instance;
  instance.name = name;
  instance.interface = interface;
  instance.virtual_router_id = 51;
  instance.priority = priority;
  instance.advert_interval_ms = 10;
  config::VrrpAddress held;
  held.address = net::parse_prefix(address).value();
  instance.addresses = {held};
  instance.services = {{.name = "web", .weight = -10}};
  return instance;
}

// One instance of each family, which follow each other.
control::VrrpPlan plan(const std::string& interface, uint8_t priority) {
  config::Config config;
  config.vrrp.instances = {instance("v4", interface, priority, "192.0.2.80/24"),
                           instance("v6", interface, priority, "fe80::80/64")};
  config.vrrp.sync_groups = {{.name = "both", .instances = {"v4", "v6"}, .notify = {}}};
  return control::plan_vrrp(config);
}

// A router with its thread, and what it has told the control thread.
struct Router {
  std::string interface;
  std::unique_ptr<VrrpThread> thread;
  std::optional<VrrpStatus> status;
  uint64_t ownerships = 0;
  uint64_t notifications = 0;
  std::array<std::optional<NotifyState>, 2> last;  // of v4, v6

  void told(const Notification& notification) {
    ++notifications;
    if (notification.name == "v4") last[0] = notification.state;
    if (notification.name == "v6") last[1] = notification.state;
  }
  [[nodiscard]] bool all(std::string_view state) const {
    return status && status->instances.size() == 2 &&
           std::ranges::all_of(status->instances,
                               [&](const auto& each) { return each.state == state; });
  }
};

class VrrpRace : public Pair {
 protected:
  void SetUp() override {
    Pair::SetUp();
    control::Log::get().set_sink([](std::string_view) {});
  }
  ~VrrpRace() override { control::Log::get().set_sink({}); }

  // In the namespace that the calling thread is in.
  void start(Router& router, const std::string& interface) {
    router.interface = interface;
    control::VrrpHooks hooks;
    hooks.set_ownership = [this, &router](const control::VrrpOwnership&,
                                          std::function<void()> visible) {
      ++router.ownerships;
      asio::post(loop, std::move(visible));
    };
    hooks.notify = [&router](const Notification& notification) { router.told(notification); };
    std::string state_path =
        testing::TempDir() + "/vrrp-race-" + std::to_string(getpid()) + "-" + interface;
    auto started = VrrpThread::start(loop, state_path, {}, std::move(hooks));
    ASSERT_TRUE(started) << started.error().text;
    router.thread = std::move(*started);
  }

  void start_both() {
    start(here, "here0");
    const Inside inside(far.fd());
    start(there, "far0");
  }

  // One turn of everything that the control thread may ask.
  static asio::awaitable<void> round(Router& router, uint64_t number) {
    VrrpThread& thread = *router.thread;
    thread.configure(plan(router.interface, number % 2 == 0 ? ordinary_priority : higher_priority));
    thread.tracked(TrackedKind::service, "web", {static_cast<int64_t>(number / 3 % 2), "told"});
    router.status = co_await thread.status();
    control::Log::get().set_level(number % 2 == 0 ? control::LogLevel::debug
                                                  : control::LogLevel::info);
    static_cast<void>(co_await thread.failover(number % 3 == 0 ? "both" : "v4"));
    thread.port_link(router.interface, number % 16 != 0);
    thread.worker_trouble(number % 16 == 5 ? "worker 0 does not poll" : "");
    if (number % 32 == 9) static_cast<void>(co_await thread.maintenance(true));
    if (number % 32 == 11) static_cast<void>(co_await thread.maintenance(false));
  }

  asio::awaitable<void> storm(Router& router) {
    const auto end = std::chrono::steady_clock::now() + storm_time;
    uint64_t number = 0;
    while (std::chrono::steady_clock::now() < end)
      co_await round(router, number++);
    rounds += number;
    settle(router);
    ++done;
  }

  // What the storm may have left on or down.
  void settle(Router& router) {
    VrrpThread& thread = *router.thread;
    thread.port_link(router.interface, true);
    thread.worker_trouble("");
    thread.tracked(TrackedKind::service, "web", {1, ""});
    thread.configure(
        plan(router.interface, &router == &here ? higher_priority : ordinary_priority));
  }

  static asio::awaitable<void> ask(Router& router) {
    static_cast<void>(co_await router.thread->maintenance(false));
    router.status = co_await router.thread->status();
  }
  void ask_both() {
    asio::co_spawn(loop, ask(here), asio::detached);
    asio::co_spawn(loop, ask(there), asio::detached);
    run_for(std::chrono::milliseconds(5));
  }

  Router here;
  Router there;
  uint64_t rounds = 0;
  int done = 0;
};

TEST_F(VrrpRace, AfterAStormTheHigherPriorityIsMasterAndTheEndLeavesNothing) {
  start_both();
  asio::co_spawn(loop, storm(here), asio::detached);
  asio::co_spawn(loop, storm(there), asio::detached);
  ASSERT_TRUE(eventually([&] { return run_until([&] { return done == 2; }); }, 4 * storm_time));
  EXPECT_GT(rounds, 100U);
  EXPECT_GT(here.ownerships + there.ownerships, 10U);
  EXPECT_GT(here.notifications + there.notifications, 10U);
  EXPECT_TRUE(eventually([&] {
    ask_both();
    return here.all("master") && there.all("backup");
  }));
  EXPECT_TRUE(eventually([&] {
    return host.sh("ip address show dev here0").find("192.0.2.80") != std::string::npos &&
           far.sh("ip address show dev far0").find("192.0.2.80") == std::string::npos;
  }));
  here.thread->stop();
  there.thread->stop();
  run_for(std::chrono::milliseconds(20));
  for (const Router* router : {&here, &there})
    EXPECT_EQ(router->last,
              (std::array<std::optional<NotifyState>, 2>{NotifyState::stop, NotifyState::stop}));
  EXPECT_EQ(host.sh("ip address show dev here0").find("::80/64"), std::string::npos);
}

// The end may come between a question and its answer.
TEST_F(VrrpRace, QuestionsThatTheEndOvertakesGoWithTheThread) {
  struct Guard {
    explicit Guard(int& count) : ended(&count) {}
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { ++*ended; }
    int* ended;
  };
  // A thread that has ended answers at once: the loop would never have its turn again.
  bool over = false;
  const auto ask_on = [&over](Router& router, int& ended) -> asio::awaitable<void> {
    const Guard guard(ended);
    while (!over)
      router.status = co_await router.thread->status();
  };
  constexpr int turns = 10;
  int ended = 0;
  for (int turn = 0; turn < turns; ++turn) {
    start(here, "here0");
    here.thread->configure(plan("here0", higher_priority));
    over = false;
    asio::co_spawn(loop, ask_on(here, ended), asio::detached);
    run_for(std::chrono::milliseconds(5));
    here.thread->stop();
    over = true;
    run_for(std::chrono::milliseconds(1));
    here.thread.reset();
    run_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(ended, turns);
}

}  // namespace
}  // namespace headgate::test
