#include "control/route_ranges.h"

#include <array>
#include <cstring>
#include <type_traits>

namespace headgate::control {
namespace {

__extension__ using Wide = unsigned __int128;

// An address as a number of its family's width.
template <typename Range>
constexpr unsigned width = std::is_same_v<Range, dataplane::RouteRange4> ? 32 : 128;

template <typename Range>
Wide number_of(const net::IpAddress& address) {
  if constexpr (width<Range> == 32) return address.v4().host();
  std::array<net::be64, 2> words;
  std::memcpy(words.data(), address.bytes.data(), sizeof(words));
  return static_cast<Wide>(words[0].host()) << 64 | words[1].host();
}

template <typename Range>
Wide last_address(const dataplane::Route& route) {
  const unsigned host_bits = width<Range> - route.length;
  const Wide all = ~Wide{0} >> (128 - width<Range>);
  const Wide hosts = host_bits == 128 ? all : (Wide{1} << host_bits) - 1;
  return number_of<Range>(route.prefix) | hosts;
}

template <typename Range>
Range make_range(Wide first, uint32_t route) {
  if constexpr (width<Range> == 32) {
    return {.first = static_cast<uint32_t>(first), .route = route};
  } else {
    return {.first_high = static_cast<uint64_t>(first >> 64),
            .first_low = static_cast<uint64_t>(first),
            .route = route,
            .reserved = 0};
  }
}

// Collects the beginnings of ranges. One at the place of the last takes its place; one with the
// route of the last only goes on with it.
class Beginnings {
 public:
  struct Beginning {
    Wide first;
    uint32_t route;
  };
  void add(Wide first, uint32_t route) {
    if (!list_.empty() && list_.back().first == first) list_.pop_back();
    if (list_.empty() || list_.back().route != route) list_.push_back({first, route});
  }
  [[nodiscard]] const std::vector<Beginning>& list() const { return list_; }

 private:
  std::vector<Beginning> list_;
};

}  // namespace

template <typename Range>
std::vector<Range> route_ranges(std::span<const dataplane::Route> routes) {
  if (routes.empty()) return {};
  struct Open {
    Wide last;
    uint32_t route;
  };
  std::vector<Open> open;  // prefixes around the present place, the widest first
  Beginnings beginnings;
  beginnings.add(0, dataplane::none);
  // Ends the innermost prefix: behind it the one around it goes on.
  const auto close = [&] {
    const Wide last = open.back().last;
    open.pop_back();
    if (last == ~Wide{0} >> (128 - width<Range>)) return;
    beginnings.add(last + 1, open.empty() ? dataplane::none : open.back().route);
  };
  for (uint32_t i = 0; i < routes.size(); ++i) {
    const Wide first = number_of<Range>(routes[i].prefix);
    while (!open.empty() && open.back().last < first)
      close();
    beginnings.add(first, i);
    open.push_back({last_address<Range>(routes[i]), i});
  }
  while (!open.empty())
    close();
  std::vector<Range> ranges;
  ranges.reserve(beginnings.list().size());
  for (const auto& [first, route] : beginnings.list())
    ranges.push_back(make_range<Range>(first, route));
  return ranges;
}

template std::vector<dataplane::RouteRange4> route_ranges(std::span<const dataplane::Route> routes);
template std::vector<dataplane::RouteRange6> route_ranges(std::span<const dataplane::Route> routes);

}  // namespace headgate::control
