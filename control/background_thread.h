// A thread for work that may wait: it takes no signals, and runs with the ordinary scheduling
// policy also where the thread that starts it is a real-time one.
#pragma once

#include <csignal>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <utility>

namespace headgate::control {

template <typename Work>
[[nodiscard]] std::thread start_background(const char* name, Work work) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([name, work = std::move(work)]() mutable {
    pthread_setname_np(pthread_self(), name);
    const sched_param ordinary{};
    pthread_setschedparam(pthread_self(), SCHED_OTHER, &ordinary);
    work();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace headgate::control
