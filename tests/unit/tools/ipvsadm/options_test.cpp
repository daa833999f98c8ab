// Each recorded command line of the real ipvsadm: the same words on standard error, the same exit
// status, and the same request where it is right.
#include "tools/ipvsadm/options.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace headgate::ipvsadm {
namespace {

namespace json = boost::json;

// What headgate does otherwise, and why.
const std::set<std::string> different{
    // Port 0 of a server is its service's port: no packet goes to port 0.
    "-a -t 1.2.3.4:80 -r 1.2.3.5:0 -m",
};

// Double quotes are the only ones in the lines.
std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
      in_word = true;
    } else if (c == ' ' && !quoted) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (in_word) words.push_back(word);
  return words;
}

std::string service_text(const Invocation& invocation) {
  const bool edits =
      invocation.command == Command::add_service || invocation.command == Command::edit_service;
  const ServiceId none{Protocol::none, {}, 0};
  const ServiceId& id = invocation.service ? *invocation.service : none;
  const int protocol = id.firewall_mark != 0 ? 6 : static_cast<int>(id.protocol);
  const std::string scheduler = invocation.scheduler.empty() ? "wlc" : invocation.scheduler;
  const int flags = (invocation.persistence_s ? 1 : 0) | (invocation.one_packet ? 4 : 0) |
                    (invocation.flags.flag1 ? 8 : 0) | (invocation.flags.flag2 ? 16 : 0) |
                    (invocation.flags.flag3 ? 32 : 0);
  std::string mask = "ffffffff";
  if (invocation.netmask) {
    const auto address = parse_host_v4(*invocation.netmask).value();
    mask = fmt::format("{:02x}{:02x}{:02x}{:02x}", address.bytes[0], address.bytes[1],
                       address.bytes[2], address.bytes[3]);
  }
  return fmt::format(" proto={} {}:{} mark={} sched={} flags={:x} timeout={} mask={}", protocol,
                     id.endpoint.address.is_v4() ? net::to_string(id.endpoint.address) : "0.0.0.0",
                     id.endpoint.port, id.firewall_mark, edits ? scheduler : "", flags,
                     invocation.persistence_s.value_or(0), mask);
}

std::string server_text(const Invocation& invocation) {
  const int method = invocation.method == Method::masquerade ? 0
                     : invocation.method == Method::tunnel   ? 2
                                                             : 3;
  return fmt::format(" dest {}:{} conn={} weight={} u={} l={}",
                     net::to_string(invocation.server->address), invocation.server->port, method,
                     invocation.weight, invocation.upper_threshold, invocation.lower_threshold);
}

// As kernel_double.c prints it.
std::string request_text(const Invocation& invocation) {
  switch (invocation.command) {
    case Command::add_service:
      return "[add" + service_text(invocation) + "]";
    case Command::edit_service:
      return "[edit" + service_text(invocation) + "]";
    case Command::delete_service:
      return "[del" + service_text(invocation) + "]";
    case Command::flush:
      return "[flush]";
    case Command::zero:
      return "[zero" + service_text(invocation) + "]";
    case Command::add_server:
      return "[adddest" + service_text(invocation) + server_text(invocation) + "]";
    case Command::edit_server:
      return "[editdest" + service_text(invocation) + server_text(invocation) + "]";
    case Command::delete_server:
      return "[deldest" + service_text(invocation) + server_text(invocation) + "]";
    case Command::set_timeouts:
      return fmt::format("[timeout {} {} {}]", invocation.set_timeouts_s[0],
                         invocation.set_timeouts_s[1], invocation.set_timeouts_s[2]);
    default:
      return {};
  }
}

json::array recorded() {
  std::ifstream file(HEADGATE_SOURCE_ROOT "/tests/ipvsadm/usage.json");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return json::parse(text).as_array();
}

TEST(IpvsadmOptions, EveryRecordedCommandLineEndsAsTheRealOne) {
  const json::array rows = recorded();
  ASSERT_GT(rows.size(), 1000U);
  for (const json::value& value : rows) {
    const json::object& row = value.as_object();
    const std::string line(row.at("line").as_string());
    const auto invocation = parse("PROGRAM", split(line));
    const int status = invocation ? 0 : invocation.error().exit_status;
    EXPECT_EQ(status, row.at("status").as_int64()) << line;
    const std::string said = status == 0 ? "" : invocation.error().text;
    EXPECT_EQ(said, row.at("said").as_string()) << line;
  }
}

