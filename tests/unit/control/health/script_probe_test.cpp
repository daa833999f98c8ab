#include <csignal>

#include "control/program_user.h"
#include "tests/support/probe_fixture.h"

namespace headgate::control {
namespace {

using config::CheckType;

class ScriptProbe : public test::ProbeTest {
 protected:
  static config::Check of_command(const std::string& command, uint32_t timeout_ms = 10000) {
    config::Check check = check_of(CheckType::script, timeout_ms);
    check.script.command = command;
    return check;
  }
  static config::Check with_weight(const std::string& command) {
    config::Check check = of_command(command);
    check.script.dynamic_weight = true;
    return check;
  }
  ProbeOutcome run_of(const config::Check& check) { return probe(check, {}); }
};

TEST_F(ScriptProbe, IsUpWithStatusZeroOnly) {
  EXPECT_TRUE(run_of(of_command("true")).up);
  const ProbeOutcome outcome = run_of(of_command("sh -c 'exit 3'"));
  EXPECT_FALSE(outcome.up);
  EXPECT_EQ(outcome.reason, "the script exited with status 3");
  EXPECT_EQ(run_of(of_command("sh -c 'kill -SEGV $$'")).reason,
            "the script was killed by signal 11 (SIGSEGV)");
}

TEST_F(ScriptProbe, SetsTheWeightByItsStatus) {
  const auto exits = [this](int status) {
    return run_of(with_weight("sh -c 'exit " + std::to_string(status) + "'"));
  };
  EXPECT_TRUE(exits(0).up);
  EXPECT_FALSE(exits(0).weight) << "0 keeps it";
  EXPECT_FALSE(exits(1).up);
  EXPECT_TRUE(exits(2).up);
  EXPECT_EQ(exits(2).weight, 0);
  EXPECT_EQ(exits(255).weight, 253);
  EXPECT_FALSE(run_of(with_weight("sh -c 'kill -KILL $$'")).up);
}

TEST_F(ScriptProbe, GetsNoArgumentsOfItsOwn) {
  const std::string program = script("words", "printf '%s|' \"$#\" \"$@\" >$dir/words.txt");
  EXPECT_TRUE(run_of(of_command(program + " 'a b' c")).up);
  EXPECT_EQ(text("words.txt"), "2|a b|c|");
  config::Check check = of_command("echo $(( 6 * 7 )) >" + path("shell"));
  check.script.shell = true;
  EXPECT_TRUE(run_of(check).up);
  EXPECT_EQ(text("shell"), "42\n");
}

TEST_F(ScriptProbe, RunsAsItsUser) {
  ASSERT_EQ(geteuid(), 0U) << "needs root";
  const auto user = resolve_user("nobody");
  ASSERT_TRUE(user);
  auto prober = make_prober(of_command("sh -c 'test $(id -un) = nobody'"), {}, *user);
  ASSERT_TRUE(prober);
  EXPECT_TRUE(attempt(**prober).up);
}

TEST_F(ScriptProbe, IsAnsweredAtTheEndOfItsTimeThoughItDoesNotDie) {
  const std::string program =
      script("deaf", "trap '' TERM; echo $$ >$dir/pid; while :; do sleep 0.01; done");
  const ProbeOutcome outcome = run_of(of_command(program, short_ms));
  EXPECT_FALSE(outcome.up);
  EXPECT_EQ(outcome.reason, "the script timed out after 300 ms");
  EXPECT_EQ(test::count_children(), 1) << "not dead yet: it is killed and reaped behind";
}

TEST_F(ScriptProbe, IsNotHurtByWhatItPrintsOrForks) {
  EXPECT_TRUE(run_of(of_command("head -c 50000000 /dev/zero")).up);
  const std::string program =
      script("forks", "for i in 1 2 3 4 5; do sleep 1000 & echo $! >>$dir/pids; done; wait");
  EXPECT_FALSE(run_of(of_command(program, 500)).up);
  std::istringstream pids(text("pids"));
  int pid = 0;
  int count = 0;
  for (; pids >> pid; ++count) {
    // Where no init reaps it, it stays a zombie.
    EXPECT_TRUE(run_until([&] {
      const std::string stat = test::read_text("/proc/" + std::to_string(pid) + "/stat");
      return stat.empty() || stat.find(") Z ") != std::string::npos;
    }));
  }
  EXPECT_EQ(count, 5);
}

TEST_F(ScriptProbe, TellsWhyItCouldNotStart) {
  const ProbeOutcome outcome = run_of(of_command("/no/such/script"));
  EXPECT_FALSE(outcome.up);
  EXPECT_TRUE(outcome.asked) << "that is for the user to mend, and counts";
  EXPECT_EQ(outcome.reason,
            "the script could not be started: /no/such/script: No such file or directory");
  EXPECT_FALSE(make_prober(of_command("'open"), {}));
  EXPECT_FALSE(make_prober(check_of(CheckType::script), {}));
}

TEST_F(ScriptProbe, IsKilledWhenCancelled) {
  const std::string program = script("waits", "echo $$ >$dir/begun; exec sleep 1000");
  expect_cancellation(of_command(program), {}, [&] { return !text("begun").empty(); });
  EXPECT_EQ(test::count_children(), 0);
}

TEST_F(ScriptProbe, DiesWithItsLoop) {
  const std::string program = script("waits", "echo $$ >$dir/begun; exec sleep 1000");
  const auto prober = prober_for(of_command(program), {});
  {
    boost::asio::io_context other;
    boost::asio::co_spawn(other, prober->run(),
                          [](const std::exception_ptr&, const ProbeOutcome&) {});
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (text("begun").empty() && std::chrono::steady_clock::now() < end) {
      other.run_one_for(std::chrono::milliseconds(2));
    }
    EXPECT_EQ(test::count_children(), 1);
  }
  EXPECT_TRUE(run_until([] { return test::count_children() == 0; }));
}

}  // namespace
}  // namespace headgate::control
