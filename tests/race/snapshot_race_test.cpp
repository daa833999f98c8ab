// Readers under a storm of changes. Every change writes one stamp into blocks of many kinds, and
// takes backends and services away and brings others; a reader that finds two stamps in one
// snapshot, or bytes of freed memory, has caught a fault. Builds with AddressSanitizer and
// ThreadSanitizer see it as well, since freed blocks are poisoned and overwritten.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "control/snapshot_walk.h"
#include "dataplane/conn_state.h"
#include "dataplane/foreign_snapshot.h"
#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

using control::elements;
using dataplane::SnapshotRoot;

constexpr uint32_t readers = 2;
constexpr int services = 8;
#if defined(HEADGATE_TSAN) || defined(HEADGATE_ASAN)
constexpr uint32_t changes = 3'000;
#else
constexpr uint32_t changes = 20'000;
#endif

// The configuration and the kernel's state with a stamp in every part.
class World {
 public:
  World() : kernel_(two_networks()) {
    add_neighbour(kernel_, 0, "10.1.0.254", "02:00:00:00:00:00");
    add_neighbour(kernel_, 1, "10.2.0.11", "02:00:00:00:00:00");
    for (int s = 0; s < services; ++s) {
      const auto mode = s % 2 == 0 ? config::Mode::dr : config::Mode::ipip;
      config_.services.push_back(
          make_service("192.0.2." + std::to_string(s + 1), 80, mode,
                       {"10.2.0.11", "10.2.0.12", "10.1.0.13", "172.16.0.14"}));
    }
  }

  void stamp(uint32_t stamp) {
    config_.timeouts.udp_s = stamp;
    for (config::Service& service : config_.services) {
      for (config::Backend& backend : service.backends)
        backend.upper_threshold = stamp;
    }
    for (control::KernelNeighbour& neighbour : kernel_.neighbours) {
      for (int i = 0; i < 4; ++i) {
        neighbour.mac.bytes[2 + i] = static_cast<uint8_t>(stamp >> (8 * i));
      }
    }
    // Comes and goes, with its backend.
    std::erase_if(config_.services, [](const auto& service) { return service.port == 8080; });
    if (stamp % 2 == 1) {
      config_.services.push_back(make_service("192.0.2.100", 8080, config::Mode::nat,
                                              {"10.1.0." + std::to_string(50 + stamp % 100)}));
      config_.services.back().backends[0].upper_threshold = stamp;
    }
  }

  [[nodiscard]] control::SnapshotChange change() const {
    control::SnapshotChange change;
    change.config = &config_;
    change.settings = true;
    change.all_services = true;
    change.kernel = &kernel_;
    change.kernel_parts = {.links = false, .routes = false, .neighbours = true};
    change.reclaim = true;
    return change;
  }
  [[nodiscard]] const control::KernelState& kernel() const { return kernel_; }

 private:
  config::Config config_;
  control::KernelState kernel_;
};

uint32_t stamp_of(const net::MacAddress& mac) {
  uint32_t stamp = 0;
  for (int i = 0; i < 4; ++i)
    stamp |= uint32_t{mac.bytes[2 + i]} << (8 * i);
  return stamp;
}

// What is wrong with a snapshot, or null. `pause` is called in the middle.
template <typename Pause>
const char* fault_in(dataplane::RegionView region, const SnapshotRoot& root, Pause pause) {
  const uint32_t ticks =
      root.settings.timeout_ticks[static_cast<uint32_t>(dataplane::ConnState::udp)];
  const uint32_t stamp = ticks / dataplane::ticks_per_second;
  pause();
  int count = 0;
  for (const dataplane::ServiceSlot& slot : elements(region, root.service_slots)) {
    if (!slot.block) continue;
    ++count;
    const dataplane::ServiceBlock& service = *region.at(slot.block);
    if (dataplane::find_service(region, root, service.vip, service.protocol, service.port) !=
        &service) {
      return "a service is not found by its own key";
    }
    if ((dataplane::find_address(region, root, service.vip) & dataplane::address_vip) == 0) {
      return "a VIP is not in the address table";
    }
    for (const dataplane::ServiceBackend& backend : elements(region, service.backends)) {
      if (backend.upper_threshold != stamp) return "a service of another generation";
      const dataplane::BackendRow* row = dataplane::find_backend(region, root, backend.backend_id);
      if (row == nullptr || row->service_id != service.id) return "a backend without its row";
      if (row->flags != 0) return "a backend in use that is flagged as removed";
      if (row->next_hop >= root.next_hops.count) return "a next hop that is not there";
    }
    for (const uint16_t entry : elements(region, service.maglev)) {
      if (entry >= service.backends.count) return "a Maglev entry that is no backend";
    }
  }
  if (count != services + static_cast<int>(stamp % 2)) return "a service too many or too few";
  for (const std::string_view gateway : {"10.1.0.254", "10.2.0.11"}) {
    const uint16_t interface = gateway == "10.1.0.254" ? 0 : 1;
    const uint32_t index = dataplane::find_neighbour(region, root, ip(gateway), interface);
    if (index == dataplane::none) return "a neighbour is missing";
    const dataplane::NextHop& hop = region.element(root.next_hops, index);
    if (stamp_of(hop.destination) != stamp) return "a next hop of another generation";
  }
  return nullptr;
}

