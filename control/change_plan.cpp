#include "control/change_plan.h"

#include <algorithm>
#include <concepts>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "config/diff.h"
#include "config/schema.h"
#include "config/validate.h"

namespace headgate::control {

namespace {

using config::Config;

bool is_touched(const EditScope& scope, const config::ServiceKey& key) {
  return std::ranges::find(scope.services, key) != scope.services.end();
}

void copy_settings(const Config& from, Config& to) {
  config::Schema<Config>::fields(
      [&]<typename M>(const config::Key& /*key*/, M Config::* member, const auto&... /*codec*/) {
        if constexpr (!std::same_as<M, std::vector<config::Service>>) to.*member = from.*member;
      });
}

// What is to be compared to say what an edit did: the few services that it touched, and settings
// where it touched those.
Config excerpt(const Config& config, const EditScope& scope) {
  Config result;
  if (scope.settings) copy_settings(config, result);
  for (const config::Service& service : config.services) {
    if (is_touched(scope, key_of(service))) result.services.push_back(service);
  }
  return result;
}

std::expected<void, Error> refuse_restarts(const config::Diff& diff) {
  std::string text;
  for (const config::SettingChange& change : diff.settings) {
    if (!change.needs_restart) continue;
    text += text.empty() ? "" : "; ";
    text += fmt::format("{}: {} -> {}", change.field.key, change.field.from, change.field.to);
  }
  if (text.empty()) return {};
  return std::unexpected(
      Error{fmt::format("needs a restart of headgated, so nothing was changed ({})", text)});
}

std::vector<std::string> texts(const std::vector<config::Error>& errors) {
  std::vector<std::string> result;
  result.reserve(errors.size());
  for (const config::Error& error : errors)
    result.push_back(to_string(error));
  return result;
}

// The warnings of a normalised configuration, or all its errors as one text, a line each.
std::expected<std::vector<std::string>, Error> check(const Config& config, const Config& running) {
  const std::vector<config::Error> found = config::validate(config, &running);
  if (!config::has_errors(found)) return texts(found);
  std::string text;
  for (const config::Error& error : found) {
    if (error.severity == config::Severity::warning) continue;
    if (!text.empty()) text += '\n';
    text += to_string(error);
  }
  return std::unexpected(Error{text});
}

// Edits, one after the other, on one copy of the running configuration, which is large: what an
// edit found before it is kept as far as it touched it, and no edit makes a copy of its own.
class Attempt {
 public:
  // `each_checked` finds out which of several is the bad one.
  Attempt(const Config& running, std::span<const Edit> edits, bool each_checked,
          std::shared_ptr<Config> spare)
      : running_(running),
        edits_(edits),
        each_checked_(each_checked),
        failed_(edits.size()),
        wanted_(std::move(spare)) {}

  ChangePlan run() {
    // One that is refused after it was made is left out from the beginning.
    while (!try_all()) {
    }
    return std::move(plan_);
  }
  // Of the configuration as a whole, where each was checked and one holds.
  [[nodiscard]] std::optional<std::vector<std::string>>& warnings() { return warnings_; }

 private:
  bool try_all() {
    plan_ = {};
    warnings_.reset();
    touched_.clear();
    settings_.reset();
    replaced_.reset();
    if (!wanted_) wanted_ = std::make_shared<Config>();
    *wanted_ = running_;
    for (size_t i = 0; i < edits_.size(); ++i) {
      if (!failed_[i] && !apply(i)) return false;
      if (failed_[i]) plan_.results.emplace_back(std::unexpected(*failed_[i]));
    }
    plan_.wanted = std::move(wanted_);
    return true;
  }

  // False when the edit failed and has left its traces.
  bool apply(size_t i) {
    auto scope = edits_[i](*wanted_);
    if (!scope) {
      failed_[i] = scope.error();
      return true;
    }
    std::vector<std::string> warnings = texts(config::normalize(*wanted_));
    if (each_checked_) {
      auto found = check(*wanted_, running_);
      if (!found) {
        failed_[i] = found.error();
        return false;
      }
      warnings_ = std::move(*found);
    }
    const config::Diff diff = difference(*scope);
    if (auto possible = refuse_restarts(diff); !possible) {
      failed_[i] = possible.error();
      return false;
    }
    plan_.results.emplace_back(EditReport{config::to_lines(diff), std::move(warnings)});
    if (diff.empty() && scope->drains.empty()) return true;
    add(plan_.scope, *scope);
    if (i + 1 < edits_.size()) remember(*scope);
    return true;
  }

