// Commands about health: the checks as they stand, and a check out of turn.
#include <array>
#include <utility>

#include <fmt/format.h>

#include "control/commands.h"
#include "control/health/health_book.h"
#include "control/health_rows.h"
#include "control/log.h"
#include "control/selector.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using protocol::Status;

namespace {

json::object totals_of(const State& state) {
  const HealthControl& health = state.surroundings.health;
  const HealthCounts counts = health.counts();
  return {{"checks", health.book == nullptr ? 0 : health.book->probe_count()},
          {"attempts", counts.attempts},
          {"failed", counts.failed},
          {"late_max_ms", counts.late_max_ms},
          {"at_once_max", counts.at_once_max}};
}

asio::awaitable<Status> show_checks(Call& call) {
  const auto config = call.state.config;
  const auto wanted = chosen(call, *config);
  if (!wanted) co_return wanted.error();
  json::array rows;
  for (size_t i = wanted->services.begin; i < wanted->services.end; ++i) {
    const config::Service& service = config->services[i];
    for (size_t k = 0; k < service.backends.size(); ++k) {
      if (wanted->backend && *wanted->backend != k) continue;
      for (json::value& row : check_rows(call.state, service, service.backends[k]))
        rows.push_back(std::move(row));
      if (rows.size() < rows_per_piece) continue;
      json::array piece = std::exchange(rows, {});
      co_await call.send_rows(std::move(piece));
    }
  }
  if (!rows.empty()) co_await call.send_rows(std::move(rows));
  Status status;
  status.result = totals_of(call.state);
  co_return status;
}

asio::awaitable<Status> backend_check(Call& call) {
  const std::string service_name = call.arguments.text("service");
  const std::string backend_name = call.arguments.text("backend");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  const auto config = call.state.config;
  const auto service_index = find_service(*config, service_name);
  if (!service_index) co_return refused(service_index.error().text);
  const config::Service& service = config->services[*service_index];
  const auto backend_index = find_backend(service, backend_name);
  if (!backend_index) co_return refused(backend_index.error().text);
  const config::BackendKey backend = key_of(service.backends[*backend_index]);
  if (!call.state.surroundings.health.check_now(key_of(service), backend)) {
    co_return refused(fmt::format("backend {} of {} has no checks", to_string(backend),
                                  config::name_of(service)));
  }
  Status status;
  status.message = fmt::format(
      "backend {} is asked now; `headgate show checks {} --backend {}` shows what it says",
      to_string(backend), config::name_of(service), to_string(backend));
  log_info("backend check ({}): {}", to_string(call.peer), to_string(backend));
  co_return status;
}

constexpr std::array commands{
    Command{"show checks", show_checks},
    Command{"backend check", backend_check},
};

}  // namespace

std::span<const Command> health_commands() {
  return commands;
}

}  // namespace headgate::control
