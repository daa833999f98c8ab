// The checks of an advert against the configuration of a virtual router, in the order of the RFCs.
#include "vrrp/receive.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace headgate::vrrp {
namespace {

uint8_t least_ttl(const ReceiveSettings& settings) {
  return settings.peers.empty() ? advert_ttl : settings.min_ttl;
}

bool is_from_neighbour(const ReceiveSettings& settings, const net::IpAddress& source) {
  if (source == settings.source) return false;  // our own, looped back
  return settings.peers.empty() ||
         std::ranges::find(settings.peers, source) != settings.peers.end();
}

bool has_same_addresses(const ReceiveSettings& settings, const Advert& advert) {
  if (settings.addresses.size() != advert.addresses.size()) return false;
  if (settings.addresses == advert.addresses) return true;
  std::vector<net::IpAddress> ours = settings.addresses;
  std::vector<net::IpAddress> theirs = advert.addresses;
  std::ranges::sort(ours);
  std::ranges::sort(theirs);
  return ours == theirs;
}

// RFC 3768 7.1: an owner is believed about the addresses.
bool may_differ(const ReceiveSettings& settings, const Advert& advert) {
  return !settings.strict || (advert.version == Version::v2 && advert.priority == owner_priority);
}

}  // namespace

std::expected<Accepted, Discard> receive(const ReceiveSettings& settings, const Received& packet) {
  if (packet.ttl < least_ttl(settings)) return std::unexpected(Discard::ttl);
  if (!packet.message.empty() && packet.message[0] >> 4 != static_cast<int>(settings.version)) {
    return std::unexpected(Discard::version);
  }
  auto advert = decode(packet);
  if (!advert) return std::unexpected(advert.error());
  if (advert->vrid != settings.vrid) return std::unexpected(Discard::vrid);
  if (!is_from_neighbour(settings, packet.source)) return std::unexpected(Discard::source);
  if (advert->auth_type != settings.auth_type) return std::unexpected(Discard::auth_type);
  if (advert->auth_data != settings.auth_data) return std::unexpected(Discard::auth_data);

  Mismatch mismatch;
  mismatch.addresses = !has_same_addresses(settings, *advert);
  if (mismatch.addresses && !may_differ(settings, *advert)) {
    return std::unexpected(settings.addresses.size() != advert->addresses.size()
                               ? Discard::address_count
                               : Discard::address_list);
  }
  // Of version 3 the master's interval is adopted, so a difference is never a reason to drop.
  mismatch.interval = advert->interval_cs != settings.interval_cs;
  if (mismatch.interval && settings.strict && settings.version == Version::v2) {
    return std::unexpected(Discard::interval);
  }
  if (settings.priority == owner_priority && advert->priority == owner_priority) {
    return std::unexpected(Discard::priority);
  }
  return Accepted{.advert = std::move(*advert), .mismatch = mismatch};
}

}  // namespace headgate::vrrp
