// Hosts and ports as people write them, and back: /etc/hosts and the resolver, /etc/services.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/net/address.h"

namespace headgate::ipvsadm {

// Values of the IP header's protocol field.
enum class Protocol : uint8_t { none = 0, tcp = 6, udp = 17, sctp = 132 };
[[nodiscard]] std::string_view service_database_name(Protocol protocol);  // tcp, udp, sctp

struct Endpoint {
  net::IpAddress address{};
  uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
};

// HOST, HOST:PORT, IPV6 or [IPV6]:PORT; a host may be a name, a port the name of a service of
// `protocol`. Without a port it is 0.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text, Protocol protocol);
// An IPv4 address in any of the forms that inet_aton(3) takes, or a host's.
[[nodiscard]] std::optional<net::IpAddress> parse_host_v4(std::string_view text);
// A decimal number with the blanks and the plus sign that strtol(3) takes in front.
[[nodiscard]] std::optional<int64_t> parse_number(std::string_view text, int64_t least,
                                                  int64_t most);

// What stands for addresses and ports in a listing. Ports have names where there is a protocol.
class NameBook {
 public:
  virtual ~NameBook() = default;
  // 10.0.0.1:80, [2001:db8::1]:80, or by name localhost:http.
  [[nodiscard]] virtual std::string endpoint(const Endpoint& endpoint, Protocol protocol) = 0;
};
class NumericBook : public NameBook {
 public:
  [[nodiscard]] std::string endpoint(const Endpoint& endpoint, Protocol protocol) override;
};
// Asks the resolver, once for each address.
class ResolvingBook : public NameBook {
 public:
  ResolvingBook();
  ~ResolvingBook() override;
  [[nodiscard]] std::string endpoint(const Endpoint& endpoint, Protocol protocol) override;

 private:
  struct Known;
  std::unique_ptr<Known> known_;
};

}  // namespace headgate::ipvsadm
