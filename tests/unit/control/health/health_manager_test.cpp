// With real sockets and programs, on the loopback and on a loop.
#include "control/health/health_manager.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/thread_pool.hpp>
#include <netinet/in.h>
#include <sys/socket.h>

#include "control/health/health_state.h"
#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

using namespace std::chrono_literals;

// Takes connections on a port of the loopback for as long as it lives; the kernel answers.
class Listener {
 public:
  explicit Listener(uint16_t port = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(fd_, 1000), 0);
    socklen_t size = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] uint16_t port() const { return port_; }

 private:
  int fd_;
  uint16_t port_ = 0;
};

class Manager : public test::LoopTest {
 protected:
  Manager() {
    config::Service& service = config.services.emplace_back();
    service.address = net::Ipv4Address::from_host(0xc000020a);
    service.port = 80;
    service.mode = config::Mode::nat;
    config::Check& check = service.checks.emplace_back();
    check.interval_ms = 100;
    check.timeout_ms = 200;
    check.retries = 0;
    config.daemon.run_dir = folder;
  }
  ~Manager() override { end(); }

  config::Backend& add_backend(uint16_t port) {
    config::Backend& backend = config.services[0].backends.emplace_back();
    backend.address = net::Ipv4Address::from_host(INADDR_LOOPBACK);
    backend.port = port;
    return backend;
  }
  void begin() {
    make();
    auto first = manager->begin(std::make_shared<const config::Config>(config), programs());
    ASSERT_TRUE(first) << first.error().text;
    views = *first;
  }
  void make() {
    HealthEnvironment environment;
    environment.pools_changed = [this](const PoolViews& changed) {
      for (const auto& [key, view] : changed)
        views.insert_or_assign(key, view);
    };
    environment.told = [this](const std::vector<HealthEvent>& together) {
      events.insert(events.end(), together.begin(), together.end());
    };
    environment.failures = [this](const config::Service&) { return failures; };
    manager = std::make_unique<HealthManager>(loop, pool, environment);
  }
  [[nodiscard]] std::shared_ptr<const Programs> programs() const {
    return Programs::prepare(config).value();
  }
  void turn_for(std::chrono::milliseconds time) {
    loop.restart();
    loop.run_for(time);
  }
  void follow() {
    EditScope scope;
    scope.everything = true;
    manager->follow(std::make_shared<const config::Config>(config), scope, programs());
  }
  void end() {
    if (!manager) return;
    bool done = false;
    boost::asio::co_spawn(loop, manager->finish(1s),
                          [&done](const std::exception_ptr&) { done = true; });
    EXPECT_TRUE(run_until([&] { return done; }));
    manager.reset();
  }
  [[nodiscard]] config::ServiceKey key() const { return config::key_of(config.services[0]); }
  [[nodiscard]] const BackendLife& life(size_t backend) const {
    return *manager->book().life(key(), config::key_of(config.services[0].backends[backend]));
  }
  [[nodiscard]] bool is_up(size_t backend) const { return life(backend).known && life(backend).up; }
  [[nodiscard]] bool is_down(size_t backend) const { return !life(backend).up; }

  config::Config config;
  boost::asio::thread_pool pool{1};
  PoolViews views;
  std::vector<HealthEvent> events;
  std::vector<uint64_t> failures;
  std::unique_ptr<HealthManager> manager;
};

TEST_F(Manager, FindsOutWhoIsUpAndWhoIsNotAnyMore) {
  std::optional<Listener> first(std::in_place);
  const Listener second;
  add_backend(first->port());
  add_backend(second.port());
  begin();
  ASSERT_TRUE(run_until([&] { return is_up(0) && is_up(1); }));
  const uint16_t port = first->port();
  first.reset();
  ASSERT_TRUE(run_until([&] { return is_down(0); }));
  EXPECT_NE(life(0).reason.find("refused"), std::string::npos) << life(0).reason;
  ASSERT_TRUE(run_until([&] { return views[key()]->members.size() == 2; }));
  EXPECT_TRUE(is_up(1));
  first.emplace(port);
  ASSERT_TRUE(run_until([&] { return is_up(0); }));
}

TEST_F(Manager, ARemovedServiceIsAskedNoMore) {
  const Listener listener;
  add_backend(listener.port());
  begin();
  ASSERT_TRUE(run_until([&] { return is_up(0); }));
  config.services.clear();
  follow();
  ASSERT_TRUE(run_until([&] { return manager->book().probe_count() == 0; }));
  const uint64_t probes = manager->counts().attempts;
  turn_for(300ms);
  EXPECT_EQ(manager->counts().attempts, probes);
}

