#include "control/kernel_feed.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "control/snapshot_walk.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// How long a packet that waits for a neighbour may wait until the kernel is asked.
constexpr std::chrono::milliseconds look_at_requests{5};

// The neighbours that backends and routes send to, known or not. Those of clients on the link come
// and go with the kernel's own table. Passes once over all backends, and sorts next hops only.
std::vector<NeighbourKey> neighbours_in_use(dataplane::RegionView region,
                                            const dataplane::SnapshotRoot& root) {
  const auto hops = elements(region, root.next_hops);
  std::vector<bool> used(hops.size());
  for_each_backend(region, root, [&](const dataplane::BackendRow& backend) {
    if (backend.next_hop < hops.size()) used[backend.next_hop] = true;
  });
  for_each_route(region, root, [&](const dataplane::Route& route) {
    const bool has_row = route.target.kind == dataplane::RouteKind::gateway;
    if (has_row && route.target.next_hop < hops.size()) used[route.target.next_hop] = true;
  });
  std::vector<NeighbourKey> list;
  for (size_t i = 0; i < hops.size(); ++i) {
    const bool has_neighbour = hops[i].gateway.family != net::Family::none;
    if (used[i] && has_neighbour) list.push_back({hops[i].interface, hops[i].gateway});
  }
  std::ranges::sort(list);
  const auto same = std::ranges::unique(list);
  list.erase(same.begin(), same.end());
  return list;
}

}  // namespace

KernelFeed::KernelFeed(boost::asio::io_context& loop, std::unique_ptr<KernelMirror> mirror,
                       State& state, Changes& changes, WorkerSet& workers)
    : state_(state),
      workers_(workers),
      watch_(loop, std::move(mirror), [&changes](const KernelState& kernel, KernelParts parts) {
        changes.kernel_changed(kernel, parts);
      }) {
  refresh();
  asio::co_spawn(loop, ask_for_held_packets(stopped_), asio::detached);
}

KernelFeed::~KernelFeed() {
  *stopped_ = true;
}

void KernelFeed::refresh() {
  const dataplane::SnapshotRoot* root = state_.store.current();
  if (root != nullptr) watch_.keep_fresh(neighbours_in_use(state_.region, *root));
}

asio::awaitable<void> KernelFeed::ask_for_held_packets(std::shared_ptr<bool> stopped) {
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  asio::steady_timer timer(loop);
  while (!*stopped) {
    for (const dataplane::NeighbourRequest& request : workers_.neighbour_requests()) {
      watch_.resolve({request.interface, request.address});
    }
    timer.expires_after(look_at_requests);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

}  // namespace headgate::control
