// A port whose other end is the benchmark itself, on the worker's own core: receiving makes frames
// into buffers, sending counts them and gives the buffers back. The worker cannot tell: it calls
// rte_eth_rx_burst and rte_eth_tx_burst on an ordinary DPDK port.
//
// What a NIC would leave cold is cold here: a queue has as many buffers as a NIC's has descriptors,
// used in turn, and a frame's bytes are pushed from the core's own caches to the shared one, where
// a NIC's DMA would put them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "tests/bench/flows.h"

namespace headgate::bench {

inline constexpr uint32_t descriptors = 1024;

// Which flow the next packet belongs to.
enum class Choice : uint8_t {
  uniform,  // each of `flows` as likely as the others
  zipf,     // the k-th most frequent 1/k as often as the first
  in_turn,  // shuffled, each once in `flows` packets
  fresh,    // one never seen before
};

struct Traffic {
  Choice choice = Choice::uniform;
  uint64_t flows = 1;
  uint64_t first_flow = 0;  // flows are numbered from here
  const FrameWriter* writer = nullptr;
  std::vector<const FrameWriter*> mix{};  // in turn, instead of `writer`: frames of several sizes
  const std::vector<Learned>* learned = nullptr;  // replies of these flows, rather than requests
  // So many packets of fresh flows, made by `flood`, to one other (0: none); `run` of a kind one
  // after another.
  uint32_t flood_per_packet = 0;
  uint32_t run = 1;
  const FrameWriter* flood = nullptr;
};

// The receive side of one queue.
class Source {
 public:
  Source(rte_mempool* pool, uint64_t seed);
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  void set(const Traffic& traffic);
  void stop() { traffic_.writer = nullptr; }
  [[nodiscard]] uint64_t made() const { return made_; }

  static uint16_t receive(void* queue, rte_mbuf** frames, uint16_t count);

 private:
  struct Pick {
    uint64_t flow;
    bool flood;
  };
  void choose(uint16_t count);
  uint16_t write(uint8_t* frame, const Pick& pick);
  void make_zipf();
  [[nodiscard]] Pick next();
  [[nodiscard]] uint64_t random() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  [[nodiscard]] uint64_t shuffled(uint64_t i) const;

  rte_mempool* pool_;
  std::vector<rte_mbuf*> ring_;
  uint32_t at_ = 0;
  uint64_t state_;
  Traffic traffic_;
  std::array<Pick, 64> picks_{};  // of the next burst: what they read is on its way already
  uint16_t picked_ = 0;
  uint64_t made_ = 0;
  uint64_t fresh_ = 0;
  uint64_t turn_ = 0;
  uint64_t multiplier_ = 1;
  uint32_t at_in_flood_ = 0;
  uint32_t at_in_mix_ = 0;
  std::vector<uint32_t> zipf_;  // flows, as they come
};

// The transmit side of one queue.
class Sink {
 public:
  struct Sample {
    uint16_t bytes;
    std::array<uint8_t, most_frame_bytes + 64> frame;
  };
  [[nodiscard]] uint64_t sent() const { return sent_; }
  [[nodiscard]] const std::vector<Sample>& samples() const { return samples_; }
  // A frame of so many is kept for checking.
  void sample_every(uint32_t packets) { every_ = packets; }
  // Adds to the list what sent packets look like behind headgate, `outer` bytes of tunnel skipped.
  void learn_into(std::vector<Learned>* list, bool v6, uint32_t outer) {
    learned_ = list;
    v6_ = v6;
    outer_ = outer;
  }

  static uint16_t send(void* queue, rte_mbuf** frames, uint16_t count);

 private:
  void keep(const rte_mbuf* frame);

  uint64_t sent_ = 0;
  uint32_t every_ = 0;
  uint32_t until_sample_ = 0;
  std::vector<Sample> samples_;
  std::vector<Learned>* learned_ = nullptr;
  bool v6_ = false;
  uint32_t outer_ = 0;
};

// A DPDK port with these queues; its id. They outlive it.
[[nodiscard]] uint16_t make_generator_port(const std::string& name, rte_mempool* pool,
                                           const std::vector<Source*>& sources,
                                           const std::vector<Sink*>& sinks);
// Starts a port of the ring driver that receives from the first rings and sends to the others.
[[nodiscard]] uint16_t start_ring_port(const std::string& name, rte_mempool* pool,
                                       const std::vector<rte_ring*>& receive,
                                       const std::vector<rte_ring*>& transmit);
void close_generator_port(uint16_t port);

}  // namespace headgate::bench
