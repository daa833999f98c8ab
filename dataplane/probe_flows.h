// The flows of probes that are under way. Each takes a source port of its own on the wire, so that
// an answer tells by its destination port alone which one it is for: the kernel gives the same port
// to sockets that ask different probe addresses, behind which there may be the same VIP. The ports
// are below those that the kernel gives to its sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/limits.h"
#include "dataplane/net/address.h"
#include "dataplane/probe_table.h"

namespace headgate::dataplane {

// The kernel's socket, and what it asks.
struct ProbeSocket {
  net::IpAddress host;
  net::IpAddress probe;
  net::be16 host_port;
  net::be16 probe_port;
  uint8_t protocol = 0;

  bool operator==(const ProbeSocket&) const noexcept = default;
};

enum ProbeEnd : uint8_t { probe_host_fin = 1, probe_server_fin = 2, probe_reset = 4 };

struct ProbeFlow {
  ProbeSocket socket;
  net::IpAddress vip;
  net::be16 vip_port;
  uint16_t twin = 0;         // that the kernel sent it through
  net::MacAddress host_mac;  // of the twin
  uint8_t ends = 0;          // ProbeEnd
  bool used = false;
  uint16_t next = 0;  // in its chain
  uint64_t seen_ns = 0;
};

class ProbeFlows {
 public:
  ProbeFlows();

  // The flow of a socket's packet at the moment `now_ns`: the one that there is, unless `begins`
  // and that one has ended, or a new one. Null when there is no port left.
  [[nodiscard]] ProbeFlow* use(const ProbeSocket& socket, const ProbeEntry& entry, bool begins,
                               uint64_t now_ns) noexcept;
  // Of an answer from the VIP to the host's port on the wire; null when it is no probe's.
  [[nodiscard]] ProbeFlow* find(const net::IpAddress& vip, net::be16 vip_port,
                                const net::IpAddress& host, net::be16 wire_port, uint8_t protocol,
                                uint64_t now_ns) noexcept;
  [[nodiscard]] net::be16 wire_port(const ProbeFlow& flow) const noexcept;

 private:
  [[nodiscard]] std::optional<uint16_t> free_slot(uint64_t now_ns) noexcept;
  [[nodiscard]] uint16_t& chain_of(const ProbeSocket& socket) noexcept;
  void remove(uint16_t slot) noexcept;

  std::unique_ptr<ProbeFlow[]> flows_;  // by port, from probe_first_port on
  std::vector<uint16_t> chains_;        // first of a chain, by the hash of the socket
  uint16_t hand_ = 0;                   // where to look for a free one: ports are used in turn
};

}  // namespace headgate::dataplane
