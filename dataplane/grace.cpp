#include "dataplane/grace.h"

#include <cstdlib>
#include <new>

namespace headgate::dataplane {

GracePeriod::GracePeriod(uint32_t readers) {
  const size_t size = rte_rcu_qsbr_get_memsize(readers);
  // 1 is rte_rcu's word for "no readers given".
  if (size == 1) throw std::bad_alloc();
  rcu_.reset(static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, size)));
  if (rcu_ == nullptr || rte_rcu_qsbr_init(rcu_.get(), readers) != 0) throw std::bad_alloc();
  for (uint32_t reader = 0; reader < readers; ++reader) {
    rte_rcu_qsbr_thread_register(rcu_.get(), reader);
  }
}

void GracePeriod::Free::operator()(rte_rcu_qsbr* rcu) const noexcept {
  std::free(rcu);
}

}  // namespace headgate::dataplane