// Of these one is always another router's.
const std::array<net::IpAddress, 2> owned_by_turns{ip("192.0.2.1"), ip("192.0.2.2")};

const char* ownership_fault_in(dataplane::RegionView region, const SnapshotRoot& root) {
  const bool one = dataplane::is_inactive(region, root, owned_by_turns[0]);
  const bool other = dataplane::is_inactive(region, root, owned_by_turns[1]);
  return one == other ? "ownership of two generations, or none" : nullptr;
}

struct Storm {
  SnapshotFixture fixture{{.workers = readers, .max_services = 16, .max_backends = 512}};
  World world;
  bool ownership = false;  // changes as well
  std::atomic<bool> stop{false};
  std::atomic<const char*> fault{nullptr};
  std::array<std::atomic<uint64_t>, readers> snapshots{};  // different ones that a reader saw

  void read(uint32_t reader, bool without_grace, std::chrono::milliseconds hold) {
    dataplane::CounterRows rows = dataplane::counter_rows(fixture.region(), reader);
    uint64_t last = 0;
    if (!without_grace) fixture.grace.online(reader);
    while (!stop.load(std::memory_order_relaxed)) {
      const SnapshotRoot* root = fixture.memory.header().published.load(fixture.region());
      const char* found = fault_in(fixture.region(), *root, [&] {
        if (hold.count() != 0) std::this_thread::sleep_for(hold);
      });
      if (found == nullptr && ownership) found = ownership_fault_in(fixture.region(), *root);
      if (root->generation < last) found = "a generation older than the last";
      if (found != nullptr) fault.store(found, std::memory_order_relaxed);
      if (root->generation != last) snapshots[reader].fetch_add(1, std::memory_order_relaxed);
      last = root->generation;
      rows.worker->set_generation(last);
      if (!without_grace) fixture.grace.quiescent(reader);
      if (!without_grace && last % 64 == reader) {  // sleeps now and then, as adaptive workers do
        fixture.grace.offline(reader);
        std::this_thread::yield();
        fixture.grace.online(reader);
      }
    }
    if (!without_grace) fixture.grace.offline(reader);
  }

  // Returns the bytes in use before the storm.
  uint64_t begin() {
    world.stamp(2);
    fixture.apply_kernel(world.kernel());
    fixture.apply(world.change());
    settle();
    return fixture.arena->usage().used_bytes;
  }
  void blow(uint32_t count) {
    for (uint32_t stamp = 3; stamp < 3 + count && fault.load() == nullptr; ++stamp) {
      world.stamp(stamp);
      (void)fixture.builder->reclaimable();
      auto generation = fixture.builder->apply(world.change());
      // Readers that got no time on this machine's cores hold old snapshots: wait for them.
      while (!generation || fixture.store->poll() > 100) {
        std::this_thread::yield();
        fixture.store->poll();
        if (!generation) generation = fixture.builder->apply(world.change());
      }
    }
  }
  void own(uint32_t turn) {
    EXPECT_TRUE(fixture.builder->set_ownership({{owned_by_turns[turn % 2]}, {}}).has_value());
  }
  // One change prepared by a helper, and beside it changes of ownership. Returns how many.
  uint32_t change_beside_ownership(uint32_t turn) {
    std::atomic<bool> ready{false};
    std::expected<control::PreparedSnapshot, control::Error> prepared =
        std::unexpected(control::Error{});
    const control::SnapshotChange change = world.change();
    std::thread helper([&] {
      prepared = fixture.builder->prepare(change);
      ready.store(true, std::memory_order_release);
    });
    uint32_t turns = 0;
    while (!ready.load(std::memory_order_acquire)) {
      if (fixture.store->poll() < 100) own(turn + turns++);
      std::this_thread::yield();
    }
    helper.join();
    if (prepared) fixture.builder->commit(std::move(*prepared));
    return turns;
  }
  void settle() {
    for (int i = 0; i < 4; ++i) {
      fixture.store->poll();
      if (fixture.builder->reclaimable()) fixture.apply(world.change());
    }
    fixture.store->poll();
  }
};

TEST(SnapshotRace, OwnershipChangesBesideWhatIsPreparedAndIsNeverLost) {
  Storm storm;
  storm.begin();
  storm.own(0);
  storm.ownership = true;
  std::vector<std::thread> threads;
  threads.reserve(readers);
  for (uint32_t reader = 0; reader < readers; ++reader) {
    threads.emplace_back([&storm, reader] { storm.read(reader, false, {}); });
  }
  uint32_t turn = 1;
  for (uint32_t stamp = 3; stamp < 3 + changes / 100 && storm.fault.load() == nullptr; ++stamp) {
    storm.world.stamp(stamp);
    (void)storm.fixture.builder->reclaimable();
    turn += storm.change_beside_ownership(turn);
    const auto& last = owned_by_turns[(turn - 1) % 2];
    EXPECT_TRUE(dataplane::is_inactive(storm.fixture.region(), storm.fixture.root(), last));
  }
  storm.stop = true;
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(storm.fault.load(), nullptr) << storm.fault.load();
  EXPECT_GT(turn, 1U) << "nothing came beside";
  std::printf("    %u changes of ownership\n", turn);
}

