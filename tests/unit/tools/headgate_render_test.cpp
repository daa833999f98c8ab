#include "tools/headgate_render.h"

#include <string>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace headgate::cli {
namespace {

namespace json = boost::json;
using control::protocol::Code;

struct Reply {
  std::string rows;  // a JSON array, or empty for none
  std::string result = "{}";
  std::string message{};
  Code code = Code::ok;
};

std::string render(std::string_view command, const Reply& reply, Format format = {}) {
  const auto renderer = make_renderer(command, format);
  std::string text;
  if (!reply.rows.empty()) text += renderer->rows(json::parse(reply.rows).as_array());
  return text + renderer->end({reply.code, reply.message, json::parse(reply.result).as_object()});
}

constexpr const char* two_services = R"([
  {"service": "192.0.2.1:80/tcp", "name": "web", "mode": "nat", "scheduler": "wlc", "usable": 2,
   "backends": 3, "active": 12, "inactive": 4, "connections": 123456, "in_packets": 1234567,
   "out_packets": 999, "in_bytes": 98765432, "out_bytes": 12, "refused": 0},
  {"service": "[2001:db8::1]:53/udp", "name": "", "mode": "dr", "scheduler": "mh", "usable": 1,
   "backends": 1, "active": 1, "inactive": 0, "connections": 1, "in_packets": 1,
   "out_packets": 0, "in_bytes": 60, "out_bytes": 0, "refused": 7}])";

TEST(Render, ServicesAreATableWithTotals) {
  EXPECT_EQ(
      render("show services", {two_services}),
      "SERVICE               NAME  MODE  SCHEDULER  BACKENDS  ACTIVE  INACTIVE   CONNS  IN PKTS"
      "  OUT PKTS  IN BYTES  OUT BYTES  REFUSED\n"
      "192.0.2.1:80/tcp      web   nat   wlc             2/3      12         4  123.5K     1.2M"
      "       999   98.8 MB       12 B        0\n"
      "[2001:db8::1]:53/udp  -     dr    mh              1/1       1         0       1        1"
      "         0      60 B        0 B        7\n"
      "----------------------------------------------------------------------------------------"
      "----------------------------------------\n"
      "total                                             3/4      13         4  123.5K     1.2M"
      "       999   98.8 MB       12 B        7\n");
}

TEST(Render, APlanSaysWhatBecomesOfWhatMoves) {
  constexpr const char* rows = R"([
    {"service": "192.0.2.1:80/tcp", "name": "web", "change": "changed", "backends_added": 1,
     "backends_removed": 2, "backends_changed": 0, "connections": 48, "moved": 6,
     "moved_removed": 6, "moved_disabled": 0, "moved_mode": 0, "on_backend_removed": "keep",
     "ends_within_s": 90, "hash_share": 0.125},
    {"service": "192.0.2.2:80/tcp", "name": "", "change": "removed", "backends_added": 0,
     "backends_removed": 1, "backends_changed": 0, "connections": 3, "moved": 3,
     "moved_removed": 1, "moved_disabled": 0, "moved_mode": 2, "on_backend_removed": "expire",
     "ends_within_s": null, "hash_share": null},
    {"service": "192.0.2.3:80/tcp", "name": "new", "change": "added", "backends_added": 0,
     "backends_removed": 0, "backends_changed": 0, "connections": 0, "moved": 0,
     "moved_removed": 0, "moved_disabled": 0, "moved_mode": 0, "on_backend_removed": "drop",
     "ends_within_s": null, "hash_share": null}])";
  EXPECT_EQ(
      render("plan", {rows, R"({"changes": ["a -> b"], "warnings": ["x.yaml:1: warning: c"]})",
                      "3 services would change"}),
      "3 services would change\n"
      "\n"
      "SERVICE           NAME  CHANGE   BACKENDS  LIVE  MOVED  MOVED ONES                         "
      "   HASH SPACE\n"
      "192.0.2.1:80/tcp  web   changed  +1 -2       48      6  ended within 1m30s                 "
      "       12.5 %\n"
      "192.0.2.2:80/tcp  -     removed  -1           3      3  ended at once, 2 keep their old "
      "mode           -\n"
      "192.0.2.3:80/tcp  new   added    -            0      0  -                                  "
      "            -\n"
      "\n"
      "  a -> b\n"
      "x.yaml:1: warning: c\n");
}

// An argument of a stranger's request stands in the audit log.
TEST(Render, ControlCharactersOfARowDoNotReachTheTerminal) {
  const std::string text = render("show audit", {R"([{"time": "t", "who": "w", "generation": 3,
      "command": "zero service=\u001b[2J\nfake", "outcome": "done"}])"});
  EXPECT_NE(text.find("zero service= [2J fake"), std::string::npos) << text;
}

TEST(Render, ExactNumbersKeepTheirDigits) {
  const std::string text = render("show services", {two_services}, {.exact = true});
  EXPECT_NE(text.find(" 123457 "), std::string::npos) << text;
  EXPECT_NE(text.find(" 98765492 "), std::string::npos) << text;
}

TEST(Render, AnEmptyListSaysSo) {
  EXPECT_EQ(render("show services", {"[]"}), "No services are configured.\n");
  EXPECT_EQ(render("show drops", {""}), "Nothing was dropped.\n");
}

