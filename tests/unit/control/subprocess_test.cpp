#include "control/subprocess.h"

#include <csignal>
#include <fcntl.h>
#include <optional>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <sys/stat.h>

#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class Subprocess : public test::LoopTest {
 protected:
  ~Subprocess() override { EXPECT_EQ(test::count_children(), 0) << "nothing is left unreaped"; }

  std::optional<ProgramResult> run(ProgramOptions options) {
    std::optional<ProgramResult> result;
    Program::start(loop.get_executor(), std::move(options),
                   [&result](ProgramResult end) { result = std::move(end); });
    EXPECT_FALSE(result) << "not from within start()";
    EXPECT_TRUE(run_until([&] { return result.has_value(); }));
    return result;
  }
  std::string output_of(std::vector<std::string> words) {
    const auto result =
        run({.words = std::move(words), .user = {}, .capture_bytes = 65536, .cores = {}});
    return result ? result->output : "";
  }
  static ProgramOptions plain(std::vector<std::string> words,
                              std::chrono::milliseconds timeout = 0ms) {
    return {.words = std::move(words), .user = {}, .timeout = timeout, .cores = {}};
  }
};

TEST_F(Subprocess, HandsOverItsWordsUnchanged) {
  const std::string program = script("words", R"(for word; do printf '[%s]' "$word"; done)");
  EXPECT_EQ(output_of({program, "a b", "", "$HOME", "'q'"}), "[a b][][$HOME]['q']");
}

TEST_F(Subprocess, TellsOfStatusAndSignal) {
  EXPECT_EQ(run(plain({"/bin/sh", "-c", "exit 3"}))->end,
            decltype(ProgramResult::end){ProgramExited{3}});
  const auto killed = run(plain({"/bin/sh", "-c", "kill -KILL $$"}));
  EXPECT_EQ(killed->end, decltype(ProgramResult::end){ProgramKilled{SIGKILL}});
  EXPECT_EQ(describe(*killed), "was killed by signal 9 (SIGKILL)");
  EXPECT_TRUE(run(plain({"true"}))->succeeded()) << "found in $PATH";
}

TEST_F(Subprocess, TellsWhyAProgramCouldNotStart) {
  write("text", "no program");
  const auto denied = run(plain({path("text")}));
  EXPECT_EQ(describe(*denied), "could not be started: " + path("text") + ": Permission denied");
  const auto missing = run(plain({"/no/such/program"}));
  const auto* end = std::get_if<ProgramNotStarted>(&missing->end);
  ASSERT_NE(end, nullptr);
  EXPECT_EQ(end->code, ENOENT);
  EXPECT_TRUE(std::holds_alternative<ProgramNotStarted>(run(plain({"no-such-program"}))->end));
  EXPECT_TRUE(std::holds_alternative<ProgramNotStarted>(run(plain({}))->end));
}

TEST_F(Subprocess, EndsWithSigtermAtTheEndOfItsTime) {
  const std::string program =
      script("term",
             "trap 'echo term >$dir/trapped; exit 0' TERM; echo $$ >$dir/pid\n"
             "while :; do sleep 0.01; done");
  bool told = false;
  std::optional<ProgramResult> result;
  Program::start(
      loop.get_executor(), plain({program}, 300ms),
      [&](ProgramResult end) { result = std::move(end); }, [&] { told = !result.has_value(); });
  ASSERT_TRUE(run_until([&] { return result.has_value(); }));
  EXPECT_TRUE(told) << "of the time-out, before the end";
  EXPECT_EQ(result->end, decltype(ProgramResult::end){ProgramTimedOut{}});
  EXPECT_EQ(text("trapped"), "term\n");
}

