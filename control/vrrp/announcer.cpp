#include "control/vrrp/announcer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <net/if.h>

#include "control/vrrp/announce_job.h"
#include "control/vrrp/packet_socket.h"

namespace headgate::control {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto full_retry = std::chrono::milliseconds(1);
constexpr auto full_patience = std::chrono::seconds(5);  // then the interface is stuck

// What waits on one interface. The socket stays open for the next announcement.
struct Lane {
  explicit Lane(asio::io_context& loop) : timer(loop) {}

  std::optional<PacketSocket> socket;
  std::deque<AnnounceJob> jobs;
  Clock::time_point not_before{};
  std::optional<Clock::time_point> full_since;
  asio::steady_timer timer;
  bool timer_runs = false;
};

}  // namespace

// Handlers hold the object; after `closed` they do nothing.
struct Announcer::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& io, OnError callback) : loop(io), on_error(std::move(callback)) {}

  void run();
  [[nodiscard]] bool run_batch(const std::string& name, Lane& lane);
  [[nodiscard]] std::expected<void, Error> ensure_socket(const std::string& name, Lane& lane);
  void queue_is_full(const std::string& name, Lane& lane, Clock::time_point now);
  void fail(const std::string& name, Lane& lane, const Error& error);
  void schedule_turn();
  void wait_until(Lane& lane, Clock::time_point when);

  asio::io_context& loop;
  OnError on_error;
  std::map<std::string, Lane> lanes;
  size_t budget = max_per_turn;  // of this turn of the loop
  uint64_t sent = 0;
  bool turn_scheduled = false;
  bool closed = false;
};

// Batches of all interfaces in turn, until the budget is spent or nobody can send.
void Announcer::Impl::run() {
  bool progress = true;
  while (progress && budget > 0) {
    progress = false;
    for (auto& [name, lane] : lanes) {
      if (budget > 0 && run_batch(name, lane)) progress = true;
    }
  }
  if (budget < max_per_turn) schedule_turn();
}

// Whether something was sent, and more may be.
bool Announcer::Impl::run_batch(const std::string& name, Lane& lane) {
  const auto now = Clock::now();
  if (lane.jobs.empty()) return false;
  if (now < lane.not_before) {
    wait_until(lane, lane.not_before);
    return false;
  }
  const auto opened = ensure_socket(name, lane);
  if (!opened) {
    fail(name, lane, opened.error());
    return false;
  }
  AnnounceJob& job = lane.jobs.front();
  const auto interval = std::chrono::microseconds(job.interval_us());
  const size_t limit = interval.count() > 0 ? 1 : std::min(budget, PacketSocket::max_batch);
  const auto count = lane.socket->send(job.frames(limit));
  if (!count) {
    fail(name, lane, count.error());
    return false;
  }
  if (*count == 0) {
    queue_is_full(name, lane, now);
    return false;
  }
  lane.full_since.reset();
  lane.not_before = now + interval;
  budget -= *count;
  sent += *count;
  job.advance(*count);
  if (job.is_done()) lane.jobs.pop_front();
  return true;
}

std::expected<void, Error> Announcer::Impl::ensure_socket(const std::string& name, Lane& lane) {
  const auto index = static_cast<int>(if_nametoindex(name.c_str()));
  if (lane.socket && lane.socket->interface_index() == index) return {};
  auto opened = PacketSocket::open(name);
  if (!opened) return std::unexpected(opened.error());
  lane.socket = std::move(*opened);
  return {};
}

void Announcer::Impl::queue_is_full(const std::string& name, Lane& lane, Clock::time_point now) {
  if (!lane.full_since) lane.full_since = now;
  if (now - *lane.full_since > full_patience) {
    return fail(name, lane, {name + ": nothing could be sent for 5 s, the queue is full"});
  }
  lane.not_before = now + full_retry;
  wait_until(lane, lane.not_before);
}

void Announcer::Impl::fail(const std::string& name, Lane& lane, const Error& error) {
  lane.jobs.clear();
  lane.full_since.reset();
  lane.not_before = {};
  if (!on_error) return;
  // Not from within announce().
  asio::post(loop, [self = shared_from_this(), name, error] {
    if (!self->closed) self->on_error(name, error);
  });
}

// The next turn of the loop has a budget of its own.
void Announcer::Impl::schedule_turn() {
  if (turn_scheduled) return;
  turn_scheduled = true;
  asio::post(loop, [self = shared_from_this()] {
    self->turn_scheduled = false;
    if (self->closed) return;
    self->budget = max_per_turn;
    self->run();
  });
}

void Announcer::Impl::wait_until(Lane& lane, Clock::time_point when) {
  if (lane.timer_runs) return;
  lane.timer_runs = true;
  lane.timer.expires_at(when);
  lane.timer.async_wait([self = shared_from_this(), &lane](const boost::system::error_code& error) {
    if (error || self->closed) return;
    lane.timer_runs = false;
    self->run();
  });
}

Announcer::Announcer(asio::io_context& loop, OnError on_error)
    : impl_(std::make_shared<Impl>(loop, std::move(on_error))) {}

Announcer::~Announcer() {
  impl_->closed = true;
  impl_->lanes.clear();
}

void Announcer::announce(const Announcement& announcement) {
  AnnounceJob job(announcement);
  if (job.is_done()) return;
  auto& lane = impl_->lanes.try_emplace(announcement.interface, impl_->loop).first->second;
  const bool waits = std::ranges::any_of(
      lane.jobs, [&](AnnounceJob& other) { return other.absorb(announcement); });
  if (!waits) lane.jobs.push_back(std::move(job));
  impl_->run();
}

void Announcer::cancel(const std::string& interface, const std::vector<net::IpAddress>& addresses) {
  const auto found = impl_->lanes.find(interface);
  if (found == impl_->lanes.end()) return;
  std::erase_if(found->second.jobs, [&](AnnounceJob& job) {
    job.remove(addresses);
    return job.is_done();
  });
}

uint64_t Announcer::sent() const {
  return impl_->sent;
}

size_t Announcer::waiting() const {
  size_t frames = 0;
  for (const auto& [name, lane] : impl_->lanes) {
    for (const AnnounceJob& job : lane.jobs) {
      frames += job.waiting();
    }
  }
  return frames;
}

}  // namespace headgate::control
