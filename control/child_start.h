// Starts a child that shares the parent's memory until it runs another program: the part of
// subprocess.h below the event loop.
#pragma once

#include <optional>
#include <sched.h>
#include <string>
#include <vector>

#include <sys/types.h>

#include "control/program_user.h"

namespace headgate::control {

struct ChildPlan {
  std::vector<std::string> words;   // the first is the path of the program
  std::optional<ProgramUser> user;  // empty: as the parent
  int output = -1;                  // for standard output and error; -1: /dev/null
  std::optional<cpu_set_t> cores;
};

struct Child {
  pid_t pid = -1;
  int pidfd = -1;
  int error = 0;          // errno; 0: it runs
  const char* step = "";  // what failed
};

// Returns when the program runs, or with nothing started and an error.
[[nodiscard]] Child start_child(const ChildPlan& plan);

// Waits for a child that has ended, or that has just been sent SIGKILL, for the end of its owner:
// at most a tenth of a second here, then a thread waits on. Takes `pidfd` over.
void reap_killed(int pidfd);

}  // namespace headgate::control
