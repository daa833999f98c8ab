#include "control/vrrp/process_tracker.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "control/background_thread.h"
#include "control/vrrp/process_scan.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

using Clock = std::chrono::steady_clock;

struct Tracked {
  config::VrrpProcess settings;
  bool up = false;
  bool known = false;
  uint32_t count = 0;
  std::optional<Clock::time_point> differs_since;  // count and `up` say different things
};

}  // namespace

struct ProcessTracker::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& given, Callback callback, std::chrono::milliseconds every)
      : loop(given), on_result(std::move(callback)), period(every) {}

  void scan_until_stopped();
  void post_counts(std::vector<std::string> scanned, std::vector<uint32_t> counts);
  void take_count(const std::string& process, uint32_t count, Clock::time_point now);
  bool take_count(Tracked& tracked, uint32_t count, Clock::time_point now) const;

  asio::io_context& loop;
  Callback on_result;
  std::chrono::milliseconds period;
  // Of the loop.
  std::map<std::string, Tracked> tracked;  // by name
  bool closed = false;
  // Of both, under the lock.
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> processes;  // to look for
  bool stopping = false;
  bool look_now = false;
  std::thread thread;
};

// The thread. It holds no reference of its own: it is joined before the object goes.
void ProcessTracker::Impl::scan_until_stopped() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (processes.empty()) {
      changed.wait(lock);
      continue;
    }
    look_now = false;
    std::vector<std::string> wanted = processes;
    lock.unlock();
    std::vector<uint32_t> counts = count_processes(wanted);
    post_counts(std::move(wanted), std::move(counts));
    lock.lock();
    changed.wait_for(lock, period, [this] { return stopping || look_now; });
  }
}

void ProcessTracker::Impl::post_counts(std::vector<std::string> scanned,
                                       std::vector<uint32_t> counts) {
  asio::post(loop,
             [weak = weak_from_this(), scanned = std::move(scanned), counts = std::move(counts)] {
               const std::shared_ptr<Impl> self = weak.lock();
               if (!self) return;
               const Clock::time_point now = Clock::now();
               for (size_t i = 0; i < scanned.size(); ++i) {
                 if (!self->closed) self->take_count(scanned[i], counts[i], now);
               }
             });
}

void ProcessTracker::Impl::take_count(const std::string& process, uint32_t count,
                                      Clock::time_point now) {
  std::vector<std::pair<std::string, bool>> news;
  for (auto& [name, entry] : tracked) {
    if (entry.settings.process == process && take_count(entry, count, now)) {
      news.emplace_back(name, entry.up);
    }
  }
  for (const auto& [name, up] : news) {
    if (!closed) on_result(name, up);
  }
}

// True: there is something to tell.
bool ProcessTracker::Impl::take_count(Tracked& entry, uint32_t count, Clock::time_point now) const {
  entry.count = count;
  const bool enough = count >= entry.settings.quorum;
  if (entry.known && enough == entry.up) {
    entry.differs_since.reset();
    return false;
  }
  if (!entry.differs_since) entry.differs_since = now;
  const auto delay = std::chrono::milliseconds(entry.settings.delay_ms);
  if (entry.known && now - *entry.differs_since < delay) return false;
  entry.known = true;
  entry.up = enough;
  entry.differs_since.reset();
  return true;
}

ProcessTracker::ProcessTracker(asio::io_context& loop, Callback on_result,
                               std::chrono::milliseconds period)
    : impl_(std::make_shared<Impl>(loop, std::move(on_result), period)) {}

ProcessTracker::~ProcessTracker() {
  impl_->closed = true;
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_one();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ProcessTracker::configure(std::span<const config::VrrpProcess> processes) {
  std::map<std::string, Tracked> kept;
  std::vector<std::string> wanted;
  for (const config::VrrpProcess& settings : processes) {
    const auto found = impl_->tracked.find(settings.name);
    const bool same = found != impl_->tracked.end() && found->second.settings == settings;
    Tracked& entry = kept[settings.name];
    if (same) entry = found->second;
    entry.settings = settings;
    wanted.push_back(settings.process);
  }
  impl_->tracked = std::move(kept);
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->processes = std::move(wanted);
    impl_->look_now = true;
  }
  impl_->changed.notify_one();
  if (!impl_->thread.joinable() && !processes.empty()) {
    impl_->thread =
        start_background("hg-processes", [impl = impl_.get()] { impl->scan_until_stopped(); });
  }
}

bool ProcessTracker::up(const std::string& name) const {
  const auto found = impl_->tracked.find(name);
  return found != impl_->tracked.end() && found->second.up;
}

uint32_t ProcessTracker::count(const std::string& name) const {
  const auto found = impl_->tracked.find(name);
  return found == impl_->tracked.end() ? 0 : found->second.count;
}

}  // namespace headgate::control
