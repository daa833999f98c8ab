// Generations: what they share, how they fail, when they are seen, and that a snapshot made step by
// step is the one that would be made from scratch.
#include "control/snapshot_builder.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "control/snapshot_walk.h"
#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

class SnapshotBuilderTest : public testing::Test {
 protected:
  // `services` services with four backends each on 10.1.0.0/16 and 10.2.0.0/16.
  void fill(int services, config::Mode mode = config::Mode::nat) {
    for (int s = 0; s < services; ++s) {
      config::Service service = make_service("192.0.2." + std::to_string(s + 1), 80, mode, {});
      for (int b = 0; b < 4; ++b) {
        service.backends.push_back(
            make_backend("10.1.0." + std::to_string((s * 4 + b) % 200 + 10), 80));
      }
      config_.services.push_back(service);
    }
  }
  [[nodiscard]] uint64_t block_of(size_t service) const {
    return offset_of(fixture_.service(config_.services[service]));
  }
  [[nodiscard]] uint64_t offset_of(const void* address) const {
    return static_cast<uint64_t>(static_cast<const std::byte*>(address) - fixture_.region().base());
  }

  SnapshotFixture fixture_;
  config::Config config_;
  control::KernelState kernel_ = two_networks();
};

TEST_F(SnapshotBuilderTest, FirstSnapshotIsGenerationOne) {
  EXPECT_EQ(fixture_.store->current(), nullptr);
  EXPECT_EQ(fixture_.apply_config(config_), 1U);
  EXPECT_EQ(fixture_.root().generation, 1U);
  EXPECT_EQ(fixture_.root().service_slots.count, 0U);
  EXPECT_EQ(fixture_.root().backend_chunks.count, 0U);
  EXPECT_EQ(fixture_.address_flags("192.0.2.1"), 0);
}

TEST_F(SnapshotBuilderTest, ServiceThatDidNotChangeKeepsItsBlock) {
  fill(3);
  fixture_.apply_kernel(kernel_);
  fixture_.apply_config(config_);
  const std::vector before{block_of(0), block_of(1), block_of(2)};
  const uint32_t serial = fixture_.service(config_.services[1])->serial;
  config_.services[1].backends[0].weight = 9;
  fixture_.apply_config(config_);
  EXPECT_EQ(block_of(0), before[0]);
  EXPECT_NE(block_of(1), before[1]);
  EXPECT_EQ(block_of(2), before[2]);
  EXPECT_NE(fixture_.service(config_.services[1])->serial, serial);
}

TEST_F(SnapshotBuilderTest, ChunkWithoutChangedRowIsShared) {
  fill(40);
  config::Service large = make_service("192.0.2.200", 80, config::Mode::nat, {});
  for (int b = 0; b < 300; ++b) {
    large.backends.push_back(make_backend(
        "10.1." + std::to_string(b / 200 + 1) + "." + std::to_string(b % 200 + 1), 80));
  }
  config_.services.push_back(large);
  fixture_.apply_kernel(kernel_);
  fixture_.apply_config(config_);
  const auto chunks = [&] {
    const auto list = control::elements(fixture_.region(), fixture_.root().backend_chunks);
    return std::vector(list.begin(), list.end());
  };
  const auto before = chunks();
  ASSERT_EQ(before.size(), 2U);
  config_.services.back().backends.back().weight = 0;  // the row's quiescent flag
  fixture_.apply_config(config_);
  EXPECT_EQ(chunks()[0], before[0]);
  EXPECT_NE(chunks()[1], before[1]);
}

