#include "control/program_queue.h"

#include <deque>
#include <map>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/command_line.h"
#include "control/log.h"
#include "control/subprocess.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

struct Job {
  std::string about;
  ProgramOptions program;
};

// Of one title.
struct Line {
  std::string title;
  std::deque<Job> jobs;
  std::string about;                 // of the job that runs
  std::shared_ptr<Program> program;  // of the job that runs
  bool queued = false;               // waits for its turn
};

}  // namespace

struct ProgramQueue::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& given, ProgramQueueOptions wanted)
      : loop(given), options(wanted), idle_signal(given) {}

  void close();
  void add(const std::string& title, Job job);
  void call(const std::shared_ptr<Line>& line);
  void run_next();
  void run(const std::shared_ptr<Line>& line);
  void ended(const std::shared_ptr<Line>& line, const ProgramResult& result);
  [[nodiscard]] bool idle() const { return lines.empty(); }

  asio::io_context& loop;
  ProgramQueueOptions options;
  std::map<std::string, std::shared_ptr<Line>> lines;  // with something to do, by title
  std::deque<std::shared_ptr<Line>> turns;             // that could run, but for too many
  size_t running = 0;
  asio::steady_timer idle_signal;  // cancelled when there is nothing to do any more
  Counts counts;
  bool closed = false;
};

void ProgramQueue::Impl::close() {
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

void ProgramQueue::Impl::add(const std::string& title, Job job) {
  std::shared_ptr<Line>& line = lines[title];
  if (!line) {
    line = std::make_shared<Line>();
    line->title = title;
  }
  const std::shared_ptr<Line> wanted = line;
  if (wanted->jobs.size() >= options.queued) {
    ++counts.dropped;
    log_warning("{}: more than {} notify scripts wait; the oldest is left out", title,
                options.queued);
    wanted->jobs.pop_front();
  }
  wanted->jobs.push_back(std::move(job));
  call(wanted);
  run_next();
}

// Puts it among those that wait for their turn, if it may run one.
void ProgramQueue::Impl::call(const std::shared_ptr<Line>& line) {
  if (line->queued || line->program || line->jobs.empty()) return;
  line->queued = true;
  turns.push_back(line);
}

void ProgramQueue::Impl::run_next() {
  while (running < options.at_once && !turns.empty()) {
    const std::shared_ptr<Line> line = turns.front();
    turns.pop_front();
    line->queued = false;
    run(line);
  }
}

void ProgramQueue::Impl::run(const std::shared_ptr<Line>& line) {
  Job job = std::move(line->jobs.front());
  line->jobs.pop_front();
  line->about = std::move(job.about);
  ++running;
  line->program = Program::start(loop.get_executor(), std::move(job.program),
                                 [self = shared_from_this(), line](const ProgramResult& result) {
                                   self->ended(line, result);
                                 });
}

void ProgramQueue::Impl::ended(const std::shared_ptr<Line>& line, const ProgramResult& result) {
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

ProgramQueue::ProgramQueue(asio::io_context& loop, ProgramQueueOptions options)
    : impl_(std::make_shared<Impl>(loop, options)) {}

ProgramQueue::~ProgramQueue() {
  impl_->close();
}

void ProgramQueue::add_command(QueuedCommand command) {
  auto words = command_words(command.command, command.shell, command.arguments);
  if (!words || !command.user) {
    ++impl_->counts.failed;
    log_error("{}: {}: {}", command.title, command.command,
              !words ? words.error().text : command.user.error().text);
    return;
  }
  Job job;
  job.about = fmt::format("{} ({})", command.command, command.state);
  job.program.words = std::move(*words);
  job.program.user = std::move(*command.user);
  job.program.timeout = command.timeout;
  job.program.cores = command.cores;
  impl_->add(command.title, std::move(job));
}

bool ProgramQueue::idle() const {
  return impl_->idle();
}

asio::awaitable<bool> ProgramQueue::finish(std::chrono::milliseconds bound) {
  const std::shared_ptr<Impl> impl = impl_;
  if (impl->idle()) co_return true;
  impl->idle_signal.expires_after(bound);
  boost::system::error_code error;
  co_await impl->idle_signal.async_wait(asio::redirect_error(asio::use_awaitable, error));
  co_return !impl->closed && impl->idle();
}

ProgramQueue::Counts ProgramQueue::counts() const {
  return impl_->counts;
}

}  // namespace headgate::control
