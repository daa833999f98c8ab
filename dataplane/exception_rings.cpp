#include <algorithm>
#include <string>

#include <rte_config.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/exception.h"

namespace headgate::dataplane {
namespace {

void free_ring(rte_ring* ring) {
  if (ring == nullptr) return;
  void* mbuf = nullptr;
  while (rte_ring_sc_dequeue(ring, &mbuf) == 0) {
    rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
  }
  rte_ring_free(ring);
}

}  // namespace

void ExceptionRingDeleter::operator()(ExceptionRings* rings) const noexcept {
  for (rte_ring* ring : rings->to_twin) {
    free_ring(ring);
  }
  free_ring(rings->from_twin);
  delete rings;
}

std::expected<ExceptionRingsPtr, Error> make_exception_rings(uint16_t worker, int socket,
                                                             uint32_t size) {
  ExceptionRingsPtr rings(new ExceptionRings);
  const std::string prefix = "hg_worker" + std::to_string(worker) + "_";
  const auto make = [&](const std::string& name, uint32_t frames) {
    // Exact size: all of it can be used, not one less.
    return rte_ring_create((prefix + name).c_str(), frames, socket,
                           RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
  };
  bool complete = true;
  for (uint32_t c = 0; c < twin_class_count; ++c) {
    const bool is_probes = c == static_cast<uint32_t>(TwinClass::probe);
    rings->to_twin[c] =
        make("twin" + std::to_string(c), is_probes ? std::min(size, probe_ring_size) : size);
    complete = complete && rings->to_twin[c] != nullptr;
  }
  rings->from_twin = make("from_twin", size);
  if (complete && rings->from_twin != nullptr) return rings;
  return std::unexpected(Error{
      "worker " + std::to_string(worker) + ": no rings to the twins: " + rte_strerror(rte_errno),
      "raise memory.memory_mb"});
}

}  // namespace headgate::dataplane