TEST_F(SnapshotBuilderTest, BlocksOfTheNetworkAreSharedWhenEqual) {
  fill(2);
  add_neighbour(kernel_, 0, "10.1.0.10", "02:00:00:00:01:10");
  fixture_.apply_kernel(kernel_);
  fixture_.apply_config(config_);
  const dataplane::SnapshotRoot before = fixture_.root();
  config_.services[0].backends[0].upper_threshold = 5;
  fixture_.apply_config(config_);
  const dataplane::SnapshotRoot& after = fixture_.root();
  EXPECT_NE(after.service_slots, before.service_slots);
  EXPECT_EQ(after.address_slots, before.address_slots);
  EXPECT_EQ(after.backend_chunks, before.backend_chunks);
  EXPECT_EQ(after.next_hops, before.next_hops);
  EXPECT_EQ(after.neighbour_slots, before.neighbour_slots);
  EXPECT_EQ(after.routes_v4.ranges, before.routes_v4.ranges);
  EXPECT_EQ(after.interfaces, before.interfaces);
  EXPECT_EQ(after.ports, before.ports);

  add_neighbour(kernel_, 0, "10.1.0.11", "02:00:00:00:01:11");
  const dataplane::SnapshotRoot second = fixture_.root();
  fixture_.apply_kernel(kernel_);
  const dataplane::SnapshotRoot& third = fixture_.root();
  EXPECT_NE(third.next_hops, second.next_hops);
  EXPECT_EQ(third.service_slots, second.service_slots);
  EXPECT_EQ(third.backend_chunks, second.backend_chunks);
  EXPECT_EQ(third.routes_v4.routes, second.routes_v4.routes);
  EXPECT_EQ(third.routes_v6.ranges, second.routes_v6.ranges);
  EXPECT_EQ(third.address_slots, second.address_slots);
}

TEST_F(SnapshotBuilderTest, NothingIsPublishedWhenNothingDiffers) {
  fill(5, config::Mode::dr);
  fixture_.apply_kernel(kernel_);
  const uint64_t generation = fixture_.apply_config(config_);
  const auto usage = fixture_.arena->usage();
  EXPECT_EQ(fixture_.apply_config(config_), generation);
  EXPECT_EQ(fixture_.apply_kernel(kernel_), generation);
  EXPECT_EQ(fixture_.apply({}), generation);
  EXPECT_EQ(fixture_.arena->usage().blocks, usage.blocks);
  // What only the daemon remembers is taken over all the same.
  config_.services[0].drain_deadline_s = 5;
  EXPECT_EQ(fixture_.apply_config(config_), generation);
  const config::Backend gone = config_.services[0].backends[0];
  config_.services[0].backends.erase(config_.services[0].backends.begin());
  fixture_.apply_config(config_, 100);
  EXPECT_EQ(fixture_.backend(config_.services[0], gone)->deadline_tick,
            100 + 5 * dataplane::ticks_per_second);
}

TEST_F(SnapshotBuilderTest, PreparedChangeIsInvisibleUntilCommittedAndLeavesNothingWhenDropped) {
  fill(3);
  fixture_.apply_kernel(kernel_);
  fixture_.apply_config(config_);
  fixture_.store->poll();
  const auto before = describe(fixture_.region(), fixture_.root());
  const auto usage = fixture_.arena->usage();
  config::Config other = config_;
  other.services.erase(other.services.begin());
  other.services[0].backends.push_back(make_backend("10.2.0.77", 80));
  other.services.push_back(make_service("192.0.2.99", 443, config::Mode::dr, {"10.1.0.5"}));
  control::SnapshotChange change;
  change.config = &other;
  change.all_services = true;
  {
    const auto prepared = fixture_.builder->prepare(change);
    ASSERT_TRUE(prepared.has_value());
    EXPECT_FALSE(prepared->empty());
    EXPECT_GT(prepared->new_blocks(), 3U);
    EXPECT_EQ(describe(fixture_.region(), fixture_.root()), before);
  }
  EXPECT_EQ(fixture_.arena->usage().used_bytes, usage.used_bytes);
  EXPECT_EQ(fixture_.arena->usage().blocks, usage.blocks);
  EXPECT_FALSE(fixture_.builder->service_id(config::key_of(other.services.back())).has_value());
  EXPECT_EQ(fixture_.apply_config(config_), fixture_.store->generation()) << "nothing differs";
  EXPECT_EQ(describe(fixture_.region(), fixture_.root()), before);
}

TEST_F(SnapshotBuilderTest, FullArenaIsAnErrorAndTheSnapshotStaysAsItWas) {
  SnapshotFixture small({.arena_bytes = 512 << 10});
  fill(3);
  small.apply_kernel(kernel_);
  small.apply_config(config_);
  small.store->poll();
  const auto before = describe(small.region(), small.root());
  const auto usage = small.arena->usage();
  config::Config large = config_;
  large.services.erase(large.services.begin());
  for (int i = 0; i < 6; ++i) {
    config::Service service =
        make_service("192.0.2." + std::to_string(100 + i), 80, config::Mode::nat, {"10.1.0.5"});
    service.scheduler = config::Scheduler::mh;
    service.maglev_table_size = 65537;
    large.services.push_back(service);
  }
  control::SnapshotChange change;
  change.config = &large;
  change.all_services = true;
  const auto refused = small.builder->apply(change);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().text.find("memory.snapshot_mb"), std::string::npos);
  EXPECT_EQ(small.arena->usage().used_bytes, usage.used_bytes);
  EXPECT_EQ(describe(small.region(), small.root()), before);
  control::MaglevTables tables = small.builder->maglev_tables(change);
  tables.fill_all();
  EXPECT_FALSE(small.builder->prepare(change, std::move(tables)).has_value());
  EXPECT_EQ(small.arena->usage().used_bytes, usage.used_bytes);
  config_.services[0].backends[0].weight = 2;
  small.apply_config(config_);
  EXPECT_EQ(small.service(config_.services[0])->weight_max, 2U) << "small changes go on";
}

