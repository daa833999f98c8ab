// Types http and https: pages that have to be right, one after the other, each by a connection of
// its own. Where only the status is wanted, the header is all that is read.
#include <algorithm>
#include <cctype>
#include <vector>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include "control/health/byte_stream.h"
#include "control/health/http_answer.h"
#include "control/health/page_expression.h"
#include "control/health/probers.h"
#include "control/health/tls_stream.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// A page made ready.
struct Page {
  std::string path;
  std::string request;
  std::string server_name;
  std::vector<config::StatusRange> status;
  HttpAnswer::Wanted wanted;
  std::string digest;
  PageSearch search;
  bool absent = false;

  [[nodiscard]] bool allows(unsigned code) const {
    return std::ranges::any_of(
        status, [code](const auto& range) { return range.first <= code && code <= range.last; });
  }
  [[nodiscard]] std::string allowed_text() const {
    std::string text;
    for (const auto& range : status) {
      text += fmt::format("{}{}", text.empty() ? "" : ", ", range.first);
      if (range.last != range.first) text += fmt::format("-{}", range.last);
    }
    return text;
  }
};

// How a probe reads: a step at a time into one buffer, of which the parser leaves what it cannot
// use yet.
class AnswerReader {
 public:
  AnswerReader(ByteStream& stream, HttpAnswer& answer, const std::string& path)
      : stream_(stream), answer_(answer), path_(path), buffer_(HttpAnswer::most_header_bytes + 1) {}

  // Until the status is known, or all that is wanted is in.
  asio::awaitable<StreamStep> read_status() {
    while (!answer_.has_status()) {
      if (auto problem = co_await read_more()) co_return problem;
    }
    co_return std::nullopt;
  }
  asio::awaitable<StreamStep> read_all() {
    if (auto problem = feed()) co_return problem;
    while (!answer_.done()) {
      if (auto problem = co_await read_more()) co_return problem;
    }
    co_return std::nullopt;
  }

 private:
  asio::awaitable<StreamStep> read_more() {
    const std::span<char> space = std::span(buffer_).subspan(have_);
    if (space.empty()) co_return wrong("the answer is not HTTP: a line without an end");
    const StreamRead count = co_await stream_.read_some(space);
    if (!count) co_return count.error();
    have_ += *count;
    if (*count > 0) co_return feed();
    if (auto problem = answer_.end()) co_return wrong(*problem);
    co_return std::nullopt;
  }

  StreamStep feed() {
    const auto taken = answer_.feed({buffer_.data(), have_});
    if (!taken) return wrong(taken.error());
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(*taken),
              buffer_.begin() + static_cast<ptrdiff_t>(have_), buffer_.begin());
    have_ -= *taken;
    return std::nullopt;
  }

  [[nodiscard]] ProbeOutcome wrong(const std::string& what) const {
    return probe_down(fmt::format("{}: {}", path_, what));
  }

  ByteStream& stream_;
  HttpAnswer& answer_;
  const std::string& path_;
  std::vector<char> buffer_;
  size_t have_ = 0;
};

class HttpProber : public Prober {
 public:
  HttpProber(const config::Check& check, const ProbeTarget& target, std::vector<Page> pages,
             TlsContext tls)
      : endpoint_(check, target),
        timeout_(check.timeout_ms),
        pages_(std::move(pages)),
        tls_(std::move(tls)) {}

  asio::awaitable<ProbeOutcome> run() override {
    const AttemptTime time = AttemptTime::from_now(timeout_);
    ProbeOutcome outcome;
    for (Page& page : pages_) {
      outcome = co_await ask(page, time);
      if (!outcome.up) break;
    }
    co_return outcome;
  }

 private:
  asio::awaitable<ProbeOutcome> ask(Page& page, const AttemptTime& time) {
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    TcpStream plain(loop, endpoint_, time);
    if (auto problem = co_await plain.connect()) co_return std::move(*problem);
    if (!tls_) co_return co_await talk(plain, page, time);
    TlsStream secret(plain, *tls_, page.server_name);
    if (auto problem = co_await secret.handshake()) co_return std::move(*problem);
    co_return co_await talk(secret, page, time);
  }

  asio::awaitable<ProbeOutcome> talk(ByteStream& stream, Page& page, const AttemptTime& time) {
    if (auto problem = co_await stream.write(page.request)) co_return std::move(*problem);
    HttpAnswer answer(page.wanted);
    AnswerReader reader(stream, answer, page.path);
    if (auto problem = co_await reader.read_status()) co_return std::move(*problem);
    if (!page.allows(answer.status())) {
      co_return probe_down(fmt::format("status {} from {}, expected {}", answer.status(), page.path,
                                       page.allowed_text()));
    }
    if (auto problem = co_await reader.read_all()) co_return std::move(*problem);
    if (auto problem = check_digest(answer, page)) co_return std::move(*problem);
    if (page.search.is_wanted()) {
      std::string text = answer.take_text();
      const auto found = co_await page.search.find_in(std::move(text), time.end);
      if (auto problem = judge_search(found, page)) co_return std::move(*problem);
    }
    co_return probe_up(fmt::format("status {}", answer.status()));
  }

