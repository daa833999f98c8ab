// Type ping: an ICMP echo request and its reply (RFC 792, RFC 4443), by a socket for just that
// where net.ipv4.ping_group_range allows it, else by a raw one.
#include <array>
#include <cerrno>
#include <cstring>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/random.h>

#include "control/health/probe_socket.h"
#include "control/health/probers.h"
#include "dataplane/net/checksum.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// ICMP_FILTER and struct icmp_filter of linux/icmp.h, which cannot be had beside net/if.h.
constexpr int icmp_filter_option = 1;

// Both families' messages look alike but for type and checksum.
struct EchoMessage {
  uint8_t type = 0;
  uint8_t code = 0;
  net::be16 checksum{};
  net::be16 id{};
  net::be16 sequence{};
  // Tells our reply from others': a socket for echos sets an id of its own.
  std::array<uint8_t, 32> cookie{};
};
static_assert(sizeof(EchoMessage) == 40);

class PingProber : public Prober {
 public:
  PingProber(const config::Check& check, const ProbeTarget& target)
      : endpoint_(check, {target.address, 0}), timeout_(check.timeout_ms) {}

  asio::awaitable<ProbeOutcome> run() override {
    const ProbeClock::time_point end = ProbeClock::now() + timeout_;
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    bool is_raw = false;
    auto socket = open(loop, is_raw);
    if (!socket) co_return socket.error();
    const EchoMessage request = new_request();
    std::array<uint8_t, sizeof(request)> bytes{};
    std::memcpy(bytes.data(), &request, sizeof(request));
    if (auto problem = socket->send(bytes)) co_return std::move(*problem);
    constexpr size_t longest_ip_header = 60;
    std::array<uint8_t, sizeof(EchoMessage) + longest_ip_header> buffer{};
    const std::span<uint8_t> space(buffer);
    while (true) {
      const auto length = co_await socket->receive(space, end);
      if (!length) co_return length.error();
      if (!*length) {
        co_return probe_down(
            fmt::format("no echo from {} within {}", endpoint_.name(), duration_text(timeout_)));
      }
      if (is_reply(space.first(std::min(**length, space.size())), request, is_raw)) {
        co_return probe_up("echo");
      }
    }
  }

 private:
  [[nodiscard]] std::expected<DatagramSocket, ProbeOutcome> open(const asio::any_io_executor& loop,
                                                                 bool& is_raw) const {
    const int protocol = endpoint_.is_v6() ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
    auto socket = DatagramSocket::open(loop, endpoint_, SOCK_DGRAM, protocol);
    if (socket || socket.error().asked) return socket;
    auto raw = DatagramSocket::open(loop, endpoint_, SOCK_RAW, protocol);
    if (!raw) return raw;
    is_raw = true;
    let_replies_in(raw->fd());
    return raw;
  }

  // Nothing but echo replies: a raw socket has a copy of every message else.
  void let_replies_in(int fd) const {
    if (endpoint_.is_v6()) {
      icmp6_filter filter;
      ICMP6_FILTER_SETBLOCKALL(&filter);
      ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
      setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
      return;
    }
    const uint32_t kept_back = ~(1U << ICMP_ECHOREPLY);
    setsockopt(fd, IPPROTO_RAW, icmp_filter_option, &kept_back, sizeof(kept_back));
  }

  [[nodiscard]] EchoMessage new_request() const {
    EchoMessage request;
    request.type = endpoint_.is_v6() ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    (void)getrandom(request.cookie.data(), request.cookie.size(), GRND_NONBLOCK);
    std::memcpy(&request.id, request.cookie.data(), sizeof(request.id));
    request.sequence = net::be16::from_host(1);
    if (endpoint_.is_v6()) return request;  // the kernel's task, whatever the socket
    std::array<uint8_t, sizeof(request)> bytes{};
    std::memcpy(bytes.data(), &request, sizeof(request));
    request.checksum = net::checksum_finish(net::checksum_add(0, bytes));
    return request;
  }

  [[nodiscard]] bool is_reply(std::span<const uint8_t> bytes, const EchoMessage& request,
                              bool is_raw) const {
    if (is_raw && !endpoint_.is_v6()) {
      if (bytes.empty()) return false;
      const size_t header_bytes = static_cast<size_t>(bytes[0] & 0x0f) * 4;
      bytes = bytes.subspan(std::min(header_bytes, bytes.size()));
    }
    EchoMessage reply;
    if (bytes.size() < sizeof(reply)) return false;
    std::memcpy(&reply, bytes.data(), sizeof(reply));
    const uint8_t wanted = endpoint_.is_v6() ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;
    return reply.type == wanted && reply.code == 0 && reply.sequence == request.sequence &&
           reply.cookie == request.cookie;
  }

  ProbeEndpoint endpoint_;
  std::chrono::milliseconds timeout_;
};

}  // namespace

MadeProber make_ping_prober(const config::Check& check, const ProbeTarget& target) {
  return std::make_unique<PingProber>(check, target);
}

}  // namespace headgate::control
