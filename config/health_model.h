// Health checks, the pool that they decide on, and who is told: what services and backends have of
// it. As model.h: a field is called like its key, with its default; docs/configuration.md describes
// each.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/net/address.h"

namespace headgate::config {

enum class CheckType : uint8_t { tcp, http, https, udp, dns, smtp, ping, script };
// What a backend counts as before its first result.
enum class CheckStart : uint8_t { up, down };
// What becomes of the connections of a backend that a check has found down: `keep` leaves them to
// their end, `reset` answers their next packet with a TCP reset to both sides (DR and IPIP: to the
// client), `reschedule` forgets them at their next packet, which is treated as if it were the
// first.
enum class OnDown : uint8_t { keep, reset, reschedule };
enum class HttpVersion : uint8_t { http_1_0, http_1_1 };
enum class DigestType : uint8_t { md5, sha256 };

// Status codes, or a range of them: 200, 200-299.
struct StatusRange {
  uint16_t first = 200;
  uint16_t last = 299;

  bool operator==(const StatusRange&) const = default;
  auto operator<=>(const StatusRange&) const = default;
};

// One page that has to be right. A redirect is an answer like any other, and is not followed.
struct CheckUrl {
  std::string path = "/";
  std::optional<std::string> host;  // of the Host field; empty: http.host
  std::vector<StatusRange> status;  // empty: 200-299 where neither digest nor regex is given, else
                                    // any
  std::optional<std::string>
      digest;                        // of the body, in hexadecimal: MD5 (32) or SHA-256 (64 digits)
  std::optional<std::string> regex;  // to be found in the body; RE2
  bool regex_absent = false;         // the expression must not be found

  bool operator==(const CheckUrl&) const = default;
};

struct CheckHttp {
  std::vector<CheckUrl> urls;       // all of them, one after the other; empty: /
  std::optional<std::string> host;  // empty: the address that is asked, with its port unless usual
  HttpVersion version = HttpVersion::http_1_1;
  std::optional<std::string>
      server_name;                     // https: SNI, and the name in the certificate; empty: host
  bool verify = false;                 // https: the certificate has to be valid
  std::optional<std::string> ca_file;  // https: whom it may be signed by; empty: the system's

  bool operator==(const CheckHttp&) const = default;
};

// Bytes to send and to expect: text, or with `hex:` in front hexadecimal digits, in which X is any
// digit ("hex:12 34 XX").
struct CheckUdp {
  std::optional<std::string> send;    // empty: an empty datagram
  std::optional<std::string> expect;  // what a reply begins with
  bool require_reply = false;         // else silence is success, and only an ICMP error is failure
  uint32_t min_reply_bytes = 0;
  uint32_t max_reply_bytes = 65535;

  bool operator==(const CheckUdp&) const = default;
};

struct CheckDns {
  std::string name = ".";
  std::string type = "SOA";           // A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, or a number
  std::string rcode = "NOERROR";      // what it has to be, or `any`
  std::optional<std::string> answer;  // one record's data has to read like this

  bool operator==(const CheckDns&) const = default;
};

struct CheckSmtp {
  std::string helo = "localhost";

  bool operator==(const CheckSmtp&) const = default;
};

struct CheckScript {
  std::optional<std::string> command;  // split as a shell would; gets no arguments of its own
  std::optional<std::string> user;     // empty: vrrp.script_user
  bool shell = false;
  bool dynamic_weight = false;  // exit status 2..255 is success, and the weight plus 2

  bool operator==(const CheckScript&) const = default;
};

struct Check {
  CheckType type = CheckType::tcp;
  std::optional<net::IpAddress> address;  // empty: the backend's
  std::optional<uint16_t> port;           // empty: the backend's
  std::optional<net::IpAddress> source;   // empty: the kernel chooses
  std::optional<uint16_t> source_port;    // empty: the kernel chooses
  std::optional<std::string> interface;   // to go out by; empty: as the routes say
  std::optional<uint32_t> mark;           // SO_MARK; empty: none
  bool data_path = false;  // to the service's own address, by way of this backend (DR and IPIP)

  uint32_t interval_ms = 5000;
  uint32_t timeout_ms = 5000;  // of each attempt
  uint32_t retries = 1;        // attempts after a failed one, before the check counts as failed
  uint32_t retry_delay_ms = 1000;
  std::optional<uint32_t>
      warmup_ms;      // the first attempt comes at random within it; empty: interval
  uint32_t rise = 1;  // checks in a row until the backend is up
  uint32_t fall = 1;  // failed checks in a row until it is down
  bool first_failure_decides = false;  // as keepalived: the very first attempt, when it fails
  CheckStart start = CheckStart::up;

  CheckHttp http;
  CheckUdp udp;
  CheckDns dns;
  CheckSmtp smtp;
  CheckScript script;

  bool operator==(const Check&) const = default;
};

// Signs of trouble in the traffic of NAT and FULLNAT: they start a check at once, and decide
// nothing.
struct Passive {
  uint32_t failures = 5;      // refused or unanswered connections ...
  uint32_t window_ms = 1000;  // ... within this time

  bool operator==(const Passive&) const = default;
};

// Who is told of a service's backends and quorum. Commands get the arguments
// `RS [BACKEND]:PROTOCOL:PORT [SERVICE]:PROTOCOL:PORT UP|DOWN` or `VS [SERVICE]:PROTOCOL:PORT
// UP|DOWN` where they are `any`, and none otherwise.
struct ServiceNotify {
  std::optional<std::string> backend_up;
  std::optional<std::string> backend_down;
  std::optional<std::string> quorum_up;
  std::optional<std::string> quorum_down;
  std::optional<std::string> any;   // after the event's own
  std::optional<std::string> user;  // USER or USER:GROUP; empty: vrrp.script_user
  uint32_t timeout_s = 60;
  bool shell = false;
  bool mail = false;  // to vrrp.mail
  bool at_start =
      false;  // tells of backends at their first result, too, when they were up before it
  bool at_stop = false;  // as if all were down when the daemon ends (keepalived's omega)

  bool operator==(const ServiceNotify&) const = default;
};

// A backend's own commands, in place of its service's.
struct BackendNotify {
  std::optional<std::string> up;
  std::optional<std::string> down;

  bool operator==(const BackendNotify&) const = default;
};

struct Health {
  std::optional<std::string> state_file;   // empty: RUN_DIR/health-state
  std::optional<std::string> notify_fifo;  // a pipe that gets a line for each change
  uint32_t scripts_at_once = 64;
  // Where the addresses of checks through the data path come from; they never leave this machine.
  // RFC 2544 keeps the first for benchmarks; the second is of RFC 4193.
  net::Prefix probe_network_v4{net::Ipv4Address::from_host(0xc6120000), 15};  // 198.18.0.0/15
  net::Prefix probe_network_v6{
      net::Ipv6Address{{0xfd, 0x68, 0x65, 0x61, 0x6c, 0x74, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}, 48};

  bool operator==(const Health&) const = default;
};

}  // namespace headgate::config
