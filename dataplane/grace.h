// Grace periods: when may memory that readers could still hold be used again? Shared by the
// snapshot and the connection table.
//
// A reader (a worker, or another thread with a number of its own) is online while it may hold
// references and reports quiescent() at a moment when it holds none: a worker between two bursts, a
// long dump every so many entries. A writer first makes its object unreachable, then takes a token
// by start(), and may reuse the object once passed(token). Nothing here ever waits.
//
// This is DPDK's rte_rcu_qsbr, except for the check: rte_rcu_qsbr_check reads its shortcut
// (acked_token) without synchronisation, which is a data race by the language and gives the caller
// no ordering after the readers' last loads. passed() loads each reader's counter instead. Those
// loads are sequentially consistent on purpose: together with the fence in online() they decide
// between "the reader was offline" and "the reader sees that the object is gone".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

namespace headgate::dataplane {

class GracePeriod {
 public:
  // Readers are numbered 0..readers-1 (workers first, by convention); all begin offline.
  explicit GracePeriod(uint32_t readers);

  [[nodiscard]] uint32_t readers() const noexcept { return rcu_->max_threads; }

  // By the reader itself. Offline before it sleeps or blocks; online again before it reads
  // anything.
  void online(uint32_t reader) noexcept { rte_rcu_qsbr_thread_online(rcu_.get(), reader); }
  void offline(uint32_t reader) noexcept { rte_rcu_qsbr_thread_offline(rcu_.get(), reader); }
  void quiescent(uint32_t reader) noexcept { rte_rcu_qsbr_quiescent(rcu_.get(), reader); }

  // By any thread.
  [[nodiscard]] uint64_t start() noexcept { return rte_rcu_qsbr_start(rcu_.get()); }
  [[nodiscard]] bool passed(uint64_t token) const noexcept {
    for (uint32_t reader = 0; reader < rcu_->max_threads; ++reader) {
      const uint64_t seen = __atomic_load_n(&rcu_->qsbr_cnt[reader].cnt, __ATOMIC_SEQ_CST);
      if (seen != 0 && seen < token) return false;  // 0: offline
    }
    return true;
  }

 private:
  struct Free {
    void operator()(rte_rcu_qsbr* rcu) const noexcept;
  };
  std::unique_ptr<rte_rcu_qsbr, Free> rcu_;
};

}  // namespace headgate::dataplane
