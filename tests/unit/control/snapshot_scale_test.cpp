// A large configuration: how long the parts of a change take (printed, not asserted: machines
// differ), and how little of it a small change makes anew (asserted).
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "control/snapshot_walk.h"
#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

constexpr int services = 5000;
constexpr int backends_each = 8;

std::string address_of(int base, int n) {
  return std::to_string(base) + "." + std::to_string(n / 62500) + "." +
         std::to_string(n / 250 % 250) + "." + std::to_string(n % 250 + 1);
}

// Time of this thread on a core: what else runs on the machine does not count.
double cpu_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

class Stopwatch {
 public:
  void print(const char* what) {
    std::printf("    %-58s %9.3f ms\n", what, cpu_ms() - begin_ms_);
    begin_ms_ = cpu_ms();
  }

 private:
  double begin_ms_ = cpu_ms();
};

config::Config large_config(config::Mode mode) {
  config::Config config;
  for (int s = 0; s < services; ++s) {
    config::Service service = make_service(address_of(100, s), 80, mode, {});
    for (int b = 0; b < backends_each; ++b) {
      service.backends.push_back(make_backend(address_of(10, s * backends_each + b), 80));
    }
    config.services.push_back(std::move(service));
  }
  return config;
}

// Every backend is a neighbour: 40,000 of them on one wire.
control::KernelState large_kernel() {
  control::KernelState kernel = two_networks();
  kernel.routes.erase(kernel.routes.begin(), kernel.routes.end());
  control::KernelRoute route;
  route.prefix = prefix("10.0.0.0/8");
  route.hops = {{.interface = 0, .gateway = {}}};
  kernel.routes.push_back(route);
  for (int n = 0; n < services * backends_each; ++n) {
    net::MacAddress address = mac("02:00:00:00:00:00");
    address.bytes[3] = static_cast<uint8_t>(n >> 16);
    address.bytes[4] = static_cast<uint8_t>(n >> 8);
    address.bytes[5] = static_cast<uint8_t>(n);
    kernel.neighbours.push_back({.interface = 0, .address = ip(address_of(10, n)), .mac = address});
  }
  return kernel;
}

class SnapshotScale : public testing::TestWithParam<config::Mode> {
 protected:
  SnapshotScale()
      : fixture_({.workers = 2,
                  .max_services = 8192,
                  .max_backends = 65536,
                  .arena_bytes = 512U << 20}) {}

  SnapshotFixture fixture_;
};

TEST_P(SnapshotScale, SmallChangesOfALargeConfigurationAreSmall) {
  config::Config config = large_config(GetParam());
  control::KernelState kernel = large_kernel();
  Stopwatch watch;
  fixture_.apply_kernel(kernel);
  watch.print("kernel: 40,000 neighbours");

  control::SnapshotChange all;
  all.config = &config;
  all.all_services = true;
  all.settings = true;
  control::MaglevTables tables = fixture_.builder->maglev_tables(all);
  watch.print("which Maglev tables are needed");
  tables.fill_all();
  watch.print("filling them, on one thread");
  auto prepared = fixture_.builder->prepare(all, std::move(tables));
  watch.print("prepare: 5,000 services, 40,000 backends, from nothing");
  ASSERT_TRUE(prepared.has_value()) << prepared.error().text;
  fixture_.builder->commit(std::move(*prepared));
  watch.print("commit");
  fixture_.store->poll();
  const uint64_t used = fixture_.arena->usage().used_bytes;

  const uint64_t generation = fixture_.apply(all);
  watch.print("the same configuration again: nothing differs");
  EXPECT_EQ(generation, fixture_.store->generation());

  config.services[2500].backends[3].weight = 0;
  control::SnapshotChange one;
  one.config = &config;
  one.services = {config::key_of(config.services[2500])};
  auto small = fixture_.builder->prepare(one);
  watch.print("prepare: weight of one backend");
  ASSERT_TRUE(small.has_value());
  EXPECT_LE(small->new_blocks(), 6U) << "service, table, slots, chunk, list of chunks, root";
  fixture_.builder->commit(std::move(*small));
  watch.print("commit");

  config.services[2500].backends.push_back(make_backend("10.200.0.1", 80));
  fixture_.apply(one);
  watch.print("one backend more");
  config.services[2500].backends.pop_back();
  config.services[2500].backends[3].weight = 1;
  fixture_.apply(one);
  watch.print("one backend less");
  one.now = 1;
  kernel.neighbours[777].mac.bytes[1] = 1;
  control::SnapshotChange moved;
  moved.kernel = &kernel;
  moved.kernel_parts.neighbours = true;
  fixture_.apply(moved);
  watch.print("one neighbour's MAC");
  moved.kernel_parts = {.links = false, .routes = true, .neighbours = false};
  kernel.routes[0].mtu = 1400;
  fixture_.apply(moved);
  watch.print("one route: 40,000 backends find their way anew");
  kernel.routes[0].mtu = 0;
  kernel.neighbours[777].mac.bytes[1] = 0;
  fixture_.apply_kernel(kernel);
  for (int i = 0; i < 3; ++i) {
    fixture_.store->poll();
    if (!fixture_.builder->reclaimable()) continue;
    control::SnapshotChange reclaim;
    reclaim.reclaim = true;
    fixture_.apply(reclaim);
  }
  fixture_.store->poll();
  EXPECT_NEAR(static_cast<double>(fixture_.arena->usage().used_bytes), static_cast<double>(used),
              64.0 * 1024);
  std::printf("    arena: %.1f MB in use, at most %.1f MB\n", static_cast<double>(used) / 1e6,
              static_cast<double>(fixture_.arena->usage().peak_bytes) / 1e6);
}

// What a change of mastership waits for, while a helper prepares 40,000 backends: nothing but the
// processor. A thousand virtual routers with a VIP each, one of them moving at a time.
TEST_P(SnapshotScale, OwnershipDoesNotWaitForALargeConfiguration) {
  const config::Config config = large_config(GetParam());
  control::SnapshotChange all;
  all.config = &config;
  all.all_services = true;
  all.settings = true;
  control::Ownership ownership;
  for (int n = 0; n < 1000; ++n)
    ownership.inactive.push_back(ip(address_of(100, n)));
  fixture_.apply({});
  std::atomic<bool> prepared{false};
  std::thread helper([&] {
    control::MaglevTables tables = fixture_.builder->maglev_tables(all);
    tables.fill_all();
    auto snapshot = fixture_.builder->prepare(all, std::move(tables));
    EXPECT_TRUE(snapshot.has_value());
    prepared.store(true);
  });
  int before_it = 0;
  double longest_ms = 0;
  do {
    ownership.inactive.pop_back();
    const double begin_ms = cpu_ms();
    EXPECT_TRUE(fixture_.builder->set_ownership(ownership).has_value());
    longest_ms = std::max(longest_ms, cpu_ms() - begin_ms);
    EXPECT_EQ(fixture_.root().ownership_slots.count == 0, ownership.inactive.empty());
    before_it += prepared.load() ? 0 : 1;
    fixture_.store->poll();
  } while (!prepared.load() && !ownership.inactive.empty());
  helper.join();
  std::printf("    %d changes of ownership beside it, each at most %18.3f ms\n", before_it,
              longest_ms);
  EXPECT_GT(before_it, 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, SnapshotScale, testing::Values(config::Mode::nat, config::Mode::dr),
                         [](const auto& mode) {
                           return mode.param == config::Mode::nat ? "Nat" : "Dr";
                         });

}  // namespace
}  // namespace headgate::test
