// The daemon without ports, for VRRP alone: no DPDK, no workers, no huge pages, next to no memory,
// and a command line that works.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "control/daemon.h"
#include "tests/e2e/namespaces.h"
#include "tools/headgate_client.h"

namespace headgate::control {
namespace {

using test::eventually;

class DaemonAlone : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    directory_ = testing::TempDir() + "/headgate-alone-" + std::to_string(getpid());
    child_ = fork();
    if (child_ == 0) _exit(serve());
    ASSERT_TRUE(
        eventually([&] { return ask("show stats").has_value(); }, std::chrono::seconds(10)));
  }
  void TearDown() override {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    std::filesystem::remove_all(directory_);
  }

  [[nodiscard]] int serve() const {
    config::Reading reading;
    reading.config.daemon.run_dir = directory_;
    reading.config.daemon.socket = socket();
    reading.config.vrrp.instances.emplace_back().name = "VI_1";
    DaemonOptions options;
    options.config_path = directory_ + "/none.yaml";
    auto daemon = Daemon::start(options, reading);
    if (!daemon) return 1;
    (*daemon)->run();
    return 0;
  }
  [[nodiscard]] std::string socket() const { return directory_ + "/headgate.sock"; }

  // The rows of an answer as text; an error is one.
  [[nodiscard]] std::expected<std::string, std::string> ask(const char* command) const {
    std::string rows;
    const auto status = cli::exchange(socket(), {command, {}}, std::chrono::seconds(5),
                                      [&](const boost::json::array& piece) {
                                        for (const boost::json::value& row : piece)
                                          rows += serialize(row);
                                      });
    if (!status) return std::unexpected(status.error());
    if (status->code != protocol::Code::ok) return std::unexpected(status->message);
    return rows;
  }
  [[nodiscard]] std::string of_process(const char* file) const {
    std::stringstream text;
    text << std::ifstream("/proc/" + std::to_string(child_) + "/" + file).rdbuf();
    return text.str();
  }
  [[nodiscard]] std::string thread_names() const {
    std::string names;
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/" + std::to_string(child_) + "/task")) {
      std::string name;
      std::getline(std::ifstream(task.path() / "comm") >> std::ws, name);
      names += name + " ";
    }
    return names;
  }

  std::string directory_;
  pid_t child_ = 0;
};

TEST_F(DaemonAlone, AnswersTheCommandLine) {
  for (const char* command :
       {"show services", "show backends", "show ports", "show workers", "show stats", "show drops",
        "show connections", "show neighbours", "show config"}) {
    const auto rows = ask(command);
    EXPECT_TRUE(rows.has_value()) << command << ": " << rows.error();
  }
  EXPECT_EQ(ask("show workers").value_or("refused"), "");
  EXPECT_EQ(ask("show ports").value_or("refused"), "");
}

TEST_F(DaemonAlone, HasNoWorkersAndNoDpdk) {
  const std::string names = thread_names();
  EXPECT_EQ(names.find("worker"), std::string::npos) << names;
  EXPECT_EQ(names.find("exception"), std::string::npos) << names;
  const std::string maps = of_process("maps");
  EXPECT_EQ(maps.find("/dev/hugepages"), std::string::npos);
  EXPECT_EQ(maps.find("rtemap"), std::string::npos);
  const std::string status = of_process("status");
  const size_t resident = status.find("VmRSS:");
  ASSERT_NE(resident, std::string::npos);
  EXPECT_LT(std::stoul(status.substr(resident + 6)), 64U * 1024) << "kB resident";
}

TEST_F(DaemonAlone, EndsInPeaceWhenAsked) {
  kill(child_, SIGTERM);
  int status = -1;
  ASSERT_TRUE(eventually([&] { return waitpid(child_, &status, WNOHANG) == child_; },
                         std::chrono::seconds(10)));
  child_ = 0;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace headgate::control
