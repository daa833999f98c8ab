#include "control/vrrp/notifier.h"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "control/vrrp/transition_mail.h"
#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class Notifying : public test::LoopTest {
 protected:
  ~Notifying() override {
    notifier.reset();
    EXPECT_TRUE(run_until([] { return test::count_children() == 0; })) << "all are reaped";
  }
  void start(NotifierOptions options = {}) {
    notifier = std::make_unique<Notifier>(loop, options);
    notifier->set_programs(Programs::prepare(config::Config{}).value());
    recorder = script("record", R"({ printf '%s' "$#"; for word; do printf '|%s' "$word"; done; )"
                                R"(echo; } >>$dir/record.txt)");
  }
  Notification about(const std::string& name, NotifyState state, uint8_t priority = 100) {
    Notification notification;
    notification.name = name;
    notification.state = state;
    notification.priority = priority;
    notification.settings = settings;
    return notification;
  }
  bool run_until_idle() {
    return run_until([&] { return notifier->idle(); }, 60s);
  }

  config::VrrpNotify settings;
  std::string recorder;
  std::unique_ptr<Notifier> notifier;
};

TEST_F(Notifying, RunsTheStatesOwnScriptFirstAndThenTheGeneralOne) {
  start();
  settings.master = recorder + " own master";
  settings.backup = recorder + " own 'back up'";
  settings.fault = recorder + " own fault";
  settings.stop = recorder + " own stop";
  settings.any = recorder + " -x";
  for (const NotifyState state :
       {NotifyState::backup, NotifyState::master, NotifyState::fault, NotifyState::stop}) {
    notifier->notify(about("VI_1", state, 101));
  }
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(text("record.txt"),
            "2|own|back up\n5|-x|INSTANCE|VI_1|BACKUP|101\n"
            "2|own|master\n5|-x|INSTANCE|VI_1|MASTER|101\n"
            "2|own|fault\n5|-x|INSTANCE|VI_1|FAULT|101\n"
            "2|own|stop\n5|-x|INSTANCE|VI_1|STOP|101\n");
  EXPECT_EQ(notifier->counts().run, 8U);
  EXPECT_EQ(notifier->counts().failed, 0U);
}

TEST_F(Notifying, NamesGroupsAndGivesAShellItsArgumentsWhenAsked) {
  start();
  settings.any = "echo \"$1 $2 $3 $4\" | tr A-Z a-z >>$dir/out";
  settings.any->replace(settings.any->find("$dir"), 4, folder);
  settings.shell = true;
  Notification group = about("VG 1", NotifyState::master, 255);
  group.kind = NotifyKind::group;
  notifier->notify(group);
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(text("out"), "group vg 1 master 255\n");
}

TEST_F(Notifying, RunsNoShellUnasked) {
  start();
  settings.master = recorder + " a ; touch " + path("pwned") + " $(touch " + path("pwned") + ")";
  notifier->notify(about("VI_1", NotifyState::master));
  ASSERT_TRUE(run_until_idle());
  EXPECT_FALSE(std::filesystem::exists(path("pwned")));
  EXPECT_TRUE(text("record.txt").starts_with("6|a|;|touch|")) << text("record.txt");
}

TEST_F(Notifying, KeepsTheOrderOfAnInstanceWhoseScriptIsSlow) {
  start();
  settings.master = script("slow", "sleep 0.2; echo master >>$dir/order");
  settings.backup = script("quick", "echo backup >>$dir/order");
  for (int i = 0; i < 3; ++i) {
    notifier->notify(about("VI_1", NotifyState::master));
    notifier->notify(about("VI_1", NotifyState::backup));
  }
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(text("order"), "master\nbackup\nmaster\nbackup\nmaster\nbackup\n");
}

TEST_F(Notifying, LetsAnInstanceGoOnWhileAnotherWaits) {
  start();
  settings.master = script("meet",
                           "touch $dir/$1.here; while [ ! -e $dir/$2.here ]; do "
                           "sleep 0.01; done; echo met >>$dir/met");
  const std::string meet = *settings.master;
  settings.master = meet + " a b";
  notifier->notify(about("VI_1", NotifyState::master));
  settings.master = meet + " b a";
  notifier->notify(about("VI_2", NotifyState::master));
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(text("met"), "met\nmet\n");
}

