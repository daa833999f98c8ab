// The situations that the interleaver explores: a few actors insert, find and remove the same keys
// of a small table. Each says what must hold after every step (no two live slots with one key) and
// at the end (exactly the keys that the results of the calls imply, every slot and count in order).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/race/interleaver.h"
#include "tests/support/conn_fixture.h"

namespace headgate::dataplane::test {

// How many other keys the two buckets of the contested key hold: that decides where it goes.
struct Crowd {
  uint32_t home = 0;
  uint32_t alternate = 0;
};
inline constexpr Crowd both_at_home{};                       // all fit the home bucket
inline constexpr Crowd one_away{.home = 4, .alternate = 4};  // the second goes away
inline constexpr Crowd all_away{.home = 5, .alternate = 0};  // both go away

class TableScenario : public Scenario {
 public:
  std::string check_step() override;
  std::string check_end() override;

 protected:
  explicit TableScenario(Crowd crowd);

  // Called by start(): an empty table, with the crowd around the keys of connection 1.
  void begin();
  void remove_crowd();
  // Allocates, fills, publishes, discards on failure; an inserted entry is expected at the end.
  PublishResult insert(uint32_t worker, uint32_t id, Keys keys = Keys::forward_only,
                       uint32_t backend = 1, bool embryonic = false);
  // The same before the programs start; fails loudly.
  ConnRef prepare(uint32_t worker, uint32_t id, Keys keys = Keys::forward_only);
  UnlinkResult unlink(uint32_t actor, ConnRef ref);
  // Reports a hit that is not what it says.
  void verify(Hit hit, const FlowKey4& key);
  void violate(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }
  // A connection other than 1 whose forward key has the same home.
  [[nodiscard]] uint32_t neighbour_of_one() const { return neighbour_; }

  static constexpr ConnTableLimits limits{.capacity4 = 40, .workers = 3, .other_actors = 0};
  TestTable table_{limits};

 private:
  struct Expected {
    FlowKey4 key;
    ConnRef ref;
  };
  void expect(ConnRef ref, Keys keys);
  void place_crowd(Bucket& bucket, uint32_t keys, uint32_t first_id);
  std::string check_slots();
  std::string check_expected();

  Crowd crowd_;
  uint32_t neighbour_ = 0;
  std::vector<ConnRef> crowd_refs_;
  std::vector<Expected> expected_;
  std::string violation_;
};

struct NamedScenario {
  std::string name;
  std::unique_ptr<Scenario> scenario;
  unsigned preemptions;
};
// All of them, with the bound within which each is explored completely.
std::vector<NamedScenario> all_scenarios();

// Program 0 inserts connection 1, 1 inserts it as well, 2 looks for it: for the pausing tests.
std::unique_ptr<Scenario> pausing_scenario(Crowd crowd, Keys keys);

}  // namespace headgate::dataplane::test
