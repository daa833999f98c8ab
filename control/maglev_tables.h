// Maglev tables that a change of services needs, each in a block of its own that nothing leads to
// yet. Filling is the one expensive part of building a snapshot (milliseconds for a table of
// 65537), so it can be spread over threads and done before the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "config/model.h"
#include "control/block_arena.h"
#include "dataplane/maglev.h"

namespace headgate::control {

// All that a table's content follows from.
struct MaglevInput {
  uint32_t slots = 0;  // 0: no table
  std::vector<dataplane::MaglevBackend> backends;

  [[nodiscard]] bool same_as(const MaglevInput& other) const;
};

class MaglevTables {
 public:
  MaglevTables() = default;
  explicit MaglevTables(BlockArena& arena) : arena_(&arena) {}
  MaglevTables(MaglevTables&& other) noexcept;
  MaglevTables& operator=(MaglevTables&& other) noexcept;
  // Gives back the memory of tables that nobody claimed.
  ~MaglevTables();

  [[nodiscard]] size_t size() const { return jobs_.size(); }
  // Fills one, each `i` once, from any thread.
  void fill(size_t i);
  void fill_all();

  // For the builder. add() leaves the job out when there is no memory: the change itself fails
  // then.
  void add(const config::ServiceKey& service, MaglevInput input);
  // The table of the service, the caller's from now on; none when it is not filled or not for
  // `input`.
  [[nodiscard]] Block claim(const config::ServiceKey& service, const MaglevInput& input);

 private:
  struct Job {
    MaglevInput input;
    Block table;
    bool filled = false;
  };

  BlockArena* arena_ = nullptr;
  std::vector<Job> jobs_;
  std::map<config::ServiceKey, size_t> by_service_;
};

// Fills the block, which has room for input.slots entries.
void fill_maglev_block(const BlockArena& arena, const Block& block, const MaglevInput& input);

}  // namespace headgate::control
