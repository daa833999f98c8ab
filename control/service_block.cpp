#include "control/service_block.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>

#include "dataplane/limits.h"

namespace headgate::control {
namespace {

using dataplane::ServiceBackend;
using dataplane::ServiceBlock;

static_assert(std::has_unique_object_representations_v<ServiceBlock> &&
              std::has_unique_object_representations_v<ServiceBackend>);

uint32_t flags_of(const config::Service& service) {
  uint32_t flags = 0;
  if (service.hash_port) flags |= dataplane::service_hash_with_port;
  if (!service.fallback) flags |= dataplane::service_no_fallback;
  if (service.newest_first) flags |= dataplane::service_newest_first;
  if (!service.udp_counts_as_active) flags |= dataplane::service_udp_inactive;
  if (service.one_packet) flags |= dataplane::service_one_packet;
  if (service.mid_stream == config::MidStream::hash) flags |= dataplane::service_mid_stream_hash;
  if (service.persistence && service.persistence->leave_quiescent) {
    flags |= dataplane::service_quiescent_reschedules;
  }
  return flags;
}

void set_identity(ServiceBlock& block, const config::Service& service) {
  const config::ServiceKey key = config::key_of(service);
  block.vip = key.address;
  block.vip.family = key.family;  // of a mark's service too
  block.protocol = key.protocol;
  block.port = net::be16::from_host(key.port);
  block.firewall_mark = key.firewall_mark;
}

void set_persistence(ServiceBlock& block, const config::Service& service) {
  const uint8_t whole = config::family_of(service) == net::Family::ipv4 ? 32 : 128;
  block.persistence_prefix = whole;
  if (!service.persistence) return;
  block.persistence_ticks = service.persistence->timeout_s * dataplane::ticks_per_second;
  block.persistence_prefix = std::min(service.persistence->netmask.value_or(whole), whole);
}

void set_weights(ServiceContent& content) {
  for (const ServiceBackend& backend : content.backends) {
    content.header.weight_gcd = std::gcd(content.header.weight_gcd, backend.weight);
    content.header.weight_max = std::max(content.header.weight_max, backend.weight);
  }
}

}  // namespace

ServiceContent service_content(SnapshotDraft& draft, uint32_t service_id,
                               const config::Service& service) {
  ServiceContent content;
  ServiceBlock& block = content.header;
  block.id = service_id;
  set_identity(block, service);
  block.scheduler = static_cast<dataplane::SchedulerKind>(service.scheduler);
  block.flags = flags_of(service);
  set_persistence(block, service);

  const IdentityTable& identity = draft.model.identity;
  const std::vector<uint32_t>& members = draft.service(service_id).members;
  bool fullnat = false;
  for (size_t i = 0; i < service.backends.size(); ++i) {
    const config::Backend& backend = service.backends[i];
    if (!backend.enabled) continue;
    fullnat |= config::mode_of(service, backend) == config::Mode::fullnat;
    content.backends.push_back({.backend_id = identity.backend_id(members[i]),
                                .weight = backend.weight,
                                .upper_threshold = backend.upper_threshold,
                                .lower_threshold = backend.lower_threshold});
  }
  set_weights(content);
  if (!fullnat) return content;
  const net::Family family = config::family_of(service);
  if (!service.local_addresses.empty()) {
    content.own_local_addresses = of_family(service.local_addresses, family);
    return content;
  }
  const Block shared =
      draft.part(family == net::Family::ipv4 ? Part::shared_local_v4 : Part::shared_local_v6);
  block.local_addresses = {.first = {shared.offset},
                           .count = static_cast<uint32_t>(shared.bytes / sizeof(net::IpAddress))};
  return content;
}

std::vector<std::byte> ServiceContent::bytes_at(uint64_t offset) const {
  const size_t locals_begin = sizeof(ServiceBlock) + backends.size() * sizeof(ServiceBackend);
  std::vector<std::byte> bytes(locals_begin + own_local_addresses.size() * sizeof(net::IpAddress));
  ServiceBlock block = header;
  block.backends = {};
  if (!backends.empty()) {
    block.backends = {.first = {offset + sizeof(ServiceBlock)},
                      .count = static_cast<uint32_t>(backends.size())};
    std::memcpy(bytes.data() + sizeof(ServiceBlock), backends.data(),
                backends.size() * sizeof(ServiceBackend));
  }
  if (!own_local_addresses.empty()) {
    block.local_addresses = {.first = {offset + locals_begin},
                             .count = static_cast<uint32_t>(own_local_addresses.size())};
    std::memcpy(bytes.data() + locals_begin, own_local_addresses.data(),
                own_local_addresses.size() * sizeof(net::IpAddress));
  }
  std::memcpy(bytes.data(), &block, sizeof(block));
  return bytes;
}

std::vector<net::IpAddress> of_family(const std::vector<net::IpAddress>& addresses,
                                      net::Family family) {
  std::vector<net::IpAddress> result;
  std::ranges::copy_if(addresses, std::back_inserter(result),
                       [family](const net::IpAddress& a) { return a.family == family; });
  return result;
}

}  // namespace headgate::control
