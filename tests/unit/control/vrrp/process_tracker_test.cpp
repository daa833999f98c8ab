#include "control/vrrp/process_tracker.h"

#include <csignal>
#include <optional>

#include "control/subprocess.h"
#include "control/vrrp/process_scan.h"
#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

using namespace std::chrono_literals;

class ProcessTracking : public test::LoopTest {
 protected:
  // A copy of sleep under a name that nobody else has.
  ProcessTracking() : program(path(name)) { std::filesystem::copy_file("/bin/sleep", program); }
  ~ProcessTracking() override {
    for (const auto& process : running)
      process->abandon();
    EXPECT_TRUE(run_until([] { return test::count_children() == 0; }));
  }
  void run_one() {
    ProgramOptions options;
    options.words = {program, "1000"};
    running.push_back(Program::start(loop.get_executor(), std::move(options),
                                     [this](const ProgramResult&) { ++ended; }));
  }
  void end_one() {
    const int before = ended;
    running.back()->kill();
    ASSERT_TRUE(run_until([&] { return ended > before; }));
    running.pop_back();
  }
  config::VrrpProcess wanted(uint32_t quorum = 1) const {
    return {.name = "tracked", .process = name, .quorum = quorum, .delay_ms = 0};
  }

  const std::string name = "hg-test-" + std::to_string(getpid());
  std::string program;
  std::vector<std::shared_ptr<Program>> running;
  int ended = 0;
  std::vector<bool> told;
  ProcessTracker tracker{loop, [this](const std::string&, bool up) { told.push_back(up); }, 10ms};
};

TEST_F(ProcessTracking, IsUpWhileTheQuorumRuns) {
  tracker.configure(std::vector{wanted(2)});
  ASSERT_TRUE(run_until([&] { return told.size() == 1; }));
  EXPECT_FALSE(told[0]) << "the first scan is told of, too";
  run_one();
  ASSERT_TRUE(run_until([&] { return tracker.count("tracked") == 1; }));
  EXPECT_EQ(told.size(), 1U);
  run_one();
  ASSERT_TRUE(run_until([&] { return told.size() == 2; }));
  EXPECT_TRUE(told[1]);
  EXPECT_TRUE(tracker.up("tracked"));
  end_one();
  ASSERT_TRUE(run_until([&] { return told.size() == 3; }));
  EXPECT_FALSE(told[2]);
}

TEST_F(ProcessTracking, WaitsForTheDelayAndForgetsWhatPassesSooner) {
  config::VrrpProcess process = wanted();
  process.delay_ms = 400;
  tracker.configure(std::vector{process});
  ASSERT_TRUE(run_until([&] { return told.size() == 1; })) << "the first scan decides at once";
  run_one();
  ASSERT_TRUE(run_until([&] { return tracker.count("tracked") == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  end_one();
  ASSERT_TRUE(run_until([&] { return tracker.count("tracked") == 0; }));
  if (std::chrono::steady_clock::now() - begin < 400ms) {
    EXPECT_EQ(told.size(), 1U);
  }
  const size_t before = told.size();
  run_one();
  ASSERT_TRUE(run_until([&] { return tracker.count("tracked") == 1; }));
  const auto seen = std::chrono::steady_clock::now();
  ASSERT_TRUE(run_until([&] { return tracker.up("tracked"); }));
  EXPECT_GE(std::chrono::steady_clock::now() - seen, 350ms);
  EXPECT_GT(told.size(), before);
}

TEST_F(ProcessTracking, KeepsTheStateOfWhatDidNotChange) {
  run_one();
  tracker.configure(std::vector{wanted()});
  ASSERT_TRUE(run_until([&] { return told.size() == 1; }));
  EXPECT_TRUE(told[0]);
  config::VrrpProcess other = wanted();
  other.name = "other";
  tracker.configure(std::vector{wanted(), other});
  EXPECT_TRUE(tracker.up("tracked"));
  EXPECT_FALSE(tracker.up("other"));
  ASSERT_TRUE(run_until([&] { return told.size() == 2; })) << "the new one only";
  EXPECT_TRUE(tracker.up("other"));
}

TEST_F(ProcessTracking, FindsPathsAndScriptsAndNoZombies) {
  run_one();
  const std::string named = script(name + ".sh", "touch $dir/started; sleep 1000");
  ProgramOptions options;
  options.words = {named};
  running.push_back(Program::start(loop.get_executor(), std::move(options), {}));
  ASSERT_TRUE(run_until([&] { return std::filesystem::exists(path("started")); }));
  const std::vector<std::string> names{program,         name,      name + ".sh", named,
                                       "/no" + program, name + "x"};
  EXPECT_EQ(count_processes(names), (std::vector<uint32_t>{1, 1, 1, 1, 0, 0}));
  // Killed, but not yet reaped, as the loop does not turn.
  running.front()->kill();
  EXPECT_TRUE([&] {
    for (int i = 0; i < 20000; ++i) {
      if (count_processes(names)[1] == 0) return test::count_children() == 2;
    }
    return false;
  }());
}

TEST(ProcessScan, CountsNothingWhereThereIsNoProc) {
  EXPECT_EQ(count_processes(std::vector<std::string>{"init"}, "/no/such/folder"),
            std::vector<uint32_t>{0});
}

}  // namespace
}  // namespace headgate::control
