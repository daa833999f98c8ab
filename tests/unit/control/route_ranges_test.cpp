#include "control/route_ranges.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

using dataplane::none;
using dataplane::Route;
using dataplane::RouteRange4;
using dataplane::RouteRange6;

std::vector<Route> routes_of(std::vector<net::Prefix> prefixes) {
  std::ranges::sort(prefixes);
  const auto twice = std::ranges::unique(prefixes);
  prefixes.erase(twice.begin(), twice.end());
  std::vector<Route> routes;
  for (const net::Prefix& prefix : prefixes) {
    Route& route = routes.emplace_back();
    route.prefix = prefix.address;
    route.length = prefix.length;
  }
  return routes;
}

uint32_t longest(const std::vector<Route>& routes, const net::IpAddress& address) {
  uint32_t best = none;
  for (uint32_t i = 0; i < routes.size(); ++i) {
    const net::Prefix prefix{routes[i].prefix, routes[i].length};
    if (prefix.contains(address) && (best == none || routes[i].length > routes[best].length)) {
      best = i;
    }
  }
  return best;
}

// The workers' own look-up, over ranges in memory of this test.
template <typename Range>
class Lookup {
 public:
  explicit Lookup(const std::vector<Route>& routes) : routes_(routes) {
    ranges_ = route_ranges<Range>(routes_);
    auto& table = this->table();
    const auto count = static_cast<uint32_t>(ranges_.size());
    const auto base = reinterpret_cast<uintptr_t>(this);
    table.ranges = {{reinterpret_cast<uintptr_t>(ranges_.data()) - base}, count, 0};
    table.routes = {{reinterpret_cast<uintptr_t>(routes_.data()) - base},
                    static_cast<uint32_t>(routes_.size()),
                    0};
  }
  [[nodiscard]] uint32_t operator()(const net::IpAddress& address) {
    const dataplane::RouteTarget* target =
        find_route(dataplane::RegionView(reinterpret_cast<std::byte*>(this)), root_, address);
    if (target == nullptr) return none;
    return static_cast<uint32_t>(
        reinterpret_cast<const Route*>(reinterpret_cast<const std::byte*>(target) -
                                       offsetof(Route, target)) -
        routes_.data());
  }
  [[nodiscard]] size_t size() const { return ranges_.size(); }

 private:
  dataplane::RouteTable<Range>& table() {
    if constexpr (std::is_same_v<Range, RouteRange4>) {
      return root_.routes_v4;
    } else {
      return root_.routes_v6;
    }
  }
  std::vector<Route> routes_;
  std::vector<Range> ranges_;
  dataplane::SnapshotRoot root_{};
};

net::Prefix prefix(std::string_view text) {
  return *net::parse_prefix(text);
}
net::IpAddress ip(std::string_view text) {
  return *net::parse_ip(text);
}

TEST(RouteRanges, NoRoutesMakeNoRanges) {
  EXPECT_TRUE(route_ranges<RouteRange4>({}).empty());
  EXPECT_TRUE(route_ranges<RouteRange6>({}).empty());
  Lookup<RouteRange4> lookup({});
  EXPECT_EQ(lookup(ip("192.0.2.1")), none);
}

TEST(RouteRanges, NestedPrefixesGiveWayToTheLongest) {
  const auto routes = routes_of({prefix("10.0.0.0/8"), prefix("10.1.0.0/16"), prefix("10.1.0.0/24"),
                                 prefix("10.1.255.0/24"), prefix("255.255.255.255/32")});
  Lookup<RouteRange4> lookup(routes);
  for (const char* address :
       {"0.0.0.0", "9.255.255.255", "10.0.0.0", "10.0.255.255", "10.1.0.0", "10.1.0.255",
        "10.1.1.0", "10.1.254.255", "10.1.255.0", "10.1.255.255", "10.2.0.0", "10.255.255.255",
        "11.0.0.0", "255.255.255.254", "255.255.255.255"}) {
    EXPECT_EQ(lookup(ip(address)), longest(routes, ip(address))) << address;
  }
  EXPECT_EQ(lookup(ip("11.0.0.0")), none);
}

TEST(RouteRanges, ADefaultRouteAloneIsOneRange) {
  EXPECT_EQ(Lookup<RouteRange4>(routes_of({prefix("0.0.0.0/0")})).size(), 1U);
  EXPECT_EQ(Lookup<RouteRange6>(routes_of({prefix("::/0")})).size(), 1U);
}

// Few different bits, so that prefixes nest, touch and begin or end together.
template <typename Range>
void compare_with_search(net::Family family, uint32_t seed) {
  std::mt19937 random(seed);
  const bool v4 = family == net::Family::ipv4;
  const auto address = [&] {
    net::IpAddress result = v4 ? ip("0.0.0.0") : ip("::");
    for (size_t i = 0; i < (v4 ? 4U : 16U); ++i) {
      static constexpr std::array<uint8_t, 6> bytes{0x00, 0xff, 0x80, 0x7f, 0x01, 0xfe};
      result.bytes[i] = bytes[random() % bytes.size()];
    }
    return result;
  };
  for (uint32_t round = 0; round < 60; ++round) {
    std::vector<net::Prefix> prefixes;
    for (uint32_t i = random() % 40; i > 0; --i) {
      const auto length = static_cast<uint8_t>(random() % (v4 ? 33 : 129));
      prefixes.push_back({net::masked(address(), length), length});
    }
    const std::vector<Route> routes = routes_of(prefixes);
    Lookup<Range> lookup(routes);
    EXPECT_LE(lookup.size(), 2 * routes.size() + 1);
    for (uint32_t i = 0; i < 300; ++i) {
      const net::IpAddress wanted = address();
      ASSERT_EQ(lookup(wanted), longest(routes, wanted))
          << net::to_string(wanted) << ", seed " << seed << ", round " << round;
    }
    for (const Route& route : routes) {  // first addresses of prefixes
      ASSERT_EQ(lookup(route.prefix), longest(routes, route.prefix))
          << net::to_string(route.prefix);
    }
  }
}

TEST(RouteRanges, AnswerAsASearchThroughAllPrefixesDoes) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    compare_with_search<RouteRange4>(net::Family::ipv4, seed);
    compare_with_search<RouteRange6>(net::Family::ipv6, seed);
  }
}

}  // namespace
}  // namespace headgate::control
