#include "control/vrrp/address_state.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <fmt/format.h>

namespace headgate::control {
namespace {

constexpr const char* first_line = "headgate addresses 1";

bool parse_line(const std::string& line, AddressState& state) {
  std::istringstream words(line);
  std::string key;
  NamedLink link;
  if (!(words >> key >> link.name >> link.index) || link.index <= 0) return false;
  if (key == "promote") {
    state.promoted.push_back(link);
    return true;
  }
  std::string text;
  if (key != "address" || !(words >> text)) return false;
  const auto prefix = net::parse_prefix(text);
  if (!prefix) return false;
  state.addresses.push_back({link, *prefix});
  return true;
}

Error failed(const std::string& what, const std::string& path) {
  return {fmt::format("{}: {}: {}; virtual addresses would stay behind if headgated were killed",
                      path, what, std::strerror(errno))};
}

}  // namespace

std::string to_text(const AddressState& state) {
  std::ostringstream text;
  text << first_line << '\n';
  for (const NamedLink& link : state.promoted) {
    text << "promote " << link.name << ' ' << link.index << '\n';
  }
  for (const AddressState::Address& address : state.addresses) {
    text << "address " << address.link.name << ' ' << address.link.index << ' '
         << net::to_string(address.prefix) << '\n';
  }
  return text.str();
}

std::optional<AddressState> parse_address_state(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != first_line) return std::nullopt;
  AddressState state;
  while (std::getline(lines, line)) {
    if (!parse_line(line, state)) return std::nullopt;
  }
  return state;
}

std::expected<void, Error> save(const AddressState& state, const std::string& path) {
  if (state.empty()) {
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return std::unexpected(failed("cannot be removed", path));
  }
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << to_text(state);
  file.close();
  if (!file) return std::unexpected(failed("cannot be written", fresh));
  if (std::rename(fresh.c_str(), path.c_str()) == 0) return {};
  return std::unexpected(failed("cannot be replaced", path));
}

std::expected<AddressState, Error> load_address_state(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return AddressState{};
    return std::unexpected(failed("cannot be read", path));
  }
  std::ostringstream text;
  text << file.rdbuf();
  auto state = parse_address_state(text.str());
  if (state) return *std::move(state);
  return std::unexpected(Error{path + ": not a file that headgated wrote; look for virtual "
                                      "addresses that stayed behind, and remove it"});
}

}  // namespace headgate::control
