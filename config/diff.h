// What differs between the configuration that runs and one that is wanted, by identity: a service
// is its address, port and protocol or its mark, a backend its address and port within its service.
// Both configurations have gone through normalize() and validate().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model.h"

namespace headgate::config {

enum class Change : uint8_t { added, removed, changed };

// One key that differs, with both values as a file would write them. An element of a list of
// sections that is new has nothing in `from`, one that is gone nothing in `to`.
struct FieldChange {
  std::string key;  // weight, persistence.timeout_s
  std::string from;
  std::string to;

  bool operator==(const FieldChange&) const = default;
};

struct BackendChange {
  Change change = Change::changed;
  BackendKey key;
  std::vector<FieldChange> fields;  // of a changed one

  bool operator==(const BackendChange&) const = default;
};

struct ServiceChange {
  Change change = Change::changed;
  ServiceKey key;
  size_t backend_count = 0;             // of one that is added or removed
  std::vector<FieldChange> fields;      // of a changed one, without its backends
  std::vector<BackendChange> backends;  // of a changed one
  // The order is another than what the removed ones leave, with the added ones at the end.
  bool backends_reordered = false;

  bool operator==(const ServiceChange&) const = default;
};

struct SettingChange {
  FieldChange field;  // the key is a whole path: timeouts.udp_s, ports[wan].queues
  bool needs_restart = false;

  bool operator==(const SettingChange&) const = default;
};

struct Diff {
  std::vector<ServiceChange> services;  // removed, then changed and added in the wanted order
  std::vector<SettingChange> settings;

  [[nodiscard]] bool empty() const { return services.empty() && settings.empty(); }
  [[nodiscard]] bool needs_restart() const;
};

// The order of services means nothing and shows as no difference.
[[nodiscard]] Diff diff(const Config& running, const Config& wanted);
// One line a change, settings that need a restart last:
// "backend 10.0.0.1:80 of 192.0.2.1:80/tcp: weight 1 -> 5",
// "ports[wan].queues 2 -> 4: needs a restart".
[[nodiscard]] std::vector<std::string> to_lines(const Diff& diff);

}  // namespace headgate::config
