#include "tests/support/probe_server.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "dataplane/net/address.h"

namespace headgate::test {

namespace {

constexpr int patience_ms = 5;  // between two looks at whether to end

struct Bound {
  sockaddr_in6 bytes{};
  socklen_t size = sizeof(bytes);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&bytes); }
  // At the same place for both families.
  [[nodiscard]] uint16_t port() const { return ntohs(bytes.sin6_port); }
};

Bound bound_for(const std::string& address, uint16_t port) {
  Bound bound;
  const auto ip = net::parse_ip(address);
  bound.bytes.sin6_port = htons(port);
  if (ip && ip->is_v6()) {
    bound.bytes.sin6_family = AF_INET6;
    std::memcpy(&bound.bytes.sin6_addr, ip->bytes.data(), 16);
    return bound;
  }
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&bound.bytes);
  v4->sin_family = AF_INET;
  if (ip) std::memcpy(&v4->sin_addr, ip->bytes.data(), 4);
  bound.size = sizeof(*v4);
  return bound;
}

int bound_socket(int type, const std::string& address, uint16_t& port) {
  Bound bound = bound_for(address, port);
  const int fd = socket(bound.bytes.sin6_family, type | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  EXPECT_EQ(bind(fd, bound.get(), bound.size), 0) << address << ": " << std::strerror(errno);
  EXPECT_EQ(getsockname(fd, bound.get(), &bound.size), 0);
  port = bound.port();
  return fd;
}

std::string text_of(const Bound& bound) {
  net::IpAddress address;
  const bool is_v6 = bound.bytes.sin6_family == AF_INET6;
  address.family = is_v6 ? net::Family::ipv6 : net::Family::ipv4;
  if (is_v6) {
    std::memcpy(address.bytes.data(), &bound.bytes.sin6_addr, 16);
  } else {
    std::memcpy(address.bytes.data(), reinterpret_cast<const char*>(&bound.bytes) + 4, 4);
  }
  return net::endpoint_to_string(address, bound.port());
}

bool wait_until(int fd, short events, const std::atomic<bool>& stopping) {
  while (!stopping) {
    pollfd entry{fd, events, 0};
    if (poll(&entry, 1, patience_ms) > 0) return true;
  }
  return false;
}

}  // namespace

void enter_own_network() {
  if (unshare(CLONE_NEWNET) != 0) std::abort();
  const char* const setup =
      "ip link set lo up && ip link add void0 type veth peer name void1 && "
      "ip link set void1 up && ip link set void0 up && "
      "ip addr add 10.9.0.1/24 dev void0 && ip -6 addr add fd09::1/64 dev void0 nodad && "
      "ip neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev void0 nud permanent";
  if (std::system(setup) != 0) std::abort();
}

bool Peer::wait(short events) const {
  return wait_until(fd_, events, stopping_);
}

bool Peer::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    if (!wait(POLLOUT)) return false;
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

void Peer::send_slowly(std::string_view bytes, int pause_ms) const {
  for (const char& byte : bytes) {
    if (stopping_ || !send({&byte, 1})) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
  }
}

std::string Peer::receive_until(std::string_view mark) const {
  std::string text;
  std::array<char, 4096> part;
  while (text.find(mark) == std::string::npos && wait(POLLIN)) {
    const ssize_t count = recv(fd_, part.data(), part.size(), 0);
    if (count <= 0) break;
    text.append(part.data(), static_cast<size_t>(count));
  }
  return text;
}

bool Peer::wait_for_reset() const {
  std::array<char, 4096> part;
  while (wait(POLLIN)) {
    const ssize_t count = recv(fd_, part.data(), part.size(), 0);
    if (count <= 0) return count < 0 && errno == ECONNRESET;
  }
  return false;
}

void Peer::reset_at_end() const {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

TcpServer::TcpServer(Talk talk, const std::string& address, uint16_t port)
    : talk_(std::move(talk)), listener_(-1), port_(port) {
  listener_ = bound_socket(SOCK_STREAM, address, port_);
  EXPECT_EQ(listen(listener_, 128), 0);
  thread_ = std::thread([this] { serve(); });
}

TcpServer::~TcpServer() {
  stopping_ = true;
  thread_.join();
  for (std::thread& talk : talks_)
    talk.join();
  close(listener_);
}

void TcpServer::serve() {
  while (wait_until(listener_, POLLIN, stopping_)) {
    Bound peer;
    const int fd = accept4(listener_, peer.get(), &peer.size, SOCK_CLOEXEC);
    if (fd < 0) continue;
    {
      const std::scoped_lock lock(mutex_);
      client_ = text_of(peer);
    }
    ++connections_;
    talks_.emplace_back([this, fd] {
      talk_(Peer(fd, stopping_));
      close(fd);
    });
  }
}

std::string TcpServer::client() const {
  const std::scoped_lock lock(mutex_);
  return client_;
}

UdpServer::UdpServer(Answer answer, const std::string& address)
    : answer_(std::move(answer)), fd_(-1), other_fd_(-1) {
  uint16_t any = 0;
  fd_ = bound_socket(SOCK_DGRAM, address, port_);
  other_fd_ = bound_socket(SOCK_DGRAM, address, any);
  thread_ = std::thread([this] { serve(); });
}

UdpServer::~UdpServer() {
  stopping_ = true;
  thread_.join();
  close(fd_);
  close(other_fd_);
}

void UdpServer::serve() {
  std::array<char, 65536> buffer;
  while (wait_until(fd_, POLLIN, stopping_)) {
    Bound peer;
    const ssize_t length =
        recvfrom(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT, peer.get(), &peer.size);
    if (length < 0) continue;
    ++questions_;
    for (const std::string& reply : answer_({buffer.data(), static_cast<size_t>(length)})) {
      sendto(from_elsewhere ? other_fd_ : fd_, reply.data(), reply.size(), 0, peer.get(),
             peer.size);
    }
  }
}

}  // namespace headgate::test
