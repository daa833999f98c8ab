// The commands that change something. All but `zero` go through Changes and answer when the workers
// have it.
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/reader.h"
#include "control/commands.h"
#include "control/config_fields.h"
#include "control/edits.h"
#include "control/log.h"
#include "control/offload.h"
#include "control/reload.h"
#include "control/requested_edit.h"
#include "control/selector.h"
#include "control/show_rows.h"
#include "control/snapshot_walk.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using protocol::Code;
using protocol::Status;

Status status_of(Call& call, std::string_view command,
                 const std::expected<ChangeOutcome, Error>& outcome) {
  log_outcome(fmt::format("{} ({})", command, to_string(call.peer)), outcome);
  put_outcome(call.audit, outcome);
  if (!outcome) return refused(outcome.error());
  constexpr size_t most_lines = 20000;
  Status status;
  const EditReport& report = outcome->report;
  status.code = outcome->late.empty() ? Code::ok : Code::refused;
  status.message = sentence_of(*outcome);
  status.result["generation"] = outcome->generation;
  status.result["changes"] = first_lines(report.changes, most_lines);
  status.result["warnings"] = first_lines(report.warnings, most_lines);
  return status;
}

namespace {

asio::awaitable<Status> submit(Call& call, std::string_view command, Edit edit) {
  const auto outcome = co_await call.changes.submit(std::move(edit));
  co_return status_of(call, command, outcome);
}

asio::awaitable<Status> change(Call& call, std::string_view command) {
  auto edit = requested_edit(command, call.arguments);
  if (!edit) co_return wrong_usage(edit.error());
  co_return co_await submit(call, command, std::move(*edit));
}

asio::awaitable<Status> service_add(Call& call) {
  return change(call, "service add");
}

asio::awaitable<Status> service_edit(Call& call) {
  return change(call, "service edit");
}

asio::awaitable<Status> service_delete(Call& call) {
  return change(call, "service delete");
}

asio::awaitable<Status> flush(Call& call) {
  return change(call, "flush");
}

asio::awaitable<Status> backend_add(Call& call) {
  return change(call, "backend add");
}

asio::awaitable<Status> backend_edit(Call& call) {
  return change(call, "backend edit");
}

asio::awaitable<Status> backend_delete(Call& call) {
  return change(call, "backend delete");
}

// What a drained backend has left, for the answer.
void tell_what_is_left(const State& state, const std::string& service_name,
                       const std::string& backend_name, uint16_t old_weight, Status& status) {
  const auto service_index = find_service(*state.config, service_name);
  if (!service_index) return;
  const config::Service& service = state.config->services[*service_index];
  const auto backend_index = find_backend(service, backend_name);
  const auto* block = find_block(state, key_of(service));
  if (!backend_index || block == nullptr) return;
  const config::Backend& backend = service.backends[*backend_index];
  uint32_t hint = static_cast<uint32_t>(*backend_index);
  const uint32_t id = find_backend_id(state, *block, key_of(backend), hint);
  if (id == dataplane::none) return;
  const TrafficTotals totals = state.counters.backend(dataplane::backend_index(id));
  const uint64_t left = totals.active + totals.inactive;
  status.result["left"] = left;
  const json::value deadline = backend_row(state, service, backend, id).at("ends_in_s");
  status.result["ends_in_s"] = deadline;
  status.message =
      fmt::format("{} takes no new connections; {} left", to_string(key_of(backend)), left);
  if (left > 0) {
    status.message += deadline.is_null() ? std::string(", which run to their end")
                                         : fmt::format(", ended in {} s at the latest",
                                                       deadline.to_number<uint32_t>());
  }
  if (old_weight > 0) {
    status.message += fmt::format("\n`headgate backend edit {} {} --weight {}` takes it back",
                                  name_of(service), to_string(key_of(backend)), old_weight);
  }
}

asio::awaitable<Status> backend_drain(Call& call) {
  const std::string service = call.arguments.text("service");
  const std::string backend = call.arguments.text("backend");
  DrainTime time;
  time.as_configured = !call.arguments.has("deadline_s");
  time.deadline_s = call.arguments.number_or_null("deadline_s");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  // Ticks wrap: what is too far away would be in the past.
  if (time.deadline_s.value_or(0) > config::max_timeout_s) {
    co_return wrong_usage(
        fmt::format("deadline_s: {} is above {}; none lets connections run to "
                    "their end",
                    *time.deadline_s, config::max_timeout_s));
  }
  uint16_t old_weight = 0;
  if (const auto index = find_service(*call.state.config, service)) {
    const config::Service& its = call.state.config->services[*index];
    if (const auto which = find_backend(its, backend)) old_weight = its.backends[*which].weight;
  }
  Edit edit = drain_backend(service, backend, time);
  Status status = co_await submit(call, "backend drain", std::move(edit));
  if (status.code == Code::ok) {
    tell_what_is_left(call.state, service, backend, old_weight, status);
  }
  co_return status;
}

asio::awaitable<Status> timeouts(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  Status status;
  status.result["timeouts"] = to_json(call.state.config->timeouts);
  co_return status;
}

asio::awaitable<Status> timeouts_set(Call& call) {
  Status status = co_await change(call, "timeouts set");
  if (status.code == Code::ok) {
    status.result["timeouts"] = to_json(call.state.config->timeouts);
  }
  co_return status;
}

asio::awaitable<Status> reload_command(Call& call) {
  const auto file = call.arguments.text_if("file");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (auto mistake = mistake_of_file(call.peer, file)) co_return std::move(*mistake);
  const auto outcome = co_await reload(call.state, call.changes, call.pool, file);
  co_return status_of(call, "reload", outcome);
}

void zero_counters(State& state, const dataplane::ServiceBlock& block) {
  state.counters.zero_service(block.id);
  for (const dataplane::ServiceBackend& backend : elements(state.region, block.backends)) {
    state.counters.zero_backend(dataplane::backend_index(backend.backend_id));
  }
}

asio::awaitable<Status> zero(Call& call) {
  const auto name = call.arguments.text_if("service");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  const auto config = call.state.config;
  const auto range = named_services(*config, name);
  if (!range) co_return refused(range.error());
  for (size_t i = range->begin; i < range->end; ++i) {
    const auto* block = find_block(call.state, key_of(config->services[i]));
    if (block != nullptr) zero_counters(call.state, *block);
    if (i % rows_per_piece == rows_per_piece - 1) co_await yield_to_loop();
  }
  Status status;
  status.message = fmt::format("counters of {} start at zero again",
                               name ? name_of(config->services[range->begin]) : "all services");
  log_info("zero ({}): {}", to_string(call.peer), status.message);
  co_return status;
}

constexpr std::array commands{
    Command{"service add", service_add, true},
    Command{"service edit", service_edit, true},
    Command{"service delete", service_delete, true},
    Command{"flush", flush, true},
    Command{"backend add", backend_add, true},
    Command{"backend edit", backend_edit, true},
    Command{"backend delete", backend_delete, true},
    Command{"backend drain", backend_drain, true},
    Command{"timeouts", timeouts},
    Command{"timeouts set", timeouts_set, true},
    Command{"reload", reload_command, true},
    Command{"zero", zero, true},
};

}  // namespace

std::span<const Command> change_commands() {
  return commands;
}

}  // namespace headgate::control
