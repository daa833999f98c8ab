// The keys of the configuration as a list: for its documentation and for tests that hold it
// complete.
#pragma once

#include <string>
#include <vector>

namespace headgate::config {

struct KeyInfo {
  std::string path;           // without indexes: services.backends.weight
  std::string expected;       // what a value may be; empty for sections and lists of them
  std::string default_value;  // as a file would write it; empty where a file cannot write it
  bool needs_restart = false;
  bool is_list = false;  // of values or of sections
};

// Every key that the reader knows, in the order of the dump.
[[nodiscard]] std::vector<KeyInfo> known_keys();

}  // namespace headgate::config
