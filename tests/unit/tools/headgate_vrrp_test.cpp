#include "tools/headgate_vrrp.h"

#include <string>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace headgate::cli {
namespace {

namespace json = boost::json;
using control::protocol::Code;

constexpr const char* two_routers = R"([
  {"name": "outside", "interface": "wan", "family": "ipv4", "virtual_router_id": 51, "version": 3,
   "state": "master", "reason": "master down", "priority": 130, "base_priority": 150,
   "master": "192.0.2.2", "master_priority": 130, "in_state_s": 125, "became_master": 2,
   "transitions": 5, "interval_ms": 1000, "group": "gateway", "adverts_sent": 123456,
   "adverts_received": 20, "priority_zero_sent": 1, "priority_zero_received": 3,
   "late_adverts": 4, "worst_lateness_us": 700, "discarded": 7,
   "discards": {"checksum": 6, "vrid": 1}, "mismatch": {"addresses": true, "interval": false},
   "faults": [],
   "addresses": [
     {"address": "192.0.2.10/24", "interface": "wan", "advertised": true, "held": true},
     {"address": "fd00::10/64", "interface": "lo", "advertised": false, "held": false}],
   "peers": ["192.0.2.3", "192.0.2.4"]},
  {"name": "in", "interface": "lan", "family": "ipv6", "virtual_router_id": 7, "version": 3,
   "state": "fault", "reason": null, "priority": 100, "base_priority": 100, "master": null,
   "master_priority": null, "in_state_s": 3, "became_master": 0, "transitions": 1,
   "interval_ms": 40, "group": null, "adverts_sent": 0, "adverts_received": 0,
   "priority_zero_sent": 0, "priority_zero_received": 0, "late_adverts": 0,
   "worst_lateness_us": 0, "discarded": 0, "discards": {},
   "mismatch": {"addresses": false, "interval": false},
   "faults": ["interface lan is down", "script chk failed"], "addresses": [], "peers": []}])";

std::string render(const char* rows, const char* result, Format format = {}) {
  const auto renderer = make_renderer("show vrrp", format);
  const std::string text = renderer->rows(json::parse(rows).as_array());
  return text + renderer->end({Code::ok, "", json::parse(result).as_object()});
}

TEST(RenderVrrp, RoutersAreATableAndGroupsFollow) {
  EXPECT_EQ(render(two_routers, R"({"maintenance": false, "groups": [
              {"name": "gateway", "state": "master", "members": ["outside", "inside"]}]})"),
            "NAME     INTERFACE  FAMILY  ID  STATE     FOR  PRIORITY  MASTER     TRANSITIONS    "
            "SENT  RECEIVED  DISCARDED  GROUP    REASON\n"
            "outside  wan        ipv4    51  master  2m05s   130/150  192.0.2.2            5  "
            "123.5K        20          7  gateway  master down\n"
            "in       lan        ipv6     7  fault      3s   100/100  -                    1       "
            "0         0          0  -        -\n"
            "\n"
            "SYNC GROUP  STATE   MEMBERS\n"
            "gateway     master  outside, inside\n");
}

TEST(RenderVrrp, ANamedOneIsShownWithAllThatIsKnown) {
  EXPECT_EQ(render(two_routers, R"({"maintenance": false, "groups": []})", {.detail = true}),
            "outside: master for 2m05s (master down)\n"
            "  interface         wan, ipv4, virtual router 51, version 3\n"
            "  priority          130, configured 150\n"
            "  master            192.0.2.2, priority 130\n"
            "  interval          1000 ms\n"
            "  peers             192.0.2.3, 192.0.2.4\n"
            "  sync group        gateway\n"
            "  mismatch          addresses differ from the master's\n"
            "  transitions       5, 2 of them to master\n"
            "  adverts sent      123.5K, 1 of them with priority 0\n"
            "  adverts received  20, 3 of them with priority 0\n"
            "  late adverts      4, the worst 700 us late\n"
            "  discarded         7\n"
            "\n"
            "ADDRESS        INTERFACE  ADVERTISED  HELD\n"
            "192.0.2.10/24  wan        yes         yes\n"
            "fd00::10/64    lo         no          no\n"
            "\n"
            "DISCARDED FOR  ADVERTS\n"
            "checksum             6\n"
            "vrid                 1\n"
            "\n"
            "in: fault for 3s\n"
            "  fault             interface lan is down\n"
            "  fault             script chk failed\n"
            "  interface         lan, ipv6, virtual router 7, version 3\n"
            "  priority          100, configured 100\n"
            "  master            none was heard\n"
            "  interval          40 ms\n"
            "  peers             by multicast\n"
            "  transitions       1, 0 of them to master\n"
            "  adverts sent      0, 0 of them with priority 0\n"
            "  adverts received  0, 0 of them with priority 0\n"
            "  late adverts      0, the worst 0 us late\n"
            "  discarded         0\n");
}

TEST(RenderVrrp, MaintenanceIsTold) {
  EXPECT_EQ(render("[]", R"({"maintenance": true, "groups": []})"),
            "No virtual routers.\n"
            "\n"
            "maintenance is on: no virtual router becomes master until it is off\n");
}

TEST(RenderVrrp, ExactNumbersKeepTheirDigits) {
  const char* result = R"({"maintenance": false, "groups": []})";
  EXPECT_NE(render(two_routers, result, {.exact = true}).find(" 123456 "), std::string::npos);
  EXPECT_NE(render(two_routers, result, {.exact = true, .detail = true}).find(" 123456,"),
            std::string::npos);
}

TEST(RenderVrrp, ARefusalPrintsNothingHere) {
  const auto renderer = make_renderer("show vrrp", {});
  EXPECT_EQ(renderer->end({Code::refused, "no", {}}), "");
}

TEST(RenderVrrp, JsonIsWhatTheDaemonSent) {
  const std::string text =
      render(two_routers, R"({"maintenance": true, "groups": []})", {.json = true});
  const json::object all = json::parse(text).as_object();
  EXPECT_EQ(all.at("rows"), json::parse(two_routers));
  EXPECT_EQ(all.at("result"), json::parse(R"({"maintenance": true, "groups": []})"));
}

TEST(RenderVrrp, ARowOfAnotherDaemonWithFewerMembersIsShown) {
  const std::string text =
      render(R"([{"name": "x"}, 5])", R"({"groups": [{"name": "g"}, 1]})", {.detail = true});
  EXPECT_NE(text.find("x:  for 0s\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace headgate::cli
