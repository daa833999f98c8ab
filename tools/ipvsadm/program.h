// What each command does, from its words to what is printed and the exit status.
#pragma once

#include <istream>
#include <ostream>
#include <string>
#include <vector>

namespace headgate::ipvsadm {

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool by_hand = false;  // someone types the input, and waits for each line's answer
};

// `program` is argv[0]; `default_socket` counts where no option names another.
[[nodiscard]] int run_ipvsadm(const std::string& program, const std::string& default_socket,
                              std::vector<std::string> words, const Streams& streams);

// As Debian's scripts of these names: -S [-n]; -C and then -R, without comment lines. Options of
// the second one: --atomic, --socket PATH.
[[nodiscard]] int run_save(const std::string& program, const std::string& default_socket,
                           const std::vector<std::string>& words, const Streams& streams);
[[nodiscard]] int run_restore(const std::string& program, const std::string& default_socket,
                              const std::vector<std::string>& words, const Streams& streams);

}  // namespace headgate::ipvsadm
