#include "control/program_user.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <grp.h>
#include <pwd.h>
#include <system_error>

#include <fmt/format.h>

namespace headgate::control {

namespace {

// Entries of a directory service can be long; this holds any that is not absurd.
constexpr size_t entry_bytes = 64UL * 1024;

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string login;  // empty: a number that no account has
};

std::optional<uint32_t> number_of(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // The last number means `leave it as it is` to the kernel.
  if (error != std::errc{} || end != text.data() + text.size() || number == UINT32_MAX) return {};
  return number;
}

std::expected<Account, Error> find_account(const std::string& name) {
  std::string buffer(entry_bytes, '\0');
  passwd entry{};
  passwd* found = nullptr;
  int error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  const std::optional<uint32_t> uid = number_of(name);
  if (found == nullptr && uid) {
    error = getpwuid_r(*uid, &entry, buffer.data(), buffer.size(), &found);
  }
  if (found != nullptr) return Account{found->pw_uid, found->pw_gid, found->pw_name};
  if (uid) return Account{*uid, *uid, {}};
  if (error != 0 && error != ENOENT && error != ESRCH) {
    return std::unexpected(
        Error{fmt::format("user '{}': {}", name, std::generic_category().message(error))});
  }
  return std::unexpected(Error{fmt::format("there is no user '{}' on this machine", name)});
}

std::expected<gid_t, Error> find_group(const std::string& name) {
  std::string buffer(entry_bytes, '\0');
  group entry{};
  group* found = nullptr;
  const int error = getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return found->gr_gid;
  if (const std::optional<uint32_t> gid = number_of(name)) return *gid;
  if (error != 0 && error != ENOENT && error != ESRCH) {
    return std::unexpected(
        Error{fmt::format("group '{}': {}", name, std::generic_category().message(error))});
  }
  return std::unexpected(Error{fmt::format("there is no group '{}' on this machine", name)});
}

std::vector<gid_t> groups_of(const Account& account) {
  if (account.login.empty()) return {account.gid};
  std::vector<gid_t> groups(64);
  int count = static_cast<int>(groups.size());
  while (getgrouplist(account.login.c_str(), account.gid, groups.data(), &count) < 0) {
    // It says how many there are; a second call may find that there are more by now.
    groups.resize(std::max(groups.size() * 2, static_cast<size_t>(count)));
    count = static_cast<int>(groups.size());
  }
  groups.resize(static_cast<size_t>(count));
  return groups;
}

}  // namespace

std::expected<ProgramUser, Error> resolve_user(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string name(text.substr(0, colon));
  if (name.empty()) {
    return std::unexpected(Error{fmt::format("'{}' is not USER or USER:GROUP", text)});
  }
  const std::expected<Account, Error> account = find_account(name);
  if (!account) return std::unexpected(account.error());
  ProgramUser user{account->uid, account->gid, {}, std::string(text)};
  if (colon == std::string_view::npos) {
    user.groups = groups_of(*account);
    return user;
  }
  const std::expected<gid_t, Error> group = find_group(std::string(text.substr(colon + 1)));
  if (!group) return std::unexpected(group.error());
  user.gid = *group;
  user.groups = {*group};
  return user;
}

std::optional<ProgramUser> default_script_user() {
  std::expected<ProgramUser, Error> user = resolve_user("keepalived_script");
  if (!user) return {};
  return std::move(*user);
}

}  // namespace headgate::control
