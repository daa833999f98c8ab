#include "control/change_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "config/diff.h"
#include "config/validate.h"

namespace headgate::control {

namespace {

using config::Config;

// What is to be compared to say what an edit did: all of it, or the few services that it touched.
Config excerpt(const Config& config, const EditScope& scope) {
  if (scope.everything) return config;
  Config result;
  if (scope.settings) {
    result = config;
    result.services.clear();
  }
  for (const config::Service& service : config.services) {
    if (std::ranges::find(scope.services, key_of(service)) != scope.services.end()) {
      result.services.push_back(service);
    }
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
std::expected<std::vector<std::string>, Error> check(const Config& config) {
  const std::vector<config::Error> found = config::validate(config);
  if (!config::has_errors(found)) return texts(found);
  std::string text;
  for (const config::Error& error : found) {
    if (error.severity == config::Severity::warning) continue;
    if (!text.empty()) text += '\n';
    text += to_string(error);
  }
  return std::unexpected(Error{text});
}

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

struct Applied {
  EditScope scope;
  EditReport report;
};

// One edit on `config`, and what it changed there. Leaves `config` alone when it fails.
std::expected<Applied, Error> apply(Config& config, const Edit& edit, bool checked) {
  Config before = config;
  auto scope = edit(config);
  if (!scope) return std::unexpected(scope.error());
  std::vector<std::string> warnings = texts(config::normalize(config));
  if (checked) {
    if (auto result = check(config); !result) {
      config = std::move(before);
      return std::unexpected(result.error());
    }
  }
  const config::Diff diff = config::diff(excerpt(before, *scope), excerpt(config, *scope));
  if (auto possible = refuse_restarts(diff); !possible) {
    config = std::move(before);
    return std::unexpected(possible.error());
  }
  Applied applied;
  if (!diff.empty() || !scope->drains.empty()) applied.scope = std::move(*scope);
  applied.report = {config::to_lines(diff), std::move(warnings)};
  return applied;
}

// All edits on one copy; `each_checked` finds out which of several is the bad one.
ChangePlan attempt(const Config& running, std::span<const Edit> edits, bool each_checked) {
  ChangePlan plan;
  auto wanted = std::make_shared<Config>(running);
  for (const Edit& edit : edits) {
    auto applied = apply(*wanted, edit, each_checked);
    if (!applied) {
      plan.results.emplace_back(std::unexpected(applied.error()));
      continue;
    }
    add(plan.scope, applied->scope);
    plan.results.emplace_back(std::move(applied->report));
  }
  plan.wanted = std::move(wanted);
  return plan;
}

}  // namespace

ChangePlan plan_changes(std::shared_ptr<const Config> running, std::span<const Edit> edits,
                        const std::vector<std::string>& known_warnings) {
  if (edits.empty()) return {std::move(running), {}, {}, known_warnings};
  ChangePlan plan = attempt(*running, edits, edits.size() == 1);
  auto warnings = check(*plan.wanted);
  if (!warnings) {
    plan = attempt(*running, edits, true);
    warnings = check(*plan.wanted);
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
