// Sockets as a check wants them: bound to its source, interface and mark; and a socket of datagrams
// to talk with one server.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <netinet/in.h>
#include <sys/socket.h>

#include "config/health_model.h"
#include "control/health/deadline.h"
#include "control/health/prober.h"
#include "control/health/probers.h"

namespace headgate::control {

// An address as the kernel takes it.
class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const net::IpAddress& address, uint16_t port);

  [[nodiscard]] const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&bytes_); }
  [[nodiscard]] socklen_t size() const { return size_; }
  [[nodiscard]] int family() const { return bytes_.sin6_family; }

 private:
  sockaddr_in6 bytes_{};  // or a sockaddr_in, which is shorter
  socklen_t size_ = 0;
};

// Where a check's packets go, and by which way.
class ProbeEndpoint {
 public:
  ProbeEndpoint(const config::Check& check, const ProbeTarget& target);

  // A new socket of the target's family: non-blocking, closed at exec, bound, not connected. The
  // caller closes it.
  [[nodiscard]] std::expected<int, ProbeOutcome> open(int type, int protocol) const;
  [[nodiscard]] const SocketAddress& address() const { return address_; }
  [[nodiscard]] bool is_v6() const { return target_.address.is_v6(); }
  [[nodiscard]] const ProbeTarget& target() const { return target_; }
  // "10.0.0.7:80", or the address alone where there is no port.
  [[nodiscard]] std::string name() const;
  // In words, for errno of a connect, read or write: "10.0.0.7:80 refused the connection".
  [[nodiscard]] ProbeOutcome failure(int code) const;

 private:
  [[nodiscard]] std::optional<ProbeOutcome> prepare(int fd, int type) const;

  ProbeTarget target_;
  SocketAddress address_;
  SocketAddress source_;
  bool has_source_ = false;
  bool has_source_port_ = false;
  std::string interface_;
  uint32_t mark_ = 0;
};

// The endpoint's connected socket of datagrams: those of others are not seen, and ICMP errors that
// concern it come as failures.
class DatagramSocket {
 public:
  // `protocol` as for socket(): 0 for UDP, IPPROTO_ICMP.
  static std::expected<DatagramSocket, ProbeOutcome> open(boost::asio::any_io_executor loop,
                                                          const ProbeEndpoint& endpoint, int type,
                                                          int protocol);
  [[nodiscard]] int fd() { return descriptor_.native_handle(); }
  void close();
  [[nodiscard]] std::optional<ProbeOutcome> send(std::span<const uint8_t> bytes);
  // The length of the next datagram, of which as much as fits is in `buffer`. Without a value: the
  // time is over.
  [[nodiscard]] boost::asio::awaitable<std::expected<std::optional<size_t>, ProbeOutcome>> receive(
      std::span<uint8_t> buffer, ProbeClock::time_point deadline);

 private:
  DatagramSocket(boost::asio::any_io_executor loop, const ProbeEndpoint& endpoint)
      : endpoint_(&endpoint), descriptor_(loop) {}
  [[nodiscard]] ProbeOutcome failure(int code) const;

  const ProbeEndpoint* endpoint_;
  boost::asio::posix::stream_descriptor descriptor_;
};

}  // namespace headgate::control
