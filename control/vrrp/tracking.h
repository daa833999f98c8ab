// What a virtual router tracks, and what that makes of it: causes for which it is in fault, and the
// weights that its priority gains or loses. Pure: others watch, and tell the values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/vrrp_model.h"

namespace headgate::control {

enum class TrackedKind : uint8_t { interface, script, file, process, service };

// Of an interface, script, process or service: 1 up, 0 down. Of a file: its number.
struct TrackedValue {
  int64_t value = 0;
  std::string text;  // for people: "exit status 1", "no carrier"; may be empty
  bool operator==(const TrackedValue&) const = default;
};

// Everything that is tracked by anyone. What was not told yet counts as down, a file as 0.
class TrackedValues {
 public:
  // Returns whether it is another than before.
  bool set(TrackedKind kind, const std::string& name, TrackedValue value);
  [[nodiscard]] const TrackedValue& get(TrackedKind kind, const std::string& name) const;

 private:
  std::map<std::pair<TrackedKind, std::string>, TrackedValue> values_;
};

struct Verdicts {
  std::vector<std::string> faults;  // in words; empty: none
  int weights = 0;
};

// What the lists of `instance` come to; its own interface and the workers are not among them.
[[nodiscard]] Verdicts judge_tracked(const config::VrrpInstance& instance,
                                     const TrackedValues& values);

}  // namespace headgate::control
