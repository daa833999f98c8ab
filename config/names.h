// The words of the configuration's enums: the same in files, the CLI and messages.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/model.h"

namespace headgate::config {

template <typename E>
struct Names;  // `table` holds each value of E with its word

template <>
struct Names<Idle> {
  static constexpr std::array<std::pair<Idle, std::string_view>, 2> table{
      {{Idle::busy, "busy"}, {Idle::adaptive, "adaptive"}}};
};
template <>
struct Names<LogLevel> {
  static constexpr std::array<std::pair<LogLevel, std::string_view>, 4> table{
      {{LogLevel::error, "error"},
       {LogLevel::warning, "warning"},
       {LogLevel::info, "info"},
       {LogLevel::debug, "debug"}}};
};
template <>
struct Names<RuntimeChanges> {
  static constexpr std::array<std::pair<RuntimeChanges, std::string_view>, 2> table{
      {{RuntimeChanges::replace, "replace"}, {RuntimeChanges::keep, "keep"}}};
};
template <>
struct Names<HugePages> {
  static constexpr std::array<std::pair<HugePages, std::string_view>, 4> table{
      {{HugePages::automatic, "auto"},
       {HugePages::size_2m, "2M"},
       {HugePages::size_1g, "1G"},
       {HugePages::none, "none"}}};
};
template <>
struct Names<Driver> {
  static constexpr std::array<std::pair<Driver, std::string_view>, 2> table{
      {{Driver::af_xdp, "af_xdp"}, {Driver::af_packet, "af_packet"}}};
};
template <>
struct Names<Protocol> {
  static constexpr std::array<std::pair<Protocol, std::string_view>, 2> table{
      {{Protocol::tcp, "tcp"}, {Protocol::udp, "udp"}}};
};
template <>
struct Names<Mode> {
  static constexpr std::array<std::pair<Mode, std::string_view>, 4> table{
      {{Mode::dr, "dr"}, {Mode::nat, "nat"}, {Mode::fullnat, "fullnat"}, {Mode::ipip, "ipip"}}};
};
template <>
struct Names<Scheduler> {
  static constexpr std::array<std::pair<Scheduler, std::string_view>, 13> table{
      {{Scheduler::rr, "rr"},
       {Scheduler::wrr, "wrr"},
       {Scheduler::lc, "lc"},
       {Scheduler::wlc, "wlc"},
       {Scheduler::sed, "sed"},
       {Scheduler::nq, "nq"},
       {Scheduler::sh, "sh"},
       {Scheduler::dh, "dh"},
       {Scheduler::fo, "fo"},
       {Scheduler::mh, "mh"},
       {Scheduler::ovf, "ovf"},
       {Scheduler::lblc, "lblc"},
       {Scheduler::lblcr, "lblcr"}}};
};
template <>
struct Names<MidStream> {
  static constexpr std::array<std::pair<MidStream, std::string_view>, 2> table{
      {{MidStream::reset, "reset"}, {MidStream::hash, "hash"}}};
};
template <>
struct Names<OnRemoved> {
  static constexpr std::array<std::pair<OnRemoved, std::string_view>, 3> table{
      {{OnRemoved::keep, "keep"}, {OnRemoved::drop, "drop"}, {OnRemoved::expire, "expire"}}};
};
template <>
struct Names<net::Family> {
  static constexpr std::array<std::pair<net::Family, std::string_view>, 2> table{
      {{net::Family::ipv4, "ipv4"}, {net::Family::ipv6, "ipv6"}}};
};

template <>
struct Names<Scope> {
  static constexpr std::array<std::pair<Scope, std::string_view>, 4> table{
      {{Scope::global, "global"},
       {Scope::site, "site"},
       {Scope::link, "link"},
       {Scope::host, "host"}}};
};
template <>
struct Names<ScriptStart> {
  static constexpr std::array<std::pair<ScriptStart, std::string_view>, 2> table{
      {{ScriptStart::up, "up"}, {ScriptStart::down, "down"}}};
};

template <>
struct Names<CheckType> {
  static constexpr std::array<std::pair<CheckType, std::string_view>, 8> table{
      {{CheckType::tcp, "tcp"},
       {CheckType::http, "http"},
       {CheckType::https, "https"},
       {CheckType::udp, "udp"},
       {CheckType::dns, "dns"},
       {CheckType::smtp, "smtp"},
       {CheckType::ping, "ping"},
       {CheckType::script, "script"}}};
};
template <>
struct Names<CheckStart> {
  static constexpr std::array<std::pair<CheckStart, std::string_view>, 2> table{
      {{CheckStart::up, "up"}, {CheckStart::down, "down"}}};
};
template <>
struct Names<OnDown> {
  static constexpr std::array<std::pair<OnDown, std::string_view>, 3> table{
      {{OnDown::keep, "keep"}, {OnDown::reset, "reset"}, {OnDown::reschedule, "reschedule"}}};
};
template <>
struct Names<HttpVersion> {
  static constexpr std::array<std::pair<HttpVersion, std::string_view>, 2> table{
      {{HttpVersion::http_1_0, "1.0"}, {HttpVersion::http_1_1, "1.1"}}};
};

template <typename E>
concept Named = requires { Names<E>::table; };

template <Named E>
[[nodiscard]] constexpr std::string_view name_of(E value) {
  for (const auto& [known, word] : Names<E>::table) {
    if (known == value) return word;
  }
  return "none";
}

template <Named E>
[[nodiscard]] constexpr std::optional<E> parse_name(std::string_view text) {
  for (const auto& [value, word] : Names<E>::table) {
    if (word == text) return value;
  }
  return std::nullopt;
}

// "rr, wrr or mh", for messages.
template <Named E>
[[nodiscard]] std::string all_names() {
  std::string result;
  const auto& table = Names<E>::table;
  for (size_t i = 0; i < table.size(); ++i) {
    if (i > 0) result += i + 1 == table.size() ? " or " : ", ";
    result += table[i].second;
  }
  return result;
}

}  // namespace headgate::config
