#include "control/health/tls_stream.h"

#include <filesystem>
#include <map>
#include <mutex>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <system_error>
#include <tuple>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "dataplane/net/address.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace {

// The same file, unless somebody has written it.
using ContextKey = std::tuple<bool, std::string, std::filesystem::file_time_type, uintmax_t>;

std::expected<ContextKey, Error> key_of(bool verify, const std::optional<std::string>& ca_file) {
  ContextKey key{verify, "", {}, 0};
  if (!verify || !ca_file) return key;
  std::error_code error;
  const auto written = std::filesystem::last_write_time(*ca_file, error);
  const auto size = error ? 0 : std::filesystem::file_size(*ca_file, error);
  if (error) {
    return std::unexpected(Error{fmt::format("ca_file {}: {}", *ca_file, error.message())});
  }
  return ContextKey{true, *ca_file, written, size};
}

// Finite-field Diffie-Hellman is out: a server chooses how long its numbers are, and a long one
// takes the loop a tenth of a second. So are exotic curves.
void leave_out_slow_ones(SSL_CTX* context) {
  SSL_CTX_set_cipher_list(context, "DEFAULT:!kDHE:!kPSK:!kSRP");
  SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
}

std::expected<TlsContext, Error> load_context(bool verify,
                                              const std::optional<std::string>& ca_file) {
  TlsContext context;
  try {
    context = std::make_shared<ssl::context>(ssl::context::tls_client);
  } catch (const boost::system::system_error& error) {
    return std::unexpected(Error{fmt::format("TLS: {}", error.code().message())});
  }
  leave_out_slow_ones(context->native_handle());
  // Servers that end a page by closing often leave TLS's own farewell out.
  SSL_CTX_set_options(context->native_handle(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (!verify) return context;
  boost::system::error_code error;
  context->set_verify_mode(ssl::verify_peer, error);
  if (ca_file) {
    context->load_verify_file(*ca_file, error);
  } else {
    context->set_default_verify_paths(error);
  }
  if (!error) return context;
  return std::unexpected(Error{
      fmt::format("{}: no certificates in PEM to be had from it: {}",
                  ca_file ? "ca_file " + *ca_file : "the system's certificates", error.message())});
}

}  // namespace

std::expected<TlsContext, Error> tls_context(bool verify,
                                             const std::optional<std::string>& ca_file) {
  static std::mutex mutex;
  static std::map<ContextKey, std::weak_ptr<ssl::context>> known;
  const auto key = key_of(verify, ca_file);
  if (!key) return std::unexpected(key.error());
  const std::scoped_lock lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  if (const auto found = known.find(*key); found != known.end()) {
    if (auto context = found->second.lock()) return context;
  }
  auto context = load_context(verify, ca_file);
  if (context) known[*key] = *context;
  return context;
}

TlsStream::TlsStream(TcpStream& below, ssl::context& context, const std::string& name)
    : below_(below), name_(name), stream_(below.socket(), context) {
  SSL* const tls = stream_.native_handle();
  if (net::parse_ip(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), name.c_str());
    return;
  }
  SSL_set_tlsext_host_name(tls, name.c_str());
  SSL_set1_host(tls, name.c_str());
}

asio::awaitable<StreamStep> TlsStream::handshake() {
  if (below_.time_is_over()) co_return failure({});
  boost::system::error_code error;
  co_await stream_.async_handshake(ssl::stream_base::client,
                                   asio::redirect_error(asio::use_awaitable, error));
  ERR_clear_error();
  if (error) co_return failure(error, "TLS handshake with");
  co_return std::nullopt;
}

asio::awaitable<StreamStep> TlsStream::write(std::string_view bytes) {
  below_.note_question();
  if (below_.time_is_over()) co_return failure({});
  boost::system::error_code error;
  const asio::const_buffer buffer = asio::buffer(bytes);
  co_await asio::async_write(stream_, buffer, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failure(error);
  co_return std::nullopt;
}

asio::awaitable<StreamRead> TlsStream::read_some(std::span<char> buffer) {
  if (below_.time_is_over()) co_return StreamRead(std::unexpect, failure({}));
  boost::system::error_code error;
  const asio::mutable_buffer space(buffer.data(), buffer.size());
  const size_t count =
      co_await stream_.async_read_some(space, asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof || error == ssl::error::stream_truncated) co_return 0;
  if (error) co_return StreamRead(std::unexpect, failure(error));
  below_.note_answer();
  co_return count;
}

ProbeOutcome TlsStream::failure(const boost::system::error_code& error, std::string_view what) {
  if (below_.time_is_over() || error == asio::error::operation_aborted) {
    return below_.failure(error, what);
  }
  const long verified = SSL_get_verify_result(stream_.native_handle());
  if (!what.empty() && verified != X509_V_OK &&
      (SSL_get_verify_mode(stream_.native_handle()) & SSL_VERIFY_PEER) != 0) {
    const bool names =
        verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH;
    return probe_down(fmt::format("certificate: {}{}", X509_verify_cert_error_string(verified),
                                  names ? fmt::format(", {} is not in it", name_) : ""));
  }
  if (error == asio::error::eof || error == ssl::error::stream_truncated) {
    return probe_down(
        fmt::format("{} closed the connection during the TLS handshake", below_.endpoint().name()));
  }
  if (error.category() == asio::error::get_ssl_category()) {
    return probe_down(fmt::format("TLS: {}", error.message()));
  }
  return below_.failure(error, what);
}

}  // namespace headgate::control