TEST_F(Manager, ACheckOutOfTurnComesAtOnce) {
  std::optional<Listener> listener(std::in_place);
  add_backend(listener->port());
  config.services[0].checks[0].interval_ms = 60'000;
  config.services[0].checks[0].warmup_ms = 1;
  begin();
  ASSERT_TRUE(run_until([&] { return is_up(0); }));
  listener.reset();
  EXPECT_TRUE(manager->check_now(key(), config::key_of(config.services[0].backends[0])));
  ASSERT_TRUE(run_until([&] { return is_down(0); }));
  EXPECT_FALSE(manager->check_now(key(), config::BackendKey{}));
}

TEST_F(Manager, TroubleInTheTrafficStartsACheck) {
  std::optional<Listener> listener(std::in_place);
  add_backend(listener->port());
  config.services[0].checks[0].interval_ms = 60'000;
  config.services[0].checks[0].warmup_ms = 1;
  config.services[0].passive = config::Passive{.failures = 2, .window_ms = 5000};
  failures = {0};
  begin();
  ASSERT_TRUE(run_until([&] { return is_up(0); }));
  turn_for(500ms);  // the watch has seen the counters
  listener.reset();
  failures = {2};
  ASSERT_TRUE(run_until([&] { return is_down(0); }));
}

TEST_F(Manager, ScriptsRunABoundedNumberAtOnceAndLeaveNobodyBehind) {
  config.health.scripts_at_once = 2;
  config::Check& check = config.services[0].checks[0];
  check.type = config::CheckType::script;
  check.script.command =
      script("check.sh", "echo begin >>$dir/log; sleep 0.05; echo end >>$dir/log");
  check.timeout_ms = 5000;
  check.warmup_ms = 1;
  for (uint16_t port = 1; port <= 6; ++port) {
    config::Check own = check;
    own.script.command = folder + "/check.sh " + std::to_string(port);
    add_backend(port).checks = {own};
  }
  begin();
  ASSERT_TRUE(run_until([&] { return manager->counts().attempts >= 12; }));
  end();
  int running = 0;
  int most = 0;
  std::istringstream lines(text("log"));
  for (std::string line; std::getline(lines, line);) {
    running += line == "begin" ? 1 : -1;
    most = std::max(most, running);
  }
  EXPECT_EQ(most, 2);
  EXPECT_EQ(test::count_children(), 0);
}

TEST_F(Manager, AConfigurationWhoseCertificateFileIsMissingIsRefused) {
  add_backend(80);
  config::Check& check = config.services[0].checks[0];
  check.type = config::CheckType::https;
  check.http.verify = true;
  check.http.ca_file = folder + "/no-such-file.pem";
  make();
  const auto refused = manager->begin(std::make_shared<const config::Config>(config), programs());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("no-such-file.pem"), std::string::npos);
  manager.reset();
}

TEST_F(Manager, KeepsWhatItKnewForTheNextDaemon) {
  add_backend(1);  // nobody listens there
  begin();
  ASSERT_TRUE(run_until([&] { return is_down(0); }));
  end();
  const auto saved = read_health_state(folder + "/health-state");
  ASSERT_TRUE(saved) << saved.error().text;
  ASSERT_EQ(saved->size(), 1U);
  begin();
  EXPECT_TRUE(is_down(0)) << "from the first moment";
  EXPECT_EQ(views.at(key())->members.at(0).use, MemberUse::out);
}

TEST_F(Manager, AStateFileThatIsBrokenIsToldAndForgotten) {
  add_backend(1);
  write("health-state", "{\"version\": 1, \"services\": 7}");
  begin();
  EXPECT_TRUE(life(0).up);
  EXPECT_NE(log.find("what was known of backends is lost"), std::string::npos) << log;
}

TEST_F(Manager, TellsOfTheEndWhereThatIsWanted) {
  const Listener listener;
  add_backend(listener.port());
  config.services[0].notify.at_stop = true;
  config.services[0].notify.any = script("notify.sh", "echo \"$@\" >>$dir/told");
  begin();
  ASSERT_TRUE(run_until([&] { return is_up(0); }));
  end();
  const std::string service = "[192.0.2.10]:tcp:80";
  EXPECT_EQ(text("told"), "RS [127.0.0.1]:tcp:" + std::to_string(listener.port()) + " " + service +
                              " DOWN\nVS " + service + " DOWN\n");
}

}  // namespace
}  // namespace headgate::control