TEST(Render, ConnectionsComeInPiecesUnderOneHeading) {
  const auto renderer = make_renderer("show connections", {});
  const auto rows = json::parse(R"([{"protocol": "tcp", "client": "198.51.100.7:40000",
    "service": "192.0.2.1:80", "local": null, "backend": "10.0.0.1:8080", "mode": "nat",
    "state": "established", "expires_s": 899}])")
                        .as_array();
  EXPECT_EQ(renderer->rows(rows),
            "PROTO  CLIENT              SERVICE       LOCAL  BACKEND        MODE  STATE        "
            "EXPIRES\n"
            "tcp    198.51.100.7:40000  192.0.2.1:80  -      10.0.0.1:8080  nat   established   "
            "14m59s\n");
  EXPECT_EQ(renderer->rows(rows),
            "tcp    198.51.100.7:40000  192.0.2.1:80  -      10.0.0.1:8080  nat   established   "
            "14m59s\n");
  EXPECT_EQ(renderer->end({Code::ok, "2 connections", {}}), "2 connections\n");
}

TEST(Render, StatsShowBothSidesOfTheSumRule) {
  EXPECT_EQ(render("show stats", {"", R"({
    "in": {"received": 100, "from_twin": 20, "originated": 3, "released": 2},
    "out": {"sent": 90, "to_twin": 25, "dropped": 7, "held": 3},
    "verdicts": [{"verdict": "sent_dr", "count": 90, "description": "forwarded by DR"}],
    "details": {"connections": 5, "insert_races": 1}})"}),
            "PACKETS IN              COUNT  PACKETS OUT           COUNT\n"
            "received from ports       100  sent                     90\n"
            "from the twins             20  to the twins             25\n"
            "originated                  3  dropped                   7\n"
            "released after waiting      2  held for a neighbour      3\n"
            "----------------------------------------------------------\n"
            "sum                       125  sum                     125\n"
            "\n"
            "VERDICT  PACKETS  MEANING\n"
            "sent_dr       90  forwarded by DR\n"
            "\n"
            "connections   5\n"
            "insert races  1\n");
}

TEST(Render, StatsSayWhatADifferenceMeans) {
  const std::string text =
      render("show stats", {"", R"({"in": {"received": 10}, "out": {"sent": 12}})"});
  EXPECT_NE(text.find("difference -2: packets under way"), std::string::npos) << text;
}

TEST(Render, ChangesListWhatWasDone) {
  EXPECT_EQ(render("backend edit",
                   {"",
                    R"({"generation": 5, "changes": ["backend 10.0.0.1:80 of web: weight 1 -> 5"],
                        "warnings": ["services[0]: x", "a.yaml:1:2: warning: y"]})",
                    "generation 5 is in force"}),
            "generation 5 is in force\n"
            "  backend 10.0.0.1:80 of web: weight 1 -> 5\n"
            "warning: services[0]: x\n"
            "a.yaml:1:2: warning: y\n");
}

TEST(Render, TimeoutsAreNamedAsTheyAreSet) {
  EXPECT_EQ(render("timeouts", {"", R"({"timeouts": {"tcp_established_s": 900, "udp_s": 30}})"}),
            "TIME-OUT          AFTER\n"
            "tcp_established  15m00s\n"
            "udp                 30s\n");
}

TEST(Render, ConfigIsTheTextInItsPieces) {
  EXPECT_EQ(render("show config", {R"(["services:\n", "  - a\n"])"}), "services:\n  - a\n");
}

TEST(Render, BackendsTellWhenTheirConnectionsEnd) {
  EXPECT_EQ(
      render("show backends", {R"([
    {"service": "192.0.2.1:80/tcp", "backend": "10.0.0.1:80", "name": "", "mode": "nat",
     "state": "draining", "for_s": null, "weight": 0, "effective_weight": 0, "ends_in_s": 30,
     "active": 5, "inactive": 0,
     "connections": 9, "in_packets": 90, "out_packets": 80, "in_bytes": 9000, "out_bytes": 8000,
     "refused": 0, "reason": "asked to"}])"}),
      "SERVICE           BACKEND      NAME  MODE  STATE     FOR  WEIGHT  ENDS IN  ACTIVE  INACTIVE"
      "  CONNS  IN PKTS  OUT PKTS  IN BYTES  OUT BYTES  REFUSED  REASON\n"
      "192.0.2.1:80/tcp  10.0.0.1:80  -     nat   draining    -     0/0      30s       5         0"
      "      9       90        80    9.0 kB     8.0 kB        0  asked to\n");
}

TEST(Render, FailuresPrintNothingButTheMessageElsewhere) {
  EXPECT_EQ(render("show services", {"", "{}", "no such service", Code::refused}), "");
  EXPECT_EQ(render("reload", {"", "{}", "bad file", Code::refused}), "");
}

TEST(Render, JsonIsOneObjectWithAllRows) {
  const auto renderer = make_renderer("show connections", {.json = true});
  std::string text = renderer->rows(json::parse(R"([{"a": 1}, {"a": 2}])").as_array());
  text += renderer->rows(json::parse(R"([{"a": 3}])").as_array());
  text += renderer->end({Code::ok, "", {{"shown", 3}}});
  const json::object object = json::parse(text).as_object();
  EXPECT_EQ(object.at("rows"), json::parse(R"([{"a": 1}, {"a": 2}, {"a": 3}])"));
  EXPECT_EQ(object.at("code"), 0);
  EXPECT_EQ(object.at("result").at("shown"), 3);
  const auto failed =
      json::parse(render("reload", {"", "{}", "no", Code::refused}, {.json = true}));
  EXPECT_EQ(failed.at("code"), 1);
  EXPECT_EQ(failed.at("message"), "no");
  EXPECT_TRUE(failed.at("rows").as_array().empty());
}

}  // namespace
}  // namespace headgate::cli
