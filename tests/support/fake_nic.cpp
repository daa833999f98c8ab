#include "tests/support/fake_nic.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_ring.h>

namespace headgate::test {
namespace {

constexpr uint16_t usual_reta_size = 128;

std::array<FakeNic*, RTE_MAX_ETHPORTS> nics{};

net::MacAddress mac_of(const rte_ether_addr& address) {
  net::MacAddress mac;
  std::ranges::copy(address.addr_bytes, mac.bytes.begin());
  return mac;
}

FakeNic* nic_of(uint16_t port) {
  return port < nics.size() ? nics[port] : nullptr;
}

bool is_nic(std::string_view device) {
  return std::ranges::any_of(
      nics, [device](const FakeNic* nic) { return nic != nullptr && nic->device() == device; });
}

}  // namespace

FakeNic::FakeNic(const std::string& name, uint16_t queues, NicClaims claims)
    : claims_(std::move(claims)), device_("net_ring_" + name) {
  for (uint16_t queue = 0; queue < queues; ++queue) {
    rings_.push_back(rte_ring_create((name + std::to_string(queue)).c_str(), 64, 0, 0));
    if (rings_.back() == nullptr) throw std::runtime_error("no ring");
  }
  const int id =
      rte_eth_from_rings(name.c_str(), rings_.data(), queues, rings_.data(), queues, SOCKET_ID_ANY);
  if (id < 0) throw std::runtime_error("no ring port");
  id_ = static_cast<uint16_t>(id);
  nics.at(id_) = this;
}

FakeNic::~FakeNic() {
  nics.at(id_) = nullptr;
  // A Port closes its device; one that was never opened is still there.
  if (rte_eth_dev_is_valid_port(id_) != 0) rte_eth_dev_close(id_);
  for (rte_ring* ring : rings_) {
    rte_ring_free(ring);
  }
}

int FakeNic::add_mac(const net::MacAddress& mac) {
  if (told_.macs.size() == claims_.mac_filters)
    return claims_.mac_filters == 0 ? -ENOTSUP : -ENOSPC;
  told_.macs.push_back(mac);
  return 0;
}

int FakeNic::set_promiscuous(bool on) {
  if (!claims_.promiscuous) return -ENOTSUP;
  told_.promiscuous = on;
  return 0;
}

uint16_t FakeNic::reta_size() const {
  if (claims_.rss_hash == 0) return 0;
  return claims_.reta.empty() ? usual_reta_size : static_cast<uint16_t>(claims_.reta.size());
}

void FakeNic::describe(rte_eth_dev_info& info) const {
  info.rx_offload_capa = claims_.rx_offloads;
  info.tx_offload_capa = claims_.tx_offloads;
  info.flow_type_rss_offloads = claims_.rss_hash;
  info.hash_key_size = static_cast<uint8_t>(claims_.key.size());
  info.reta_size = reta_size();
}

// The checks of rte_eth_dev_configure(), by the claims.
int FakeNic::configure(const rte_eth_conf& conf, uint16_t rx_queues) {
  const bool rss = (conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG) != 0;
  const rte_eth_rss_conf& wanted = conf.rx_adv_conf.rss_conf;
  if ((conf.rxmode.offloads & ~claims_.rx_offloads) != 0) return -EINVAL;
  if ((conf.txmode.offloads & ~claims_.tx_offloads) != 0) return -EINVAL;
  if ((wanted.rss_hf & ~claims_.rss_hash) != 0) return -EINVAL;
  if (wanted.rss_key != nullptr && wanted.rss_key_len != claims_.key.size()) return -EINVAL;
  told_ = {.rx_offloads = conf.rxmode.offloads, .rss = rss, .rss_hash = wanted.rss_hf};
  if (wanted.rss_key != nullptr) {
    told_.key.assign(wanted.rss_key, wanted.rss_key + wanted.rss_key_len);
  }
  rx_queues_ = rx_queues;
  return 0;
}

int FakeNic::tell_rss(rte_eth_rss_conf& conf) const {
  if (!claims_.tells_key) return -ENOTSUP;
  const std::vector<uint8_t>& key = told_.key.empty() ? claims_.key : told_.key;
  if (conf.rss_key_len < key.size()) return -EINVAL;
  std::ranges::copy(key, conf.rss_key);
  conf.rss_hf = told_.rss_hash;
  return 0;
}

int FakeNic::tell_reta(rte_eth_rss_reta_entry64* groups, uint16_t size) const {
  if (!claims_.tells_reta || size != reta_size()) return -ENOTSUP;
  for (uint16_t i = 0; i < size; ++i) {
    rte_eth_rss_reta_entry64& group = groups[i / RTE_ETH_RETA_GROUP_SIZE];
    const uint16_t place = i % RTE_ETH_RETA_GROUP_SIZE;
    if ((group.mask >> place & 1) == 0) continue;
    group.reta[place] =
        claims_.reta.empty() ? static_cast<uint16_t>(i % rx_queues_) : claims_.reta[i];
  }
  return 0;
}

}  // namespace headgate::test

