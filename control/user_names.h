// Names of users for those who read afterwards who it was. From the local file alone: the system's
// look-up may ask a server, and nothing on the control thread waits for one. A user that is kept
// elsewhere has no name here.
#pragma once

#include <map>
#include <string>
#include <time.h>

#include <sys/types.h>

namespace headgate::control {

class UserNames {
 public:
  explicit UserNames(std::string file = "/etc/passwd") : file_(std::move(file)) {}

  // Empty when the file has none. The file is read anew once it has changed.
  [[nodiscard]] std::string find(uid_t uid);

 private:
  void read();

  std::string file_;
  timespec changed_{};
  std::map<uid_t, std::string> names_;
};

}  // namespace headgate::control
