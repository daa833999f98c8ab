#include "control/vrrp/script_tracker.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "control/command_line.h"
#include "control/subprocess.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A long interval does not make the first result wait for long.
constexpr milliseconds longest_spread{1000};

struct Script {
  Script(asio::io_context& loop, config::VrrpScript given)
      : settings(std::move(given)), up(settings.start == config::ScriptStart::up), beat(loop) {}

  [[nodiscard]] milliseconds interval() const {
    return milliseconds(std::max<uint32_t>(settings.interval_ms, 1));
  }
  [[nodiscard]] milliseconds timeout() const {
    return milliseconds(settings.timeout_ms.value_or(settings.interval_ms));
  }

  config::VrrpScript settings;
  std::expected<std::optional<ProgramUser>, Error> user;
  std::expected<std::vector<std::string>, Error> words;
  bool up;
  bool known = false;
  uint32_t streak = 0;  // results in a row that say the opposite
  asio::steady_timer beat;
  Clock::time_point next;
  bool waiting = false;              // for its turn
  std::shared_ptr<Program> program;  // that runs
  bool counted = false;              // the run has its result: it timed out
};

}  // namespace

struct ScriptTracker::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& given, Callback callback, ScriptTrackerOptions wanted)
      : loop(given), on_result(std::move(callback)), options(wanted) {}

  void close();
  void configure(std::span<const config::VrrpScript> wanted,
                 const std::shared_ptr<const Programs>& programs);
  void retire(Script& script);
  void add(const config::VrrpScript& settings, const Programs* programs, milliseconds delay);
  void await_beat(const std::shared_ptr<Script>& script);
  void beat(const std::shared_ptr<Script>& script);
  void run(const std::shared_ptr<Script>& script);
  void ended(const std::shared_ptr<Script>& script, const ProgramResult& result);
  void run_next();
  void count(Script& script, bool success, const std::string& what);

  asio::io_context& loop;
  Callback on_result;
  ScriptTrackerOptions options;
  std::map<std::string, std::shared_ptr<Script>> scripts;
  std::deque<std::shared_ptr<Script>> queue;  // whose beat came while too many ran
  size_t running = 0;
  bool closed = false;
};

void ScriptTracker::Impl::close() {
  closed = true;
  queue.clear();
  for (const auto& [name, script] : scripts)
    retire(*script);
  scripts.clear();
}

void ScriptTracker::Impl::configure(std::span<const config::VrrpScript> wanted,
                                    const std::shared_ptr<const Programs>& programs) {
  std::vector<const config::VrrpScript*> fresh;
  std::map<std::string, std::shared_ptr<Script>> kept;
  for (const config::VrrpScript& settings : wanted) {
    const auto found = scripts.find(settings.name);
    const bool same = found != scripts.end() && found->second->settings == settings;
    if (!same) {
      fresh.push_back(&settings);
      continue;
    }
    // Its user may have become another one without a change of the name.
    if (programs) found->second->user = programs->user_of(settings.user);
    kept.insert(scripts.extract(found));
  }
  for (const auto& [name, script] : scripts)
    retire(*script);
  scripts = std::move(kept);
  for (size_t i = 0; i < fresh.size(); ++i) {
    const milliseconds spread =
        std::min(longest_spread, milliseconds(std::max<uint32_t>(fresh[i]->interval_ms, 1)));
    add(*fresh[i], programs.get(), spread * i / fresh.size());
  }
  run_next();
}

void ScriptTracker::Impl::retire(Script& script) {
  script.beat.cancel();
  if (script.program) {
    script.program->abandon();
    --running;
  }
  script.program.reset();
  script.waiting = false;
}

void ScriptTracker::Impl::add(const config::VrrpScript& settings, const Programs* programs,
                              milliseconds delay) {
  const auto script = std::make_shared<Script>(loop, settings);
  script->words = command_words(settings.command, settings.shell);
  script->user = std::unexpected(Error{"its user was not looked up"});
  if (programs != nullptr) script->user = programs->user_of(settings.user);
  script->next = Clock::now() + delay;
  scripts.emplace(settings.name, script);
  await_beat(script);
}

void ScriptTracker::Impl::await_beat(const std::shared_ptr<Script>& script) {
  script->beat.expires_at(script->next);
  script->beat.async_wait(
      [self = shared_from_this(), script](const boost::system::error_code& error) {
        const auto found = self->scripts.find(script->settings.name);
        if (error || found == self->scripts.end() || found->second != script) return;
        self->beat(script);
      });
}

void ScriptTracker::Impl::beat(const std::shared_ptr<Script>& script) {
  // Beats that went by, in a pause of the loop for one, are not made up for.
  const auto late = (Clock::now() - script->next) / script->interval();
  script->next += script->interval() * (late + 1);
  await_beat(script);
  if (script->program || script->waiting) return;
  if (running < options.at_once) return run(script);
  script->waiting = true;
  queue.push_back(script);
}

void ScriptTracker::Impl::run(const std::shared_ptr<Script>& script) {
  script->waiting = false;
  if (!script->words) return count(*script, false, script->words.error().text);
  if (!script->user) return count(*script, false, script->user.error().text);
  ProgramOptions program{*script->words, *script->user, script->timeout(), 0, options.cores};
  script->counted = false;
  ++running;
  script->program = Program::start(
      loop.get_executor(), std::move(program),
      [self = shared_from_this(), script](const ProgramResult& result) {
        self->ended(script, result);
      },
      [self = shared_from_this(), script] {
        script->counted = true;
        self->count(*script, false, fmt::format("no end after {} ms", script->timeout().count()));
      });
}

// Not of an abandoned program.
void ScriptTracker::Impl::ended(const std::shared_ptr<Script>& script,
                                const ProgramResult& result) {
  script->program.reset();
  --running;
  if (!script->counted) count(*script, result.succeeded(), describe(result));
  if (!closed) run_next();
}

void ScriptTracker::Impl::run_next() {
  while (running < options.at_once && !queue.empty()) {
    const std::shared_ptr<Script> script = queue.front();
    queue.pop_front();
    if (script->waiting) run(script);
  }
}

void ScriptTracker::Impl::count(Script& script, bool success, const std::string& what) {
  const uint32_t needed = success ? script.settings.rise : script.settings.fall;
  if (script.known && success == script.up) {
    script.streak = 0;
    return;
  }
  if (script.known && ++script.streak < needed) return;
  const std::string reason =
      script.streak > 1 ? fmt::format("{}, {} in a row", what, script.streak) : what;
  script.known = true;
  script.up = success;
  script.streak = 0;
  // The callback may put other scripts in place of this one.
  const std::string name = script.settings.name;
  if (!closed) on_result(name, success, reason);
}

ScriptTracker::ScriptTracker(asio::io_context& loop, Callback on_result,
                             ScriptTrackerOptions options)
    : impl_(std::make_shared<Impl>(loop, std::move(on_result), options)) {}

ScriptTracker::~ScriptTracker() {
  impl_->close();
}

void ScriptTracker::configure(std::span<const config::VrrpScript> scripts,
                              std::shared_ptr<const Programs> programs) {
  impl_->configure(scripts, programs);
}

bool ScriptTracker::up(const std::string& name) const {
  const auto found = impl_->scripts.find(name);
  return found != impl_->scripts.end() && found->second->up;
}

bool ScriptTracker::known(const std::string& name) const {
  const auto found = impl_->scripts.find(name);
  return found != impl_->scripts.end() && found->second->known;
}

}  // namespace headgate::control
