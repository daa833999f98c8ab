// Which worker serves which queue of which port. A pure function of the number of workers and of
// what each port can have.
//
// A port with as many queues as there are workers gives one of each direction to every worker.
// Where it has fewer receive queues, the surplus workers do not receive from it; where it has fewer
// transmit queues, a worker without one hands its frames to the owner of one. Ports that are short
// of queues begin at different workers, so that two ports with one queue keep two workers busy.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace headgate::dataplane {

struct PortLimits {
  std::string name;
  uint16_t rx_queues = 1;  // at most; at least 1
  uint16_t tx_queues = 1;
};

inline constexpr uint16_t no_queue = 0xffff;

// A worker's share of a port.
struct QueueShare {
  uint16_t rx_queue = no_queue;  // no_queue: this worker does not receive from the port
  uint16_t tx_queue = no_queue;  // no_queue: hand frames to `tx_owner`
  uint16_t tx_owner = 0;         // the worker that sends for this one; itself where it has a queue
  bool operator==(const QueueShare&) const = default;
};

struct PortQueues {
  uint16_t rx_queues = 0;  // to set up
  uint16_t tx_queues = 0;
  // The worker that sends what the kernel's twin of this port has to say: it owns a transmit queue.
  uint16_t twin_worker = 0;
  std::vector<QueueShare> workers;  // by worker
};

struct QueuePlan {
  std::vector<PortQueues> ports;   // in the order given
  std::vector<std::string> notes;  // what a user should know, a line for each port short of queues
};

// `workers` is at least 1.
[[nodiscard]] QueuePlan plan_queues(uint16_t workers, std::span<const PortLimits> ports);

}  // namespace headgate::dataplane