// The linker sends the calls of ports to the functions named __wrap_*, and gives the real ones as
// __real_*. NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {

int __real_rte_eal_hotplug_add(const char* bus, const char* device, const char* arguments);
int __real_rte_eth_dev_info_get(uint16_t port, rte_eth_dev_info* info);
int __real_rte_eth_dev_configure(uint16_t port, uint16_t rx_queues, uint16_t tx_queues,
                                 const rte_eth_conf* conf);
int __real_rte_eth_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors,
                                  unsigned socket, const rte_eth_txconf* conf);
int __real_rte_eth_dev_mac_addr_add(uint16_t port, rte_ether_addr* address, uint32_t pool);
int __real_rte_eth_dev_mac_addr_remove(uint16_t port, rte_ether_addr* address);
int __real_rte_eth_promiscuous_enable(uint16_t port);
int __real_rte_eth_promiscuous_disable(uint16_t port);
int __real_rte_eth_promiscuous_get(uint16_t port);
int __real_rte_eth_dev_rss_hash_conf_get(uint16_t port, rte_eth_rss_conf* conf);
int __real_rte_eth_dev_rss_reta_query(uint16_t port, rte_eth_rss_reta_entry64* groups,
                                      uint16_t size);

int __wrap_rte_eal_hotplug_add(const char* bus, const char* device, const char* arguments) {
  return headgate::test::is_nic(device) ? 0 : __real_rte_eal_hotplug_add(bus, device, arguments);
}

int __wrap_rte_eth_dev_info_get(uint16_t port, rte_eth_dev_info* info) {
  const int code = __real_rte_eth_dev_info_get(port, info);
  if (const auto* nic = headgate::test::nic_of(port); nic != nullptr && code == 0) {
    nic->describe(*info);
  }
  return code;
}

int __wrap_rte_eth_dev_configure(uint16_t port, uint16_t rx_queues, uint16_t tx_queues,
                                 const rte_eth_conf* conf) {
  auto* nic = headgate::test::nic_of(port);
  if (nic == nullptr) return __real_rte_eth_dev_configure(port, rx_queues, tx_queues, conf);
  if (const int code = nic->configure(*conf, rx_queues); code != 0) return code;
  const rte_eth_conf plain{};  // the ring beneath has none of what the NIC claims
  return __real_rte_eth_dev_configure(port, rx_queues, tx_queues, &plain);
}

int __wrap_rte_eth_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors,
                                  unsigned socket, const rte_eth_txconf* conf) {
  auto* nic = headgate::test::nic_of(port);
  if (nic == nullptr) {
    return __real_rte_eth_tx_queue_setup(port, queue, descriptors, socket, conf);
  }
  nic->tx_queue(conf->offloads);
  return __real_rte_eth_tx_queue_setup(port, queue, descriptors, socket, nullptr);
}

int __wrap_rte_eth_dev_mac_addr_add(uint16_t port, rte_ether_addr* address, uint32_t pool) {
  auto* nic = headgate::test::nic_of(port);
  return nic == nullptr ? __real_rte_eth_dev_mac_addr_add(port, address, pool)
                        : nic->add_mac(headgate::test::mac_of(*address));
}

int __wrap_rte_eth_dev_mac_addr_remove(uint16_t port, rte_ether_addr* address) {
  auto* nic = headgate::test::nic_of(port);
  if (nic == nullptr) return __real_rte_eth_dev_mac_addr_remove(port, address);
  nic->remove_mac(headgate::test::mac_of(*address));
  return 0;
}

int __wrap_rte_eth_promiscuous_enable(uint16_t port) {
  auto* nic = headgate::test::nic_of(port);
  return nic == nullptr ? __real_rte_eth_promiscuous_enable(port) : nic->set_promiscuous(true);
}

int __wrap_rte_eth_promiscuous_disable(uint16_t port) {
  auto* nic = headgate::test::nic_of(port);
  return nic == nullptr ? __real_rte_eth_promiscuous_disable(port) : nic->set_promiscuous(false);
}

int __wrap_rte_eth_promiscuous_get(uint16_t port) {
  const auto* nic = headgate::test::nic_of(port);
  if (nic == nullptr) return __real_rte_eth_promiscuous_get(port);
  return nic->configuration().promiscuous ? 1 : 0;
}

int __wrap_rte_eth_dev_rss_hash_conf_get(uint16_t port, rte_eth_rss_conf* conf) {
  const auto* nic = headgate::test::nic_of(port);
  return nic == nullptr ? __real_rte_eth_dev_rss_hash_conf_get(port, conf) : nic->tell_rss(*conf);
}

int __wrap_rte_eth_dev_rss_reta_query(uint16_t port, rte_eth_rss_reta_entry64* groups,
                                      uint16_t size) {
  const auto* nic = headgate::test::nic_of(port);
  return nic == nullptr ? __real_rte_eth_dev_rss_reta_query(port, groups, size)
                        : nic->tell_reta(groups, size);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
