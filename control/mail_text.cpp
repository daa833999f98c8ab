#include "control/mail_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <unistd.h>

#include <fmt/format.h>

namespace headgate::control {

namespace {

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (size_t i = 0; i < 4; ++i) {
      text += i <= count ? digits[group >> (18 - 6 * i) & 63] : '=';
    }
  }
  return text;
}

// RFC 5322 3.3, in UTC and without the locale's names.
std::string date_of(std::time_t now) {
  constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("{}, {} {} {} {:02}:{:02}:{:02} +0000",
                     days[static_cast<size_t>(parts.tm_wday)], parts.tm_mday,
                     months[static_cast<size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                     parts.tm_min, parts.tm_sec);
}

std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return line;
}

std::string with_crlf(std::string_view body) {
  std::string text;
  for (const char c : body) {
    if (c == '\r') continue;
    if (c == '\n') text += '\r';
    text += c;
  }
  if (!text.empty() && !text.ends_with('\n')) text += "\r\n";
  return text;
}

}  // namespace

std::string encode_header(std::string_view text) {
  std::string line = one_line(text);
  if (is_plain(line)) return line;
  // A word is at most 75 characters long, and holds whole characters: 45 bytes make 60.
  constexpr size_t word_bytes = 45;
  std::string words;
  for (size_t at = 0; at < line.size();) {
    size_t end = std::min(line.size(), at + word_bytes);
    const auto continues = [&line](size_t i) {
      return (static_cast<unsigned char>(line[i]) & 0xc0) == 0x80;
    };
    while (end < line.size() && end > at + 1 && continues(end))
      --end;
    if (!words.empty()) words += "\r\n ";
    words += "=?UTF-8?B?" + encode_base64(std::string_view(line).substr(at, end - at)) + "?=";
    at = end;
  }
  return words;
}

std::string envelope_address(std::string_view address) {
  const size_t open = address.rfind('<');
  const size_t close = address.rfind('>');
  const bool named =
      open != std::string_view::npos && close != std::string_view::npos && open < close;
  return fmt::format("<{}>",
                     one_line(named ? address.substr(open + 1, close - open - 1) : address));
}

std::string smtp_url(std::string_view server, std::string_view host) {
  const bool bare_ipv6 =
      std::ranges::count(server, ':') > 1 && server.find('[') == std::string_view::npos;
  const size_t bracket = server.rfind(']');
  const size_t colon = server.rfind(':');
  const bool with_port = !bare_ipv6 && colon != std::string_view::npos &&
                         (bracket == std::string_view::npos || colon > bracket);
  const std::string name = bare_ipv6 ? fmt::format("[{}]", server) : std::string(server);
  return fmt::format("smtp://{}{}/{}", name, with_port ? "" : ":25", host);
}

std::string mail_host() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  const std::string_view text = name.data();
  const bool usable = !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.';
  });
  return usable ? std::string(text) : "localhost";
}

std::string mail_text(const config::Mail& settings, const MailMessage& message,
                      std::string_view host, std::time_t now, uint64_t number) {
  std::string to;
  for (const std::string& address : settings.to) {
    if (!to.empty()) to += ",\r\n ";
    to += one_line(address);
  }
  std::string text;
  const auto header = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("{}: {}\r\n", name, value);
  };
  header("Date", date_of(now));
  header("From", one_line(settings.from));
  header("To", to);
  header("Subject", encode_header(message.subject));
  header("Message-ID", fmt::format("<{}.{}.{}@{}>", now, getpid(), number, host));
  header("Auto-Submitted", "auto-generated");  // RFC 3834: nobody on holiday answers
  header("MIME-Version", "1.0");
  header("Content-Type", "text/plain; charset=utf-8");
  header("Content-Transfer-Encoding", "8bit");
  return text + "\r\n" + with_crlf(message.body);
}

}  // namespace headgate::control
