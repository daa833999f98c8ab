#include "control/kernel_watch.h"

#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace headgate::control {

namespace asio = boost::asio;

// Handlers hold the object; after close() they do nothing.
struct KernelWatch::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& loop, std::unique_ptr<KernelMirror> given, Callback callback)
      : mirror(std::move(given)),
        on_change(std::move(callback)),
        // The mirror closes its own descriptor, Asio closes the copy.
        readable(loop, dup(mirror->fd())),
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
                          self->turn();
                          if (!self->closed) self->wait_readable();
                        });
  }

  void arm_timer() {
    const auto when = mirror->wakeup();
    if (!when) {
      armed.reset();
      timer.cancel();
      return;
    }
    if (armed == when) return;
    armed = when;
    timer.expires_at(*when);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->closed) return;
      self->armed.reset();
      self->turn();
    });
  }

  void turn() {
    const KernelParts parts = mirror->poll(KernelMirror::Clock::now());
    if (parts.any()) on_change(mirror->state(), parts);
    if (!closed) arm_timer();
  }

  std::unique_ptr<KernelMirror> mirror;
  Callback on_change;
  asio::posix::stream_descriptor readable;
  asio::steady_timer timer;
  std::optional<KernelMirror::Clock::time_point> armed;
  bool closed = false;
};

KernelWatch::KernelWatch(asio::io_context& loop, std::unique_ptr<KernelMirror> mirror,
                         Callback on_change)
    : impl_(std::make_shared<Impl>(loop, std::move(mirror), std::move(on_change))) {
  impl_->wait_readable();
  impl_->arm_timer();
}

KernelWatch::~KernelWatch() {
  impl_->close();
}

const KernelState& KernelWatch::state() const {
  return impl_->mirror->state();
}

void KernelWatch::resolve(const NeighbourKey& neighbour) {
  impl_->mirror->resolve(neighbour, KernelMirror::Clock::now());
}

void KernelWatch::keep_fresh(std::span<const NeighbourKey> neighbours) {
  impl_->mirror->keep_fresh(neighbours, KernelMirror::Clock::now());
  impl_->arm_timer();
}

}  // namespace headgate::control
