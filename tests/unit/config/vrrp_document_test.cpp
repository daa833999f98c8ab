// Reading, dump and diff of the section `vrrp`.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/diff.h"
#include "config/dump.h"
#include "config/keys.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view base = R"(
vrrp:
  scripts: [{name: chk, command: /bin/true}]
  instances:
    - name: web
      interface: eth0
      virtual_router_id: 51
      addresses: [{address: 192.0.2.80/24}]
)";

// The lines of the difference that `change` makes.
template <typename F>
std::vector<std::string> after(const F& change) {
  const Config running = read_good(base);
  Config wanted = running;
  change(wanted.vrrp);
  const Diff difference = diff(running, wanted);
  EXPECT_FALSE(difference.needs_restart());
  return to_lines(difference);
}

TEST(VrrpDocument, ReadsWhatTheModelHolds) {
  const Config config = read_good(base);
  ASSERT_EQ(config.vrrp.instances.size(), 1U);
  const VrrpInstance& instance = config.vrrp.instances[0];
  EXPECT_EQ(instance.name, "web");
  EXPECT_EQ(instance.virtual_router_id, 51);
  EXPECT_EQ(instance.version, 3);
  EXPECT_EQ(family_of(instance), net::Family::ipv4);
  EXPECT_EQ(interface_of(instance, instance.addresses[0]), "eth0");
  EXPECT_EQ(net::to_string(instance.addresses[0].address), "192.0.2.80/24");
  EXPECT_FALSE(config.vrrp.mail.has_value());
  EXPECT_EQ(config.vrrp.scripts[0].start, ScriptStart::down);
}

TEST(VrrpDocument, AFamilyComesFromTheFirstAddress) {
  EXPECT_EQ(family_of(VrrpInstance{}), net::Family::none);
}

TEST(VrrpDocument, ReadsBackAsItWasDumped) {
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): tests repeat
  size_t instances = 0;
  for (int i = 0; i < 200; ++i) {
    Config config = random_config(random);
    instances += config.vrrp.instances.size();
    for (const Defaults defaults : {Defaults::omit, Defaults::write}) {
      EXPECT_EQ(read_good_but_warnings(to_yaml(config, defaults)).vrrp, config.vrrp);
    }
  }
  EXPECT_GT(instances, 200U);
}

TEST(VrrpDocument, MailIsASectionThatCanBeNone) {
  const std::string text = to_yaml(read_good(base), Defaults::write);
  EXPECT_THAT(text, HasSubstr("\n  mail: none\n"));
  EXPECT_EQ(read_good(text), read_good(base));
}

TEST(VrrpDocument, AllOfItTakesEffectByReload) {
  size_t keys = 0;
  for (const KeyInfo& key : known_keys()) {
    if (!key.path.starts_with("vrrp")) continue;
    EXPECT_FALSE(key.needs_restart) << key.path;
    ++keys;
  }
  EXPECT_GT(keys, 100U);
}

TEST(VrrpDocument, DiffNamesInstancesAndWhatIsInThem) {
  EXPECT_THAT(after([](Vrrp& vrrp) {
                vrrp.instances[0].priority = 150;
                vrrp.instances[0].notify.any = "/n";
                vrrp.instances[0].scripts.push_back({"chk", -20});
                vrrp.instances[0].addresses.push_back(
                    {*net::parse_prefix("192.0.2.81/24"), {}, {}, Scope::link});
              }),
              ElementsAre("vrrp.instances[web].priority 100 -> 150",
                          "vrrp.instances[web].addresses[192.0.2.81/24] added",
                          "vrrp.instances[web].scripts[chk] added",
                          "vrrp.instances[web].notify.any none -> /n"));
  EXPECT_THAT(after([](Vrrp& vrrp) { vrrp.instances.clear(); }),
              ElementsAre("vrrp.instances[web] removed"));
  EXPECT_THAT(after([](Vrrp& vrrp) {
                vrrp.mail = Mail{.server = "mx", .from = "a@b", .to = {"c@d", "e@f"}};
                vrrp.sync_groups.push_back({"g", {"web"}, {}});
              }),
              ElementsAre("vrrp.mail none -> {server: mx, from: \"a@b\", to: [\"c@d\", \"e@f\"]}",
                          "vrrp.sync_groups[g] added"));
}

TEST(VrrpDocument, KeysOfKeepalivedAreExplained) {
  EXPECT_THAT(problems_of("vrrp:\n  instances:\n    - name: a\n      interface: e\n"
                          "      virtual_router_id: 1\n      advert_int: 1\n"
                          "      nopreempt: on\n"
                          "      addresses: [{address: 10.0.0.1/8}]\n"),
              ElementsAre(HasSubstr("advert_int: unknown key; did you mean advert_interval_ms?"),
                          HasSubstr("nopreempt: unknown key; did you mean preempt?")));
}

}  // namespace
}  // namespace headgate::config
