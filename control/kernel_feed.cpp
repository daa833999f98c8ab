#include "control/kernel_feed.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "control/snapshot_walk.h"

namespace headgate::control {
namespace {

// How long a packet that waits for a neighbour may wait until the kernel is asked.
constexpr std::chrono::milliseconds look_at_requests{5};

void add(std::vector<NeighbourKey>& list, const dataplane::NextHop& hop) {
  if (hop.gateway.family == net::Family::none) return;
  list.push_back({hop.interface, hop.gateway});
}

// The neighbours that backends and routes send to, known or not. Those of clients on the link come
// and go with the kernel's own table.
std::vector<NeighbourKey> neighbours_in_use(dataplane::RegionView region,
                                            const dataplane::SnapshotRoot& root) {
  const auto hops = elements(region, root.next_hops);
  std::vector<NeighbourKey> list;
  for_each_backend(region, root, [&](const dataplane::BackendRow& backend) {
    if (backend.next_hop < hops.size()) add(list, hops[backend.next_hop]);
  });
  for (const dataplane::RouteTable* table : {&root.routes_v4, &root.routes_v6}) {
    for_each_route(region, *table, [&](const dataplane::RouteSlot& route) {
      const bool has_row = route.target.kind == dataplane::RouteKind::gateway;
      if (has_row && route.target.next_hop < hops.size()) add(list, hops[route.target.next_hop]);
    });
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
      watch_(loop, std::move(mirror),
             [&changes](const KernelState& kernel, KernelParts parts) {
               changes.kernel_changed(kernel, parts);
             }),
      timer_(loop) {
  refresh();
  ask_for_held_packets();
}

KernelFeed::~KernelFeed() {
  timer_.cancel();
}

void KernelFeed::refresh() {
  const dataplane::SnapshotRoot* root = state_.store.current();
  if (root != nullptr) watch_.keep_fresh(neighbours_in_use(state_.region, *root));
}

void KernelFeed::ask_for_held_packets() {
  for (const dataplane::NeighbourRequest& request : workers_.neighbour_requests()) {
    watch_.resolve({request.interface, request.address});
  }
  timer_.expires_after(look_at_requests);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) ask_for_held_packets();
  });
}

}  // namespace headgate::control
