// The words for states, reasons and what was wrong with an advert.
#include <array>
#include <cstddef>
#include <string_view>

#include "vrrp/advert.h"
#include "vrrp/group.h"
#include "vrrp/machine.h"

namespace headgate::vrrp {
namespace {

template <typename Enum, size_t count>
std::string_view word(const std::array<std::string_view, count>& words, Enum value) {
  const auto index = static_cast<size_t>(value);
  return index < count ? words[index] : "unknown";
}

constexpr std::array<std::string_view, discard_reasons> discard_names{
    "ttl",       "version",   "length",        "checksum",     "type",     "vrid",    "source",
    "auth_type", "auth_data", "address_count", "address_list", "interval", "priority"};
static_assert(static_cast<size_t>(Discard::priority) + 1 == discard_reasons);

constexpr std::array<std::string_view, 4> state_names{"init", "fault", "backup", "master"};
static_assert(static_cast<size_t>(State::master) + 1 == state_names.size());

constexpr std::array<std::string_view, 12> reason_names{
    "none",        "started",     "stopped",         "address owner",
    "master down", "master left", "higher priority", "higher address",
    "step down",   "fault",       "fault ended",     "sync group"};
static_assert(static_cast<size_t>(Reason::group) + 1 == reason_names.size());

}  // namespace

std::string_view name_of(Discard reason) {
  return word(discard_names, reason);
}

std::string_view name_of(State state) {
  return word(state_names, state);
}

std::string_view name_of(Reason reason) {
  return word(reason_names, reason);
}

std::string_view name_of(GroupState state) {
  switch (state) {
    case GroupState::mixed:
      return "mixed";
    case GroupState::fault:
      return "fault";
    case GroupState::backup:
      return "backup";
    case GroupState::master:
      return "master";
  }
  return "unknown";
}

}  // namespace headgate::vrrp