TEST_F(Subprocess, KillsAGroupThatIgnoresSigterm) {
  const std::string program = script(
      "deaf", "trap '' TERM; echo $$ >$dir/pid; sleep 1000 & echo $! >$dir/child; wait; wait");
  const auto begin = std::chrono::steady_clock::now();
  const auto result = run(plain({program}, 200ms));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(result->end, decltype(ProgramResult::end){ProgramTimedOut{}});
  EXPECT_GE(took, 2200ms) << "two seconds between SIGTERM and SIGKILL";
  for (const char* name : {"pid", "child"}) {
    const pid_t pid = std::stoi(text(name));
    // The grandchild is init's to reap; where none does, it stays a zombie.
    EXPECT_TRUE(run_until([&] {
      const std::string stat = test::read_text("/proc/" + std::to_string(pid) + "/stat");
      return stat.empty() || stat.find(") Z ") != std::string::npos;
    })) << name;
  }
}

TEST_F(Subprocess, GetsNoDescriptorButTheStandardOnes) {
  const int leaky = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  const std::string program = script("fds", "for fd in /proc/self/fd/*; do readlink $fd; done");
  // readlink's own folder is not there: the shell expands the pattern, and holds the script as 10.
  const std::string seen = output_of({"/bin/ls", "-l", "/proc/self/fd"});
  close(leaky);
  EXPECT_NE(seen.find("0 -> /dev/null"), std::string::npos) << seen;
  EXPECT_NE(seen.find("1 -> pipe:"), std::string::npos) << seen;
  EXPECT_NE(seen.find("2 -> pipe:"), std::string::npos) << seen;
  EXPECT_NE(seen.find("3 -> /proc/"), std::string::npos) << "ls itself: " << seen;
  EXPECT_EQ(seen.find("4 -> "), std::string::npos) << seen;
}

TEST_F(Subprocess, LeavesNoDescriptorsBehind) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  run({.words = {"true"}, .user = {}, .capture_bytes = 10, .cores = {}});
  const auto before = count();
  for (int i = 0; i < 20; ++i) {
    run({.words = {"true"}, .user = {}, .timeout = 5s, .capture_bytes = 10, .cores = {}});
    run({.words = {"/no/such"}, .user = {}, .capture_bytes = 10, .cores = {}});
  }
  EXPECT_EQ(count(), before);
}

TEST_F(Subprocess, StartsWithDefaultSignalsInASessionOfItsOwn) {
  struct sigaction ignore{};
  struct sigaction before{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &before);
  sigset_t blocked;
  sigset_t mask_before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, &mask_before);
  const std::string status = output_of({"/bin/cat", "/proc/self/status"});
  const std::string stat = output_of({"/bin/cat", "/proc/self/stat"});
  sigset_t mask_after;
  pthread_sigmask(SIG_SETMASK, &mask_before, &mask_after);
  sigaction(SIGPIPE, &before, nullptr);
  EXPECT_NE(status.find("SigBlk:\t0000000000000000"), std::string::npos) << status;
  EXPECT_NE(status.find("SigIgn:\t0000000000000000"), std::string::npos) << status;
  EXPECT_EQ(sigismember(&mask_after, SIGUSR1), 1) << "the caller's own is as it was";
  EXPECT_EQ(sigismember(&mask_after, SIGTERM), 0);
  int pid = 0;
  int ppid = 0;
  int group = 0;
  int session = 0;
  ASSERT_EQ(std::sscanf(stat.c_str(), "%d (cat) %*c %d %d %d", &pid, &ppid, &group, &session), 4);
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, pid);
}

TEST_F(Subprocess, RunsOnTheCoresThatItIsTold) {
  cpu_set_t first;
  CPU_ZERO(&first);
  cpu_set_t ours;
  ASSERT_EQ(sched_getaffinity(0, sizeof ours, &ours), 0);
  int core = 0;
  while (!CPU_ISSET(core, &ours))
    ++core;
  CPU_SET(core, &first);
  const auto result = run({.words = {"/bin/grep", "Cpus_allowed_list", "/proc/self/status"},
                           .user = {},
                           .capture_bytes = 1000,
                           .cores = first});
  EXPECT_EQ(result->output, "Cpus_allowed_list:\t" + std::to_string(core) + "\n");
}

