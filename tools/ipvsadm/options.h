// A command line of ipvsadm 1.31, understood and checked as the real one does: the same texts and
// exit statuses for wrong ones. docs/headgate-ipvsadm.8.md describes what headgate adds.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/ipvsadm/names.h"

namespace headgate::ipvsadm {

enum class Command : uint8_t {
  add_service,
  edit_service,
  delete_service,
  flush,
  restore,
  save,
  add_server,
  edit_server,
  delete_server,
  list,
  zero,
  set_timeouts,
  start_daemon,
  stop_daemon,
  add_local_address,  // DPVS's -P, -Q and -G
  delete_local_address,
  list_local_addresses,
};

// A virtual service: an endpoint, or a firewall mark and a family.
struct ServiceId {
  Protocol protocol = Protocol::tcp;  // none for a mark
  Endpoint endpoint{};
  uint32_t firewall_mark = 0;  // 0: none
  net::Family family = net::Family::ipv4;

  bool operator==(const ServiceId&) const = default;
};

enum class Method : uint8_t { route, masquerade, tunnel, fullnat };
enum class TunnelType : uint8_t { ipip, gue, gre };
enum class TunnelChecksum : uint8_t { none, full, remote };

struct SchedulerFlags {
  bool flag1 = false;  // sh-fallback, mh-fallback
  bool flag2 = false;  // sh-port, mh-port
  bool flag3 = false;

  bool operator==(const SchedulerFlags&) const = default;
};

struct Invocation {
  Command command = Command::list;
  std::optional<ServiceId> service{};
  std::string scheduler{};  // empty: not given
  SchedulerFlags flags{};
  std::optional<uint32_t> persistence_s{};
  std::optional<std::string> netmask{};  // as given; its address or length was checked
  bool one_packet = false;
  std::string persistence_engine{};

  std::optional<Endpoint> server{};
  Method method = Method::route;
  int64_t weight = 1;
  int64_t upper_threshold = 0;
  int64_t lower_threshold = 0;
  TunnelType tunnel_type = TunnelType::ipip;

  bool numeric = false;
  bool connections = false;
  bool timeouts = false;
  bool daemon = false;
  bool stats = false;
  bool rate = false;
  bool thresholds = false;
  bool persistent_connections = false;
  bool tunnel_info = false;
  bool exact = false;
  bool sorted = true;

  std::array<uint32_t, 3> set_timeouts_s{};  // tcp, tcpfin, udp; 0 leaves the value
  bool atomic = false;
  std::optional<net::IpAddress> local_address{};
  std::string socket{};  // empty: not given
};

// What is said in place of doing something.
struct Ending {
  int exit_status = 0;  // 0: help and version, on standard output
  std::string text{};   // with its line break
  // Of a line of -R: the program ends, others are just not done.
  bool ends_program = true;
};

inline constexpr int exit_usage = 2;
inline constexpr int exit_refused = 255;

// `program` is how it was called; `restoring`: the words are a line of -R's input.
[[nodiscard]] std::expected<Invocation, Ending> parse(const std::string& program,
                                                      std::vector<std::string> words,
                                                      bool restoring = false);

}  // namespace headgate::ipvsadm
