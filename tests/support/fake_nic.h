// A NIC that claims what the test wants, for the code that sets ports up: a ring port whose answers
// to ethdev's questions are the test's, and which notes what it is told. What a real driver would
// refuse, it refuses.
//
// A program that uses it is linked with the functions of fake_nic_wraps (tests/meson.build)
// wrapped; ports that are no FakeNic go through as ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <rte_config.h>
#include <rte_ethdev.h>

#include "dataplane/net/address.h"

namespace headgate::test {

struct NicClaims {
  uint64_t rx_offloads = 0;
  uint64_t tx_offloads = 0;
  uint64_t rss_hash = 0;         // RTE_ETH_RSS_*
  std::vector<uint8_t> key{};    // the driver's own
  std::vector<uint16_t> reta{};  // empty: what a driver does, all queues in turn, 128 entries
  bool tells_key = true;         // drivers of virtual functions may not
  bool tells_reta = true;
  uint32_t mac_filters = 0;  // beside its own
  bool promiscuous = true;   // can be
};

// What the NIC was told at last.
struct NicConfiguration {
  uint64_t rx_offloads = 0;
  bool rss = false;
  uint64_t rss_hash = 0;
  std::vector<uint8_t> key{};  // empty: to use its own
  std::vector<uint64_t> tx_queue_offloads{};
  std::vector<net::MacAddress> macs{};
  bool promiscuous = false;
};

class FakeNic {
 public:
  FakeNic(const std::string& name, uint16_t queues, NicClaims claims);
  ~FakeNic();
  FakeNic(const FakeNic&) = delete;
  FakeNic& operator=(const FakeNic&) = delete;

  // For PortOptions::device; as a vdev too, which is then taken for attached.
  [[nodiscard]] const std::string& device() const { return device_; }
  [[nodiscard]] const NicConfiguration& configuration() const { return told_; }

  // For the wrapped functions.
  void describe(rte_eth_dev_info& info) const;
  [[nodiscard]] int configure(const rte_eth_conf& conf, uint16_t rx_queues);
  void tx_queue(uint64_t offloads) { told_.tx_queue_offloads.push_back(offloads); }
  [[nodiscard]] int add_mac(const net::MacAddress& mac);
  void remove_mac(const net::MacAddress& mac) { std::erase(told_.macs, mac); }
  [[nodiscard]] int set_promiscuous(bool on);
  [[nodiscard]] int tell_rss(rte_eth_rss_conf& conf) const;
  [[nodiscard]] int tell_reta(rte_eth_rss_reta_entry64* groups, uint16_t size) const;

 private:
  [[nodiscard]] uint16_t reta_size() const;

  NicClaims claims_;
  std::string device_;
  std::vector<rte_ring*> rings_;
  uint16_t id_ = 0;
  uint16_t rx_queues_ = 0;
  NicConfiguration told_;
};

}  // namespace headgate::test
