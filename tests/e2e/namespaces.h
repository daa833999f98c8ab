// Network namespaces for tests: nameless, so they vanish with the process however it ends. Needs
// root.
#pragma once

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <sched.h>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace headgate::test {

inline int open_own_namespace() {
  return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

// The calling thread is in another namespace for as long as this lives.
class Inside {
 public:
  explicit Inside(int namespace_fd) : before_(open_own_namespace()) {
    if (setns(namespace_fd, CLONE_NEWNET) != 0) std::abort();
  }
  ~Inside() {
    if (setns(before_, CLONE_NEWNET) != 0) std::abort();
    close(before_);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  int before_;
};

class NetNamespace {
 public:
  NetNamespace() {
    const int before = open_own_namespace();
    if (unshare(CLONE_NEWNET) != 0) std::abort();
    fd_ = open_own_namespace();
    if (setns(before, CLONE_NEWNET) != 0) std::abort();
    close(before);
    sh("ip link set lo up");
    // Addresses are usable at once, and nobody autoconfigures.
    sh("for f in default all; do echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad; "
       "echo 0 >/proc/sys/net/ipv6/conf/$f/accept_ra; done");
  }
  ~NetNamespace() { close(fd_); }
  NetNamespace(const NetNamespace&) = delete;
  NetNamespace& operator=(const NetNamespace&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  // For `ip link set DEVICE netns PATH`.
  [[nodiscard]] std::string path() const {
    return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_);
  }

  // Runs a shell command inside and returns what it printed; a failure is a test failure.
  std::string sh(const std::string& command, bool may_fail = false) const {
    const Inside inside(fd_);
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>&1").c_str(), "r"),
                                                     [](FILE*) { return 0; });
    std::string output;
    std::array<char, 4096> part{};
    while (const size_t length = fread(part.data(), 1, part.size(), pipe.get())) {
      output.append(part.data(), length);
    }
    const int status = pclose(pipe.get());
    if (!may_fail) {
      EXPECT_EQ(status, 0) << command << "\n" << output;
    }
    return output;
  }

 private:
  int fd_ = -1;
};

// Polls until `condition` holds; false when the time is up.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds patience = std::chrono::seconds(5)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline bool is_root() {
  return geteuid() == 0;
}

}  // namespace headgate::test
