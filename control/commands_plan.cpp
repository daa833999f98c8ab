// `plan`: what a file would change, before it does. All of the work is done on the helper pool, a
// piece at a time, so that changes get in between.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "config/diff.h"
#include "config/keep_changes.h"
#include "config/names.h"
#include "config/validate.h"
#include "control/commands.h"
#include "control/config_file.h"
#include "control/offload.h"
#include "control/plan.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using protocol::Status;

namespace {

// Lines of changes in the answer: its rows sum up all of them.
constexpr size_t most_lines = 2000;

std::string_view name_of(config::Change change) {
  switch (change) {
    case config::Change::added:
      return "added";
    case config::Change::removed:
      return "removed";
    case config::Change::changed:
      break;
  }
  return "changed";
}

json::object row_of(const ServicePlan& plan) {
  json::object row;
  row["service"] = to_string(plan.key);
  row["name"] = plan.name;
  row["change"] = name_of(plan.change);
  row["backends_added"] = plan.backends_added;
  row["backends_removed"] = plan.backends_removed;
  row["backends_changed"] = plan.backends_changed;
  row["connections"] = plan.connections;
  row["moved"] = plan.moved.sum();
  row["moved_removed"] = plan.moved.removed;
  row["moved_disabled"] = plan.moved.disabled;
  row["moved_mode"] = plan.moved.mode;
  row["on_backend_removed"] = config::name_of(plan.on_removed);
  row["ends_within_s"] = nullptr;
  if (plan.ends_within_s) row["ends_within_s"] = *plan.ends_within_s;
  row["hash_share"] = nullptr;
  if (plan.hash) row["hash_share"] = plan.hash->value();
  return row;
}

double share(uint64_t part, uint64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

// One plan on its way: each step leaves to the next what it found.
class PlanWork {
 public:
  PlanWork(std::string path, const State& state)
      : path_(std::move(path)), foreign_(state.foreign), override_(state.override_config) {}

  // What the daemon would say of the file.
  [[nodiscard]] std::expected<void, Error> read() {
    auto reading = read_config_file(path_, foreign_);
    if (!reading) return std::unexpected(reading.error());
    for (const config::Error& warning : reading->warnings)
      warnings_.push_back(to_string(warning));
    wanted_ = std::move(reading->config);
    override_(wanted_);
    const std::vector<config::Error> found = config::validate(wanted_);
    if (!config::has_errors(found)) return {};
    wanted_ = {};
    return std::unexpected(Error{config::to_string(found)});
  }

  // What the file said before; the control thread's to read.
  void set_base(std::shared_ptr<const config::Config> base) { base_ = std::move(base); }

  // Within Changes::look().
  void look(const State& state) {
    running_ = state.config;
    if (keeps()) wanted_ = config::keep_changes(*base_, *running_, std::move(wanted_)).config;
    live_ = live_connections(state.builder.identity(), state.counters, *running_);
    hash_ = hash_changes(state.builder.identity(), *running_, wanted_);
  }

  // What the daemon would say of what stays and what the file says together.
  [[nodiscard]] std::expected<void, Error> compare() {
    diff_ = config::diff(*running_, wanted_);
    by_commands_ = config::to_lines(config::diff(*base_, *running_));
    if (!keeps() || by_commands_.empty()) return {};
    const std::vector<config::Error> found = config::validate(wanted_);
    if (!config::has_errors(found)) return {};
    return std::unexpected(Error{fmt::format(
        "what commands have changed does not go with the file: {}", config::to_string(found))});
  }

  // Some of the tables; whether there are more.
  [[nodiscard]] bool fill_some() {
    constexpr std::chrono::milliseconds turn{20};
    const auto end = std::chrono::steady_clock::now() + turn;
    while (shares_.size() < hash_.changed.size()) {
      const HashChange& change = hash_.changed[shares_.size()];
      shares_.push_back(moved_hash_space(change.before, change.after));
      if (std::chrono::steady_clock::now() >= end) break;
    }
    return shares_.size() < hash_.changed.size();
  }

  // The answer, and an end to all that is large.
  void finish() {
    plan_ = make_plan(*running_, wanted_, diff_, std::move(live_), hash_, shares_);
    json::array rows;
    for (const ServicePlan& service : plan_.services) {
      rows.push_back(row_of(service));
      if (rows.size() < rows_per_piece) continue;
      pieces_.push_back(json::serialize(std::exchange(rows, {})));
    }
    if (!rows.empty()) pieces_.push_back(json::serialize(rows));
    tell();
    wanted_ = {};
    running_.reset();
    base_.reset();
    diff_ = {};
    hash_ = {};
    plan_ = {};
  }

  [[nodiscard]] std::vector<std::string>& pieces() { return pieces_; }
  [[nodiscard]] Status& status() { return status_; }

 private:
  struct Counts {
    size_t added = 0;
    size_t removed = 0;
    size_t changed = 0;
    [[nodiscard]] size_t sum() const { return added + removed + changed; }
    [[nodiscard]] json::object to_json() const {
      return {{"added", added}, {"removed", removed}, {"changed", changed}};
    }
  };

  void tell() {
    for (const ServicePlan& service : plan_.services) {
      if (service.change == config::Change::added) ++services_.added;
      if (service.change == config::Change::removed) ++services_.removed;
      if (service.change == config::Change::changed) ++services_.changed;
      backends_.added += service.backends_added;
      backends_.removed += service.backends_removed;
      backends_.changed += service.backends_changed;
    }
    config::Diff at_restart;
    std::ranges::copy_if(diff_.settings, std::back_inserter(at_restart.settings),
                         &config::SettingChange::needs_restart);
    json::object& result = status_.result;
    result["file"] = path_;
    result["differs"] = !diff_.empty();
    result["needs_restart"] = diff_.needs_restart();
    result["services"] = services_.to_json();
    result["backends"] = backends_.to_json();
    result["settings"] = diff_.settings.size();
    const uint64_t moved = plan_.moved.sum();
    result["connections"] = json::object{{"live", plan_.live.all},
                                         {"leaving", plan_.live.leaving},
                                         {"moved", moved},
                                         {"moved_removed", plan_.moved.removed},
                                         {"moved_disabled", plan_.moved.disabled},
                                         {"moved_mode", plan_.moved.mode},
                                         {"dropped", plan_.dropped},
                                         {"expired", plan_.expired},
                                         {"share", share(moved, plan_.live.all)}};
    result["hash"] = json::object{{"tables", plan_.tables}, {"share", plan_.hash_moved}};
    result["restart"] = first_lines(config::to_lines(at_restart), most_lines);
    result["changes"] = first_lines(config::to_lines(diff_), most_lines);
    result["warnings"] = first_lines(warnings_, most_lines);
    result["by_commands"] =
        json::object{{"kept", keeps()}, {"changes", first_lines(by_commands_, most_lines)}};
    status_.message = sentence();
  }

  [[nodiscard]] bool keeps() const {
    return wanted_.daemon.runtime_changes == config::RuntimeChanges::keep;
  }

  [[nodiscard]] std::string sentence() const {
    std::string text = sentence_of_changes();
    if (!by_commands_.empty()) {
      text += fmt::format("\n{} change{} by commands since the file was last read would {}",
                          by_commands_.size(), by_commands_.size() == 1 ? "" : "s",
                          keeps() ? "stay" : "be undone, as daemon.runtime_changes says");
    }
    return text;
  }

  [[nodiscard]] std::string sentence_of_changes() const {
    if (diff_.empty()) return "nothing differs from what runs";
    std::string text = fmt::format(
        "{} services, {} backends and {} settings would change; {} of {} live connections ({:.1f} "
        "%) would move",
        services_.sum(), backends_.sum(), diff_.settings.size(), plan_.moved.sum(), plan_.live.all,
        100 * share(plan_.moved.sum(), plan_.live.all));
    if (plan_.tables > 0) {
      text += fmt::format(", and {:.1f} % of the hash space", 100 * plan_.hash_moved);
    }
    if (diff_.needs_restart()) {
      text += "\na reload would refuse it: some of it needs a restart of headgated";
    }
    return text;
  }

  std::string path_;
  config::keepalived::Options foreign_;
  std::function<void(config::Config&)> override_;
  std::vector<std::string> warnings_;
  config::Config wanted_;
  std::shared_ptr<const config::Config> running_;
  std::shared_ptr<const config::Config> base_;  // what the file said before
  std::vector<std::string> by_commands_;        // changed since then
  config::Diff diff_;
  LiveConnections live_;
  HashChanges hash_;
  std::vector<HashShare> shares_;
  Plan plan_;
  Counts services_;
  Counts backends_;
  std::vector<std::string> pieces_;
  Status status_;
};

asio::awaitable<Status> plan(Call& call) {
  const auto file = call.arguments.text_if("file");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (auto mistake = mistake_of_file(call.peer, file)) co_return std::move(*mistake);
  const auto work = std::make_shared<PlanWork>(file.value_or(call.state.config_path), call.state);
  auto read = [work] { return work->read(); };
  const auto usable = co_await offload(call.pool, std::move(read));
  if (!usable) co_return refused(usable.error().text);
  work->set_base(call.state.file_config);
  std::function<void(const State&)> look = [work](const State& state) { work->look(state); };
  const auto looked = co_await call.changes.look(std::move(look));
  if (!looked) co_return refused(looked.error().text);
  auto compare = [work] { return work->compare(); };
  const auto fits = co_await offload(call.pool, std::move(compare));
  if (!fits) co_return refused(fits.error().text);
  for (bool more = true; more;) {
    auto fill = [work] { return work->fill_some(); };
    more = co_await offload(call.pool, std::move(fill));
  }
  auto finish = [work] {
    work->finish();
    return true;
  };
  co_await offload(call.pool, std::move(finish));
  for (std::string& piece : work->pieces())
    co_await call.send(std::move(piece));
  co_return std::move(work->status());
}

constexpr std::array commands{Command{"plan", plan}};

}  // namespace

std::span<const Command> plan_commands() {
  return commands;
}

}  // namespace headgate::control
