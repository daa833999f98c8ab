// Certificates and keys for tests of TLS, made anew by each run, and a server's side of a
// connection.
#pragma once

#include <memory>
#include <openssl/ssl.h>
#include <optional>
#include <string>

#include "tests/support/probe_server.h"

namespace headgate::test {

template <auto free_object>
struct FreeBy {
  template <typename T>
  void operator()(T* object) const {
    free_object(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeBy<X509_free>>;
using ServerContext = std::unique_ptr<SSL_CTX, FreeBy<SSL_CTX_free>>;

struct Identity {
  Key key;
  Certificate certificate;

  [[nodiscard]] std::string pem() const;
};

struct Subject {
  std::string common_name;
  // As OpenSSL writes them: `DNS:a.example, IP:127.0.0.1`.
  std::string names{};
  bool is_authority = false;
  // From now.
  long valid_from_s = -3600;
  long valid_to_s = 3600;
};
// Signed by `issuer`; null: by itself.
[[nodiscard]] Identity make_identity(const Subject& subject, const Identity* issuer = nullptr);

[[nodiscard]] ServerContext make_server_context(const Identity& identity);

// A server's side; false where the handshake failed.
class TlsPeer {
 public:
  TlsPeer(const Peer& peer, SSL_CTX* context);
  [[nodiscard]] bool accept() const { return SSL_accept(ssl_.get()) == 1; }
  [[nodiscard]] std::string receive() const;
  void send(const std::string& text) const;
  // What was asked for by SNI.
  [[nodiscard]] std::optional<std::string> server_name() const;
  void end() const { SSL_shutdown(ssl_.get()); }

 private:
  std::unique_ptr<SSL, FreeBy<SSL_free>> ssl_;
};

}  // namespace headgate::test
