// What tests of probes share: a loop that runs one attempt, and the promise that nothing is left of
// it, whatever the server did.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/health_model.h"
#include "control/health/prober.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/probe_server.h"

namespace headgate::test {

inline auto count_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

class ProbeTest : public LoopTest {
 protected:
  ProbeTest() {
    // The loop's own descriptors come with the first timer.
    boost::asio::steady_timer timer(loop, std::chrono::milliseconds(1));
    timer.wait();
    descriptors = count_descriptors();
  }
  // Servers of a test are gone by then: they are its local variables.
  ~ProbeTest() override {
    EXPECT_TRUE(run_until([this] { return count_descriptors() == descriptors; }))
        << "descriptors are left: " << count_descriptors() << " after " << descriptors;
    EXPECT_TRUE(run_until([] { return count_children() == 0; })) << "children are left";
  }

  static config::Check check_of(config::CheckType type, uint32_t timeout_ms = 10000) {
    config::Check check;
    check.type = type;
    check.timeout_ms = timeout_ms;
    return check;
  }
  static control::ProbeTarget target(uint16_t port, const std::string& address = "127.0.0.1") {
    return {*net::parse_ip(address), port};
  }

  std::unique_ptr<control::Prober> prober_for(const config::Check& check,
                                              const control::ProbeTarget& asked,
                                              boost::asio::thread_pool* helpers = nullptr) {
    auto prober = control::make_prober(check, asked, {}, helpers);
    EXPECT_TRUE(prober) << prober.error().text;
    return prober ? std::move(*prober) : nullptr;
  }

  control::ProbeOutcome attempt(control::Prober& prober) {
    std::optional<control::ProbeOutcome> result;
    spawn(prober, result, nullptr);
    EXPECT_TRUE(run_until([&] { return result.has_value(); })) << "the attempt ends";
    return result.value_or(control::ProbeOutcome{});
  }
  control::ProbeOutcome probe(const config::Check& check, const control::ProbeTarget& asked) {
    const auto prober = prober_for(check, asked);
    return prober ? attempt(*prober) : control::ProbeOutcome{};
  }

  // Begins an attempt, cancels it when `begun`, and expects that it ends with all closed that it
  // had opened, while a server has `others` still.
  void expect_cancellation(const config::Check& check, const control::ProbeTarget& asked,
                           const std::function<bool()>& begun) {
    const auto prober = prober_for(check, asked);
    const auto before = count_descriptors();
    std::optional<control::ProbeOutcome> result;
    boost::asio::cancellation_signal cancel;
    spawn(*prober, result, &cancel);
    ASSERT_TRUE(run_until(begun)) << "the attempt is under way";
    EXPECT_FALSE(result) << result->reason;
    cancel.emit(boost::asio::cancellation_type::terminal);
    EXPECT_TRUE(run_until([&] { return result.has_value(); })) << "it ends";
    EXPECT_FALSE(result && result->up);
    EXPECT_TRUE(run_until([&] { return count_descriptors() == before; }));
  }

  // An end within the attempt's time, give or take what a busy machine takes.
  static constexpr uint32_t short_ms = 300;

  std::ptrdiff_t descriptors = 0;

 private:
  void spawn(control::Prober& prober, std::optional<control::ProbeOutcome>& result,
             boost::asio::cancellation_signal* cancel) {
    auto done = [&result](const std::exception_ptr& error, control::ProbeOutcome outcome) {
      EXPECT_FALSE(error) << "no exception leaves a probe";
      result = std::move(outcome);
    };
    if (cancel == nullptr) {
      boost::asio::co_spawn(loop, prober.run(), std::move(done));
      return;
    }
    boost::asio::co_spawn(loop, prober.run(),
                          boost::asio::bind_cancellation_slot(cancel->slot(), std::move(done)));
  }
};

}  // namespace headgate::test
