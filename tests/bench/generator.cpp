#include "tests/bench/generator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

namespace headgate::bench {
namespace {

constexpr uint32_t zipf_draws = 1 << 22;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "generator: %s\n", what);
  std::exit(2);
}

// CLDEMOTE: where the processor does not have it, it does nothing.
void demote(const uint8_t* line) {
  asm volatile("cldemote %0" : : "m"(*line));
}
void push_out(const uint8_t* frame, uint16_t bytes) {
  for (uint16_t at = 0; at < bytes; at = static_cast<uint16_t>(at + 64))
    demote(frame + at);
}

// `end` below 2^32.
uint64_t below(uint64_t random, uint64_t end) {
  return (random >> 32) * end >> 32;
}

}  // namespace

Source::Source(rte_mempool* pool, uint64_t seed) : pool_(pool), state_(seed | 1) {
  ring_.resize(descriptors);
  if (rte_pktmbuf_alloc_bulk(pool_, ring_.data(), descriptors) != 0) fail("no buffers");
}

Source::~Source() {
  rte_pktmbuf_free_bulk(ring_.data(), static_cast<unsigned>(ring_.size()));
}

void Source::set(const Traffic& traffic) {
  traffic_ = traffic;
  turn_ = 0;
  at_in_flood_ = 0;
  at_in_mix_ = 0;
  // Odd and coprime to the number of flows: i * multiplier mod flows meets each once.
  multiplier_ =
      std::max<uint64_t>(static_cast<uint64_t>(static_cast<double>(traffic.flows) * 0.618), 1);
  while (std::gcd(multiplier_, traffic.flows) != 1)
    ++multiplier_;
  if (traffic.choice == Choice::zipf) make_zipf();
  choose(static_cast<uint16_t>(picks_.size() / 2));
}

// Drawn beforehand: it takes longer than all the rest of a packet.
void Source::make_zipf() {
  std::vector<double> edges(traffic_.flows);
  double sum = 0;
  for (uint64_t k = 0; k < traffic_.flows; ++k)
    edges[k] = sum += 1.0 / static_cast<double>(k + 1);
  zipf_.resize(zipf_draws);
  for (uint32_t& flow : zipf_) {
    const double place = sum * (static_cast<double>(random() >> 11) * 0x1p-53);
    const auto rank = std::ranges::lower_bound(edges, place) - edges.begin();
    flow = static_cast<uint32_t>(shuffled(static_cast<uint64_t>(rank)));
  }
}

uint64_t Source::shuffled(uint64_t i) const {
  return i * multiplier_ % traffic_.flows;
}

Source::Pick Source::next() {
  if (traffic_.flood_per_packet != 0) {
    const uint32_t at = at_in_flood_;
    at_in_flood_ = (at + 1) % (traffic_.run * (traffic_.flood_per_packet + 1));
    if (at < traffic_.run * traffic_.flood_per_packet) return {fresh_++, true};
  }
  switch (traffic_.choice) {
    case Choice::uniform:
      return {traffic_.first_flow + below(random(), traffic_.flows), false};
    case Choice::in_turn:
      return {traffic_.first_flow + shuffled(turn_++ % traffic_.flows), false};
    case Choice::fresh:
      return {traffic_.first_flow + fresh_++, false};
    case Choice::zipf:
      return {traffic_.first_flow + zipf_[turn_++ % zipf_.size()], false};
  }
  return {0, false};
}

void Source::choose(uint16_t count) {
  for (uint16_t i = 0; i < count; ++i) {
    picks_[i] = next();
    if (traffic_.learned != nullptr) rte_prefetch0(traffic_.learned->data() + picks_[i].flow);
  }
  picked_ = count;
}

// A frame's bytes, and how many.
uint16_t Source::write(uint8_t* frame, const Pick& pick) {
  const FrameWriter* writer = pick.flood ? traffic_.flood : traffic_.writer;
  if (!traffic_.mix.empty()) {
    writer = traffic_.mix[at_in_mix_];
    at_in_mix_ = at_in_mix_ + 1 == traffic_.mix.size() ? 0 : at_in_mix_ + 1;
  }
  if (traffic_.learned != nullptr && !pick.flood) {
    writer->write_reply(frame, (*traffic_.learned)[pick.flow]);
  } else {
    writer->write(frame, pick.flow);
  }
  push_out(frame, writer->bytes());
  return writer->bytes();
}

