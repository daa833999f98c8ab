// Type dns: a question by UDP, and by TCP where the answer did not fit.
#include <array>
#include <cstring>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>
#include <sys/random.h>

#include "control/health/byte_stream.h"
#include "control/health/dns_question.h"
#include "control/health/probers.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

using Means = DnsQuestion::Means;

uint16_t random_id() {
  uint16_t id = 0;
  // The kernel's pool is filled long before a daemon starts.
  (void)getrandom(&id, sizeof(id), GRND_NONBLOCK);
  return id;
}

class DnsProber : public Prober {
 public:
  DnsProber(const config::Check& check, const ProbeTarget& target, DnsQuestion question)
      : endpoint_(check, target), timeout_(check.timeout_ms), question_(std::move(question)) {}

  asio::awaitable<ProbeOutcome> run() override {
    const AttemptTime time = AttemptTime::from_now(timeout_);
    const uint16_t id = random_id();
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    auto socket = DatagramSocket::open(loop, endpoint_, SOCK_DGRAM, 0);
    if (!socket) co_return socket.error();
    const std::vector<uint8_t> message = question_.message(id);
    if (auto problem = socket->send(message)) co_return std::move(*problem);
    std::vector<uint8_t> buffer(DnsQuestion::most_message_bytes);
    while (true) {
      const auto length = co_await socket->receive(buffer, time.end);
      if (!length) co_return length.error();
      if (!*length) {
        co_return probe_down(
            fmt::format("no answer from {} within {}", endpoint_.name(), duration_text(timeout_)));
      }
      if (**length > buffer.size()) co_return too_long(**length);
      const auto verdict = question_.judge(std::span(buffer).first(**length), id);
      if (verdict.means == Means::truncated) break;
      if (verdict.means != Means::nothing) co_return outcome(verdict);
    }
    socket->close();  // one at a time
    co_return co_await ask_by_tcp(loop, message, id, time);
  }

 private:
  // Each message has its length in front, of two bytes (RFC 7766 section 8).
  asio::awaitable<ProbeOutcome> ask_by_tcp(const asio::any_io_executor& loop,
                                           const std::vector<uint8_t>& message, uint16_t id,
                                           const AttemptTime& time) {
    TcpStream stream(loop, endpoint_, time);
    if (auto problem = co_await stream.connect()) co_return std::move(*problem);
    std::string bytes{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())};
    bytes.append(message.begin(), message.end());
    if (auto problem = co_await stream.write(bytes)) co_return std::move(*problem);
    std::array<char, 2> head{};
    const std::span<char> head_space(head);
    if (auto problem = co_await read_all(stream, head_space)) co_return std::move(*problem);
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(head[0])) << 8 | static_cast<uint8_t>(head[1]);
    if (length > DnsQuestion::most_message_bytes) co_return too_long(length);
    std::string answer(length, '\0');
    const std::span<char> answer_space(answer);
    if (auto problem = co_await read_all(stream, answer_space)) co_return std::move(*problem);
    const std::span answer_bytes(reinterpret_cast<const uint8_t*>(answer.data()), answer.size());
    const auto verdict = question_.judge(answer_bytes, id);
    if (verdict.means == Means::nothing) {
      co_return probe_down("the answer by TCP is one to another question");
    }
    co_return outcome(verdict);
  }

  asio::awaitable<StreamStep> read_all(TcpStream& stream, std::span<char> space) {
    while (!space.empty()) {
      const StreamRead count = co_await stream.read_some(space);
      if (!count) co_return count.error();
      if (*count == 0) {
        co_return probe_down(
            fmt::format("{} closed the connection within the answer", endpoint_.name()));
      }
      space = space.subspan(*count);
    }
    co_return std::nullopt;
  }

  static ProbeOutcome outcome(const DnsQuestion::Verdict& verdict) {
    return {.up = verdict.means == Means::right, .reason = verdict.reason};
  }
  static ProbeOutcome too_long(size_t length) {
    return probe_down(fmt::format("an answer of {} bytes, of which {} are read", length,
                                  DnsQuestion::most_message_bytes));
  }

  ProbeEndpoint endpoint_;
  std::chrono::milliseconds timeout_;
  DnsQuestion question_;
};

}  // namespace

MadeProber make_dns_prober(const config::Check& check, const ProbeTarget& target) {
  auto question = DnsQuestion::make(check.dns);
  if (!question) return std::unexpected(question.error());
  return std::make_unique<DnsProber>(check, target, std::move(*question));
}

}  // namespace headgate::control
