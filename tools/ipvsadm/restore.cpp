#include "tools/ipvsadm/restore.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "tools/ipvsadm/requests.h"

namespace headgate::ipvsadm {

namespace json = boost::json;
using control::protocol::Request;

namespace {

constexpr size_t longest_line = 1U << 20;
// Changes that go to the daemon together.
constexpr size_t most_changes = 1000;

// A line as it comes, or as much of it as may be.
bool read_line(std::istream& in, std::string& line, bool& too_long) {
  line.clear();
  for (int c = in.get(); c != std::char_traits<char>::eof(); c = in.get()) {
    if (c == '\n') return true;
    if (line.size() == longest_line) {
      too_long = true;
      return true;
    }
    line.push_back(static_cast<char>(c));
  }
  return !line.empty();
}

// Without quoting; the word ipvsadm may stand in front, or anywhere.
std::vector<std::string> split(std::string_view line) {
  constexpr std::string_view blanks(" \t\r\n\0", 5);
  std::vector<std::string> words;
  size_t at = 0;
  while ((at = line.find_first_not_of(blanks, at)) != std::string_view::npos) {
    const size_t end = std::min(line.find_first_of(blanks, at), line.size());
    if (const auto word = line.substr(at, end - at); word != "ipvsadm") words.emplace_back(word);
    at = end;
  }
  return words;
}

}  // namespace

bool Restore::next_line(std::vector<std::string>& words, bool skip_comments) {
  std::string line;
  while (read_line(streams_.in, line, too_long_)) {
    ++line_;
    if (too_long_) return false;
    if (skip_comments && line.starts_with('#')) continue;
    words = split(line);
    if (!words.empty()) return true;
  }
  return false;
}

int Restore::line_by_line(bool skip_comments) {
  std::vector<std::string> words;
  while (next_line(words, skip_comments)) {
    if (!run_line(std::move(words))) return status_;
    if (streams_.by_hand || changes_.size() == most_changes) send_changes();
  }
  send_changes();
  if (too_long_) {
    streams_.err << fmt::format("line {} is longer than {} bytes\n", line_, longest_line);
    return exit_usage;
  }
  return status_;
}

bool Restore::run_line(std::vector<std::string> words) {
  const auto invocation = parse(program_, std::move(words), true);
  if (!invocation) {
    send_changes();
    const Ending& ending = invocation.error();
    (ending.exit_status == 0 ? streams_.out : streams_.err) << ending.text;
    status_ = ending.exit_status;
    return !ending.ends_program;
  }
  if (!is_change(invocation->command)) {
    send_changes();
    status_ = run_other_(*invocation);
    return true;
  }
  auto request = change_request(*invocation);
  if (!request) {
    send_changes();
    streams_.err << request.error() << "\n";
    status_ = exit_refused;
  } else if (*request) {
    changes_.push_back({invocation->command, std::move(**request), line_});
  } else {
    send_changes();
    status_ = 0;
  }
  return true;
}

Request Restore::transaction(bool each_for_itself) const {
  Request request{"transaction", {}};
  if (each_for_itself) request.arguments["each_for_itself"] = true;
  json::array& commands = request.arguments["commands"].emplace_array();
  for (const Change& change : changes_) {
    commands.push_back(
        {{"command", change.request.command}, {"arguments", change.request.arguments}});
  }
  return request;
}

void Restore::send_one(const Change& change) {
  const auto done = daemon_.ask(change.request);
  status_ = done ? 0 : exit_refused;
  if (done) return;
  streams_.err << refusal_text(change.command, done.error().reason, done.error().message) << "\n";
}

void Restore::send_changes() {
  const std::vector<Change> changes = changes_;
  if (changes.size() == 1) {
    send_one(changes.front());
  } else if (!changes.empty()) {
    const auto done = daemon_.ask(transaction(true));
    if (!done) {
      // What they make together does not hold: the bad one is found alone.
      for (const Change& change : changes)
        send_one(change);
    } else {
      status_ = 0;
      for (const json::value& value : done->at("refused").as_array()) {
        const json::object& row = value.as_object();
        const auto index = row.at("index").to_number<size_t>();
        if (index >= changes.size()) continue;
        streams_.err << refusal_text(changes[index].command, row.at("reason").as_string(),
                                     row.at("message").as_string())
                     << "\n";
        if (index + 1 == changes.size()) status_ = exit_refused;
      }
    }
  }
  changes_.clear();
}

int Restore::refuse_all(size_t line, int exit_status, std::string_view text) {
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  streams_.err << fmt::format("line {}: {}; nothing was changed\n", line, text);
  return exit_status;
}

int Restore::all_or_nothing(bool skip_comments, bool from_empty) {
  if (from_empty) changes_.push_back({Command::flush, {"flush", {}}, 0});
  std::vector<std::string> words;
  while (next_line(words, skip_comments)) {
    const auto invocation = parse(program_, std::move(words), true);
    if (!invocation) {
      return refuse_all(line_, std::max(invocation.error().exit_status, 1),
                        invocation.error().text);
    }
    if (!is_change(invocation->command)) {
      return refuse_all(line_, exit_usage, "--atomic takes commands that change something");
    }
    auto request = change_request(*invocation);
    if (!request) return refuse_all(line_, exit_refused, request.error());
    if (*request) changes_.push_back({invocation->command, std::move(**request), line_});
  }
  if (too_long_) return refuse_all(line_, exit_usage, "it is too long");
  if (changes_.empty()) return 0;
  const Request request = transaction(false);
  if (control::protocol::to_payload(request).size() > control::protocol::max_request_bytes) {
    return refuse_all(line_, exit_refused, "too many lines for one transaction");
  }
  const auto done = daemon_.ask(request);
  if (done) return 0;
  const Refusal& refusal = done.error();
  if (!refusal.index || *refusal.index >= changes_.size()) {
    streams_.err << refusal.message << "\n";
    return exit_refused;
  }
  const Change& bad = changes_[*refusal.index];
  if (refusal.reason.empty()) {
    streams_.err << fmt::format("line {}: {}\n", bad.line, refusal.message);
    return exit_refused;
  }
  return refuse_all(bad.line, exit_refused,
                    refusal_text(bad.command, refusal.reason, refusal.message));
}

}  // namespace headgate::ipvsadm
