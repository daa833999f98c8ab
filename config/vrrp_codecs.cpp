#include "config/vrrp_codecs.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace headgate::config {
namespace {

std::unexpected<std::string> refuse(std::string message) {
  return std::unexpected(std::move(message));
}

bool has_space(std::string_view text) {
  return text.contains(' ');
}

std::string command_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_command); !problem.empty()) return problem;
  return text.find_first_not_of(' ') == std::string_view::npos ? "is empty" : "";
}

bool is_user_name(std::string_view text) {
  const auto allowed = [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == '$');
  };
  return !text.empty() && std::ranges::all_of(text, allowed) && text.front() != '-';
}

std::string user_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  const size_t colon = text.find(':');
  const bool group = colon == std::string_view::npos || is_user_name(text.substr(colon + 1));
  if (group && is_user_name(text.substr(0, colon))) return {};
  return fmt::format("{} is not USER or USER:GROUP", in_quotes(text));
}

bool is_port(std::string_view text) {
  return parse_number(text, 1, UINT16_MAX).has_value();
}

std::string host_port_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  if (net::parse_ip(text)) return {};
  std::string_view host = text;
  std::string_view port = "25";
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && !text.ends_with(']')) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  bool good = is_host_name(host);
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto address = net::parse_ip(host.substr(1, host.size() - 2));
    good = address && address->is_v6();
  }
  if (good && is_port(port)) return {};
  return fmt::format("{} is not HOST or HOST:PORT, such as mail.example.com:25 or [fd00::1]:25",
                     in_quotes(text));
}

std::string mail_address_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  const size_t at = text.find('@');
  // What would end the address in an SMTP command or a header.
  const bool clean = text.find_first_of(" <>,;\"\\") == std::string_view::npos;
  if (clean && at != std::string_view::npos && at > 0 && is_host_name(text.substr(at + 1))) {
    return {};
  }
  return fmt::format("{} is not a mail address such as ops@example.com", in_quotes(text));
}

std::string auth_password_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  // Not the text itself: it is a secret, if not much of one.
  if (text.size() > max_auth_password) {
    return fmt::format("has {} characters, and the protocol carries {}", text.size(),
                       max_auth_password);
  }
  if (std::ranges::any_of(text, [](char c) { return static_cast<uint8_t>(c) >= 0x7f; })) {
    return "holds a character beyond ASCII, which other routers may write in other bytes";
  }
  return {};
}

std::string address_label_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  if (text.size() > max_interface_name) {
    return fmt::format("{} has {} characters, and the kernel takes {} in a label", in_quotes(text),
                       text.size(), max_interface_name);
  }
  return has_space(text) ? fmt::format("{} holds a space", in_quotes(text)) : std::string{};
}

std::string holding_interface_rule(std::string_view text) {
  return text == "lo" ? std::string{} : interface_text().rule(text);
}

std::string program_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_path); !problem.empty()) return problem;
  if (text.contains('/') && !text.starts_with('/')) {
    return fmt::format("{} is neither a program's name nor an absolute path", in_quotes(text));
  }
  return {};
}

std::string tracked_rule(std::string_view text) {
  if (std::string problem = text_rule(text, max_text); !problem.empty()) return problem;
  return has_space(text) ? fmt::format("{} holds a space, and no name does", in_quotes(text))
                         : std::string{};
}

std::string router_id_rule(std::string_view text) {
  return text_rule(text, max_text);
}

std::string_view example_of(net::Family family) {
  return family == net::Family::ipv4 ? "224.0.0.18" : "ff02::12";
}

}  // namespace

std::string SignedNumber::check(int32_t value) const {
  if (value < min) return fmt::format("{} is below {}", value, min);
  if (value > max) return fmt::format("{} is above {}", value, max);
  return {};
}

Parsed<int32_t> SignedNumber::parse_signed(std::string_view text) const {
  const bool negative = text.starts_with('-');
  const std::string_view digits = negative ? text.substr(1) : text;
  const auto size = parse_number(digits, 0, INT32_MAX);
  if (!size || digits.starts_with('-')) {
    return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
  }
  const auto value =
      static_cast<int32_t>(negative ? -static_cast<int64_t>(*size) : static_cast<int64_t>(*size));
  if (std::string problem = check(value); !problem.empty()) return refuse(std::move(problem));
  return value;
}

std::string MulticastGroup::expected() const {
  return fmt::format("an {} multicast address such as {}", name_of(family), example_of(family));
}

std::string MulticastGroup::check(const net::IpAddress& value) const {
  const bool multicast = value.is_v4() ? (value.bytes[0] & 0xf0) == 0xe0 : value.bytes[0] == 0xff;
  if (value.family == family && multicast) return {};
  return fmt::format("{} is not {}", net::to_string(value), expected());
}

Parsed<net::IpAddress> MulticastGroup::parse_group(std::string_view text) const {
  const auto address = net::parse_ip(text);
  if (!address) return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
  if (std::string problem = check(*address); !problem.empty()) return refuse(std::move(problem));
  return *address;
}

Text command_text() {
  return {"a command with its arguments", command_rule};
}
Text user_text() {
  return {"USER or USER:GROUP", user_rule};
}
Text host_port_text() {
  return {"HOST or HOST:PORT", host_port_rule};
}
Text mail_address_text() {
  return {"a mail address", mail_address_rule};
}
Text auth_password_text() {
  return {"a password of up to 8 characters", auth_password_rule};
}
Text address_label_text() {
  return {"a label such as eth0:1", address_label_rule};
}
Text holding_interface_text() {
  return {"an interface's name", holding_interface_rule};
}
Text program_text() {
  return {"a program's name or path", program_rule};
}
Text tracked_text() {
  return {"a name", tracked_rule};
}
Text router_id_text() {
  return {"a text", router_id_rule};
}

}  // namespace headgate::config
