// The child is made by clone(CLONE_VM | CLONE_VFORK), not by fork(): the daemon has gigabytes
// mapped and locked, fork() would copy their page tables within the loop's turn (milliseconds for
// each gigabyte of small pages) and make every page that workers write next a copy-on-write fault.
// posix_spawn works like this too, but cannot change user, groups and affinity, nor close what it
// does not know. The calling thread stands still until the child has called execve or given up;
// other threads go on.
//
// So the code below `run_child` runs in the parent's memory, between threads that hold any lock: it
// allocates nothing, calls nothing of the C library but syscall(), and leaves its findings in the
// plan. Raw calls also because glibc's setuid and setgroups signal all threads of what they take
// for their process, and because sanitizers would see the parent's thread where the child is.
#include "control/child_start.h"

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <pthread.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#if defined(HEADGATE_TSAN)
// ThreadSanitizer's clone() takes every child for one of fork(). It then notes in our memory, which
// this child shares, that it is to ignore locks and to end at the next new thread. The C library's
// other name for the same function it does not know.
extern "C" int __clone(int (*)(void*), void*, int, void*, ...);
constexpr auto clone_process = __clone;
#else
constexpr auto clone_process = clone;
#endif

namespace headgate::control {

namespace {

#define HEADGATE_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

constexpr size_t stack_bytes = 64UL * 1024;  // a page would do but for what a debug build adds

// As the kernel takes it; sigset_t is larger.
using KernelSignals = uint64_t;
struct KernelAction {
  void (*handler)(int) = SIG_DFL;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  KernelSignals mask = 0;
};

// All that the child needs, made ready by the parent.
struct ChildArguments {
  const char* path = nullptr;
  char* const* words = nullptr;
  char* const* environment = nullptr;
  int input = -1;
  int output = -1;
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  const gid_t* groups = nullptr;
  size_t group_count = 0;
  const cpu_set_t* cores = nullptr;
  unsigned int descriptors = 0;  // upper bound, for kernels without close_range
  // What became of it, if execve was not reached.
  int error = 0;
  const char* step = "";
};

HEADGATE_IN_CHILD bool failed(ChildArguments& child, const char* step) {
  child.error = errno;
  child.step = step;
  return false;
}

HEADGATE_IN_CHILD void reset_signals() {
  const KernelAction standard;
  for (int signal = 1; signal < NSIG; ++signal) {
    syscall(SYS_rt_sigaction, signal, &standard, nullptr, sizeof(KernelSignals));
  }
  // No handler of the parent's is left by now that could run in its memory.
  const KernelSignals none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

// The loop's thread may be real-time and bound to a core of its own: not the programs that it runs.
// Each of these can be refused in a container, and none is worth more than the program.
HEADGATE_IN_CHILD void reset_scheduling(const ChildArguments& child) {
  const sched_param ordinary{};
  syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &ordinary);
  syscall(SYS_setpriority, PRIO_PROCESS, 0, 0);
  if (child.cores != nullptr) syscall(SYS_sched_setaffinity, 0, sizeof *child.cores, child.cores);
}

HEADGATE_IN_CHILD bool set_descriptors(ChildArguments& child) {
  // All are above 2, so that none is overwritten before its turn.
  if (syscall(SYS_dup3, child.input, 0, 0) < 0) return failed(child, "standard input");
  if (syscall(SYS_dup3, child.output, 1, 0) < 0) return failed(child, "standard output");
  if (syscall(SYS_dup3, child.output, 2, 0) < 0) return failed(child, "standard error");
  if (syscall(SYS_close_range, 3, UINT_MAX, 0) == 0) return true;
  for (unsigned int fd = 3; fd < child.descriptors; ++fd)
    syscall(SYS_close, fd);
  return true;
}

HEADGATE_IN_CHILD bool change_user(ChildArguments& child) {
  if (!child.change_user) return true;
  if (syscall(SYS_setgroups, child.group_count, child.groups) < 0) {
    return failed(child, "setgroups");
  }
  if (syscall(SYS_setresgid, child.gid, child.gid, child.gid) < 0) {
    return failed(child, "setresgid");
  }
  if (syscall(SYS_setresuid, child.uid, child.uid, child.uid) < 0) {
    return failed(child, "setresuid");
  }
  return true;
}

HEADGATE_IN_CHILD int run_child(void* argument) {
  ChildArguments& child = *static_cast<ChildArguments*>(argument);
  syscall(SYS_setsid);
  reset_signals();
  reset_scheduling(child);
  if (set_descriptors(child) && change_user(child)) {
    syscall(SYS_execve, child.path, child.words, child.environment);
    failed(child, child.path);
  }
  syscall(SYS_exit_group, 127);
  return 127;
}

// Above the standard ones, also where the parent runs without them.
int above_standard(int fd) {
  if (fd < 0 || fd > 2) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  close(fd);
  return moved;
}

unsigned int descriptor_bound() {
  rlimit limit{};
  constexpr rlim_t most = 65536;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return most;
  return static_cast<unsigned int>(std::min(limit.rlim_cur, most));
}

// Only a privileged process may set groups; one that runs as the wanted user has nothing to do.
bool must_change_user(const ProgramUser& user) {
  return geteuid() == 0 || geteuid() != user.uid || getegid() != user.gid;
}

Child clone_child(ChildArguments& arguments) {
  const auto stack = std::make_unique_for_overwrite<char[]>(stack_bytes);
  // The top, aligned as calls expect it.
  void* const top = stack.get() + (stack_bytes & ~size_t{63}) - 64;
  // A handler that ran in the child before its dispositions are reset would act for the parent.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Child child;
  child.pid = clone_process(run_child, top, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                            &arguments, &child.pidfd);
  const int clone_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child.pid < 0) return {-1, -1, clone_error, "clone"};
  if (arguments.error == 0) return child;
  siginfo_t ended{};
  // It has called exit already; this is a moment.
  while (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child.pidfd), &ended, WEXITED) <
             0 &&
         errno == EINTR) {
  }
  close(child.pidfd);
  return {-1, -1, arguments.error, arguments.step};
}

}  // namespace

Child start_child(const ChildPlan& plan) {
  const int null = above_standard(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null < 0) return {-1, -1, errno, "/dev/null"};
  std::vector<char*> words;
  words.reserve(plan.words.size() + 1);
  for (const std::string& word : plan.words)
    words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ChildArguments arguments;
  arguments.path = words.front();
  arguments.words = words.data();
  arguments.environment = environ;
  arguments.input = null;
  arguments.output = plan.output >= 0 ? plan.output : null;
  arguments.descriptors = descriptor_bound();
  if (plan.cores) arguments.cores = &*plan.cores;
  if (plan.user && must_change_user(*plan.user)) {
    arguments.change_user = true;
    arguments.uid = plan.user->uid;
    arguments.gid = plan.user->gid;
    arguments.groups = plan.user->groups.data();
    arguments.group_count = plan.user->groups.size();
  }
  const Child child = clone_child(arguments);
  close(null);
  return child;
}

void reap_killed(int pidfd) {
  const auto reap = [pidfd] {
    siginfo_t ended{};
    while (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &ended, WEXITED) < 0 &&
           errno == EINTR) {
    }
    close(pidfd);
  };
  pollfd end{pidfd, POLLIN, 0};
  constexpr int patience_ms = 100;
  if (poll(&end, 1, patience_ms) > 0) {
    reap();
    return;
  }
  // A program that hangs in the kernel, on a dead file server for one, dies when it comes back.
  std::thread(reap).detach();
}

}  // namespace headgate::control
