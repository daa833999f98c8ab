// What a program is allowed to be, which only root can try.
#include <optional>
#include <sched.h>
#include <thread>
#include <unistd.h>

#include <sys/resource.h>

#include "control/subprocess.h"
#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

class ProgramOfRoot : public test::LoopTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
  std::string output_of(std::vector<std::string> words, std::optional<ProgramUser> user) {
    std::optional<ProgramResult> result;
    ProgramOptions options;
    options.words = std::move(words);
    options.user = std::move(user);
    options.capture_bytes = 65536;
    Program::start(loop.get_executor(), std::move(options),
                   [&result](ProgramResult end) { result = std::move(end); });
    EXPECT_TRUE(run_until([&] { return result.has_value(); }));
    return result ? result->output : "";
  }
};

TEST_F(ProgramOfRoot, IsReallyAnotherUserWithThatUsersGroupsOnly) {
  const auto nobody = resolve_user("nobody");
  ASSERT_TRUE(nobody);
  EXPECT_EQ(output_of({"/usr/bin/id", "-u"}, *nobody), std::to_string(nobody->uid) + "\n");
  EXPECT_EQ(output_of({"/usr/bin/id", "-G"}, *nobody), std::to_string(nobody->gid) + "\n");
  const std::string status = output_of({"/bin/cat", "/proc/self/status"}, *nobody);
  const std::string uid = std::to_string(nobody->uid);
  EXPECT_NE(status.find("Uid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid), std::string::npos)
      << "no way back: " << status;
  EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos) << status;
  EXPECT_NE(status.find("CapPrm:\t0000000000000000"), std::string::npos) << status;
  EXPECT_EQ(geteuid(), 0U) << "we are who we were";
}

TEST_F(ProgramOfRoot, TakesTheGroupThatIsNamed) {
  const auto user = resolve_user("nobody:daemon");
  ASSERT_TRUE(user);
  EXPECT_EQ(output_of({"/usr/bin/id", "-G"}, *user), std::to_string(user->gid) + "\n");
  EXPECT_EQ(output_of({"/usr/bin/id", "-Gn"}, *user), "daemon\n");
}

TEST_F(ProgramOfRoot, LosesTheCallersPriority) {
  std::string schedule;
  bool real_time = false;
  std::thread([&] {
    const sched_param high{.sched_priority = 10};
    real_time = sched_setscheduler(0, SCHED_FIFO, &high) == 0;
    // Without the right to real time, niceness is what there is to lose.
    if (!real_time) setpriority(PRIO_PROCESS, 0, -5);
    schedule = output_of({"/bin/cat", "/proc/self/stat"}, {});
  }).join();
  // After `PID (COMM) `: fields 3 and on of proc(5); 19 is nice, 41 the policy.
  std::istringstream fields(schedule.substr(schedule.rfind(") ") + 2));
  std::vector<std::string> all{std::istream_iterator<std::string>(fields), {}};
  ASSERT_GT(all.size(), 38U) << schedule;
  EXPECT_EQ(all[19 - 3], "0");
  EXPECT_EQ(all[41 - 3], "0") << "SCHED_OTHER";
  RecordProperty("real_time", real_time ? "yes" : "no");
}

}  // namespace
}  // namespace headgate::control
