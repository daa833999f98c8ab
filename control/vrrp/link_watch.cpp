#include "control/vrrp/link_watch.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "control/vrrp/link_feed.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

constexpr auto dump_interval = std::chrono::milliseconds(100);
constexpr auto dump_patience = std::chrono::seconds(5);

bool is_link_local(const net::IpAddress& address) {
  return address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

bool contains(const std::vector<net::Prefix>& prefixes, const net::IpAddress& address) {
  return std::ranges::find(prefixes, address, &net::Prefix::address) != prefixes.end();
}

}  // namespace

bool LinkState::has(const net::IpAddress& address) const {
  return contains(address.is_v4() ? ipv4 : ipv6, address);
}

net::IpAddress LinkState::first_ipv4() const {
  return ipv4.empty() ? net::IpAddress{} : ipv4.front().address;
}

net::IpAddress LinkState::link_local() const {
  const auto found = std::ranges::find_if(ipv6, is_link_local, &net::Prefix::address);
  return found == ipv6.end() ? net::IpAddress{} : found->address;
}

// Handlers hold the object; after close() they do nothing.
struct LinkWatch::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& loop, LinkFeed given, OnChange callback)
      : feed(std::move(given)),
        on_change(std::move(callback)),
        // The feed closes its own descriptor, Asio closes the copy.
        readable(loop, dup(feed.fd())),
        timer(loop) {}

  void close() {
    closed = true;
    boost::system::error_code ignored;
    readable.close(ignored);
    timer.cancel();
  }

  void wait_readable() {
    readable.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](const boost::system::error_code& error) {
                          if (error || self->closed) return;
                          self->feed.read();
                          self->arm_timer();
                          self->tell();
                          if (!self->closed) self->wait_readable();
                        });
  }

  // A dump a while after it was found to be needed, and again when one does not end.
  void arm_timer() {
    if (timer_runs || (!feed.wants_dump() && !feed.dumping())) return;
    timer_runs = true;
    timer.expires_after(feed.dumping() ? std::chrono::milliseconds(dump_patience) : dump_interval);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->closed) return;
      self->timer_runs = false;
      if (self->feed.wants_dump() || self->feed.dumping()) self->feed.start_dump();
      self->arm_timer();
    });
  }

  void tell() {
    std::vector<LinkState> changed;
    for (auto& [name, state] : told) {
      LinkState now = feed.table().state(name);
      if (now == state) continue;
      state = now;
      changed.push_back(std::move(now));
    }
    for (const LinkState& state : changed) {
      if (closed) return;
      if (on_change && told.contains(state.name)) on_change(state);
    }
  }

  LinkFeed feed;
  OnChange on_change;
  asio::posix::stream_descriptor readable;
  asio::steady_timer timer;
  std::map<std::string, LinkState> told;  // the watched ones, as last told
  bool timer_runs = false;
  bool closed = false;
};

std::expected<std::unique_ptr<LinkWatch>, Error> LinkWatch::open(asio::io_context& loop,
                                                                 OnChange on_change) {
  auto feed = LinkFeed::open();
  if (!feed) return std::unexpected(feed.error());
  auto impl = std::make_shared<Impl>(loop, std::move(*feed), std::move(on_change));
  impl->wait_readable();
  return std::unique_ptr<LinkWatch>(new LinkWatch(std::move(impl)));
}

LinkWatch::LinkWatch(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

LinkWatch::~LinkWatch() {
  impl_->close();
}

void LinkWatch::watch(const std::vector<std::string>& names) {
  impl_->told.clear();
  for (const std::string& name : names) {
    impl_->told[name] = impl_->feed.table().state(name);
  }
}

LinkState LinkWatch::state(const std::string& name) const {
  return impl_->feed.table().state(name);
}

uint64_t LinkWatch::resyncs() const {
  return impl_->feed.resyncs();
}

}  // namespace headgate::control
