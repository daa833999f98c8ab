// How the values are written that only health checks have; codecs.h says what a codec is.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include "config/codecs.h"
#include "config/health_model.h"

namespace headgate::config {

// A status code of HTTP, or a range of them: 200, 200-299.
struct StatusCodes {
  [[nodiscard]] static std::string expected() {
    return "a status code such as 200, or a range such as 200-299";
  }
  [[nodiscard]] static std::string check(const StatusRange& value);
  template <std::same_as<StatusRange> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_range(text);
  }
  [[nodiscard]] static std::string format(const StatusRange& value);

 private:
  static Parsed<StatusRange> parse_range(std::string_view text);
};

// A network of one family with room for many addresses, without host bits.
struct ProbeNetwork {
  net::Family family;

  [[nodiscard]] std::string expected() const;
  [[nodiscard]] std::string check(const net::Prefix& value) const;
  template <std::same_as<net::Prefix> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_network(text);
  }
  [[nodiscard]] static std::string format(const net::Prefix& value) {
    return as_yaml(net::to_string(value));
  }

 private:
  [[nodiscard]] Parsed<net::Prefix> parse_network(std::string_view text) const;
};

[[nodiscard]] Text http_path_text();        // /health?full=1, as a request's first line holds it
[[nodiscard]] Text http_host_text();        // the value of a Host field (RFC 9110 section 7.2)
[[nodiscard]] Text server_name_text();      // what a certificate is for: a name or an address
[[nodiscard]] Text digest_text();           // MD5 or SHA-256 in hexadecimal
[[nodiscard]] Text regex_text();            // its grammar is not looked at: see regex_problem()
[[nodiscard]] Text payload_text();          // text, or hex:00ff
[[nodiscard]] Text payload_pattern_text();  // the same, with X for any hexadecimal digit
[[nodiscard]] Text dns_name_text();   // RFC 1035 section 2.3.1, with underscores; . is the root
[[nodiscard]] Text dns_type_text();   // A, AAAA, ... or its number (RFC 1035, 2782, 3596)
[[nodiscard]] Text dns_rcode_text();  // NOERROR, ... (RFC 6895 section 2.3), or any
[[nodiscard]] Text dns_answer_text();
[[nodiscard]] Text helo_text();  // RFC 5321 section 4.1.1.1: a domain or an address in brackets

// What is wrong with an expression in RE2's syntax, empty when nothing is: it is compiled, as for a
// probe, with bytes as characters. Takes tens of microseconds, a millisecond for the largest.
[[nodiscard]] std::string regex_problem(const std::string& expression);
// How many bytes a payload or pattern stands for.
[[nodiscard]] size_t payload_bytes(std::string_view payload);

}  // namespace headgate::config
