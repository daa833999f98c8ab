#include "tests/bench/far_end.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace headgate::bench {
namespace {

constexpr unsigned burst = 32;
// What waits for the worker, and what it has sent: all that may wait has room there.
constexpr unsigned receive_frames = 512;
constexpr unsigned transmit_frames = 2048;

rte_ring* make_ring(const std::string& name, unsigned frames) {
  rte_ring* ring =
      rte_ring_create(name.c_str(), frames, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (ring == nullptr) {
    std::fprintf(stderr, "generator: no ring\n");
    std::exit(2);
  }
  return ring;
}

}  // namespace

FarEnd::FarEnd(const std::string& name, rte_mempool* pool, Source& source, Sink& sink)
    : source_(source),
      sink_(sink),
      to_port_(make_ring(name + "rx", receive_frames)),
      from_port_(make_ring(name + "tx", transmit_frames)),
      port_(start_ring_port(name, pool, {to_port_}, {from_port_})) {}

FarEnd::~FarEnd() {
  close_generator_port(port_);
  rte_ring_free(to_port_);
  rte_ring_free(from_port_);
}

void FarEnd::pump() {
  std::array<rte_mbuf*, burst> frames;
  auto** objects = reinterpret_cast<void**>(frames.data());
  while (const unsigned sent = rte_ring_sc_dequeue_burst(from_port_, objects, burst, nullptr)) {
    Sink::send(&sink_, frames.data(), static_cast<uint16_t>(sent));
  }
  ++pumps_;
  if (rte_ring_free_count(to_port_) < burst) {
    ++full_pumps_;
    return;
  }
  const uint16_t made = Source::receive(&source_, frames.data(), burst);
  rte_ring_sp_enqueue_bulk(to_port_, objects, made, nullptr);
}

}  // namespace headgate::bench
