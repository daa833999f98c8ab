#include "tools/headgate_columns.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tools/headgate_table.h"

namespace headgate::cli {

namespace json = boost::json;

namespace {

constexpr std::array services{
    ListColumn{"SERVICE", "service"},
    ListColumn{"NAME", "name"},
    ListColumn{"MODE", "mode"},
    ListColumn{"SCHEDULER", "scheduler"},
    ListColumn{"BACKENDS", "usable", Kind::plain, true, "backends"},
    ListColumn{"ACTIVE", "active", Kind::count, true},
    ListColumn{"INACTIVE", "inactive", Kind::count, true},
    ListColumn{"CONNS", "connections", Kind::count, true},
    ListColumn{"IN PKTS", "in_packets", Kind::count, true},
    ListColumn{"OUT PKTS", "out_packets", Kind::count, true},
    ListColumn{"IN BYTES", "in_bytes", Kind::bytes, true},
    ListColumn{"OUT BYTES", "out_bytes", Kind::bytes, true},
    ListColumn{"REFUSED", "refused", Kind::count, true},
};
constexpr std::array backends{
    ListColumn{"SERVICE", "service"},
    ListColumn{"BACKEND", "backend"},
    ListColumn{"NAME", "name"},
    ListColumn{"MODE", "mode"},
    ListColumn{"STATE", "state"},
    ListColumn{"FOR", "for_s", Kind::duration},
    ListColumn{"WEIGHT", "effective_weight", Kind::plain, false, "weight"},
    ListColumn{"ENDS IN", "ends_in_s", Kind::duration},
    ListColumn{"ACTIVE", "active", Kind::count, true},
    ListColumn{"INACTIVE", "inactive", Kind::count, true},
    ListColumn{"CONNS", "connections", Kind::count, true},
    ListColumn{"IN PKTS", "in_packets", Kind::count, true},
    ListColumn{"OUT PKTS", "out_packets", Kind::count, true},
    ListColumn{"IN BYTES", "in_bytes", Kind::bytes, true},
    ListColumn{"OUT BYTES", "out_bytes", Kind::bytes, true},
    ListColumn{"REFUSED", "refused", Kind::count, true},
    ListColumn{"REASON", "reason"},
};
constexpr std::array service_rates{
    ListColumn{"SERVICE", "service"},
    ListColumn{"NAME", "name"},
    ListColumn{"BACKENDS", "usable", Kind::plain, true, "backends"},
    ListColumn{"CONNS/S", "connections_per_s", Kind::count, true},
    ListColumn{"IN PKTS/S", "in_packets_per_s", Kind::count, true},
    ListColumn{"OUT PKTS/S", "out_packets_per_s", Kind::count, true},
    ListColumn{"IN BYTES/S", "in_bytes_per_s", Kind::bytes, true},
    ListColumn{"OUT BYTES/S", "out_bytes_per_s", Kind::bytes, true},
};
constexpr std::array backend_rates{
    ListColumn{"SERVICE", "service"},
    ListColumn{"BACKEND", "backend"},
    ListColumn{"NAME", "name"},
    ListColumn{"STATE", "state"},
    ListColumn{"CONNS/S", "connections_per_s", Kind::count, true},
    ListColumn{"IN PKTS/S", "in_packets_per_s", Kind::count, true},
    ListColumn{"OUT PKTS/S", "out_packets_per_s", Kind::count, true},
    ListColumn{"IN BYTES/S", "in_bytes_per_s", Kind::bytes, true},
    ListColumn{"OUT BYTES/S", "out_bytes_per_s", Kind::bytes, true},
};
constexpr std::array checks{
    ListColumn{"SERVICE", "service"},
    ListColumn{"BACKEND", "backend"},
    ListColumn{"CHECK", "check"},
    ListColumn{"TARGET", "target"},
    ListColumn{"STATE", "state"},
    ListColumn{"PROGRESS", "progress"},
    ListColumn{"LAST", "last_s", Kind::duration},
    ListColumn{"REASON", "reason"},
};
constexpr std::array connections{
    ListColumn{"PROTO", "protocol"},  ListColumn{"CLIENT", "client"},
    ListColumn{"SERVICE", "service"}, ListColumn{"LOCAL", "local"},
    ListColumn{"BACKEND", "backend"}, ListColumn{"MODE", "mode"},
    ListColumn{"STATE", "state"},     ListColumn{"EXPIRES", "expires_s", Kind::duration},
};
constexpr std::array ports{
    ListColumn{"PORT", "port"},
    ListColumn{"DRIVER", "driver"},
    ListColumn{"MAC", "mac"},
    ListColumn{"LINK", "link"},
    ListColumn{"MTU", "mtu", Kind::plain},
    ListColumn{"QUEUES RX/TX", "rx_queues", Kind::plain, false, "tx_queues"},
    ListColumn{"RX PKTS", "rx_packets", Kind::count, true},
    ListColumn{"RX BYTES", "rx_bytes", Kind::bytes, true},
    ListColumn{"TX PKTS", "tx_packets", Kind::count, true},
    ListColumn{"TX BYTES", "tx_bytes", Kind::bytes, true},
    ListColumn{"MISSED", "rx_missed", Kind::count, true},
    ListColumn{"RX ERRORS", "rx_errors", Kind::count, true},
    ListColumn{"NO MBUF", "rx_no_mbuf", Kind::count, true},
    ListColumn{"TX ERRORS", "tx_errors", Kind::count, true},
    ListColumn{"TWIN", "twin"},
};
constexpr std::array workers{
    ListColumn{"WORKER", "worker", Kind::plain},
    ListColumn{"CORE", "core", Kind::plain},
    ListColumn{"POLLS", "polls", Kind::count, true},
    ListColumn{"BUSY", "busy_percent", Kind::percent},
    ListColumn{"SLEEPS", "sleeps", Kind::count, true},
    ListColumn{"RECEIVED", "received", Kind::count, true},
    ListColumn{"FROM TWIN", "from_twin", Kind::count, true},
    ListColumn{"NEW CONNS", "connections", Kind::count, true},
    ListColumn{"GENERATION", "generation", Kind::plain},
};
constexpr std::array drops{
    ListColumn{"DROP", "verdict"},
    ListColumn{"PACKETS", "count", Kind::count, true},
    ListColumn{"REASON", "description"},
};
constexpr std::array neighbours{
    ListColumn{"INTERFACE", "interface"},
    ListColumn{"ADDRESS", "address"},
    ListColumn{"MAC", "mac"},
    ListColumn{"STATE", "state"},
};
constexpr std::array vrrp{
    ListColumn{"NAME", "name"},
    ListColumn{"INTERFACE", "interface"},
    ListColumn{"FAMILY", "family"},
    ListColumn{"ID", "virtual_router_id", Kind::plain},
    ListColumn{"STATE", "state"},
    ListColumn{"FOR", "in_state_s", Kind::duration},
    ListColumn{"PRIORITY", "priority", Kind::plain, false, "base_priority"},
    ListColumn{"MASTER", "master"},
    ListColumn{"TRANSITIONS", "transitions", Kind::count},
    ListColumn{"SENT", "adverts_sent", Kind::count},
    ListColumn{"RECEIVED", "adverts_received", Kind::count},
    ListColumn{"DISCARDED", "discarded", Kind::count},
    ListColumn{"GROUP", "group"},
    ListColumn{"REASON", "reason"},
};
constexpr std::array audit{
    ListColumn{"TIME", "time"},       ListColumn{"WHO", "who"},
    ListColumn{"COMMAND", "command"}, ListColumn{"GENERATION", "generation", Kind::plain},
    ListColumn{"OUTCOME", "outcome"},
};

constexpr std::array layouts{
    ListLayout{"show services", "No services are configured.", false, false, services},
    ListLayout{"show services", "No services are configured.", false, true, service_rates},
    ListLayout{"show backends", "No backends.", false, false, backends},
    ListLayout{"show backends", "No backends.", false, true, backend_rates},
    ListLayout{"show checks", "No checks.", false, false, checks},
    ListLayout{"show connections", "No connections.", true, false, connections},
    ListLayout{"show ports", "No ports.", false, false, ports},
    ListLayout{"show workers", "No workers.", false, false, workers},
    ListLayout{"show drops", "Nothing was dropped.", false, false, drops},
    ListLayout{"show neighbours", "No neighbours are in use.", false, false, neighbours},
    ListLayout{"show audit", "No changes.", false, false, audit},
    ListLayout{"show vrrp", "No virtual routers.", false, false, vrrp},
};

}  // namespace

const ListLayout* find_layout(std::string_view command, bool rates) {
  const auto find = [command](bool wanted) {
    return std::ranges::find_if(layouts, [&](const ListLayout& layout) {
      return layout.command == command && layout.rates == wanted;
    });
  };
  const auto* found = find(rates);
  if (found == layouts.end()) found = find(false);
  return found == layouts.end() ? nullptr : found;
}

std::string cell_text(const ListColumn& column, const json::object& row, bool exact) {
  const uint64_t number = number_of(row, column.key);
  const json::value* value = row.if_contains(column.key);
  if (value == nullptr || value->is_null()) return "-";
  switch (column.kind) {
    case Kind::count:
      return count_text(number, exact);
    case Kind::bytes:
      return bytes_text(number, exact);
    case Kind::duration:
      return duration_text(number);
    case Kind::percent:
      return fmt::format("{:.1f} %",
                         value->is_double() ? value->as_double() : static_cast<double>(number));
    case Kind::plain:
      if (column.of_key.empty()) return std::to_string(number);
      return fmt::format("{}/{}", number, number_of(row, column.of_key));
    case Kind::text:
      break;
  }
  std::string text = text_of(row, column.key);
  // A row stays one line, and a terminal obeys nobody's names and arguments.
  std::ranges::replace_if(text, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  return text.empty() ? "-" : text;
}

uint64_t number_of(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->as_uint64();
  if (value->is_int64() && value->as_int64() > 0) return static_cast<uint64_t>(value->as_int64());
  return 0;
}

std::string text_of(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return {value->as_string().data(), value->as_string().size()};
}

}  // namespace headgate::cli
