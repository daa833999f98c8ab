// The generator on a core of its own: to the worker an ordinary port of the ring driver, whose
// rings pump() fills from a source and empties into a sink. What the worker reads then comes from
// another core's cache, as it would from a NIC that writes to the shared one.
#pragma once

#include <cstdint>
#include <string>

#include <rte_ring.h>

#include "tests/bench/generator.h"

namespace headgate::bench {

class FarEnd {
 public:
  FarEnd(const std::string& name, rte_mempool* pool, Source& source, Sink& sink);
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  [[nodiscard]] uint16_t port() const { return port_; }
  // Empties the port's transmit ring, and puts a burst into its receive ring if there is room.
  void pump();
  // Of pump(): how often there was no room, so that the port had more than it could take.
  [[nodiscard]] uint64_t pumps() const { return pumps_; }
  [[nodiscard]] uint64_t full_pumps() const { return full_pumps_; }

 private:
  Source& source_;
  Sink& sink_;
  rte_ring* to_port_;
  rte_ring* from_port_;
  uint16_t port_;
  uint64_t pumps_ = 0;
  uint64_t full_pumps_ = 0;
};

}  // namespace headgate::bench
