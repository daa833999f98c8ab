// TLS above a TcpStream, for the probe of type https.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "control/error.h"
#include "control/health/byte_stream.h"

namespace headgate::control {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// What connections have in common: whether certificates have to be valid, and who may sign them (a
// file of certificates in PEM; empty: the system's). Checks that want the same share one, and its
// certificates, for as long as the file is the same. Reads files.
[[nodiscard]] std::expected<TlsContext, Error> tls_context(
    bool verify, const std::optional<std::string>& ca_file);

class TlsStream : public ByteStream {
 public:
  // `name`, a host name or an address, is what to ask for (SNI, names only), and what has to be in
  // the certificate.
  TlsStream(TcpStream& below, boost::asio::ssl::context& context, const std::string& name);

  // `below` is connected.
  [[nodiscard]] boost::asio::awaitable<StreamStep> handshake();
  boost::asio::awaitable<StreamStep> write(std::string_view bytes) override;
  boost::asio::awaitable<StreamRead> read_some(std::span<char> buffer) override;

 private:
  [[nodiscard]] ProbeOutcome failure(const boost::system::error_code& error,
                                     std::string_view what = {});

  TcpStream& below_;
  std::string name_;
  boost::asio::ssl::stream<TcpStream::Socket&> stream_;
};

}  // namespace headgate::control
