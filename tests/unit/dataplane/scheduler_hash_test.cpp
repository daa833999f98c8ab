// sh, dh and mh, and the stateless choice.
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/scheduler_world.h"

namespace headgate::dataplane {
namespace {

constexpr SchedulerKind source_hashes[] = {SchedulerKind::sh, SchedulerKind::mh};
constexpr uint32_t clients = 2000;

NewFlow from(uint32_t client, uint16_t port = 40000) {
  return {.source = net::Ipv4Address::from_host(0xc6330000 + client * 7),
          .destination = net::Ipv4Address::from_host(0xc0000201),
          .source_port = net::be16::from_host(port)};
}

std::vector<uint32_t> choices(SchedulerWorld& world) {
  std::vector<uint32_t> result;
  result.reserve(clients);
  for (uint32_t client = 0; client < clients; ++client)
    result.push_back(world.look(from(client)));
  return result;
}

TEST(SourceHash, KeepsAClientOnItsBackendWhateverItsPort) {
  for (const SchedulerKind scheduler : source_hashes) {
    SchedulerWorld world;
    world.publish({.scheduler = scheduler, .backends = weighted({1, 1, 1, 1})});
    for (uint32_t client = 0; client < 50; ++client) {
      const uint32_t first = world.open(from(client, 1000));
      for (uint16_t port = 1001; port < 1010; ++port) {
        EXPECT_EQ(world.open(from(client, port)), first);
      }
    }
  }
}

TEST(SourceHash, SpreadsTheFlowsOfAClientWhenAskedToHashThePort) {
  for (const SchedulerKind scheduler : source_hashes) {
    SchedulerWorld world;
    world.publish(
        {.scheduler = scheduler, .backends = weighted({1, 1, 1}), .flags = service_hash_with_port});
    std::map<uint32_t, uint32_t> flows;
    for (uint16_t port = 1000; port < 4000; ++port)
      ++flows[world.open(from(1, port))];
    for (uint32_t id = 0; id < 3; ++id)
      EXPECT_NEAR(flows[id], 1000, 120);
  }
}

TEST(SourceHash, GivesSharesByWeight) {
  for (const SchedulerKind scheduler : source_hashes) {
    SchedulerWorld world;
    world.publish({.scheduler = scheduler, .backends = weighted({1, 2, 5})});
    std::map<uint32_t, uint32_t> flows;
    for (const uint32_t id : choices(world))
      ++flows[id];
    EXPECT_NEAR(flows[0], clients * 0.125, 60);
    EXPECT_NEAR(flows[1], clients * 0.25, 80);
    EXPECT_NEAR(flows[2], clients * 0.625, 90);
  }
}

TEST(SourceHash, TakesIpv6Clients) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::mh, .backends = weighted({1, 1})});
  std::map<uint32_t, uint32_t> flows;
  for (uint32_t client = 0; client < 1000; ++client) {
    net::Ipv6Address address = net::parse_ip("2001:db8:c::")->v6();
    address.bytes[6] = static_cast<uint8_t>(client);
    address.bytes[15] = static_cast<uint8_t>(client >> 8);
    const NewFlow flow{.source = address,
                       .destination = *net::parse_ip("2001:db8:9::1"),
                       .source_port = net::be16::from_host(1)};
    ++flows[world.open(flow)];
  }
  EXPECT_NEAR(flows[0], 500, 70);
}

TEST(SourceHash, MovesOnlyTheClientsOfARemovedBackendAndBack) {
  for (const SchedulerKind scheduler : source_hashes) {
    SchedulerWorld world;
    const ServiceSpec all{.scheduler = scheduler, .backends = weighted({10, 10, 10, 10, 10})};
    ServiceSpec rest = all;
    rest.backends.erase(rest.backends.begin() + 2);
    world.publish(all);
    const auto before = choices(world);
    world.publish(rest);
    const auto without = choices(world);
    world.publish(all);
    EXPECT_EQ(choices(world), before);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < clients; ++i) {
      if (before[i] != 2 && before[i] != without[i]) ++moved;
    }
    EXPECT_LE(moved, clients * 4 / 100);
  }
}