  static StreamStep check_digest(HttpAnswer& answer, const Page& page) {
    if (!page.wanted.digest) return std::nullopt;
    const std::string digest = answer.digest();
    if (digest == page.digest) return std::nullopt;
    const bool is_md5 = *page.wanted.digest == config::DigestType::md5;
    return probe_down(fmt::format("{} of {} is {}, expected {}", is_md5 ? "MD5" : "SHA-256",
                                  page.path, digest, page.digest));
  }

  StreamStep judge_search(const std::optional<bool>& found, const Page& page) const {
    if (!found) {
      return probe_down(fmt::format("the page {} was not searched within {}", page.path,
                                    duration_text(timeout_)));
    }
    if (*found != page.absent) return std::nullopt;
    if (page.absent) {
      return probe_down(fmt::format("the page {} has what must not be in it", page.path));
    }
    return probe_down(fmt::format("the page {} lacks what has to be in it", page.path));
  }

  ProbeEndpoint endpoint_;
  std::chrono::milliseconds timeout_;
  std::vector<Page> pages_;
  TlsContext tls_;
};

// ---- making it ready

// The Host field as it is by default (RFC 9110 section 7.2).
std::string default_host(const ProbeTarget& target, bool tls) {
  const bool usual = target.port == (tls ? 443 : 80);
  const std::string address = net::to_string(target.address);
  if (!usual) return net::endpoint_to_string(target.address, target.port);
  return target.address.is_v6() ? fmt::format("[{}]", address) : address;
}

// Of HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT; and an IPv6 address as it is.
std::string without_port(const std::string& host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  if (net::parse_ip(host)) return host;
  return host.substr(0, host.find(':'));
}

bool is_one_word(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > ' ' && byte != 0x7f;
  });
}

std::optional<Error> add_wishes(const config::CheckUrl& url, asio::thread_pool* helpers,
                                Page& page) {
  if (url.digest) {
    constexpr size_t md5_digits = 32;
    page.digest = *url.digest;
    std::ranges::transform(page.digest, page.digest.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    page.wanted.digest =
        page.digest.size() == md5_digits ? config::DigestType::md5 : config::DigestType::sha256;
  }
  if (url.regex) {
    const auto expression = PageExpression::make(*url.regex);
    if (!expression) return expression.error();
    page.search = PageSearch(*expression, helpers);
    page.wanted.text = true;
    page.absent = url.regex_absent;
  }
  if (page.status.empty()) {
    const bool any = url.digest || url.regex;
    page.status.push_back(any ? config::StatusRange{100, 999} : config::StatusRange{200, 299});
  }
  return std::nullopt;
}

std::expected<Page, Error> make_page(const config::CheckHttp& http, const config::CheckUrl& url,
                                     const std::string& host_of_target,
                                     asio::thread_pool* helpers) {
  const std::string host = url.host ? *url.host : http.host.value_or(host_of_target);
  if (!is_one_word(url.path) || !is_one_word(host)) {
    return std::unexpected(Error{fmt::format(
        "path `{}` of host `{}`: blanks cannot be asked for, write %20", url.path, host)});
  }
  const bool is_1_1 = http.version == config::HttpVersion::http_1_1;
  Page page;
  page.path = url.path;
  page.status = url.status;
  page.request = fmt::format(
      "GET {} HTTP/1.{}\r\nHost: {}\r\nUser-Agent: headgate\r\nAccept: */*\r\nConnection: "
      "close\r\n\r\n",
      url.path, is_1_1 ? 1 : 0, host);
  page.server_name = without_port(http.server_name.value_or(host));
  if (auto problem = add_wishes(url, helpers, page)) return std::unexpected(std::move(*problem));
  return page;
}

}  // namespace

MadeProber make_http_prober(const config::Check& check, const ProbeTarget& target,
                            asio::thread_pool* helpers) {
  const config::CheckHttp& http = check.http;
  const bool tls = check.type == config::CheckType::https;
  std::vector<config::CheckUrl> urls = http.urls;
  if (urls.empty()) urls.emplace_back();
  std::vector<Page> pages;
  for (const config::CheckUrl& url : urls) {
    auto page = make_page(http, url, default_host(target, tls), helpers);
    if (!page) return std::unexpected(page.error());
    pages.push_back(std::move(*page));
  }
  TlsContext context;
  if (tls) {
    auto made = tls_context(http.verify, http.ca_file);
    if (!made) return std::unexpected(made.error());
    context = std::move(*made);
  }
  return std::make_unique<HttpProber>(check, target, std::move(pages), std::move(context));
}

}  // namespace headgate::control