  [[nodiscard]] config::Diff difference(const EditScope& scope) const {
    if (!scope.everything) return config::diff(before(scope), excerpt(*wanted_, scope));
    if (touched_.empty() && !settings_ && !replaced_) return config::diff(running_, *wanted_);
    return config::diff(whole_before(), *wanted_);
  }

  // The excerpt of the configuration as the edits before this one left it.
  [[nodiscard]] Config before(const EditScope& scope) const {
    const Config& base = replaced_ ? *replaced_ : running_;
    Config result = excerpt(base, scope);
    if (scope.settings && settings_) copy_settings(*settings_, result);
    std::erase_if(result.services, [&](const config::Service& service) {
      return touched_.contains(key_of(service));
    });
    for (const config::ServiceKey& key : scope.services) {
      const auto found = touched_.find(key);
      if (found != touched_.end() && found->second) result.services.push_back(*found->second);
    }
    return result;
  }

  [[nodiscard]] Config whole_before() const {
    Config result = replaced_ ? *replaced_ : running_;
    if (settings_) copy_settings(*settings_, result);
    std::erase_if(result.services, [&](const config::Service& service) {
      return touched_.contains(key_of(service));
    });
    for (const auto& [key, service] : touched_) {
      if (service) result.services.push_back(*service);
    }
    return result;
  }

  // What this edit made, for the next one's difference.
  void remember(const EditScope& scope) {
    if (scope.everything) {
      replaced_ = *wanted_;
      touched_.clear();
      settings_.reset();
      return;
    }
    const Config now = excerpt(*wanted_, scope);
    if (scope.settings) copy_settings(now, settings_.emplace());
    for (const config::ServiceKey& key : scope.services)
      touched_[key].reset();
    for (const config::Service& service : now.services)
      touched_[key_of(service)] = service;
  }

  const Config& running_;
  std::span<const Edit> edits_;
  bool each_checked_;
  std::vector<std::optional<Error>> failed_;  // by edit
  ChangePlan plan_;
  std::optional<std::vector<std::string>> warnings_;
  std::shared_ptr<Config> wanted_;
  // What edits before the present one have made: all of it anew, then services (none: removed) and
  // settings.
  std::optional<Config> replaced_;
  std::map<config::ServiceKey, std::optional<config::Service>> touched_;
  std::optional<Config> settings_;
};

}  // namespace

void add(EditScope& scope, const EditScope& other) {
  scope.everything |= other.everything;
  scope.settings |= other.settings;
  scope.drains.insert(scope.drains.end(), other.drains.begin(), other.drains.end());
  for (const config::ServiceKey& key : other.services) {
    if (std::ranges::find(scope.services, key) == scope.services.end()) {
      scope.services.push_back(key);
    }
  }
}

ChangePlan plan_changes(std::shared_ptr<const Config> running, std::span<const Edit> edits,
                        const std::vector<std::string>& known_warnings,
                        std::shared_ptr<Config> spare) {
  if (edits.empty()) return {std::move(running), {}, {}, known_warnings};
  // The check of a large configuration is the larger part of a small change: it is made once,
  // unless there are several and something is wrong.
  const bool alone = edits.size() == 1;
  Attempt attempt(*running, edits, alone, std::move(spare));
  ChangePlan plan = attempt.run();
  std::optional<std::vector<std::string>> warnings = std::move(attempt.warnings());
  if (!alone && plan.changes_anything()) {
    if (auto found = check(*plan.wanted, *running)) {
      warnings = std::move(*found);
    } else {
      Attempt each(*running, edits, true, nullptr);
      plan = each.run();
      warnings = std::move(each.warnings());
    }
  }
  if (!plan.changes_anything() || !warnings) {
    plan.wanted = std::move(running);
    plan.warnings = known_warnings;
    return plan;
  }
  plan.warnings = std::move(*warnings);
  const std::set<std::string> known(known_warnings.begin(), known_warnings.end());
  for (auto& result : plan.results) {
    if (!result) continue;
    for (const std::string& warning : plan.warnings) {
      if (!known.contains(warning)) result->warnings.push_back(warning);
    }
  }
  return plan;
}

}  // namespace headgate::control
