// What differs between the configuration that runs and one that is wanted, by identity: a service
// is its address, port and protocol or its mark, a backend its address and port within its service.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model.h"

namespace headgate::config {

enum class Change : uint8_t { added, removed, changed };

// One key that differs, with both values as the file would write them.
struct FieldChange {
  std::string key;  // weight, persistence.timeout_s
  std::string from;
  std::string to;
};

struct BackendChange {
  Change change = Change::changed;
  BackendKey key;
  std::vector<FieldChange> fields;  // of a changed one
};

struct ServiceChange {
  Change change = Change::changed;
  ServiceKey key;
  std::vector<FieldChange> fields;      // of a changed one, without its backends
  std::vector<BackendChange> backends;  // of a changed one
  bool reordered = false;               // the backends that stay, or the new ones among them, moved
};

struct SettingChange {
  FieldChange field;  // the key is a whole path: timeouts.udp_s, ports[wan].queues
  bool needs_restart = false;
};

struct Diff {
  std::vector<ServiceChange> services;
  std::vector<SettingChange> settings;
  bool services_reordered = false;  // changes nothing but the order of lists

  [[nodiscard]] bool empty() const {
    return services.empty() && settings.empty() && !services_reordered;
  }
  [[nodiscard]] bool needs_restart() const;
};

[[nodiscard]] Diff diff(const Config& running, const Config& wanted);
// One line a change, settings that need a restart last:
// "backend 10.0.0.1:80 of 192.0.2.1:80/tcp: weight 1 -> 5",
// "ports[wan].queues 2 -> 4: needs a restart".
[[nodiscard]] std::vector<std::string> to_lines(const Diff& diff);

}  // namespace headgate::config