// Every allocation of a change fails in turn: nothing of it may remain.
TEST_F(SnapshotBuilderTest, FailureAtAnyAllocationLeavesNoTrace) {
  fill(6, config::Mode::dr);
  config::Config other = config_;
  other.services[0].backends[0].weight = 5;
  other.services[1].backends.pop_back();
  other.services.pop_back();
  other.services.push_back(make_service("192.0.2.99", 443, config::Mode::nat, {"10.2.0.5"}));
  control::SnapshotChange change;
  change.config = &other;
  change.all_services = true;
  bool succeeded = false;
  for (uint64_t spare = 0; !succeeded; spare += 256) {
    SnapshotFixture fixture({.arena_bytes = 1 << 20});
    fixture.apply_kernel(kernel_);
    fixture.apply_config(config_);
    fixture.store->poll();
    const auto before = describe(fixture.region(), fixture.root());
    // Fill up the arena but for `spare` bytes.
    const auto hole = fixture.arena->allocate(spare);
    std::vector<control::Block> ballast;
    for (uint64_t bytes = 1 << 20; bytes >= 64; bytes /= 2) {
      while (const auto block = fixture.arena->allocate(bytes))
        ballast.push_back(*block);
    }
    fixture.arena->free(*hole);
    const auto usage = fixture.arena->usage();
    const auto result = fixture.builder->apply(change);
    succeeded = result.has_value();
    if (!succeeded) {
      ASSERT_EQ(fixture.arena->usage().used_bytes, usage.used_bytes) << spare;
      ASSERT_EQ(describe(fixture.region(), fixture.root()), before) << spare;
    }
    for (const control::Block& block : ballast)
      fixture.arena->free(block);
    fixture.apply(change);
    ASSERT_EQ(fixture.service(other.services[0])->weight_max, 5U);
  }
}

TEST_F(SnapshotBuilderTest, OldBlocksAreFreedWhenTheLastReaderHasLeft) {
  fill(3, config::Mode::dr);
  fixture_.apply_kernel(kernel_);
  fixture_.apply_config(config_);
  fixture_.store->poll();
  const uint64_t used = fixture_.arena->usage().used_bytes;
  fixture_.grace.online(0);
  config_.services[0].backends[0].weight = 7;
  const uint64_t generation = fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.store->poll(), 1U);
  EXPECT_FALSE(fixture_.store->visible(generation));
  EXPECT_GT(fixture_.arena->usage().used_bytes, used);
  fixture_.grace.quiescent(0);
  EXPECT_TRUE(fixture_.store->visible(generation));
  EXPECT_EQ(fixture_.store->poll(), 0U);
  EXPECT_TRUE(fixture_.store->visible(generation));
  EXPECT_EQ(fixture_.arena->usage().used_bytes, used);
  EXPECT_FALSE(fixture_.store->visible(generation + 1));
  fixture_.grace.offline(0);
}

TEST_F(SnapshotBuilderTest, GenerationIsVisibleWhenEveryWorkerHasCountedIt) {
  const uint64_t generation = fixture_.apply_config(config_);
  fixture_.grace.online(2);  // a reader that is no worker, in a long dump
  config_.services = {make_service("192.0.2.1", 80, config::Mode::nat, {})};
  const uint64_t next = fixture_.apply_config(config_);
  dataplane::counter_rows(fixture_.region(), 0).worker->set_generation(next);
  EXPECT_FALSE(fixture_.store->visible(next));
  dataplane::counter_rows(fixture_.region(), 1).worker->set_generation(generation);
  EXPECT_FALSE(fixture_.store->visible(next));
  dataplane::counter_rows(fixture_.region(), 1).worker->set_generation(next);
  EXPECT_TRUE(fixture_.store->visible(next));
  EXPECT_EQ(fixture_.store->poll(), 1U) << "the dump may still read the old one";
  fixture_.grace.offline(2);
  EXPECT_EQ(fixture_.store->poll(), 0U);
}

