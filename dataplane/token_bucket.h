// A token bucket for what the workers originate: at most `per_second` on average and one tenth of a
// second's worth (at least one) at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace headgate::dataplane {

class TokenBucket {
 public:
  // True when one more packet may leave at `now_ns`. The rate may differ from call to call.
  [[nodiscard]] bool take(uint64_t now_ns, uint32_t per_second) noexcept {
    if (per_second == 0) return false;
    static constexpr uint64_t ns_per_second = 1'000'000'000;
    const uint64_t depth = std::max<uint64_t>(per_second / 10, 1) * ns_per_second;
    const uint64_t elapsed = std::min(now_ns - last_ns_, ns_per_second);
    credit_ = std::min(credit_ + elapsed * per_second, depth);
    last_ns_ = now_ns;
    if (credit_ < ns_per_second) return false;
    credit_ -= ns_per_second;
    return true;
  }

 private:
  uint64_t last_ns_ = 0;
  uint64_t credit_ = ~uint64_t{0} >> 1;  // full at first use
};

}  // namespace headgate::dataplane
