// What ipvsadm lists: services with their servers, connections, time-outs. Plain values, from the
// daemon's rows (daemon_rows.h) to text (format.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/ipvsadm/options.h"

namespace headgate::ipvsadm {

// Counted since the start or the last zero; `rates` are per second.
struct Traffic {
  uint64_t connections = 0;
  uint64_t in_packets = 0;
  uint64_t out_packets = 0;
  uint64_t in_bytes = 0;
  uint64_t out_bytes = 0;
};

// How packets reach a server; `local` is the director itself.
enum class Forward : uint8_t { masquerade, local, tunnel, route, fullnat };

struct Tunnel {
  TunnelType type = TunnelType::ipip;
  uint16_t port = 0;  // gue
  TunnelChecksum checksum = TunnelChecksum::none;
};

struct ListedServer {
  Endpoint endpoint{};
  Forward forward = Forward::route;
  Tunnel tunnel{};
  int64_t weight = 0;
  uint32_t upper_threshold = 0;
  uint32_t lower_threshold = 0;
  uint64_t active = 0;
  uint64_t inactive = 0;
  uint64_t persistent = 0;  // templates
  Traffic totals{};
  Traffic rates{};
};

struct ListedService {
  ServiceId id{};
  std::string scheduler{};
  SchedulerFlags flags{};
  std::optional<uint32_t> persistence_s{};
  std::optional<uint8_t> netmask{};  // prefix length; empty: each client alone
  std::string persistence_engine{};
  bool one_packet = false;
  Traffic totals{};
  Traffic rates{};
  std::vector<ListedServer> servers{};
};

struct ListedConnection {
  std::string protocol{};  // TCP, UDP, SCTP, or IP for a template of a mark
  Protocol ports_of = Protocol::tcp;
  uint64_t expires_s = 0;
  std::string state{};
  Endpoint client{};
  Endpoint service{};
  Endpoint server{};
};

// By firewall mark, family, protocol, address and port; servers by address and port.
void sort_services(std::vector<ListedService>& services);

}  // namespace headgate::ipvsadm
