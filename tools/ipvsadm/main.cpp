// ipvsadm for headgated. By the name it is called with it is ipvsadm, ipvsadm-save or
// ipvsadm-restore.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "control/protocol.h"
#include "tools/ipvsadm/options.h"
#include "tools/ipvsadm/program.h"

namespace {

int run(const std::string& program, const std::vector<std::string>& words) {
  using namespace headgate::ipvsadm;
  const char* environment = std::getenv("HEADGATE_SOCKET");
  const std::string socket = environment == nullptr || *environment == 0
                                 ? std::string(headgate::control::protocol::default_socket_path)
                                 : environment;
  const Streams streams{std::cin, std::cout, std::cerr, isatty(STDIN_FILENO) != 0};
  const std::string_view name = std::string_view(program).substr(program.rfind('/') + 1);
  if (name.ends_with("ipvsadm-save")) return run_save(program, socket, words, streams);
  if (name.ends_with("ipvsadm-restore")) return run_restore(program, socket, words, streams);
  return run_ipvsadm(program, socket, words, streams);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::ios::sync_with_stdio(false);
    const std::string program = argc > 0 ? argv[0] : "ipvsadm";
    return run(program, std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return headgate::ipvsadm::exit_refused;
  }
}
