#include "dataplane/queue_plan.h"

#include <algorithm>

namespace headgate::dataplane {
namespace {

// Queue `q` of a short port belongs to worker (first + q) % workers.
uint16_t queue_of(uint16_t worker, uint16_t first, uint16_t workers, uint16_t queues) {
  const auto distance = static_cast<uint16_t>((worker + workers - first) % workers);
  return distance < queues ? distance : no_queue;
}

std::string list_workers(const std::vector<QueueShare>& shares, uint16_t QueueShare::* queue) {
  std::string text;
  for (size_t w = 0; w < shares.size(); ++w) {
    if (shares[w].*queue == no_queue) continue;
    if (!text.empty()) text += ", ";
    text += std::to_string(w);
  }
  return text;
}

std::string count(uint16_t number, const char* noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

void note_shortage(const PortLimits& port, const PortQueues& queues, uint16_t workers,
                   std::vector<std::string>& notes) {
  if (queues.rx_queues < workers) {
    notes.push_back(port.name + ": " + count(queues.rx_queues, "receive queue") + " for " +
                    count(workers, "worker") + ": only worker " +
                    list_workers(queues.workers, &QueueShare::rx_queue) + " receives from it");
  }
  if (queues.tx_queues < workers) {
    notes.push_back(port.name + ": " + count(queues.tx_queues, "transmit queue") + " for " +
                    count(workers, "worker") + ": the others hand frames for it to worker " +
                    list_workers(queues.workers, &QueueShare::tx_queue));
  }
}

PortQueues plan_port(const PortLimits& port, uint16_t workers, uint16_t first) {
  PortQueues queues;
  queues.rx_queues = std::min(port.rx_queues, workers);
  queues.tx_queues = std::min(port.tx_queues, workers);
  for (uint16_t w = 0; w < workers; ++w) {
    QueueShare share;
    share.rx_queue = queue_of(w, first, workers, queues.rx_queues);
    share.tx_queue = queue_of(w, first, workers, queues.tx_queues);
    const auto distance = static_cast<uint16_t>((w + workers - first) % workers);
    share.tx_owner = static_cast<uint16_t>((first + distance % queues.tx_queues) % workers);
    queues.workers.push_back(share);
  }
  queues.twin_worker = first;  // has transmit queue 0
  return queues;
}

}  // namespace

QueuePlan plan_queues(uint16_t workers, std::span<const PortLimits> ports) {
  QueuePlan plan;
  uint16_t next = 0;  // where the next short port begins
  for (const PortLimits& port : ports) {
    const PortLimits limits{port.name, std::max<uint16_t>(port.rx_queues, 1),
                            std::max<uint16_t>(port.tx_queues, 1)};
    const bool is_short = limits.rx_queues < workers || limits.tx_queues < workers;
    const uint16_t first = is_short ? next : uint16_t{0};
    plan.ports.push_back(plan_port(limits, workers, first));
    note_shortage(limits, plan.ports.back(), workers, plan.notes);
    if (is_short) {
      const uint16_t used = std::min({limits.rx_queues, limits.tx_queues, workers});
      next = static_cast<uint16_t>((next + used) % workers);
    }
  }
  return plan;
}

}  // namespace headgate::dataplane
