// virtual_server_group and local_address_group: lists of addresses and marks by name.
#include <algorithm>

#include <fmt/format.h>

#include "config/keepalived/sections.h"
#include "config/keepalived/values.h"
#include "config/limits.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

// The next address, in the order of their bytes.
net::IpAddress next(net::IpAddress address) {
  const size_t size = address.is_v4() ? 4 : 16;
  for (size_t i = size; i-- > 0;) {
    if (++address.bytes[i] != 0) break;
  }
  return address;
}

// 10.0.0.1-5: what stands behind the dash takes the place of the last part.
std::optional<net::IpAddress> range_end(const net::IpAddress& first, std::string_view begin,
                                        std::string_view end) {
  if (const auto whole = net::parse_ip(end)) return whole;
  const size_t part = begin.find_last_of(first.is_v4() ? '.' : ':');
  if (part == std::string_view::npos) return std::nullopt;
  return net::parse_ip(std::string(begin.substr(0, part + 1)) + std::string(end));
}

// An address, a range of them or a network, which stands for its addresses; in IPv4 without the
// first and the last of networks larger than /31.
std::optional<std::vector<net::IpAddress>> addresses_of(Draft& draft, const Statement& line) {
  const std::string& word = line.keyword();
  if (const auto single = net::parse_ip(word)) return std::vector{*single};
  std::optional<net::IpAddress> first;
  std::optional<net::IpAddress> last;
  if (const size_t dash = word.find('-'); dash != std::string::npos) {
    first = net::parse_ip(std::string_view(word).substr(0, dash));
    if (first)
      last = range_end(*first, std::string_view(word).substr(0, dash), word.substr(dash + 1));
  } else if (const auto network = net::parse_prefix(word)) {
    first = net::masked(network->address, network->length);
    last = first;
    for (size_t bit = network->length; bit < network->address.bits(); ++bit)
      last->bytes[bit / 8] |= static_cast<uint8_t>(0x80U >> (bit % 8));
  }
  if (!first || !last || first->family != last->family || *last < *first) {
    draft.error(line, "is no address, range such as 10.0.0.1-5, or network such as 10.0.0.0/28");
    return std::nullopt;
  }
  std::vector<net::IpAddress> result{*first};
  while (result.back() != *last) {
    if (result.size() == max_keepalived_addresses) {
      draft.error(line, fmt::format("stands for more than {} addresses", max_keepalived_addresses));
      return std::nullopt;
    }
    result.push_back(next(result.back()));
  }
  return result;
}

std::optional<Target> marked(Draft& draft, const Statement& line) {
  const auto mark = number(draft, line, 1, UINT32_MAX);
  if (!mark) return std::nullopt;
  Target target;
  target.mark = static_cast<uint32_t>(*mark);
  if (line.words.size() > 2) {
    target.family = line.words[2].text == "inet6" ? net::Family::ipv6 : net::Family::ipv4;
  }
  only(draft, line, 3);
  return target;
}

}  // namespace

void read_server_group(Draft& draft, Groups& groups, const Statement& block) {
  const auto name = text(draft, block);
  if (!name) return;
  only(draft, Statement{block.place, block.words, false, {}}, 2);
  std::vector<Target>& targets = groups.servers[*name];
  for (const Statement& line : block.children) {
    if (line.keyword() == "fwmark") {
      if (const auto target = marked(draft, line)) targets.push_back(*target);
      continue;
    }
    const auto addresses = addresses_of(draft, line);
    if (!addresses) continue;
    uint16_t at = 0;
    if (line.words.size() > 1) {
      const auto given = port(draft, line, 1);
      if (!given) continue;
      at = *given;
    }
    only(draft, line, 2);
    if (targets.size() + addresses->size() > max_keepalived_targets) {
      return draft.error(
          line, fmt::format("the group has more than {} addresses", max_keepalived_targets));
    }
    for (const net::IpAddress& each : *addresses)
      targets.push_back({.address = each, .port = at, .mark = {}, .family = net::Family::none});
  }
}

void read_local_address_group(Draft& draft, Groups& groups, const Statement& block) {
  const auto name = text(draft, block);
  if (!name) return;
  std::vector<net::IpAddress>& list = groups.addresses[*name];
  for (const Statement& line : block.children) {
    const auto addresses = addresses_of(draft, line);
    if (addresses && list.size() + addresses->size() > max_local_addresses) {
      return draft.error(line,
                         fmt::format("the group has more than {} addresses", max_local_addresses));
    }
    if (addresses) list.insert(list.end(), addresses->begin(), addresses->end());
    only(draft, line, 1);
  }
}

}  // namespace headgate::config::keepalived