TEST_F(Notifying, GoesOnAfterScriptsThatFailOrHang) {
  start();
  settings.timeout_s = 1;
  settings.master = "/bin/sleep 1000";
  settings.backup = "/no/such/script";
  settings.fault = "/bin/false";
  settings.any = recorder;
  for (const NotifyState state : {NotifyState::master, NotifyState::backup, NotifyState::fault}) {
    notifier->notify(about("VI_1", state));
  }
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(text("record.txt"),
            "4|INSTANCE|VI_1|MASTER|100\n4|INSTANCE|VI_1|BACKUP|100\n4|INSTANCE|VI_1|FAULT|100\n");
  EXPECT_EQ(notifier->counts().failed, 3U);
  EXPECT_NE(log.find("INSTANCE VI_1: /bin/sleep 1000 (MASTER) timed out"), std::string::npos)
      << log;
  EXPECT_NE(log.find("/no/such/script (BACKUP) could not be started: /no/such/script: No such"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("/bin/false (FAULT) exited with status 1"), std::string::npos) << log;
}

TEST_F(Notifying, BoundsWhatWaitsAndTellsTheLastStateAllTheSame) {
  start({.at_once = 64, .queued = 10, .cores = {}});
  settings.any = recorder;
  for (int i = 0; i < 100; ++i) {
    const NotifyState state = i % 2 == 0 ? NotifyState::master : NotifyState::backup;
    notifier->notify(about("VI_1", state, static_cast<uint8_t>(i)));
  }
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(notifier->counts().dropped, 89U) << "one ran, ten waited";
  EXPECT_EQ(notifier->counts().run, 11U);
  EXPECT_TRUE(text("record.txt").ends_with("BACKUP|99\n"));
  EXPECT_NE(log.find("INSTANCE VI_1: more than 10 notify scripts wait"), std::string::npos) << log;
}

TEST_F(Notifying, RunsTwoHundredInstancesThroughAFewPrograms) {
  start({.at_once = 8, .queued = 10, .cores = {}});
  settings.any = recorder;
  for (int i = 0; i < 200; ++i) {
    notifier->notify(about("VI_" + std::to_string(i), NotifyState::master));
  }
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(notifier->counts().run, 200U);
}

TEST_F(Notifying, RunsNothingAsAUserThatWasNotLookedUp) {
  start();
  settings.user = "nobody";
  settings.master = recorder;
  notifier->notify(about("VI_1", NotifyState::master));
  EXPECT_TRUE(notifier->idle());
  EXPECT_EQ(notifier->counts().failed, 1U);
  EXPECT_EQ(text("record.txt"), "");
}

asio::awaitable<void> keep(asio::awaitable<bool> waiting, std::optional<bool>& result) {
  result = co_await std::move(waiting);
}

TEST_F(Notifying, WaitsForTheLastScriptsAtTheEnd) {
  start();
  settings.stop = script("slow", "sleep 0.2; echo stopped >$dir/stopped");
  notifier->notify(about("VI_1", NotifyState::stop));
  std::optional<bool> all;
  asio::co_spawn(loop, keep(notifier->finish(20s), all), asio::detached);
  ASSERT_TRUE(run_until([&] { return all.has_value(); }));
  EXPECT_TRUE(*all);
  EXPECT_EQ(text("stopped"), "stopped\n");
}

TEST_F(Notifying, DoesNotWaitLongerThanItMayAtTheEnd) {
  start();
  settings.stop = "/bin/sleep 1000";
  notifier->notify(about("VI_1", NotifyState::stop));
  std::optional<bool> all;
  asio::co_spawn(loop, keep(notifier->finish(50ms), all), asio::detached);
  ASSERT_TRUE(run_until([&] { return all.has_value(); }));
  EXPECT_FALSE(*all);
  notifier.reset();
  EXPECT_NE(log.find("1 notify scripts were given up"), std::string::npos) << log;
}

TEST_F(Notifying, WritesMailAsKeepalivedDoes) {
  Notification notification = about("VI_1", NotifyState::master);
  EXPECT_EQ(transition_mail("lb1", notification).subject,
            "[lb1] VRRP Instance VI_1 - Entering MASTER STATE");
  notification.kind = NotifyKind::group;
  notification.state = NotifyState::stop;
  EXPECT_EQ(transition_mail("lb1", notification).subject, "[lb1] VRRP Group VI_1 - Stopping");
}

}  // namespace
}  // namespace headgate::control
