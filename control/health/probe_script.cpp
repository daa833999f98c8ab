// Type script: a program's exit status, 0 for up. With dynamic_weight 2 to 255 is up as well, and
// asks for a weight two less (as keepalived's MISC_CHECK).
#include <cerrno>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/command_line.h"
#include "control/health/probers.h"
#include "control/subprocess.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// What a program's end and the end of its time have in common: the first of them is the answer.
struct FirstEnd {
  std::move_only_function<void(ProgramResult)> tell;

  void operator()(ProgramResult result) {
    if (tell) std::exchange(tell, {})(std::move(result));
  }
};

class ScriptProber : public Prober {
 public:
  ScriptProber(const config::Check& check, std::vector<std::string> words,
               const std::optional<ProgramUser>& user)
      : words_(std::move(words)),
        user_(user),
        timeout_(check.timeout_ms),
        dynamic_weight_(check.script.dynamic_weight) {}

  asio::awaitable<ProbeOutcome> run() override {
    const ProgramResult result = co_await ended();
    co_return outcome(result);
  }

 private:
  // As run_program(), but it answers at the end of the time already: a program that does not die of
  // SIGTERM is killed, and reaped, behind.
  asio::awaitable<ProgramResult> ended() {
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    const auto initiate = [this, &loop](auto handler) {
      auto slot = asio::get_associated_cancellation_slot(handler);
      const auto first = std::make_shared<FirstEnd>();
      first->tell = [handler = std::move(handler)](ProgramResult result) mutable {
        auto mine = asio::get_associated_cancellation_slot(handler);
        if (mine.is_connected()) mine.clear();
        std::move(handler)(std::move(result));
      };
      ProgramOptions options{.words = words_, .user = user_, .timeout = timeout_, .cores = {}};
      const std::shared_ptr<Program> program = Program::start(
          loop, std::move(options), [first](ProgramResult result) { (*first)(std::move(result)); },
          [first] { (*first)({.end = ProgramTimedOut{}, .output = {}}); });
      if (!slot.is_connected()) return;
      slot.assign([weak = std::weak_ptr(program)](asio::cancellation_type) {
        if (const std::shared_ptr<Program> running = weak.lock()) running->kill();
      });
    };
    co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(ProgramResult)>(
        initiate, asio::use_awaitable);
  }

  [[nodiscard]] ProbeOutcome outcome(const ProgramResult& result) const {
    if (std::holds_alternative<ProgramTimedOut>(result.end)) {
      return probe_down(fmt::format("the script timed out after {}", duration_text(timeout_)));
    }
    const std::string reason = fmt::format("the script {}", describe(result));
    if (const auto* const refused = std::get_if<ProgramNotStarted>(&result.end)) {
      return probe_failed(reason, refused->code);
    }
    const auto* const exited = std::get_if<ProgramExited>(&result.end);
    if (exited == nullptr) return probe_down(reason);
    if (exited->status == 0) return probe_up(reason);
    if (!dynamic_weight_ || exited->status < 2) return probe_down(reason);
    ProbeOutcome outcome = probe_up(reason);
    outcome.weight = static_cast<uint16_t>(exited->status - 2);
    return outcome;
  }

  std::vector<std::string> words_;
  std::optional<ProgramUser> user_;
  std::chrono::milliseconds timeout_;
  bool dynamic_weight_;
};

}  // namespace

MadeProber make_script_prober(const config::Check& check, const std::optional<ProgramUser>& user) {
  if (!check.script.command) return std::unexpected(Error{"no command to run"});
  auto words = command_words(*check.script.command, check.script.shell);
  if (!words) return std::unexpected(words.error());
  return std::make_unique<ScriptProber>(check, std::move(*words), user);
}

}  // namespace headgate::control
