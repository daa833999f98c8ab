// -R: lines of standard input, each as a command line. Changes that follow each other go to the
// daemon together and are made each for itself; with --atomic all go as one, all or nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "control/protocol.h"
#include "tools/ipvsadm/daemon.h"
#include "tools/ipvsadm/options.h"
#include "tools/ipvsadm/program.h"

namespace headgate::ipvsadm {

class Restore {
 public:
  // `run_other` does what is no change, a listing say, and gives its exit status.
  using RunOther = std::function<int(const Invocation& invocation)>;
  Restore(std::string program, const Daemon& daemon, const Streams& streams, RunOther run_other)
      : program_(std::move(program)),
        daemon_(daemon),
        streams_(streams),
        run_other_(std::move(run_other)) {}

  // The exit status: that of the last command, or of what ended the program. `skip_comments` leaves
  // out lines that begin with #.
  [[nodiscard]] int line_by_line(bool skip_comments);
  // `from_empty`: all services that there are go first, in the same snapshot.
  [[nodiscard]] int all_or_nothing(bool skip_comments, bool from_empty);

 private:
  struct Change {
    Command command;
    control::protocol::Request request;
    size_t line = 0;
  };

  // The words of the next line that has some; false at the end. A line too long ends the program.
  bool next_line(std::vector<std::string>& words, bool skip_comments);
  // False: the program ends, with status_.
  bool run_line(std::vector<std::string> words);
  void send_changes();
  void send_one(const Change& change);
  [[nodiscard]] control::protocol::Request transaction(bool each_for_itself) const;
  int refuse_all(size_t line, int exit_status, std::string_view text);

  std::string program_;
  const Daemon& daemon_;
  const Streams& streams_;
  RunOther run_other_;
  std::vector<Change> changes_;  // that wait to be sent
  size_t line_ = 0;
  bool too_long_ = false;
  int status_ = 0;
};

}  // namespace headgate::ipvsadm
