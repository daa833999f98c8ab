#include "control/vrrp/advert_socket.h"

#include <cerrno>
#include <optional>
#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "control/vrrp/packet_socket.h"
#include "control/vrrp/raw_vrrp_socket.h"
#include "control/vrrp/socket_error.h"

namespace headgate::control {

namespace asio = boost::asio;

// Handlers hold the object; after close() they do nothing.
struct AdvertSocket::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& loop, std::string name, RawVrrpSocket given)
      : interface(std::move(name)),
        raw(std::move(given)),
        // The socket closes its own descriptor, Asio closes the copy.
        readable(loop, dup(raw.fd())) {}

  void close() {
    closed = true;
    boost::system::error_code ignored;
    readable.close(ignored);
  }

  void wait_readable() {
    waits = true;
    readable.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](const boost::system::error_code& error) {
                          if (error || self->closed) return;
                          self->receive();
                          if (!self->closed) self->wait_readable();
                        });
  }

  size_t receive() {
    if (receiving || !callback) return 0;
    receiving = true;
    const OnPacket current = callback;  // which may set another one
    const RawVrrpSocket::Batch batch = raw.receive([&](const vrrp::Received& packet) {
      ++counters.received;
      current(packet);
      return !closed;
    });
    counters.malformed += batch.malformed;
    receiving = false;
    return batch.packets;
  }

  std::expected<void, Error> send_frame(const EthernetFrame& frame) {
    if (!packets) {
      auto opened = PacketSocket::open(interface);
      if (!opened) return std::unexpected(opened.error());
      if (opened->interface_index() != raw.interface_index()) {
        return std::unexpected(socket_error(interface, "cannot send", ENODEV));
      }
      packets.emplace(std::move(*opened));
    }
    return packets->send(frame);
  }

  std::expected<void, Error> count(std::expected<void, Error> result) {
    ++(result ? counters.sent : counters.send_errors);
    return result;
  }

  std::string interface;
  RawVrrpSocket raw;
  std::optional<PacketSocket> packets;
  asio::posix::stream_descriptor readable;
  OnPacket callback;
  Counters counters;
  uint16_t next_id = 1;
  bool waits = false;
  bool receiving = false;
  bool closed = false;
};

static_assert(AdvertSocket::max_batch == RawVrrpSocket::max_batch);

std::expected<std::unique_ptr<AdvertSocket>, Error> AdvertSocket::open(
    asio::io_context& loop, const AdvertSocketOptions& options) {
  auto raw = RawVrrpSocket::open(options.interface, options.family, options.group);
  if (!raw) return std::unexpected(raw.error());
  auto impl = std::make_shared<Impl>(loop, options.interface, std::move(*raw));
  return std::unique_ptr<AdvertSocket>(new AdvertSocket(std::move(impl)));
}

AdvertSocket::AdvertSocket(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdvertSocket::~AdvertSocket() {
  impl_->close();
}

void AdvertSocket::on_packet(OnPacket callback) {
  impl_->callback = std::move(callback);
  if (!impl_->waits) impl_->wait_readable();
}

size_t AdvertSocket::receive_waiting() {
  const auto impl = impl_;  // the callback may destroy this
  return impl->receive();
}

std::expected<void, Error> AdvertSocket::send(std::span<const uint8_t> message,
                                              const net::IpAddress& source,
                                              const net::IpAddress& destination, uint8_t ttl) {
  const int code = impl_->raw.send(message, source, destination, ttl);
  if (code == 0) return impl_->count({});
  return impl_->count(std::unexpected(
      socket_error(impl_->interface, "cannot send to " + net::to_string(destination), code)));
}

std::expected<void, Error> AdvertSocket::send_from_mac(std::span<const uint8_t> message,
                                                       const net::IpAddress& source,
                                                       const net::IpAddress& group,
                                                       const net::MacAddress& virtual_mac) {
  if (source.family != impl_->raw.family() || group.family != impl_->raw.family()) {
    return impl_->count(std::unexpected(
        socket_error(impl_->interface, "cannot send to " + net::to_string(group), EAFNOSUPPORT)));
  }
  return impl_->count(impl_->send_frame(
      advert_frame(message, source, group, virtual_mac, vrrp::advert_ttl, impl_->next_id++)));
}

int AdvertSocket::interface_index() const {
  return impl_->raw.interface_index();
}

const AdvertSocket::Counters& AdvertSocket::counters() const {
  return impl_->counters;
}

}  // namespace headgate::control
