// Routers, their network and what must hold at every step. See simulation.h.
#pragma once

#include <functional>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/vrrp/simulation.h"
#include "vrrp/group.h"
#include "vrrp/receive.h"

namespace headgate::vrrp::simulation {

struct VirtualRouter {
  Settings settings;
  ReceiveSettings receiving;
  Machine machine;
  bool own_fault = false;
  bool claims = false;
  bool stepped_down = false;  // and was not master since
  // What the oracle counts from, by the router's own clock: the last advert that it heard, or when
  // it became backup; the interval of that advert; and since when preempt_delay runs.
  Time silent_from{};
  Duration heard_interval{};
  std::optional<Time> delay_from{};
};

struct Packet {
  Time at{};
  uint64_t serial = 0;
  size_t from = 0;
  size_t to = 0;
  size_t member = 0;
  std::vector<uint8_t> message{};

  bool operator>(const Packet& other) const {
    return at != other.at ? at > other.at : serial > other.serial;
  }
};

struct Router {
  std::vector<VirtualRouter> members;
  bool runs = false;
  bool is_paused = false;
  Duration clock{};                   // its own, ahead of the world's
  size_t side = 0;                    // of the partition
  std::vector<Packet> inbox;          // while paused
  std::vector<uint64_t> last_serial;  // by sender
};

struct Network {
  double loss = 0;
  double duplicates = 0;
  double damage = 0;
  double loops = 0;
  Duration jitter{};
};

// Skew and silence by the formulas alone.
[[nodiscard]] Duration skew_of(const VirtualRouter& own);
[[nodiscard]] Duration silence_of(const VirtualRouter& own);

class World {
 public:
  static constexpr Duration delay = std::chrono::microseconds(100);  // of every packet

  World(uint64_t seed, StepFunction step_function);

  // What happens, at `now`.
  void start(size_t router);
  void kill(size_t router);
  void stop(size_t router);
  void set_fault(size_t router, size_t member, bool is_down);
  void set_priority(size_t router, uint8_t priority);
  void step_down(size_t router);
  void resume(size_t router, bool timers_first);

  // Timers and packets until then; afterwards it is then.
  void run(Time until);
  void require(bool holds, const std::string& what);
  [[nodiscard]] bool is_over() const { return !report.violation.empty(); }

  [[nodiscard]] bool is_able(size_t router) const;  // to be master
  [[nodiscard]] bool is_master(size_t router, size_t member) const;
  [[nodiscard]] std::vector<size_t> masters(size_t side, size_t member) const;
  [[nodiscard]] size_t able(size_t side) const;
  // Exactly one master in each side that has a router able to be it.
  void check_masters();
  [[nodiscard]] bool is_network_empty() const { return packets_.empty(); }

  void count(Trouble trouble) { ++report.troubles[static_cast<size_t>(trouble)]; }
  size_t below(size_t limit) { return random() % limit; }
  bool chance(double probability) {
    return static_cast<double>(random() % 1000000) < probability * 1e6;
  }
  Duration up_to(Duration limit) {
    return Duration(static_cast<int64_t>(random() % (static_cast<uint64_t>(limit.count()) + 1)));
  }

  std::mt19937_64 random;
  Report report;
  Time now = std::chrono::seconds(100);
  std::vector<Router> routers;
  size_t members = 1;  // of each router; more than one are a sync group
  Network network;
  bool is_settled = false;  // check_masters() after each event
  bool priorities_change = true;
  Version version = Version::v3;
  Duration max_interval{};
  Duration max_preempt_delay{};

 private:
  // One event, and what its group makes of it.
  void apply(size_t router, size_t member, const Event& event);
  void perform(size_t router, size_t member, const Event& event);
  void act(size_t router, size_t member, const Action& action);
  void check_step(size_t router, size_t member, const Machine& before, const Event& event,
                  const Step& taken);
  // A backup that must not preempt waits for the master to fall silent.
  void check_patience(size_t router, size_t member, const Machine& before);
  void keep_track(size_t router, size_t member, const Machine& before, const Event& event);
  void send(size_t router, size_t member, uint8_t priority);
  void post(const Packet& packet);
  void deliver(const Packet& packet);
  [[nodiscard]] bool is_in_fault(size_t router, size_t member) const;
  [[nodiscard]] std::vector<Member> group_of(size_t router) const;
  [[nodiscard]] Time local(size_t router) const { return now + routers[router].clock; }

  StepFunction step_function_;
  std::priority_queue<Packet, std::vector<Packet>, std::greater<>> packets_;
  uint64_t serial_ = 0;
};

}  // namespace headgate::vrrp::simulation
