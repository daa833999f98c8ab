#include "control/beneath_state.h"

#include <sstream>

namespace headgate::control {
namespace {

constexpr const char* first_line = "headgate device 1";

bool parse_line(const std::string& key, std::istringstream& rest, BeneathState& state) {
  if (key == "interface") return static_cast<bool>(rest >> state.interface);
  if (key == "index") return static_cast<bool>(rest >> state.index);
  if (key == "clsact") return state.made_clsact = true;
  if (key == "xdp") return state.xdp = true;
  if (key == "ipv6") return state.enabled_ipv6 = true;
  if (key == "flags") return static_cast<bool>(rest >> state.added_flags);
  if (key == "mtu") return static_cast<bool>(rest >> state.mtu.emplace());
  if (key == "feature") return static_cast<bool>(rest >> state.features.emplace_back());
  if (key == "channels") {
    auto& channels = state.channels.emplace();
    return static_cast<bool>(rest >> channels.rx >> channels.combined);
  }
  return false;
}

}  // namespace

std::string to_text(const BeneathState& state) {
  std::ostringstream text;
  text << first_line << "\ninterface " << state.interface << "\nindex " << state.index << '\n';
  if (state.made_clsact) text << "clsact\n";
  if (state.xdp) text << "xdp\n";
  if (state.enabled_ipv6) text << "ipv6\n";
  if (state.added_flags != 0) text << "flags " << state.added_flags << '\n';
  if (state.mtu) text << "mtu " << *state.mtu << '\n';
  for (const std::string& feature : state.features) {
    text << "feature " << feature << '\n';
  }
  if (state.channels) {
    text << "channels " << state.channels->rx << ' ' << state.channels->combined << '\n';
  }
  return text.str();
}

std::optional<BeneathState> parse_beneath_state(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != first_line) return std::nullopt;
  BeneathState state;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (!parse_line(key, words, state)) return std::nullopt;
  }
  if (state.interface.empty() || state.index == 0) return std::nullopt;
  return state;
}

}  // namespace headgate::control
