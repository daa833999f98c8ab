#include "tests/support/test_certificates.h"

#include <array>
#include <atomic>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <gtest/gtest.h>

namespace headgate::test {

namespace {

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  ASSERT_TRUE(extension) << value;
  X509_add_ext(certificate, extension.get(), -1);
}

}  // namespace

Identity make_identity(const Subject& subject, const Identity* issuer) {
  static std::atomic<long> serial = 1;
  Identity made{Key(EVP_EC_gen("P-256")), Certificate(X509_new())};
  X509* const certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), subject.valid_from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), subject.valid_to_s);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(subject.common_name.c_str()),
                             -1, -1, 0);
  X509* const signer = issuer != nullptr ? issuer->certificate.get() : certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer));
  add_extension(certificate, signer, NID_basic_constraints,
                subject.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
  add_extension(certificate, signer, NID_subject_alt_name, subject.names);
  EVP_PKEY* const key = issuer != nullptr ? issuer->key.get() : made.key.get();
  EXPECT_GT(X509_sign(certificate, key, EVP_sha256()), 0);
  return made;
}

std::string Identity::pem() const {
  const std::unique_ptr<BIO, FreeBy<BIO_free_all>> memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(memory.get(), certificate.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<size_t>(size)};
}

ServerContext make_server_context(const Identity& identity) {
  ServerContext context(SSL_CTX_new(TLS_server_method()));
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), identity.certificate.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), identity.key.get()), 1);
  return context;
}

TlsPeer::TlsPeer(const Peer& peer, SSL_CTX* context) : ssl_(SSL_new(context)) {
  SSL_set_fd(ssl_.get(), peer.fd());
}

std::string TlsPeer::receive() const {
  std::array<char, 4096> buffer;
  const int count = SSL_read(ssl_.get(), buffer.data(), buffer.size());
  return count > 0 ? std::string(buffer.data(), static_cast<size_t>(count)) : "";
}

void TlsPeer::send(const std::string& text) const {
  SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
}

std::optional<std::string> TlsPeer::server_name() const {
  const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? std::optional<std::string>(name) : std::nullopt;
}

}  // namespace headgate::test
