// The end of an attempt's time: it stops whatever the attempt waits for.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace headgate::control {

class Deadline {
 public:
  // `stop` is called once, on the loop, at `when`; never after the Deadline is gone.
  Deadline(const boost::asio::any_io_executor& loop, std::chrono::steady_clock::time_point when,
           std::function<void()> stop)
      : state_(std::make_shared<State>(std::move(stop))), timer_(loop, when) {
    // A timer that has gone off can no longer be cancelled, so the handler has a hold of its own.
    timer_.async_wait([state = state_](const boost::system::error_code& error) {
      if (error || !state->stop) return;
      state->passed = true;
      state->stop();
    });
  }
  ~Deadline() { state_->stop = {}; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // Nothing was stopped when nothing was waited for just then: look before each wait.
  [[nodiscard]] bool passed() const { return state_->passed; }

 private:
  struct State {
    std::function<void()> stop;
    bool passed = false;
  };
  std::shared_ptr<State> state_;
  boost::asio::steady_timer timer_;
};

}  // namespace headgate::control
