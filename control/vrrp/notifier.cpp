#include "control/vrrp/notifier.h"

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/command_line.h"
#include "control/log.h"
#include "control/subprocess.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

struct Job {
  std::string about;  // the command, for the log
  ProgramOptions program;
};

// Of an instance or group.
struct Line {
  std::string title;  // INSTANCE VI_1
  std::deque<Job> jobs;
  std::string about;                 // of the job that runs
  std::shared_ptr<Program> program;  // of the job that runs
  bool queued = false;               // waits for its turn
};

const std::optional<std::string>& own_command(const Notification& notification) {
  switch (notification.state) {
    case NotifyState::master:
      return notification.settings.master;
    case NotifyState::backup:
      return notification.settings.backup;
    case NotifyState::fault:
      return notification.settings.fault;
    case NotifyState::stop:
      break;
  }
  return notification.settings.stop;
}

std::vector<std::string> general_arguments(const Notification& notification) {
  return {std::string(name_of(notification.kind)), notification.name,
          std::string(name_of(notification.state)), std::to_string(notification.priority)};
}

}  // namespace

struct Notifier::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& given, NotifierOptions wanted)
      : loop(given), options(wanted), idle_signal(given) {}

  void close();
  void notify(const Notification& notification);
  void add(Line& line, const Notification& notification, const std::optional<std::string>& command,
           const std::vector<std::string>& arguments);
  [[nodiscard]] std::expected<std::optional<ProgramUser>, Error> user_of(
      const std::optional<std::string>& name) const;
  void call(const std::shared_ptr<Line>& line);
  void run_next();
  void run(const std::shared_ptr<Line>& line);
  void ended(const std::shared_ptr<Line>& line, const ProgramResult& result);
  [[nodiscard]] bool idle() const { return lines.empty(); }

  asio::io_context& loop;
  NotifierOptions options;
  std::shared_ptr<const VrrpPrograms> programs;
  std::shared_ptr<const VrrpPrograms> programs_before;
  std::map<std::string, std::shared_ptr<Line>> lines;  // with something to do, by title
  std::deque<std::shared_ptr<Line>> turns;             // that could run, but for too many
  size_t running = 0;
  asio::steady_timer idle_signal;  // cancelled when there is nothing to do any more
  Counts counts;
  bool closed = false;
};

void Notifier::Impl::close() {
  closed = true;
  size_t left = 0;
  for (const auto& [title, line] : lines) {
    left += line->jobs.size() + (line->program ? 1 : 0);
    if (line->program) line->program->abandon();
    line->program.reset();
  }
  if (left > 0) log_warning("{} notify scripts were given up at the end", left);
  lines.clear();
  turns.clear();
  idle_signal.cancel();
}

void Notifier::Impl::notify(const Notification& notification) {
  const std::string title = fmt::format("{} {}", name_of(notification.kind), notification.name);
  std::shared_ptr<Line>& line = lines[title];
  if (!line) {
    line = std::make_shared<Line>();
    line->title = title;
  }
  const std::shared_ptr<Line> wanted = line;
  add(*wanted, notification, own_command(notification), {});
  add(*wanted, notification, notification.settings.any, general_arguments(notification));
  if (wanted->jobs.empty() && !wanted->program) {
    lines.erase(title);
    return;
  }
  call(wanted);
  run_next();
}

void Notifier::Impl::add(Line& line, const Notification& notification,
                         const std::optional<std::string>& command,
                         const std::vector<std::string>& arguments) {
  if (!command) return;
  const config::VrrpNotify& settings = notification.settings;
  auto words = command_words(*command, settings.shell, arguments);
  const auto user = user_of(settings.user);
  if (!words || !user) {
    ++counts.failed;
    log_error("{}: {}: {}", line.title, *command, !words ? words.error().text : user.error().text);
    return;
  }
  if (line.jobs.size() >= options.queued) {
    ++counts.dropped;
    log_warning("{}: more than {} notify scripts wait; the oldest is left out", line.title,
                options.queued);
    line.jobs.pop_front();
  }
  Job job{fmt::format("{} ({})", *command, name_of(notification.state)), {}};
  job.program.words = std::move(*words);
  job.program.user = *user;
  job.program.timeout = std::chrono::seconds(settings.timeout_s);
  job.program.cores = options.cores;
  line.jobs.push_back(std::move(job));
}

// A virtual router that a reload removed tells of its end with settings of before.
std::expected<std::optional<ProgramUser>, Error> Notifier::Impl::user_of(
    const std::optional<std::string>& name) const {
  if (!programs) return std::unexpected(Error{"no users were looked up"});
  auto user = programs->user_of(name);
  if (!user && programs_before) user = programs_before->user_of(name);
  return user;
}

// Puts it among those that wait for their turn, if it may run one.
void Notifier::Impl::call(const std::shared_ptr<Line>& line) {
  if (line->queued || line->program || line->jobs.empty()) return;
  line->queued = true;
  turns.push_back(line);
}

void Notifier::Impl::run_next() {
  while (running < options.at_once && !turns.empty()) {
    const std::shared_ptr<Line> line = turns.front();
    turns.pop_front();
    line->queued = false;
    run(line);
  }
}

void Notifier::Impl::run(const std::shared_ptr<Line>& line) {
  Job job = std::move(line->jobs.front());
  line->jobs.pop_front();
  line->about = std::move(job.about);
  ++running;
  line->program = Program::start(loop.get_executor(), std::move(job.program),
                                 [self = shared_from_this(), line](const ProgramResult& result) {
                                   self->ended(line, result);
                                 });
}

void Notifier::Impl::ended(const std::shared_ptr<Line>& line, const ProgramResult& result) {
  line->program.reset();
  --running;
  if (result.succeeded()) {
    ++counts.run;
  } else {
    ++counts.failed;
    log_warning("{}: {} {}", line->title, line->about, describe(result));
  }
  call(line);
  if (line->jobs.empty()) lines.erase(line->title);
  run_next();
  if (lines.empty()) idle_signal.cancel();
}

Notifier::Notifier(asio::io_context& loop, NotifierOptions options)
    : impl_(std::make_shared<Impl>(loop, options)) {}

Notifier::~Notifier() {
  impl_->close();
}

void Notifier::set_programs(std::shared_ptr<const VrrpPrograms> programs) {
  impl_->programs_before = std::move(impl_->programs);
  impl_->programs = std::move(programs);
}

void Notifier::notify(const Notification& notification) {
  impl_->notify(notification);
}

bool Notifier::idle() const {
  return impl_->idle();
}

asio::awaitable<bool> Notifier::finish(std::chrono::milliseconds bound) {
  const std::shared_ptr<Impl> impl = impl_;
  if (impl->idle()) co_return true;
  impl->idle_signal.expires_after(bound);
  boost::system::error_code error;
  co_await impl->idle_signal.async_wait(asio::redirect_error(asio::use_awaitable, error));
  co_return !impl->closed && impl->idle();
}

Notifier::Counts Notifier::counts() const {
  return impl_->counts;
}

}  // namespace headgate::control
