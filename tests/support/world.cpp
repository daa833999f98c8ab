#include "tests/support/world.h"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "dataplane/region_layout.h"

namespace headgate::tests {
namespace {

using namespace headgate::dataplane;

constexpr unsigned request_entries = 1024;

[[noreturn]] void fail(const char* what, const std::string& why) {
  std::fprintf(stderr, "world: %s: %s\n", what, why.c_str());
  std::exit(2);
}

std::string text_of(const std::string& error) {
  return error;
}
std::string text_of(const control::Error& error) {
  return error.text;
}
template <typename E>
std::string text_of(const E& error) {
  return error.text();
}

template <typename T, typename E>
T must(std::expected<T, E> value, const char* what) {
  if (!value) fail(what, text_of(value.error()));
  return std::move(*value);
}

// Names of rings are unique in the process.
std::string new_name(const char* what) {
  static int number = 0;
  return fmt::format("{}{}", what, ++number);
}

}  // namespace

World::World(const WorldOptions& options) {
  make_tables(options);
  builder =
      std::make_unique<control::SnapshotBuilder>(*arena, *store, *counters, options.interfaces);
  for (uint32_t i = 0; i < options.workers; ++i)
    make_worker(options, i);
}

World::~World() {
  for (const auto& worker : workers) {
    worker->held.sweep([](const HeldPacket& packet) {
      rte_pktmbuf_free(packet.mbuf);
      return true;
    });
  }
  workers.clear();
  rings.clear();
  rte_ring_free(shared.neighbour_requests);
  builder.reset();
  store.reset();
}

void World::make_tables(const WorldOptions& options) {
  const ConnTableLimits limits{.capacity4 = options.capacity_v4,
                               .capacity6 = options.capacity_v6,
                               .workers = options.workers,
                               .other_actors = 1};
  const RegionLimits region_limits{.workers = options.workers,
                                   .max_services = options.max_services,
                                   .max_backends = options.max_backends,
                                   .reserved = 0,
                                   .snapshot_bytes = options.snapshot_bytes,
                                   .connection_bytes = ConnTable::bytes_needed(limits)};
  memory = std::make_unique<control::RegionMemory>(
      must(control::RegionMemory::create(region_limits, options.pages), "no region"));
  grace = std::make_unique<GracePeriod>(options.workers + 1);
  const RegionHeader& header = memory->header();
  connections = std::make_unique<ConnTable>(must(
      ConnTable::create({region().base() + header.connections.offset, header.connections.bytes},
                        limits, HashSeed{{1, 2, 3, 4, 5, 6, 7, 8}}, *grace),
      "no connection table"));
  arena = std::make_unique<control::BlockArena>(region(), header.snapshot, options.freed);
  store = std::make_unique<control::SnapshotStore>(region(), *arena, *grace);
  counters = std::make_unique<control::CounterView>(region());

  shared.region = region();
  shared.published = &memory->header().published;
  shared.connections = connections.get();
  shared.grace = grace.get();
  shared.services = service_shared(region());
  shared.mempool = options.own_pool;
  shared.neighbour_requests = rte_ring_create_elem(
      new_name("asks").c_str(), sizeof(NeighbourRequest), request_entries, 0, RING_F_EXACT_SZ);
  shared.scheduler_limits = {options.max_services, options.max_backends};
  shared.locality = std::make_unique<LocalityTable>(0x9e3779b97f4a7c15ULL);
  for (uint32_t i = 0; i < options.workers; ++i) {
    shared.counters.push_back(counter_rows(region(), i));
  }
}

void World::make_worker(const WorldOptions& options, uint32_t id) {
  WorkerOptions worker_options;
  worker_options.id = id;
  worker_options.worker_count = options.workers;
  worker_options.seed = id + 1;
  worker_options.start_tick = options.start_tick;
  auto made = std::make_unique<Worker>(worker_options, shared);
  static uint16_t number = 0;
  rings.push_back(must(make_exception_rings(number++, 0, options.twin_frames), "no rings"));
  made->exception = *rings.back();
  shared.workers.push_back(made.get());
  grace->online(id);
  workers.push_back(std::move(made));
}

std::expected<uint64_t, std::string> World::apply(const config::Config& config,
                                                  const control::KernelState& kernel, Tick now) {
  config_ = config;
  kernel_ = kernel;
  control::SnapshotChange change;
  change.config = &config_;
  change.settings = true;
  change.all_services = true;
  change.kernel = &kernel_;
  change.kernel_parts = {.links = true, .routes = true, .neighbours = true};
  change.now = now;
  auto generation = builder->apply(change);
  if (!generation) return std::unexpected(generation.error().text);
  return *generation;
}

}  // namespace headgate::tests
