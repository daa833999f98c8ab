#include "control/health/http_answer.h"

#include <array>
#include <cstdint>
#include <new>
#include <openssl/evp.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>
#include <fmt/format.h>

namespace headgate::control {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

// Where the body's bytes go.
struct BodySink {
  DigestContext digest{nullptr, &EVP_MD_CTX_free};
  std::optional<std::string> text;
};

// A body for Beast's parser.
struct SunkBody {
  using value_type = BodySink*;

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>&, value_type& sink) : sink_(sink) {}
    void init(const boost::optional<uint64_t>&, boost::system::error_code& error) { error = {}; }
    template <class Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& error) {
      error = {};
      size_t count = 0;
      for (const asio::const_buffer piece : boost::beast::buffers_range_ref(buffers)) {
        if (sink_->digest) EVP_DigestUpdate(sink_->digest.get(), piece.data(), piece.size());
        if (sink_->text) sink_->text->append(static_cast<const char*>(piece.data()), piece.size());
        count += piece.size();
      }
      return count;
    }
    void finish(boost::system::error_code& error) { error = {}; }

   private:
    value_type& sink_;  // which is set after the reader is made
  };
};

using Parser = http::response_parser<SunkBody>;

std::string words_for(const boost::system::error_code& error) {
  if (error == http::error::body_limit) {
    return fmt::format("the page is longer than {} bytes", HttpAnswer::most_body_bytes);
  }
  if (error == http::error::header_limit) {
    return fmt::format("the answer's header is longer than {} bytes",
                       HttpAnswer::most_header_bytes);
  }
  if (error == http::error::partial_message) return "the connection ended within the answer";
  if (error == http::error::end_of_stream) return "the connection ended without an answer";
  return fmt::format("the answer is not HTTP: {}", error.message());
}

}  // namespace

struct HttpAnswer::Impl {
  explicit Impl(const Wanted& wanted) : wants_body(wanted.digest || wanted.text) {
    if (wanted.digest) {
      sink.digest.reset(EVP_MD_CTX_new());
      const EVP_MD* const kind =
          *wanted.digest == config::DigestType::md5 ? EVP_md5() : EVP_sha256();
      if (!sink.digest || EVP_DigestInit_ex(sink.digest.get(), kind, nullptr) != 1) {
        throw std::bad_alloc();
      }
    }
    if (wanted.text) sink.text.emplace();
    start_parser();
  }

  void start_parser() {
    parser.emplace();
    parser->get().body() = &sink;
    parser->header_limit(most_header_bytes);
    parser->body_limit(wants_body ? boost::optional<uint64_t>(most_body_bytes) : boost::none);
  }

  // Beast asserts that a last chunk's header comes in no smaller pieces than this; what is held
  // back is never the answer's end, as that is `0`, CRLF, CRLF.
  [[nodiscard]] bool waits_for_more_than(size_t bytes) const {
    constexpr size_t least_chunk_bytes = 5;
    return bytes < least_chunk_bytes && parser->is_header_done() && parser->chunked();
  }

  // 101 is no step on the way to an answer: what follows it is not HTTP.
  [[nodiscard]] bool is_interim() const {
    const unsigned status = parser->get().result_int();
    return parser->is_header_done() && status / 100 == 1 && status != 101;
  }

  bool wants_body;
  BodySink sink;
  std::optional<Parser> parser;
  int interim_answers = 0;
};

HttpAnswer::HttpAnswer(const Wanted& wanted) : impl_(std::make_unique<Impl>(wanted)) {}
HttpAnswer::~HttpAnswer() = default;

std::expected<size_t, std::string> HttpAnswer::feed(std::string_view bytes) {
  constexpr int most_interim_answers = 8;
  size_t taken = 0;
  while (taken < bytes.size() && !done()) {
    if (impl_->waits_for_more_than(bytes.size() - taken)) break;
    boost::system::error_code error;
    taken += impl_->parser->put(asio::buffer(bytes.substr(taken)), error);
    if (error == http::error::need_more) break;
    if (error) return std::unexpected(words_for(error));
    if (!impl_->is_interim()) continue;
    if (++impl_->interim_answers > most_interim_answers) {
      return std::unexpected("the answer does not get beyond status 1xx");
    }
    impl_->start_parser();
  }
  return taken;
}

std::optional<std::string> HttpAnswer::end() {
  if (done()) return std::nullopt;
  boost::system::error_code error = http::error::end_of_stream;
  if (impl_->parser->got_some()) impl_->parser->put_eof(error);
  if (!error && !done()) error = http::error::partial_message;
  if (error) return words_for(error);
  return std::nullopt;
}

bool HttpAnswer::has_status() const {
  return impl_->parser->is_header_done();
}

unsigned HttpAnswer::status() const {
  return impl_->parser->get().result_int();
}

bool HttpAnswer::done() const {
  return impl_->wants_body ? impl_->parser->is_done() : impl_->parser->is_header_done();
}

std::string HttpAnswer::digest() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned length = 0;
  EVP_DigestFinal_ex(impl_->sink.digest.get(), bytes.data(), &length);
  std::string text;
  for (unsigned i = 0; i < length; ++i)
    text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string HttpAnswer::take_text() {
  return std::move(*impl_->sink.text);
}

}  // namespace headgate::control
