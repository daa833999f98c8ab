// Routes as the workers look them up: the address space cut into ranges, each with the route that
// has the longest prefix there. Nested prefixes become disjoint ranges, so that one search finds
// the answer whatever lengths are in use.
#pragma once

#include <span>
#include <vector>

#include "dataplane/snapshot.h"

namespace headgate::control {

// `routes` are one family's, in the order of their prefixes, each prefix once and without host
// bits. Range is RouteRange4 or RouteRange6. No routes: no ranges.
template <typename Range>
[[nodiscard]] std::vector<Range> route_ranges(std::span<const dataplane::Route> routes);

extern template std::vector<dataplane::RouteRange4> route_ranges(
    std::span<const dataplane::Route> routes);
extern template std::vector<dataplane::RouteRange6> route_ranges(
    std::span<const dataplane::Route> routes);

}  // namespace headgate::control
