// Type smtp: a mail server that greets, and takes us (RFC 5321): 220, EHLO or else HELO and 250.
// Then QUIT, so that it has nothing to complain of.
#include <algorithm>
#include <array>
#include <cctype>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include "control/health/byte_stream.h"
#include "control/health/probers.h"
#include "control/health/smtp_reply.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

using Reply = std::expected<SmtpReply, ProbeOutcome>;

// One connection's talk.
class Talk {
 public:
  explicit Talk(TcpStream& stream) : stream_(stream) {}

  asio::awaitable<Reply> ask(const std::string& command) {
    if (auto problem = co_await stream_.write(command)) {
      co_return Reply(std::unexpect, std::move(*problem));
    }
    co_return co_await listen();
  }
  asio::awaitable<Reply> listen() {
    while (true) {
      auto reply = replies_.next();
      if (!reply) co_return Reply(std::unexpect, probe_down(reply.error()));
      if (*reply) co_return std::move(**reply);
      const std::span<char> space(buffer_);
      const StreamRead count = co_await stream_.read_some(space);
      if (!count) co_return Reply(std::unexpect, count.error());
      if (*count == 0) {
        co_return Reply(std::unexpect, probe_down(fmt::format("{} closed the connection",
                                                              stream_.endpoint().name())));
      }
      replies_.add({buffer_.data(), *count});
    }
  }

 private:
  TcpStream& stream_;
  SmtpReplyReader replies_;
  std::array<char, 2048> buffer_{};
};

class SmtpProber : public Prober {
 public:
  SmtpProber(const config::Check& check, const ProbeTarget& target)
      : endpoint_(check, target),
        timeout_(check.timeout_ms),
        ehlo_(fmt::format("EHLO {}\r\n", check.smtp.helo)),
        helo_(fmt::format("HELO {}\r\n", check.smtp.helo)) {}

  asio::awaitable<ProbeOutcome> run() override {
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    TcpStream stream(loop, endpoint_, AttemptTime::from_now(timeout_));
    if (auto problem = co_await stream.connect()) co_return std::move(*problem);
    Talk talk(stream);
    const Reply banner = co_await talk.listen();
    if (!banner) co_return banner.error();
    if (banner->code != 220) co_return unexpected("the greeting", *banner, 220);
    Reply hello = co_await talk.ask(ehlo_);
    // Of before 1995.
    if (hello && hello->code >= 500) hello = co_await talk.ask(helo_);
    if (!hello) co_return hello.error();
    if (hello->code != 250) co_return unexpected("EHLO", *hello, 250);
    co_await say_farewell(loop, stream);
    co_return probe_up("greeted with 250");
  }

 private:
  // What comes of it does not matter: a server that does not answer has a second, and is up.
  static asio::awaitable<void> say_farewell(const asio::any_io_executor& loop, TcpStream& stream) {
    constexpr std::string_view quit = "QUIT\r\n";
    constexpr std::chrono::seconds patience{1};
    const Deadline end(loop, ProbeClock::now() + patience, [&stream] {
      boost::system::error_code ignored;
      stream.socket().cancel(ignored);
    });
    std::array<char, 256> rest{};
    if (co_await stream.write(quit)) co_return;
    const std::span<char> space(rest);
    (void)co_await stream.read_some(space);
  }

  static ProbeOutcome unexpected(std::string_view to, const SmtpReply& reply, int wanted) {
    return probe_down(fmt::format("{}: {} {}, expected {}", to, reply.code, reply.text, wanted));
  }

  ProbeEndpoint endpoint_;
  std::chrono::milliseconds timeout_;
  std::string ehlo_;
  std::string helo_;
};

}  // namespace

MadeProber make_smtp_prober(const config::Check& check, const ProbeTarget& target) {
  const std::string& helo = check.smtp.helo;
  const bool one_word = std::ranges::all_of(helo, [](unsigned char c) { return std::isgraph(c); });
  if (helo.empty() || !one_word) {
    return std::unexpected(Error{fmt::format("helo `{}`: has to be one word", helo)});
  }
  return std::make_unique<SmtpProber>(check, target);
}

}  // namespace headgate::control
