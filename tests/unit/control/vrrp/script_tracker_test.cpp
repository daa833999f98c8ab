#include "control/vrrp/script_tracker.h"

#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

using namespace std::chrono_literals;

config::Config config_with(const config::Vrrp& vrrp) {
  config::Config config;
  config.vrrp = vrrp;
  return config;
}

struct Told {
  std::string name;
  bool up;
  std::string reason;
};

class ScriptTracking : public test::LoopTest {
 protected:
  ~ScriptTracking() override {
    tracker.reset();
    EXPECT_TRUE(run_until([] { return test::count_children() == 0; })) << "all are reaped";
  }
  void start(ScriptTrackerOptions options = {}) {
    tracker = std::make_unique<ScriptTracker>(
        loop,
        [this](const std::string& name, bool up, const std::string& reason) {
          told.push_back({name, up, reason});
        },
        options);
  }
  void configure(const std::vector<config::VrrpScript>& scripts) {
    config::Vrrp vrrp;
    vrrp.scripts = scripts;
    const auto programs = Programs::prepare(config_with(vrrp));
    ASSERT_TRUE(programs) << programs.error().text;
    if (!tracker) start();
    tracker->configure(scripts, *programs);
  }
  static config::VrrpScript wanted(const std::string& name, const std::string& command) {
    config::VrrpScript script;
    script.name = name;
    script.command = command;
    script.interval_ms = 20;
    script.timeout_ms = 10000;
    return script;
  }
  // Its status is what the file `status` says; it writes a dot for each run.
  std::string obedient() {
    return script("obedient", "printf . >>$dir/runs; exit $(cat $dir/status)");
  }
  size_t runs() { return text("runs").size(); }

  std::vector<Told> told;
  std::unique_ptr<ScriptTracker> tracker;
};

TEST_F(ScriptTracking, CountsStatusZeroAsUpAndDecidesAtTheFirstResult) {
  write("status", "0");
  config::VrrpScript script = wanted("chk", obedient());
  script.rise = 3;
  configure({script});
  EXPECT_FALSE(tracker->up("chk"));
  EXPECT_FALSE(tracker->known("chk"));
  ASSERT_TRUE(run_until([&] { return !told.empty(); }));
  EXPECT_EQ(told[0].name, "chk");
  EXPECT_TRUE(told[0].up);
  EXPECT_EQ(told[0].reason, "exited with status 0");
  EXPECT_TRUE(tracker->up("chk"));
  EXPECT_TRUE(tracker->known("chk"));
}

TEST_F(ScriptTracking, NeedsFallFailuresAndRiseSuccessesInARow) {
  write("status", "0");
  config::VrrpScript script = wanted("chk", obedient());
  script.fall = 3;
  script.rise = 2;
  configure({script});
  ASSERT_TRUE(run_until([&] { return told.size() == 1; }));
  write("status", "1");
  ASSERT_TRUE(run_until([&] { return told.size() == 2; }));
  EXPECT_FALSE(told[1].up);
  EXPECT_EQ(told[1].reason, "exited with status 1, 3 in a row");
  write("status", "0");
  ASSERT_TRUE(run_until([&] { return told.size() == 3; }));
  EXPECT_TRUE(told[2].up);
  EXPECT_EQ(told[2].reason, "exited with status 0, 2 in a row");
}

TEST_F(ScriptTracking, StartsAsItIsTold) {
  config::VrrpScript script = wanted("chk", "/bin/sleep 1000");
  script.start = config::ScriptStart::up;
  configure({script});
  EXPECT_TRUE(tracker->up("chk"));
  EXPECT_FALSE(tracker->known("chk"));
}

TEST_F(ScriptTracking, NeverRunsTwiceAtOnce) {
  const std::string slow = script("slow",
                                  "mkdir $dir/lock || echo overlap >>$dir/overlaps\n"
                                  "sleep 0.1; rmdir $dir/lock; printf . >>$dir/runs");
  configure({wanted("slow", slow)});
  ASSERT_TRUE(run_until([&] { return runs() >= 5; }));
  EXPECT_EQ(text("overlaps"), "");
}