TEST_F(SnapshotBuilderTest, ManyChangesInARowWaitForOneReader) {
  fill(3);
  fixture_.apply_kernel(kernel_);
  fixture_.apply_config(config_);
  fixture_.store->poll();
  const uint64_t used = fixture_.arena->usage().used_bytes;
  fixture_.grace.online(1);
  for (uint16_t weight = 2; weight < 202; ++weight) {
    config_.services[0].backends[0].weight = weight;
    fixture_.apply_service(config_, config_.services[0]);
  }
  EXPECT_EQ(fixture_.store->poll(), 200U);
  fixture_.grace.quiescent(1);
  EXPECT_EQ(fixture_.store->poll(), 0U);
  EXPECT_EQ(fixture_.arena->usage().used_bytes, used);
  fixture_.grace.offline(1);
}

TEST_F(SnapshotBuilderTest, ChangesMerge) {
  control::SnapshotChange first;
  first.config = &config_;
  first.services = {config::key_of(make_service("192.0.2.1", 80, config::Mode::nat, {}))};
  first.kernel_parts.routes = true;
  control::SnapshotChange second;
  second.kernel = &kernel_;
  second.kernel_parts.neighbours = true;
  second.services = {config::key_of(make_service("192.0.2.2", 80, config::Mode::nat, {}))};
  second.now = 9;
  first.merge(second);
  EXPECT_EQ(first.config, &config_);
  EXPECT_EQ(first.services.size(), 2U);
  EXPECT_EQ(first.kernel, &kernel_);
  EXPECT_TRUE(first.kernel_parts.routes && first.kernel_parts.neighbours);
  EXPECT_FALSE(first.kernel_parts.links);
  EXPECT_EQ(first.now, 9U);
}

// ---- random changes -----------------------------------------------------------------------------

class RandomWorld {
 public:
  explicit RandomWorld(uint32_t seed) : random_(seed) { kernel = two_networks(); }

  config::Config config;
  control::KernelState kernel;

  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  net::IpAddress server() {
    const uint32_t n = below(30) + 10;
    switch (below(4)) {
      case 0:
        return ip("10.1.0." + std::to_string(n));
      case 1:
        return ip("10.2.0." + std::to_string(n));
      case 2:
        return ip("172.16." + std::to_string(below(3)) + "." + std::to_string(n));
      default:
        return ip("fd0" + std::to_string(1 + below(2)) + "::" + std::to_string(n));
    }
  }

  config::Service new_service() {
    config::Service service;
    do {
      service.address = ip("192.0.2." + std::to_string(below(12) + 1));
      service.port = static_cast<uint16_t>(80 + below(2));
    } while (std::ranges::any_of(config.services, [&](const config::Service& other) {
      return config::key_of(other) == config::key_of(service);
    }));
    change(service);
    return service;
  }

  void change(config::Service& service) {
    service.mode = static_cast<config::Mode>(below(4));
    service.scheduler = static_cast<config::Scheduler>(below(10));
    service.maglev_table_size = 251;
    if (below(3) == 0)
      service.persistence = config::Persistence{.timeout_s = 1 + below(100), .netmask = {}};
    if (below(3) == 0) service.local_addresses = {ip("10.1.0." + std::to_string(200 + below(5)))};
    if (below(3) == 0) service.local_addresses.clear();
    while (!service.backends.empty() && below(3) == 0) {
      service.backends.erase(service.backends.begin() + below(service.backends.size()));
    }
    while (below(3) != 0) {
      config::Backend backend;
      backend.address = server();
      backend.port = 80;
      if (std::ranges::any_of(service.backends, [&](const config::Backend& other) {
            return config::key_of(other) == config::key_of(backend);
          })) {
        continue;
      }
      service.backends.insert(service.backends.begin() + below(service.backends.size() + 1),
                              backend);
    }
    for (config::Backend& backend : service.backends) {
      if (below(2) == 0) backend.weight = static_cast<uint16_t>(below(4));
      if (below(8) == 0) backend.upper_threshold = below(100);
    }
  }

