#include "config/health_codecs.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <re2/re2.h>
#include <utility>

#include "config/vrrp_codecs.h"

namespace headgate::config {
namespace {

constexpr std::string_view hex_prefix = "hex:";

std::unexpected<std::string> refuse(std::string message) {
  return std::unexpected(std::move(message));
}

bool is_hex_digit(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}

std::string changed(std::string_view text, int (*change)(int)) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [change](unsigned char c) { return change(c); });
  return result;
}

// ---- HTTP

std::string http_path_rule(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > max_http_path) {
    return fmt::format("has {} characters, {} are allowed", text.size(), max_http_path);
  }
  if (!text.starts_with('/')) {
    return fmt::format(
        "{} does not begin with '/': write the path alone, and the name of the "
        "site as `host`",
        in_quotes(text));
  }
  if (!std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; })) {
    return fmt::format("{} holds a blank or another character that no URL has: write it as %20",
                       in_quotes(text));
  }
  return {};
}

std::string http_host_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  const auto address = net::parse_ip(text);
  if (address && address->is_v6()) {
    return fmt::format("{} needs brackets: write \"[{}]\"", in_quotes(text), text);
  }
  if (host_port_text().rule(text).empty()) return {};
  return fmt::format("{} is not HOST or HOST:PORT, such as www.example.com or [fd00::1]:8080",
                     in_quotes(text));
}

std::string server_name_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_dns_name); !problem.empty()) return problem;
  if (is_host_name(text) || net::parse_ip(text)) return {};
  return fmt::format("{} is not a name such as www.example.com, or an address", in_quotes(text));
}

std::string digest_rule(std::string_view text) {
  const bool length = text.size() == md5_digits || text.size() == sha256_digits;
  if (length && std::ranges::all_of(text, is_hex_digit)) return {};
  return fmt::format(
      "{} is no digest: {} hexadecimal digits of MD5 (`md5sum`), or {} of SHA-256 "
      "(`sha256sum`)",
      in_quotes(text), md5_digits, sha256_digits);
}

std::string digest_canonical(std::string_view text) {
  return changed(text, std::tolower);
}

std::string regex_rule(std::string_view text) {
  return text_rule(text, max_regex);
}

// ---- payloads of UDP

std::string hex_rule(std::string_view text, bool wildcards) {
  const std::string_view digits = text.substr(hex_prefix.size());
  size_t bytes = 0;
  for (size_t at = 0; at < digits.size(); at += 2, ++bytes) {
    at = std::min(digits.find_first_not_of(' ', at), digits.size());
    if (at == digits.size()) break;
    const auto good = [&](char c) { return is_hex_digit(c) || (wildcards && c == 'X'); };
    if (at + 2 > digits.size() || !good(digits[at]) || !good(digits[at + 1])) {
      return fmt::format("{} is not `hex:` and bytes of two hexadecimal digits each{}",
                         in_quotes(text), wildcards ? ", with X for any digit" : "");
    }
  }
  return bytes == 0 ? fmt::format("{} holds no byte", in_quotes(text)) : std::string{};
}

std::string payload_rule(std::string_view text, bool wildcards) {
  if (text.empty()) return "is empty";
  if (text == "none") return "\"none\" has a meaning of its own in this file: write hex:6e6f6e65";
  if (text.starts_with(hex_prefix)) {
    if (std::string problem = hex_rule(text, wildcards); !problem.empty()) return problem;
  }
  if (const size_t bytes = payload_bytes(text); bytes > max_payload_bytes) {
    return fmt::format("has {} bytes, {} are allowed", bytes, max_payload_bytes);
  }
  return {};
}

std::string plain_payload_rule(std::string_view text) {
  return payload_rule(text, false);
}
std::string pattern_rule(std::string_view text) {
  return payload_rule(text, true);
}

// ---- DNS

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> dns_types{{
    {"A", "1"},
    {"AAAA", "28"},
    {"CNAME", "5"},
    {"MX", "15"},
    {"NS", "2"},
    {"PTR", "12"},
    {"SOA", "6"},
    {"SRV", "33"},
    {"TXT", "16"},
}};
constexpr std::array<std::string_view, 12> dns_rcodes{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                                      "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                                      "NXRRSET", "NOTAUTH", "NOTZONE",  "any"};

std::string dns_name_rule(std::string_view text) {
  if (text == ".") return {};
  if (std::string problem = text_rule(text, max_dns_name); !problem.empty()) return problem;
  const auto refusal = [&](std::string_view why) {
    return fmt::format("{} is no domain name: {}", in_quotes(text), why);
  };
  const auto allowed = [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.');
  };
  if (!std::ranges::all_of(text, allowed)) {
    return refusal("it has letters, digits, '-' and '_' between dots");
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    if (end == begin) return refusal("a part between two dots is empty");
    if (end - begin > max_dns_label) {
      return refusal(
          fmt::format("a part between two dots has {} characters at most", max_dns_label));
    }
    begin = end + 1;
  }
  return {};
}

// The dot at the end that says that nothing follows may be left out.
std::string dns_name_canonical(std::string_view text) {
  if (text.size() > 1 && text.ends_with('.') && !text.ends_with("..")) text.remove_suffix(1);
  return std::string(text);
}

std::string dns_type_canonical(std::string_view text) {
  std::string upper = changed(text, std::toupper);
  for (const auto& [word, number] : dns_types) {
    if (number == text) return std::string(word);
  }
  return upper;
}

std::string dns_type_rule(std::string_view text) {
  const auto is = [&](const auto& type) { return type.first == text; };
  if (std::ranges::any_of(dns_types, is)) return {};
  if (parse_number(text, 1, UINT16_MAX)) return {};
  return fmt::format("{} is not A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT or the number of a type",
                     in_quotes(text));
}

std::string dns_rcode_canonical(std::string_view text) {
  std::string upper = changed(text, std::toupper);
  return upper == "ANY" ? "any" : upper;
}

std::string dns_rcode_rule(std::string_view text) {
  if (std::ranges::find(dns_rcodes, text) != dns_rcodes.end()) return {};
  return fmt::format("{} is not {}", in_quotes(text),
                     join({dns_rcodes.begin(), dns_rcodes.end()}, "or"));
}

std::string dns_answer_rule(std::string_view text) {
  return text_rule(text, max_payload_bytes);
}

// ---- SMTP

std::string helo_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  if (is_host_name(text)) return {};
  if (text.starts_with('[') && text.ends_with(']') && !text.contains(' ')) return {};
  return fmt::format("{} is not a name such as lb.example.com, or an address as [192.0.2.1]",
                     in_quotes(text));
}

}  // namespace