TEST_F(ScriptTracking, FailsAtTheTimeOutThoughTheProgramIsDeafToIt) {
  const std::string deaf = script("deaf", "trap '' TERM; while :; do sleep 0.05; done");
  config::VrrpScript given = wanted("deaf", deaf);
  given.timeout_ms = 200;
  given.start = config::ScriptStart::up;
  configure({given});
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(run_until([&] { return !told.empty(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s) << "not only when it is dead";
  EXPECT_FALSE(told[0].up);
  EXPECT_EQ(told[0].reason, "no end after 200 ms");
}

TEST_F(ScriptTracking, TellsWhyAProgramCouldNotRun) {
  configure({wanted("gone", "/no/such/program")});
  ASSERT_TRUE(run_until([&] { return !told.empty(); }));
  EXPECT_FALSE(told[0].up);
  EXPECT_EQ(told[0].reason, "could not be started: /no/such/program: No such file or directory");
}

TEST_F(ScriptTracking, KeepsTheStateOfWhatDidNotChange) {
  write("status", "0");
  const config::VrrpScript kept = wanted("kept", obedient());
  config::VrrpScript changed = wanted("changed", "/bin/true");
  configure({kept, changed});
  ASSERT_TRUE(run_until([&] { return told.size() == 2; }));
  changed.command = "/bin/false";
  configure({kept, changed, wanted("new", "/bin/true")});
  EXPECT_TRUE(tracker->known("kept"));
  EXPECT_TRUE(tracker->up("kept"));
  EXPECT_FALSE(tracker->known("changed"));
  const size_t before = runs();
  ASSERT_TRUE(run_until([&] { return told.size() == 4 && runs() > before; }));
  for (size_t i = 2; i < 4; ++i) {
    EXPECT_NE(told[i].name, "kept");
    EXPECT_EQ(told[i].up, told[i].name == "new");
  }
  configure({});
  EXPECT_FALSE(tracker->known("kept"));
}

TEST_F(ScriptTracking, RunsNoMoreAtOnceThanItMayAndAllOfThem) {
  start({.at_once = 3, .cores = {}});
  std::vector<config::VrrpScript> scripts;
  const std::string slow = script("counted",
                                  "touch $dir/run.$1; ls $dir | grep -c '^run' >>$dir/counts\n"
                                  "sleep 0.02; rm $dir/run.$1");
  for (int i = 0; i < 20; ++i) {
    scripts.push_back(wanted("s" + std::to_string(i), slow + " " + std::to_string(i)));
  }
  configure(scripts);
  ASSERT_TRUE(run_until([&] { return told.size() == 20; }));
  std::istringstream counts(text("counts"));
  int most = 0;
  for (int count = 0; counts >> count;)
    most = std::max(most, count);
  EXPECT_LE(most, 3);
  EXPECT_GE(most, 1);
}

TEST_F(ScriptTracking, SpreadsFirstRuns) {
  std::vector<config::VrrpScript> scripts;
  for (int i = 0; i < 10; ++i) {
    scripts.push_back(wanted("s" + std::to_string(i), "/bin/true"));
    scripts.back().interval_ms = 1000;
  }
  configure(scripts);
  ASSERT_TRUE(run_until([&] { return told.size() == 1; }));
  const auto first = std::chrono::steady_clock::now();
  ASSERT_TRUE(run_until([&] { return told.size() == 10; }));
  EXPECT_GE(std::chrono::steady_clock::now() - first, 600ms) << "over the interval";
  EXPECT_EQ(told.front().name, "s0");
}

TEST(Programs, RefusesUnknownUsersAndBrokenCommands) {
  config::Vrrp vrrp;
  vrrp.script_user = "no-such-user-here";
  EXPECT_FALSE(Programs::prepare(config_with(vrrp)));
  vrrp.script_user.reset();
  vrrp.scripts.push_back({});
  vrrp.scripts[0].name = "chk";
  vrrp.scripts[0].command = "a 'b";
  const auto broken = Programs::prepare(config_with(vrrp));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().text, "vrrp.scripts 'chk': the command `a 'b`: a ' has no end");
  vrrp.scripts[0].command = "true";
  vrrp.scripts[0].user = "nobody";
  const auto programs = Programs::prepare(config_with(vrrp));
  ASSERT_TRUE(programs);
  EXPECT_EQ((*programs)->user_of("nobody").value()->name, "nobody");
  EXPECT_FALSE((*programs)->user_of("root")) << "not looked up: not run as anybody";
}

}  // namespace
}  // namespace headgate::control