uint16_t Source::receive(void* queue, rte_mbuf** frames, uint16_t count) {
  auto& source = *static_cast<Source*>(queue);
  const Traffic& traffic = source.traffic_;
  if (traffic.writer == nullptr) return 0;
  count = std::min(count, source.picked_);
  const uint32_t at = source.at_;
  for (uint16_t i = 0; i < count; ++i)
    frames[i] = source.ring_[(at + i) % descriptors];
  // The emptied descriptors get new buffers.
  std::array<rte_mbuf*, 64> fresh;
  if (rte_pktmbuf_alloc_bulk(source.pool_, fresh.data(), count) != 0) fail("no buffers left");
  for (uint16_t i = 0; i < count; ++i)
    source.ring_[(at + i) % descriptors] = fresh[i];
  source.at_ = (at + count) % descriptors;
  for (uint16_t i = 0; i < count; ++i) {
    const uint16_t length = source.write(rte_pktmbuf_mtod(frames[i], uint8_t*), source.picks_[i]);
    frames[i]->data_len = length;
    frames[i]->pkt_len = length;
  }
  source.made_ += count;
  source.choose(count);
  return count;
}

void Sink::keep(const rte_mbuf* frame) {
  Sample& sample = samples_.emplace_back();
  sample.bytes = static_cast<uint16_t>(std::min<size_t>(frame->data_len, sample.frame.size()));
  std::memcpy(sample.frame.data(), rte_pktmbuf_mtod(frame, const uint8_t*), sample.bytes);
}

uint16_t Sink::send(void* queue, rte_mbuf** frames, uint16_t count) {
  auto& sink = *static_cast<Sink*>(queue);
  if (sink.learned_ != nullptr) {
    for (uint16_t i = 0; i < count; ++i) {
      sink.learned_->push_back(
          learn(rte_pktmbuf_mtod(frames[i], const uint8_t*) + sink.outer_, sink.v6_));
    }
  }
  if (sink.every_ != 0) {
    if (sink.until_sample_ < count) {
      sink.keep(frames[sink.until_sample_]);
      sink.until_sample_ += sink.every_;
    }
    sink.until_sample_ -= count;
  }
  // As drivers do with DEV_TX_OFFLOAD_MBUF_FAST_FREE: one pool, one reference, one segment.
  rte_mempool_put_bulk(frames[0]->pool, reinterpret_cast<void* const*>(frames), count);
  sink.sent_ += count;
  return count;
}

uint16_t start_ring_port(const std::string& name, rte_mempool* pool,
                         const std::vector<rte_ring*>& receive,
                         const std::vector<rte_ring*>& transmit) {
  const auto count = static_cast<uint16_t>(receive.size());
  const int made =
      rte_eth_from_rings(name.c_str(), const_cast<rte_ring**>(receive.data()), count,
                         const_cast<rte_ring**>(transmit.data()), count, SOCKET_ID_ANY);
  if (made < 0) fail("no port");
  const auto id = static_cast<uint16_t>(made);
  const rte_eth_conf conf{};
  bool ok = rte_eth_dev_configure(id, count, count, &conf) == 0;
  for (uint16_t q = 0; q < count && ok; ++q) {
    ok = rte_eth_rx_queue_setup(id, q, descriptors, 0, nullptr, pool) == 0 &&
         rte_eth_tx_queue_setup(id, q, descriptors, 0, nullptr) == 0;
  }
  if (!ok || rte_eth_dev_start(id) != 0) fail("port not started");
  return id;
}

uint16_t make_generator_port(const std::string& name, rte_mempool* pool,
                             const std::vector<Source*>& sources, const std::vector<Sink*>& sinks) {
  std::vector<rte_ring*> rings;
  for (size_t q = 0; q < sources.size(); ++q) {
    rings.push_back(rte_ring_create((name + "q" + std::to_string(q)).c_str(), 64, 0, 0));
    if (rings.back() == nullptr) fail("no ring");
  }
  // With the functions of its data path replaced.
  const uint16_t id = start_ring_port(name, pool, rings, rings);
  struct rte_eth_fp_ops& operations = rte_eth_fp_ops[id];
  operations.rx_pkt_burst = &Source::receive;
  operations.tx_pkt_burst = &Sink::send;
  for (size_t q = 0; q < sources.size(); ++q) {
    operations.rxq.data[q] = sources[q];
    operations.txq.data[q] = sinks[q];
  }
  return id;
}

void close_generator_port(uint16_t port) {
  rte_eth_dev_stop(port);
  rte_eth_dev_close(port);
}

}  // namespace headgate::bench
