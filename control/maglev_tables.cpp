#include "control/maglev_tables.h"

#include <algorithm>
#include <utility>

namespace headgate::control {

bool MaglevInput::same_as(const MaglevInput& other) const {
  return slots == other.slots &&
         std::ranges::equal(backends, other.backends, [](const auto& a, const auto& b) {
           return a.weight == b.weight && a.port == b.port && a.address == b.address;
         });
}

MaglevTables::MaglevTables(MaglevTables&& other) noexcept
    : arena_(other.arena_),
      jobs_(std::exchange(other.jobs_, {})),
      by_service_(std::exchange(other.by_service_, {})) {}

MaglevTables& MaglevTables::operator=(MaglevTables&& other) noexcept {
  std::swap(arena_, other.arena_);
  std::swap(jobs_, other.jobs_);
  std::swap(by_service_, other.by_service_);
  return *this;
}

MaglevTables::~MaglevTables() {
  for (const Job& job : jobs_) {
    if (job.table) arena_->free(job.table);
  }
}

void MaglevTables::fill(size_t i) {
  fill_maglev_block(*arena_, jobs_[i].table, jobs_[i].input);
  jobs_[i].filled = true;
}

void MaglevTables::fill_all() {
  for (size_t i = 0; i < size(); ++i)
    fill(i);
}

void MaglevTables::add(const config::ServiceKey& service, MaglevInput input) {
  if (by_service_.contains(service)) return;
  const auto block = arena_->allocate(input.slots * sizeof(uint16_t));
  if (!block) return;
  by_service_.emplace(service, jobs_.size());
  jobs_.push_back({.input = std::move(input), .table = *block});
}

Block MaglevTables::claim(const config::ServiceKey& service, const MaglevInput& input) {
  const auto found = by_service_.find(service);
  if (found == by_service_.end()) return {};
  Job& job = jobs_[found->second];
  if (!job.filled || !job.input.same_as(input)) return {};
  return std::exchange(job.table, {});
}

void fill_maglev_block(const BlockArena& arena, const Block& block, const MaglevInput& input) {
  auto* const slots = arena.region().at(dataplane::Offset<uint16_t>{block.offset});
  dataplane::fill_maglev(input.backends, {slots, input.slots});
}

}  // namespace headgate::control
