#include "control/health_rows.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/names.h"
#include "control/health/health_book.h"
#include "control/timestamp.h"

namespace headgate::control {

namespace json = boost::json;

namespace {

const BackendLife* life_of(const State& state, const config::Service& service,
                           const config::Backend& backend) {
  const HealthBook* book = state.surroundings.health.book;
  return book == nullptr ? nullptr : book->life(config::key_of(service), config::key_of(backend));
}

std::shared_ptr<const PoolView> view_of(const State& state, const config::Service& service) {
  const HealthBook* book = state.surroundings.health.book;
  return book == nullptr ? nullptr : book->view(config::key_of(service));
}

BackendState state_of(const config::Backend& backend, const TrafficTotals& totals,
                      const BackendLife* life, bool checked) {
  if (!backend.enabled) return BackendState::disabled;
  if (backend.weight == 0) {
    return totals.active + totals.inactive > 0 ? BackendState::draining : BackendState::drained;
  }
  if (life == nullptr || !checked) return BackendState::up;
  if (!life->known) return BackendState::fresh;
  return life->up ? BackendState::up : BackendState::down;
}

std::string_view name_of(MemberUse use) {
  switch (use) {
    case MemberUse::serve:
      return "serves";
    case MemberUse::quiescent:
      return "inhibited";
    case MemberUse::standby:
      return "standby";
    case MemberUse::out:
      return "out";
  }
  return "unknown";
}

std::string_view name_of(CheckVerdict verdict) {
  switch (verdict) {
    case CheckVerdict::unknown:
      return "new";
    case CheckVerdict::up:
      return "up";
    case CheckVerdict::down:
      return "down";
  }
  return "unknown";
}

std::string time_text(WallMs at) {
  return utc_text(std::chrono::system_clock::time_point(std::chrono::milliseconds(at)));
}

json::value seconds_since(WallMs at) {
  if (at == 0) return nullptr;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return std::max<int64_t>(now_ms - at, 0) / 1000;
}

json::array history_of(const BackendLife& life) {
  json::array history;
  for (const LifeChange& change : life.history) {
    history.push_back({{"state", change.up ? "up" : "down"},
                       {"at", time_text(change.at)},
                       {"reason", change.reason}});
  }
  return history;
}

// As the pool has it; who is not in it serves as configured.
MemberView member_of(const PoolView* view, const config::Backend& backend) {
  const MemberView* known = view == nullptr ? nullptr : find_member(*view, config::key_of(backend));
  if (known != nullptr) return *known;
  MemberView member;
  member.key = config::key_of(backend);
  return member;
}

}  // namespace

void add_health(json::object& row, const State& state, const config::Service& service,
                const config::Backend& backend, const TrafficTotals& totals) {
  const BackendLife* life = life_of(state, service, backend);
  const bool checked = !checks_of(service, backend).empty();
  row["state"] = name_of(state_of(backend, totals, life, checked));
  const bool has_life = life != nullptr && checked && backend.enabled;
  row["since"] = has_life ? json::value(time_text(life->since)) : json::value(nullptr);
  row["for_s"] = has_life ? seconds_since(life->since) : json::value(nullptr);
  row["reason"] = has_life ? json::value(life->reason) : json::value("");
  row["history"] = has_life ? history_of(*life) : json::array{};

  const auto view = view_of(state, service);
  const MemberView member = member_of(view.get(), backend);
  row["use"] = name_of(config::takes_part(backend) ? member.use : MemberUse::out);
  row["effective_weight"] = weight_in_use(backend, member);
}

void add_sorry(json::object& row, const State& state, const config::Service& service) {
  const auto view = view_of(state, service);
  const bool serves = view != nullptr && view->sorry;
  row["state"] = serves ? "sorry" : "standby";
  row["since"] = nullptr;
  row["for_s"] = nullptr;
  row["reason"] = serves ? "too few backends are up" : "";
  row["history"] = json::array{};
  row["use"] = serves ? "serves" : "standby";
  row["effective_weight"] = serves ? 1 : 0;
}

void add_pool(json::object& row, const State& state, const config::Service& service) {
  const auto view = view_of(state, service);
  const auto takes = [&](const config::Backend& backend) {
    return config::takes_part(backend) && member_of(view.get(), backend).use == MemberUse::serve;
  };
  const HealthBook* book = state.surroundings.health.book;
  const auto pool = book == nullptr ? std::nullopt : book->pool_state(config::key_of(service));
  row["usable"] = static_cast<uint64_t>(std::ranges::count_if(service.backends, takes));
  row["quorum"] = !pool || pool->quorum;
  row["panic"] = pool && pool->panic;
  row["sorry"] = view != nullptr && view->sorry;
}

json::array check_rows(const State& state, const config::Service& service,
                       const config::Backend& backend) {
  json::array rows;
  const HealthBook* book = state.surroundings.health.book;
  if (book == nullptr) return rows;
  for (const CheckStatus& status : book->checks(config::key_of(service), config::key_of(backend))) {
    const config::Check& check = status.spec->check;
    json::object row;
    row["service"] = to_string(config::key_of(service));
    row["service_name"] = service.name;
    row["backend"] = to_string(config::key_of(backend));
    row["check"] = config::name_of(check.type);
    row["target"] = net::endpoint_to_string(status.spec->target.address, status.spec->target.port);
    row["data_path"] = check.data_path;
    row["state"] = name_of(status.machine->verdict);
    // Of an up one: how many attempts have failed; of a down one: how many checks were good.
    row["progress"] = status.machine->verdict == CheckVerdict::down
                          ? fmt::format("{} of {} good", status.machine->good_checks, check.rise)
                          : fmt::format("{} of {} failed", attempts_failed(check, *status.machine),
                                        attempts_to_fall(check));
    row["last"] = status.last == 0 ? json::value(nullptr) : json::value(time_text(status.last));
    row["last_s"] = seconds_since(status.last);
    row["interval_ms"] = check.interval_ms;
    row["reason"] = *status.reason;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace headgate::control
