// KernelMirror on the control thread's event loop.
#pragma once

#include <functional>
#include <memory>

#include "control/netlink.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

class KernelWatch {
 public:
  // Called on the loop with what changed; the state stays valid until the next call.
  using Callback = std::function<void(const KernelState& state, KernelParts parts)>;

  KernelWatch(boost::asio::io_context& loop, std::unique_ptr<KernelMirror> mirror,
              Callback on_change);
  ~KernelWatch();  // stops; no call comes after
  KernelWatch(const KernelWatch&) = delete;
  KernelWatch& operator=(const KernelWatch&) = delete;

  [[nodiscard]] const KernelState& state() const;
  void resolve(const NeighbourKey& neighbour);
  void keep_fresh(std::span<const NeighbourKey> neighbours);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
