// The path of a packet. pipeline.cpp shows its order from top to bottom.
#pragma once

#include <span>

#include "dataplane/worker.h"

namespace headgate::dataplane {

// Runs frames that came in through `port` through the pipeline: at most burst_frames. Takes the
// mbufs; each gets exactly one verdict, at the latest when flush_transmit() has run.
void process_burst(Worker& worker, uint16_t port, std::span<rte_mbuf*> frames) noexcept;

}  // namespace headgate::dataplane
