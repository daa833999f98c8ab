// Type udp: a datagram, and what comes back: the first reply decides. Where none is required,
// silence to the end of the attempt's time is success, and an ICMP error is not.
#include <algorithm>
#include <vector>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include "control/health/byte_pattern.h"
#include "control/health/probe_socket.h"
#include "control/health/probers.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// The beginning of a reply, for the log.
std::string hex_text(std::span<const uint8_t> bytes) {
  constexpr size_t most = 16;
  std::string text;
  for (const uint8_t byte : bytes.first(std::min(bytes.size(), most)))
    text += fmt::format("{}{:02x}", text.empty() ? "" : " ", byte);
  return bytes.size() > most ? text + " ..." : text;
}

class UdpProber : public Prober {
 public:
  UdpProber(const config::Check& check, const ProbeTarget& target, std::vector<uint8_t> send,
            BytePattern expect)
      : endpoint_(check, target),
        timeout_(check.timeout_ms),
        send_(std::move(send)),
        expect_(std::move(expect)),
        require_reply_(check.udp.require_reply),
        min_bytes_(check.udp.min_reply_bytes),
        max_bytes_(check.udp.max_reply_bytes) {}

  asio::awaitable<ProbeOutcome> run() override {
    const ProbeClock::time_point end = ProbeClock::now() + timeout_;
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    auto socket = DatagramSocket::open(loop, endpoint_, SOCK_DGRAM, 0);
    if (!socket) co_return socket.error();
    if (auto problem = socket->send(send_)) co_return std::move(*problem);
    std::vector<uint8_t> buffer(std::max<size_t>(expect_.size(), 32));
    const auto length = co_await socket->receive(buffer, end);
    if (!length) co_return length.error();
    if (*length) {
      buffer.resize(std::min(buffer.size(), **length));
      co_return judge(buffer, **length);
    }
    const std::string time = duration_text(timeout_);
    if (!require_reply_) co_return probe_up(fmt::format("no error within {}", time));
    co_return probe_down(fmt::format("no answer from {} within {}", endpoint_.name(), time));
  }

 private:
  [[nodiscard]] ProbeOutcome judge(std::span<const uint8_t> begin, size_t length) const {
    if (length < min_bytes_ || length > max_bytes_) {
      return probe_down(
          fmt::format("a reply of {} bytes, expected {} to {}", length, min_bytes_, max_bytes_));
    }
    if (!expect_.matches(begin)) {
      return probe_down(
          fmt::format("a reply other than expected: {} bytes, {}", length, hex_text(begin)));
    }
    return probe_up(fmt::format("a reply of {} bytes", length));
  }

  ProbeEndpoint endpoint_;
  std::chrono::milliseconds timeout_;
  std::vector<uint8_t> send_;
  BytePattern expect_;
  bool require_reply_;
  uint32_t min_bytes_;
  uint32_t max_bytes_;
};

}  // namespace

MadeProber make_udp_prober(const config::Check& check, const ProbeTarget& target) {
  const auto send = BytePattern::parse(check.udp.send.value_or(""));
  if (!send) return std::unexpected(Error{"send " + send.error().text});
  if (send->has_wildcards()) {
    return std::unexpected(Error{"send: an X has no place in what is sent"});
  }
  auto expect = BytePattern::parse(check.udp.expect.value_or(""));
  if (!expect) return std::unexpected(Error{"expect " + expect.error().text});
  return std::make_unique<UdpProber>(check, target, send->bytes(), std::move(*expect));
}

}  // namespace headgate::control
