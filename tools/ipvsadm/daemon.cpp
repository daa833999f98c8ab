#include "tools/ipvsadm/daemon.h"

#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include "tools/headgate_client.h"

namespace headgate::ipvsadm {

namespace json = boost::json;
namespace protocol = control::protocol;

namespace {

// Of a daemon that has 10,000 lines to apply at once.
constexpr std::chrono::seconds patience{60};

uint64_t member(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_int64() && value->get_int64() >= 0
             ? static_cast<uint64_t>(value->get_int64())
             : 0;
}

const json::object* section(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

}  // namespace

std::expected<json::object, Refusal> Daemon::ask(const protocol::Request& request,
                                                 const OnRow& on_row) const {
  const auto status = cli::exchange(socket_, request, patience, [&](const json::array& rows) {
    for (const json::value& row : rows) {
      if (on_row && row.is_object()) on_row(row.get_object());
    }
  });
  if (!status) return std::unexpected(Refusal{{}, status.error()});
  if (status->code == protocol::Code::ok) return status->result;
  Refusal refusal{{}, status->message, std::nullopt};
  const json::value* reason = status->result.if_contains("reason");
  if (reason != nullptr && reason->is_string()) refusal.reason = reason->get_string();
  const json::value* refused = status->result.if_contains("refused");
  if (refused != nullptr && refused->is_array() && !refused->get_array().empty()) {
    const json::object* first = refused->get_array().front().if_object();
    if (first != nullptr) refusal.index = member(*first, "index");
  }
  return std::unexpected(std::move(refusal));
}

std::expected<std::vector<ListedService>, Refusal> Daemon::services(
    const std::optional<ServiceId>& only, Which which, bool with_templates) const {
  ListingBuilder builder(which);
  json::object arguments;
  if (only) arguments["service"] = identity_text(*only);
  const auto services =
      ask({"show services", arguments}, [&](const json::object& row) { builder.add_service(row); });
  if (!services) return std::unexpected(services.error());
  const auto backends =
      ask({"show backends", arguments}, [&](const json::object& row) { builder.add_backend(row); });
  if (!backends) return std::unexpected(backends.error());
  if (with_templates) {
    const auto connections = ask({"show connections", arguments}, [&](const json::object& row) {
      if (!is_template(row)) return;
      if (const auto connection = connection_of(row)) builder.count_template(*connection);
    });
    if (!connections) return std::unexpected(connections.error());
  }
  return builder.take();
}

std::expected<uint64_t, Refusal> Daemon::table_size() const {
  const auto stats = ask({"show stats", {}});
  if (!stats) return std::unexpected(stats.error());
  const json::object* details = section(*stats, "details");
  if (details == nullptr) return uint64_t{0};
  return member(*details, "ipv4_connections_limit") + member(*details, "ipv6_connections_limit");
}

std::expected<std::array<uint32_t, 3>, Refusal> Daemon::timeouts() const {
  const auto result = ask({"timeouts", {}});
  if (!result) return std::unexpected(result.error());
  std::array<uint32_t, 3> seconds{};
  if (const json::object* timeouts = section(*result, "timeouts")) {
    constexpr std::array<std::string_view, 3> names{"tcp_established_s", "tcp_fin_wait_s", "udp_s"};
    for (size_t i = 0; i < names.size(); ++i)
      seconds[i] = static_cast<uint32_t>(member(*timeouts, names[i]));
  }
  return seconds;
}

}  // namespace headgate::ipvsadm