TEST(IpvsadmOptions, EveryRecordedRequestIsUnderstood) {
  size_t compared = 0;
  for (const json::value& value : recorded()) {
    const json::object& row = value.as_object();
    const std::string line(row.at("line").as_string());
    const json::value* request = row.if_contains("request");
    if (request == nullptr || different.contains(line)) continue;
    const auto invocation = parse("PROGRAM", split(line));
    ASSERT_TRUE(invocation) << line;
    const std::string text = request_text(*invocation);
    if (text.empty()) continue;  // the connection synchronisation
    EXPECT_EQ(text, request->as_string()) << line;
    ++compared;
  }
  EXPECT_GT(compared, 130U);
}

TEST(IpvsadmOptions, WithoutWordsItLists) {
  const auto invocation = parse("ipvsadm", {});
  ASSERT_TRUE(invocation);
  EXPECT_EQ(invocation->command, Command::list);
  EXPECT_TRUE(invocation->sorted);
}

TEST(IpvsadmOptions, HelpAndVersionAreNoErrors) {
  for (const char* word : {"-h", "--help", "-v", "--version", "-hA"}) {
    const auto invocation = parse("ipvsadm", {word});
    ASSERT_FALSE(invocation) << word;
    EXPECT_EQ(invocation.error().exit_status, 0) << word;
    EXPECT_TRUE(invocation.error().text.starts_with("headgate-ipvsadm ")) << word;
  }
}

TEST(IpvsadmOptions, AnAloneStandingBOfAServerIsFullnat) {
  for (const char* line :
       {"-a -t 1.2.3.4:80 -r 1.2.3.5:8080 -b", "-e -t 1.2.3.4:80 -b -r 1.2.3.5:8080",
        "-a -t 1.2.3.4:80 -r 1.2.3.5:8080 --fullnat"}) {
    const auto invocation = parse("ipvsadm", split(line));
    ASSERT_TRUE(invocation) << line;
    EXPECT_EQ(invocation->method, Method::fullnat) << line;
    EXPECT_EQ(invocation->server->port, 8080) << line;
  }
  const auto flags = parse("ipvsadm", split("-A -t 1.2.3.4:80 -s sh -b"));
  ASSERT_FALSE(flags);
  EXPECT_EQ(flags.error().text, "-b: missing argument\n");
}

TEST(IpvsadmOptions, LocalAddressesAreGivenAsWithDpvs) {
  const auto added = parse("ipvsadm", split("-P -z 10.0.0.200 -t 1.2.3.4:80 -F dpdk0"));
  ASSERT_TRUE(added) << added.error().text;
  EXPECT_EQ(added->command, Command::add_local_address);
  EXPECT_EQ(added->local_address, net::parse_ip("10.0.0.200"));
  const auto without = parse("ipvsadm", split("-P -t 1.2.3.4:80"));
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().text,
            "You need to supply the 'laddr' option for the 'add-laddr' command\n");
}

TEST(IpvsadmOptions, TheSocketIsNamedBeforeOrBehindTheCommand) {
  for (const char* line : {"--socket /run/x -L -n", "-L --socket=/run/x -n"}) {
    const auto invocation = parse("ipvsadm", split(line));
    ASSERT_TRUE(invocation) << line;
    EXPECT_EQ(invocation->socket, "/run/x") << line;
    EXPECT_TRUE(invocation->numeric) << line;
  }
}

TEST(IpvsadmOptions, AnUnknownOptionEndsALineOfRestoreButNotTheProgram) {
  const auto unknown = parse("ipvsadm", {"-A", "--foo"}, true);
  ASSERT_FALSE(unknown);
  EXPECT_FALSE(unknown.error().ends_program);
  const auto illegal = parse("ipvsadm", {"-A", "-t", "bad"}, true);
  ASSERT_FALSE(illegal);
  EXPECT_TRUE(illegal.error().ends_program);
  EXPECT_FALSE(parse("ipvsadm", {"-R"}, true));
}

}  // namespace
}  // namespace headgate::ipvsadm