TEST(SourceHash, MovesTheClientsOfAnOverloadedBackendOnly) {
  for (const SchedulerKind scheduler : source_hashes) {
    SchedulerWorld world;
    std::vector<BackendSpec> backends = weighted({1, 1, 1, 1});
    world.publish({.scheduler = scheduler, .backends = backends});
    const auto before = choices(world);
    backends[1].upper = 1;
    world.publish({.scheduler = scheduler, .backends = backends});
    world.count_opened(1);
    const auto after = choices(world);
    std::map<uint32_t, uint32_t> refugees;
    for (uint32_t i = 0; i < clients; ++i) {
      if (before[i] == 1) {
        ++refugees[after[i]];
      } else {
        EXPECT_EQ(after[i], before[i]);
      }
    }
    EXPECT_EQ(refugees.count(1), 0);
    EXPECT_EQ(refugees.size(), 3) << "they spread over all others";
  }
}

TEST(SourceHash, FindsTheLastBackendThatIsNotOverloaded) {
  SchedulerWorld world(1, 512);
  std::vector<BackendSpec> backends = weighted(std::vector<uint32_t>(400, 1));
  for (BackendSpec& backend : backends)
    backend.upper = backend.id == 123 ? 0 : 1;
  world.publish({.scheduler = SchedulerKind::mh, .backends = backends});
  for (uint32_t i = 0; i < 400; ++i)
    world.count_opened(i);
  for (uint32_t client = 0; client < 100; ++client)
    EXPECT_EQ(world.open(from(client)), 123);
}

TEST(SourceHash, WithoutFallbackRefusesTheClientsOfAnUnusableBackend) {
  for (const SchedulerKind scheduler : source_hashes) {
    SchedulerWorld world;
    std::vector<BackendSpec> backends = weighted({1, 1, 1});
    const ServiceSpec spec{
        .scheduler = scheduler, .backends = backends, .flags = service_no_fallback};
    world.publish(spec);
    const auto before = choices(world);
    ServiceSpec quiet = spec;  // as LVS keeps the slots of a backend that went to weight 0
    quiet.backends[1].weight = 0;
    quiet.table_weights = {1, 1, 1};
    world.publish(quiet);
    const auto after = choices(world);
    for (uint32_t i = 0; i < clients; ++i) {
      EXPECT_EQ(after[i], before[i] == 1 ? SchedulerWorld::refused : before[i]);
    }
    quiet.flags = 0;
    world.publish(quiet);
    for (const uint32_t id : choices(world))
      EXPECT_NE(id, SchedulerWorld::refused);
  }
}

TEST(DestinationHash, LooksAtTheDestinationAlone) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::dh, .backends = weighted({1, 2, 3})});
  const uint32_t first = world.open(from(0));
  for (uint32_t client = 1; client < 64; ++client) {
    EXPECT_EQ(world.open(from(client, static_cast<uint16_t>(client))), first);
  }
  std::map<uint32_t, uint32_t> flows;
  for (uint32_t i = 0; i < 600; ++i) {
    NewFlow flow = from(1);
    flow.destination = net::Ipv4Address::from_host(0xc0000000 + i);
    ++flows[world.open(flow)];
  }
  EXPECT_EQ(flows.size(), 3);
}

TEST(StatelessChoice, IsTheSchedulersOwnForHashingServices) {
  for (const SchedulerKind scheduler : {SchedulerKind::sh, SchedulerKind::dh, SchedulerKind::mh}) {
    for (const uint32_t flags : {0U, static_cast<uint32_t>(service_hash_with_port)}) {
      SchedulerWorld world;
      world.publish({.scheduler = scheduler, .backends = weighted({3, 0, 2, 1}), .flags = flags});
      for (uint32_t client = 0; client < clients; ++client) {
        const NewFlow flow = from(client, static_cast<uint16_t>(client));
        EXPECT_EQ(stateless_backend(world.region(), world.block(), flow), world.look(flow));
      }
    }
  }
}

TEST(StatelessChoice, FollowsAddressAndPortForTheOthers) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::rr, .backends = weighted({1, 1, 2})});
  std::vector<uint32_t> flows(3);
  for (uint16_t port = 1000; port < 5000; ++port) {
    const uint32_t index = stateless_backend(world.region(), world.block(), from(1, port));
    ++flows.at(index);
    EXPECT_EQ(index, stateless_backend(world.region(), world.block(), from(1, port)));
  }
  EXPECT_NEAR(flows[0], 1000, 120);
  EXPECT_NEAR(flows[2], 2000, 150);
}

TEST(StatelessChoice, IsNoneWithoutTableOrWeight) {
  SchedulerWorld world;
  world.publish({.backends = weighted({0, 0})});
  EXPECT_EQ(stateless_backend(world.region(), world.block(), from(1)), none);
  ServiceBlock without_table = world.block();
  without_table.maglev = {};
  EXPECT_EQ(stateless_backend(world.region(), without_table, from(1)), none);
}

}  // namespace
}  // namespace headgate::dataplane