TEST_F(Subprocess, KeepsTheFirstOfAnEndlessOutput) {
  const auto result = run({.words = {"/bin/sh", "-c", "yes | head -c 1000000; exit 4"},
                           .user = {},
                           .capture_bytes = 10,
                           .cores = {}});
  EXPECT_EQ(result->output, "y\ny\ny\ny\ny\n");
  EXPECT_EQ(result->end, decltype(ProgramResult::end){ProgramExited{4}});
}

TEST_F(Subprocess, DoesNotWaitForADaemonThatItLeaves) {
  const std::string program = script("leaves", "sleep 1000 & echo $! >$dir/pid; echo done");
  const auto result = run({.words = {program}, .user = {}, .capture_bytes = 100, .cores = {}});
  EXPECT_EQ(result->output, "done\n");
  const pid_t left = std::stoi(text("pid"));
  EXPECT_EQ(kill(left, 0), 0) << "it lives on";
  kill(left, SIGKILL);
}

TEST_F(Subprocess, RunsTwoHundredAtOnce) {
  constexpr int wanted = 200;
  int ended = 0;
  for (int i = 0; i < wanted; ++i) {
    Program::start(loop.get_executor(), plain({"/bin/sh", "-c", "exit " + std::to_string(i)}),
                   [&ended, i](const ProgramResult& result) {
                     EXPECT_EQ(result.end, decltype(ProgramResult::end){ProgramExited{i}});
                     ++ended;
                   });
  }
  EXPECT_TRUE(run_until([&] { return ended == wanted; }, 60s));
}

TEST_F(Subprocess, IsReapedInSilenceWhenAbandoned) {
  bool called = false;
  const auto program = Program::start(loop.get_executor(), plain({"sleep", "1000"}),
                                      [&called](const ProgramResult&) { called = true; });
  program->abandon();
  EXPECT_TRUE(run_until([&] { return program->over(); }));
  EXPECT_FALSE(called);
}

TEST_F(Subprocess, DiesWithItsLoop) {
  auto other = std::make_unique<asio::io_context>();
  bool called = false;
  Program::start(other->get_executor(), plain({"sleep", "1000"}),
                 [&called](const ProgramResult&) { called = true; });
  EXPECT_EQ(test::count_children(), 1);
  other.reset();
  EXPECT_EQ(test::count_children(), 0);
  EXPECT_FALSE(called);
}

asio::awaitable<void> keep_result(ProgramOptions options, std::optional<ProgramResult>& result) {
  result = co_await run_program(std::move(options));
}

TEST_F(Subprocess, GivesACoroutineItsResult) {
  std::optional<ProgramResult> result;
  asio::co_spawn(loop,
                 keep_result({.words = {"/bin/sh", "-c", "echo hello; exit 2"},
                              .user = {},
                              .capture_bytes = 100,
                              .cores = {}},
                             result),
                 asio::detached);
  ASSERT_TRUE(run_until([&] { return result.has_value(); }));
  EXPECT_EQ(result->end, decltype(ProgramResult::end){ProgramExited{2}});
  EXPECT_EQ(result->output, "hello\n");
}

TEST_F(Subprocess, IsKilledWhenItsCoroutineIsCancelled) {
  std::optional<ProgramResult> result;
  asio::cancellation_signal cancel;
  bool over = false;
  asio::co_spawn(loop, keep_result(plain({"sleep", "1000"}), result),
                 asio::bind_cancellation_slot(cancel.slot(),
                                              [&over](const std::exception_ptr&) { over = true; }));
  ASSERT_TRUE(run_until([] { return test::count_children() == 1; }));
  cancel.emit(asio::cancellation_type::terminal);
  ASSERT_TRUE(run_until([&] { return over; }));
}

TEST_F(Subprocess, LeavesNothingBehindWhenItsCoroutineIsDestroyed) {
  auto other = std::make_unique<asio::io_context>();
  std::optional<ProgramResult> result;
  asio::co_spawn(*other, keep_result(plain({"sleep", "1000"}), result), asio::detached);
  other->poll();
  EXPECT_EQ(test::count_children(), 1);
  other.reset();
  EXPECT_EQ(test::count_children(), 0);
}

}  // namespace
}  // namespace headgate::control
