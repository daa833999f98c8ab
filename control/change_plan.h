// From edits to a configuration that may run: edits that arrive together are applied to one copy of
// the running configuration, which is then checked as a whole. Pure; runs on the helper pool.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/model.h"
#include "control/error.h"

namespace headgate::control {

// A backend whose connections are to end within a time, or after all not.
struct DrainOrder {
  config::ServiceKey service;
  config::BackendKey backend;
  std::optional<uint32_t> deadline_s;  // empty: they run to their end
};

// What an edit touched.
struct EditScope {
  std::vector<config::ServiceKey> services{};
  std::vector<DrainOrder> drains{};
  bool settings = false;    // anything but services
  bool everything = false;  // a whole new configuration
};

// Adds what another edit touched.
void add(EditScope& scope, const EditScope& other);

// Brings a copy of the running configuration to what is wanted. One that fails has changed nothing.
using Edit = std::function<std::expected<EditScope, Error>(config::Config& config)>;

// What an edit did, a line each.
struct EditReport {
  std::vector<std::string> changes;
  std::vector<std::string> warnings;
};

struct ChangePlan {
  std::shared_ptr<const config::Config> wanted;           // the running one where nothing changed
  EditScope scope;                                        // of all edits that hold
  std::vector<std::expected<EditReport, Error>> results;  // by edit
  std::vector<std::string> warnings;  // of `wanted` as a whole, known ones included

  [[nodiscard]] bool changes_anything() const {
    return scope.settings || scope.everything || !scope.services.empty() || !scope.drains.empty();
  }
};

// `known_warnings` are those of the running configuration: only new ones are reported. A bad edit
// fails alone, the others hold. `spare` is a configuration that nobody needs: its memory is used
// for the wanted one.
[[nodiscard]] ChangePlan plan_changes(std::shared_ptr<const config::Config> running,
                                      std::span<const Edit> edits,
                                      const std::vector<std::string>& known_warnings,
                                      std::shared_ptr<config::Config> spare = nullptr);

}  // namespace headgate::control
