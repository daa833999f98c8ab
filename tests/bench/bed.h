// One benchmark's set-up: two generator ports (clients' side, servers' side), a world with a
// service for the case, and the turns of its workers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/far_end.h"
#include "tests/bench/generator.h"
#include "tests/support/world.h"

namespace headgate::bench {

inline constexpr uint64_t ns_per_tick = 1'000'000'000 / dataplane::ticks_per_second;

struct BedOptions {
  uint32_t workers = 1;
  uint32_t capacity_v4 = 65536;
  uint32_t capacity_v6 = 1024;
  std::string mode = "dr";
  bool v6 = false;
  std::string protocol = "tcp";
  uint16_t frame_bytes = 60;
  uint32_t backends = 16;     // of the service
  uint32_t services = 1;      // the case's, and others that get nothing
  uint32_t all_backends = 0;  // more of them, shared out to the other services
  uint32_t local_addresses = 1;
  bool far_generator = false;  // on another core, by pump(); with one worker only
  uint32_t timeout_s = 0;      // of UDP and of half-open TCP connections; 0: the default
  uint64_t turn_ns = 0;        // virtual time that a turn takes; 0: the time is the real clock's
  control::RegionPages pages = control::RegionPages::automatic;
};

// Buffers of all queues and those on their way.
[[nodiscard]] rte_mempool* make_bench_pool(uint32_t workers);

class Bed {
 public:
  Bed(const BedOptions& options, rte_mempool* pool, rte_mempool* own_pool);
  ~Bed();
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;

  // Sets up flows 0..count-1, in shuffled order, each to ESTABLISHED where it is TCP's; on one
  // worker, or every worker its own part. With `learned` remembers how servers see them.
  void establish(uint64_t flows, std::vector<Learned>* learned = nullptr);

  uint32_t turn(uint32_t worker) { return dataplane::worker_turn(world_->worker(worker), now()); }
  // Of a far generator: a burst from each source, and what the worker sent to each sink. By one
  // thread at a time; establish() calls it itself.
  void pump();
  // Of pump(): the share of calls on which the clients' side had no room for more.
  [[nodiscard]] double full_pumps() const;
  // A change of the configuration that replaces blocks and a root: of a backend's weight.
  void swap_snapshot();

  [[nodiscard]] const BedOptions& options() const { return options_; }
  [[nodiscard]] Source& clients(uint32_t worker) { return *clients_[worker]; }
  [[nodiscard]] Source& servers(uint32_t worker) { return *servers_[worker]; }
  [[nodiscard]] Sink& to_clients(uint32_t worker) { return *to_clients_[worker]; }
  [[nodiscard]] Sink& to_servers(uint32_t worker) { return *to_servers_[worker]; }
  [[nodiscard]] const FrameWriter& requests() const { return requests_; }
  [[nodiscard]] const FrameWriter& openings() const { return openings_; }
  // The same in the usual mix of sizes: 64, 594 and 1518 bytes, 7 : 4 : 1.
  [[nodiscard]] std::vector<const FrameWriter*> imix() const;
  // SYNs from clients that the flows do not come from.
  [[nodiscard]] const FrameWriter& floods() const { return floods_; }
  [[nodiscard]] const FrameWriter& replies() const { return replies_; }
  [[nodiscard]] uint16_t client_port() const { return client_port_; }
  [[nodiscard]] uint16_t server_port() const { return server_port_; }
  [[nodiscard]] tests::World& world() { return *world_; }
  [[nodiscard]] uint64_t in_use() const;
  // Connections that are no longer half-open, by number of entry, ascending.
  [[nodiscard]] std::vector<uint32_t> established() const;
  // Of a connection of the case: its entry, and its share of the buckets in a full table.
  [[nodiscard]] double connection_bytes() const;
  // Packets that got another verdict than `sent_*`, over all workers, in words; empty: none.
  [[nodiscard]] std::string not_sent() const;

 private:
  // Of the next turn.
  [[nodiscard]] dataplane::Moment now() {
    if (options_.turn_ns == 0) return dataplane::moment_now(start_ns_);
    virtual_ns_ += options_.turn_ns;
    return {virtual_ns_,
            dataplane::first_tick + static_cast<dataplane::Tick>(virtual_ns_ / ns_per_tick)};
  }
  void make_ports(rte_mempool* pool);
  uint32_t step(uint32_t worker);
  [[nodiscard]] FlowShape shape(uint8_t tcp_flags) const;
  void establish_on(uint32_t worker, uint64_t first, uint64_t flows, std::vector<Learned>* learned);

  BedOptions options_;
  uint64_t start_ns_;
  uint64_t virtual_ns_ = 0;
  uint32_t swaps_ = 0;
  config::Config config_;
  std::vector<std::unique_ptr<Source>> clients_;
  std::vector<std::unique_ptr<Source>> servers_;
  std::vector<std::unique_ptr<Sink>> to_clients_;
  std::vector<std::unique_ptr<Sink>> to_servers_;
  std::vector<std::unique_ptr<FarEnd>> far_ends_;  // clients' side, servers' side; or none
  uint16_t client_port_ = 0;
  uint16_t server_port_ = 0;
  FrameWriter requests_;           // of flows that are there: ACK
  std::vector<FrameWriter> imix_;  // by size
  FrameWriter openings_;           // SYN
  FrameWriter floods_;
  FrameWriter replies_;
  std::unique_ptr<tests::World> world_;
};

}  // namespace headgate::bench
