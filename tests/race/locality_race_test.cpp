// Several workers at the memory of lblc and lblcr: whatever happens, nobody is told a server of
// another destination, and workers that see a destination for the first time together agree.
#include <array>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/locality.h"

namespace headgate::dataplane {
namespace {

#if defined(HEADGATE_TSAN) || defined(HEADGATE_ASAN)
constexpr uint32_t rounds = 2'000;
constexpr uint32_t steps = 20'000;
#else
constexpr uint32_t rounds = 20'000;
constexpr uint32_t steps = 300'000;
#endif
constexpr uint32_t threads = 4;
constexpr uint32_t servers_each = 16;

net::IpAddress destination(uint32_t n) {
  return net::Ipv4Address::from_host(0xc0000000 + n);
}

void run_all(auto&& work) {
  std::vector<std::jthread> running;
  for (uint32_t thread = 0; thread < threads; ++thread)
    running.emplace_back([&work, thread] { work(thread); });
}

// Destination n has the servers 16 n to 16 n + 15.
bool belongs(uint32_t server, uint32_t n) {
  return server / servers_each == n;
}

TEST(LocalityRace, NobodyIsToldAnotherDestinationsServer) {
  // More destinations than lines, so that these change hands all the time.
  constexpr uint32_t destinations = 24;
  LocalityTable table(5, 4);
  std::atomic<uint64_t> wrong{0};
  std::atomic<uint64_t> known_servers{0};
  run_all([&](uint32_t thread) {
    std::mt19937 random(thread);
    for (uint32_t step = 0; step < steps; ++step) {
      const Tick now = 1000 + step / 64;
      const uint32_t n = random() % destinations;
      Locality known = table.find(0, destination(n), now);
      for (uint32_t place = 0; place < locality_servers; ++place) {
        const uint32_t server = known.server(place);
        if (server == none) continue;
        known_servers.fetch_add(1, std::memory_order_relaxed);
        if (!belongs(server, n)) wrong.fetch_add(1);
      }
      const uint32_t place = random() % locality_servers;
      if (random() % 3 == 0 && known.server(place) != none) {
        (void)table.remove(known, place, now);
      } else {
        const uint32_t server = n * servers_each + random() % servers_each;
        if (!belongs(table.put(known, place, server, now), n)) wrong.fetch_add(1);
      }
    }
  });
  EXPECT_EQ(wrong.load(), 0U);
  EXPECT_GT(known_servers.load(), steps / 10) << "nothing was ever remembered";
}

TEST(LocalityRace, WorkersThatSeeADestinationFirstTogetherAgree) {
  LocalityTable table(5);
  std::array<uint32_t, threads> told{};
  std::atomic<uint32_t> round{0};
  uint32_t agreed = 0;
  uint32_t lost = 0;
  const auto judge = [&]() noexcept {
    const uint32_t n = round.fetch_add(1);
    const std::set<uint32_t> all(told.begin(), told.end());
    if (all.size() == 1) ++agreed;
    if (!all.contains(table.find(0, destination(n), 1000).server(0))) ++lost;
  };
  std::barrier gate(threads, judge);
  run_all([&](uint32_t thread) {
    for (uint32_t n = 0; n < rounds; ++n) {
      Locality known = table.find(0, destination(n), 1000);
      const uint32_t there = known.server(0);
      told[thread] = there != none ? there : table.put(known, 0, 100 + thread, 1000);
      gate.arrive_and_wait();
    }
  });
  EXPECT_EQ(lost, 0U) << "what is remembered is nobody's choice";
  EXPECT_GT(agreed, rounds / 10 * 9);
  std::printf("agreed in %u of %u rounds\n", agreed, rounds);
}

}  // namespace
}  // namespace headgate::dataplane
