#include "control/user_names.h"

#include <array>
#include <cstdio>
#include <memory>
#include <pwd.h>

#include <sys/stat.h>

namespace headgate::control {

namespace {

// Of a larger file no names are taken: reading it would hold up the control thread.
constexpr off_t largest_file_bytes = 1 << 20;

}  // namespace

std::string UserNames::find(uid_t uid) {
  struct stat status{};
  if (stat(file_.c_str(), &status) != 0) return {};
  const timespec& changed = status.st_mtim;
  if (changed.tv_sec != changed_.tv_sec || changed.tv_nsec != changed_.tv_nsec) {
    names_.clear();
    changed_ = changed;
    if (S_ISREG(status.st_mode) && status.st_size <= largest_file_bytes) read();
  }
  const auto found = names_.find(uid);
  return found == names_.end() ? std::string{} : found->second;
}

void UserNames::read() {
  const auto close = [](FILE* file) { fclose(file); };
  const std::unique_ptr<FILE, decltype(close)> file(fopen(file_.c_str(), "re"), close);
  if (!file) return;
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  while (fgetpwent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0) {
    names_.try_emplace(found->pw_uid, found->pw_name);
  }
}

}  // namespace headgate::control