TEST(SnapshotRace, ReadersSeeOneGenerationEachAndNeverFreedMemory) {
  Storm storm;
  const uint64_t used = storm.begin();
  std::vector<std::thread> threads;
  threads.reserve(readers);
  for (uint32_t reader = 0; reader < readers; ++reader) {
    threads.emplace_back([&storm, reader] { storm.read(reader, false, {}); });
  }
  const auto begin = std::chrono::steady_clock::now();
  storm.blow(changes);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  storm.stop = true;
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(storm.fault.load(), nullptr) << storm.fault.load();
  std::printf("    %.0f changes a second\n", changes / seconds.count());
  for (uint32_t reader = 0; reader < readers; ++reader) {
    std::printf("    reader %u saw %lu of %u generations\n", reader, storm.snapshots[reader].load(),
                changes);
    EXPECT_GT(storm.snapshots[reader].load(), changes / 1000);
  }
  storm.world.stamp(2);
  storm.fixture.apply(storm.world.change());
  storm.settle();
  EXPECT_EQ(storm.fixture.arena->usage().used_bytes, used) << "memory has leaked";
}

TEST(SnapshotRace, SlowReaderKeepsWhatItReads) {
  Storm storm;
  storm.begin();
  std::thread slow([&storm] { storm.read(0, false, std::chrono::milliseconds(20)); });
  for (int i = 0; i < 20; ++i) {
    storm.blow(40);
    storm.world.stamp(2);
    storm.fixture.apply(storm.world.change());
  }
  storm.stop = true;
  slow.join();
  EXPECT_EQ(storm.fault.load(), nullptr) << storm.fault.load();
}

// The deliberate fault: a reader that does not take part in grace periods, so that what it reads is
// freed under its hands. Runs in a process of its own, which has to end badly.
[[noreturn]] void read_without_grace() {
  Storm storm;
  storm.begin();
  std::thread reader([&storm] { storm.read(0, true, std::chrono::milliseconds(20)); });
  for (int i = 0; i < 100 && storm.fault.load() == nullptr; ++i) {
    storm.blow(50);
    storm.world.stamp(2);
    storm.fixture.apply(storm.world.change());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  storm.stop = true;
  reader.join();
  if (storm.fault.load() != nullptr) {
    std::fprintf(stderr, "caught: %s\n", storm.fault.load());
    std::_Exit(3);
  }
  std::_Exit(0);
}

TEST(SnapshotRaceDeathTest, FreeingTooEarlyIsCaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
#if defined(HEADGATE_ASAN)
  // Whichever of the two sanitizers meets the poison, or what else lies there by then, first.
  const char* const report = "AddressSanitizer|runtime error|caught";
#elif defined(HEADGATE_TSAN)
  const char* const report = "data race|caught";
#else
  const char* const report = "";  // a fault that was found, or a signal when nonsense was followed
#endif
  EXPECT_EXIT(
      read_without_grace(),
      [](int status) { return WIFSIGNALED(status) || WEXITSTATUS(status) != 0; }, report);
}

// Another process maps the region read-only and copies; what it finds whole is of one generation.
TEST(SnapshotRace, AnotherProcessKnowsWhenItsCopyIsWhole) {
  Storm storm;
  storm.begin();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto memory = control::RegionMemory::attach(storm.fixture.memory.fd());
    if (!memory) _exit(1);
    int whole = 0;
    uint32_t last = 0;
    for (int tries = 0; tries < 50'000'000 && (whole < 200 || last != 2); ++tries) {
      const dataplane::ForeignSnapshot snapshot(memory->view());
      SnapshotRoot root;
      std::vector<dataplane::ServiceSlot> slots;
      if (!snapshot.copy_root(root) || !snapshot.copy(root.service_slots, slots)) continue;
      const uint32_t stamp =
          root.settings.timeout_ticks[static_cast<uint32_t>(dataplane::ConnState::udp)] /
          dataplane::ticks_per_second;
      bool same = true;
      bool copied = true;
      for (const dataplane::ServiceSlot& slot : slots) {
        if (!slot.block) continue;
        dataplane::ServiceBlock block;
        std::vector<dataplane::ServiceBackend> backends;
        copied =
            copied && snapshot.copy(slot.block, block) && snapshot.copy(block.backends, backends);
        if (!copied) break;
        for (const auto& backend : backends)
          same = same && backend.upper_threshold == stamp;
      }
      if (!snapshot.whole()) continue;
      if (!copied) _exit(2);
      if (!same) _exit(3);
      ++whole;
      last = stamp;
    }
    _exit(whole >= 200 && last == 2 ? 0 : 4);
  }
  storm.blow(changes / 4);
  storm.world.stamp(2);
  storm.fixture.apply(storm.world.change());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace headgate::test