  control::KernelParts change_kernel() {
    switch (below(3)) {
      case 0: {
        kernel.neighbours.clear();
        std::set<std::pair<uint16_t, std::string>> seen;
        for (uint32_t n = below(20); n > 0; --n) {
          const auto i = static_cast<uint16_t>(below(2));
          const std::string address =
              "10." + std::to_string(i + 1) + ".0." + std::to_string(10 + below(30));
          if (seen.emplace(i, address).second) {
            add_neighbour(kernel, i, address, "02:00:00:00:00:" + std::to_string(10 + below(80)));
          }
        }
        return {.neighbours = true};
      }
      case 1: {
        std::erase_if(kernel.routes, [](const control::KernelRoute& route) {
          return route.prefix.address.bytes[0] == 172;
        });
        for (uint32_t third = 0; third < 3; ++third) {
          if (below(2) == 0) continue;
          control::KernelRoute route;
          route.prefix = prefix("172.16." + std::to_string(third) + ".0/24");
          route.kind = static_cast<control::KernelRouteKind>(below(4));
          route.hops = {{.interface = static_cast<uint16_t>(below(2)), .gateway = {}}};
          if (below(2) == 0) {
            route.hops[0].gateway =
                ip("10." + std::to_string(route.hops[0].interface + 1) + ".0.254");
          }
          if (below(3) == 0) route.mtu = 1300;
          kernel.routes.push_back(route);
        }
        std::ranges::sort(kernel.routes);
        return {.routes = true};
      }
      default:
        kernel.interfaces[1].mtu = static_cast<uint16_t>(1400 + below(2) * 100);
        return {.links = true};
    }
  }

 private:
  std::mt19937 random_;
};

// Frees every id that may go, so that nothing of the past is in the snapshot.
void forget_the_past(const SnapshotFixture& fixture) {
  for (int i = 0; i < 4; ++i) {
    fixture.store->poll();
    if (!fixture.builder->reclaimable()) continue;
    control::SnapshotChange change;
    change.reclaim = true;
    fixture.apply(change);
  }
}

void step(RandomWorld& world, const SnapshotFixture& fixture) {
  control::SnapshotChange change;
  config::ServiceKey key;
  const uint32_t kind = world.below(10);
  if (kind < 3) {
    change.kernel_parts = world.change_kernel();
    change.kernel = &world.kernel;
  } else if (kind < 5 || world.config.services.empty()) {
    if (world.config.services.size() >= 12) return;
    world.config.services.push_back(world.new_service());
    key = config::key_of(world.config.services.back());
  } else if (kind < 6) {
    const uint32_t victim = world.below(static_cast<uint32_t>(world.config.services.size()));
    key = config::key_of(world.config.services[victim]);
    world.config.services.erase(world.config.services.begin() + victim);
  } else {
    auto& service =
        world.config.services[world.below(static_cast<uint32_t>(world.config.services.size()))];
    world.change(service);
    key = config::key_of(service);
  }
  if (change.kernel == nullptr) {
    change.config = &world.config;
    change.services = {key};
    change.all_services = world.below(4) == 0;
  }
  fixture.apply(change);
}

TEST(SnapshotRandom, StepByStepIsAsFromScratch) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    RandomWorld world(seed);
    world.config.forwarding.local_addresses = {ip("10.1.0.250")};
    const SnapshotFixture fixture;
    fixture.apply_kernel(world.kernel);
    fixture.apply_config(world.config);
    for (int i = 0; i < 60; ++i) {
      step(world, fixture);
      fixture.store->poll();
      if (i % 6 != 5) continue;
      forget_the_past(fixture);
      const SnapshotFixture scratch;
      scratch.apply_kernel(world.kernel);
      scratch.apply_config(world.config);
      ASSERT_EQ(describe(fixture.region(), fixture.root()),
                describe(scratch.region(), scratch.root()))
          << "seed " << seed << " step " << i;
      auto wanted = fixture.builder->wanted_neighbours();
      ASSERT_EQ(wanted, scratch.builder->wanted_neighbours());
    }
    // Without the world all memory comes back.
    fixture.apply_config({});
    forget_the_past(fixture);
    fixture.apply_kernel({});
    forget_the_past(fixture);
    const SnapshotFixture empty;
    empty.apply_kernel({});
    empty.apply_config({});
    EXPECT_EQ(describe(fixture.region(), fixture.root()), describe(empty.region(), empty.root()));
  }
}

}  // namespace
}  // namespace headgate::test