std::string StatusCodes::check(const StatusRange& value) {
  const Number code{min_http_status, max_http_status};
  for (const uint16_t end : {value.first, value.last}) {
    if (std::string problem = code.check(end); !problem.empty()) return problem;
  }
  return value.first <= value.last ? std::string{}
                                   : fmt::format("{}-{} runs backwards", value.first, value.last);
}

Parsed<StatusRange> StatusCodes::parse_range(std::string_view text) {
  const size_t dash = text.find('-', 1);
  const auto first = parse_number(text.substr(0, dash), min_http_status, max_http_status);
  if (!first) return refuse(first.error());
  auto last = first;
  if (dash != std::string_view::npos) {
    last = parse_number(text.substr(dash + 1), min_http_status, max_http_status);
  }
  if (!last) return refuse(last.error());
  if (*last < *first) {
    return refuse(fmt::format("{} runs backwards: write {}-{}", in_quotes(text), *last, *first));
  }
  return StatusRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

std::string StatusCodes::format(const StatusRange& value) {
  return value.first == value.last ? fmt::format("{}", value.first)
                                   : fmt::format("{}-{}", value.first, value.last);
}

Text http_path_text() {
  return {"a path such as /health", http_path_rule};
}
Text http_host_text() {
  return {"HOST or HOST:PORT", http_host_rule};
}
Text server_name_text() {
  return {"a name or an address", server_name_rule};
}
Text digest_text() {
  return {"32 hexadecimal digits of MD5 or 64 of SHA-256", digest_rule, digest_canonical};
}
Text regex_text() {
  return {"a regular expression", regex_rule};
}
Text payload_text() {
  return {"text, or hex: and bytes in hexadecimal", plain_payload_rule};
}
Text payload_pattern_text() {
  return {"text, or hex: and bytes in hexadecimal with X for any digit", pattern_rule};
}
Text dns_name_text() {
  return {"a domain name", dns_name_rule, dns_name_canonical};
}
Text dns_type_text() {
  return {"A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT or a number", dns_type_rule,
          dns_type_canonical};
}
Text dns_rcode_text() {
  return {"NOERROR, NXDOMAIN and so on, or any", dns_rcode_rule, dns_rcode_canonical};
}
Text dns_answer_text() {
  return {"a text", dns_answer_rule};
}
Text helo_text() {
  return {"a name, or an address in brackets", helo_rule};
}

std::string regex_problem(const std::string& expression) {
  RE2::Options options(RE2::Latin1);
  options.set_log_errors(false);
  options.set_max_mem(max_regex_memory_bytes);
  const RE2 compiled(expression, options);
  if (!compiled.ok()) {
    return fmt::format(
        "{} is no regular expression of RE2, which has no references back to groups "
        "and does not look ahead or behind: {}",
        in_quotes(expression), compiled.error());
  }
  if (compiled.ProgramSize() <= max_regex_steps) return {};
  return fmt::format("{} takes {} steps, and {} are allowed: count less far", in_quotes(expression),
                     compiled.ProgramSize(), max_regex_steps);
}

size_t payload_bytes(std::string_view payload) {
  if (!payload.starts_with(hex_prefix)) return payload.size();
  const auto digits =
      std::ranges::count_if(payload.substr(hex_prefix.size()), [](char c) { return c != ' '; });
  return static_cast<size_t>(digits) / 2;
}

// How long a network of checks through the data path may be: some hundred addresses are left.
constexpr uint8_t longest_probe_v4 = 24;
constexpr uint8_t longest_probe_v6 = 112;

std::string ProbeNetwork::expected() const {
  return family == net::Family::ipv4 ? "an IPv4 network of /24 or larger, such as 198.18.0.0/15"
                                     : "an IPv6 network of /112 or larger, such as fd00:1::/48";
}

std::string ProbeNetwork::check(const net::Prefix& value) const {
  if (std::string problem = Network::check(value); !problem.empty()) return problem;
  const uint8_t longest = family == net::Family::ipv4 ? longest_probe_v4 : longest_probe_v6;
  if (value.address.family == family && value.length > 0 && value.length <= longest) return {};
  return fmt::format("{} is not {}", net::to_string(value), expected());
}

Parsed<net::Prefix> ProbeNetwork::parse_network(std::string_view text) const {
  const auto value = Network{}.parse<net::Prefix>(text);
  if (!value) return value;
  if (std::string problem = check(*value); !problem.empty()) return std::unexpected(problem);
  return value;
}

}  // namespace headgate::config
