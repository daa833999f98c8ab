#include "control/audit_text.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "control/timestamp.h"

namespace headgate::control {

namespace json = boost::json;

namespace {

std::string_view name_of(AuditSource source) {
  constexpr std::array<std::string_view, 5> names{"cli", "signal", "health", "timer", "daemon"};
  return names[static_cast<size_t>(source)];
}

// Bytes of the UTF-8 character that `text` begins with (RFC 3629); 0 when it begins with none.
size_t character_bytes(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
  const bool no_character = (first == 0xed && at(1) > 0x9f) || (first == 0xf4 && at(1) > 0x8f);
  return overlong || no_character ? 0 : length;
}

// Valid UTF-8 of at most `most` bytes, with a note of what was cut off.
std::string bounded(std::string_view text, size_t most) {
  std::string result;
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = character_bytes(text.substr(at));
    if (result.size() + std::max<size_t>(length, 1) > most) break;
    if (length == 0) {
      result += '?';
      ++at;
    } else {
      result += text.substr(at, length);
      at += length;
    }
  }
  if (at < text.size()) result += fmt::format("... and {} bytes more", text.size() - at);
  return result;
}

bool is_plain(std::string_view text) {
  constexpr std::string_view allowed = "._-:/[]@,+";
  return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || allowed.contains(static_cast<char>(c)));
  });
}

}  // namespace

std::string command_text(std::string_view name, const json::object& arguments) {
  std::string text(name);
  for (const auto& [key, value] : arguments) {
    const bool plain_key = is_plain(key);
    const bool plain = value.is_string() && is_plain(std::string_view(value.get_string()));
    text += fmt::format(" {}={}", plain_key ? std::string(key) : json::serialize(json::string(key)),
                        plain ? std::string(value.get_string()) : json::serialize(value));
    if (text.size() > longest_audit_text) break;  // audit_line() cuts it
  }
  return text;
}

std::string audit_line(const AuditEntry& entry, std::string_view user,
                       std::chrono::system_clock::time_point time) {
  json::object line;
  line["time"] = utc_text(time);
  line["source"] = name_of(entry.source);
  if (entry.peer) {
    line["uid"] = entry.peer->uid;
    line["pid"] = entry.peer->pid;
    if (!user.empty()) line["user"] = bounded(user, longest_audit_change);
  }
  line["command"] = bounded(entry.command, longest_audit_text);
  line["outcome"] = bounded(entry.outcome, longest_audit_text);
  if (entry.generation != 0) line["generation"] = entry.generation;
  if (entry.changes.empty()) return json::serialize(line);
  json::array& changes = line["changes"].emplace_array();
  const size_t told = std::min(entry.changes.size(), most_audit_changes);
  for (size_t i = 0; i < told; ++i)
    changes.emplace_back(bounded(entry.changes[i], longest_audit_change));
  const size_t more = entry.changes.size() - told + entry.more_changes;
  if (more > 0) changes.emplace_back(fmt::format("... and {} more", more));
  return json::serialize(line);
}

}  // namespace headgate::control
