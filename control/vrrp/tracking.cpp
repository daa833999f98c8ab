#include "control/vrrp/tracking.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace headgate::control {
namespace {

// Far beyond what a priority can gain or lose, and far from an overflow.
constexpr int64_t weight_limit = 1000;

void judge_switch(Verdicts& verdicts, const config::VrrpTrack& track, const TrackedValue& value,
                  std::string_view what, std::string_view down) {
  const bool up = value.value != 0;
  if (track.weight == 0) {
    if (up) return;
    verdicts.faults.push_back(fmt::format("{} {} {}{}{}", what, track.name, down,
                                          value.text.empty() ? "" : ": ", value.text));
  } else if (up == (track.weight > 0)) {
    verdicts.weights += track.weight;
  }
}

void judge_file(Verdicts& verdicts, const config::VrrpTrack& track, const TrackedValue& value) {
  if (track.weight == 0) {
    if (value.value == 0) return;
    verdicts.faults.push_back(fmt::format("file {} holds {}", track.name, value.value));
  } else {
    const int64_t number = std::clamp(value.value, -weight_limit, weight_limit);
    verdicts.weights +=
        static_cast<int>(std::clamp(number * track.weight, -weight_limit, weight_limit));
  }
}

}  // namespace

bool TrackedValues::set(TrackedKind kind, const std::string& name, TrackedValue value) {
  TrackedValue& known = values_[{kind, name}];
  const bool differs = known != value;
  known = std::move(value);
  return differs;
}

const TrackedValue& TrackedValues::get(TrackedKind kind, const std::string& name) const {
  static const TrackedValue unknown;
  const auto found = values_.find({kind, name});
  return found == values_.end() ? unknown : found->second;
}

Verdicts judge_tracked(const config::VrrpInstance& instance, const TrackedValues& values) {
  Verdicts verdicts;
  const auto judge_all = [&](const std::vector<config::VrrpTrack>& list, TrackedKind kind,
                             std::string_view what, std::string_view down) {
    for (const config::VrrpTrack& track : list)
      judge_switch(verdicts, track, values.get(kind, track.name), what, down);
  };
  judge_all(instance.interfaces, TrackedKind::interface, "interface", "is down");
  judge_all(instance.scripts, TrackedKind::script, "script", "fails");
  judge_all(instance.processes, TrackedKind::process, "process", "does not run");
  judge_all(instance.services, TrackedKind::service, "service", "has too few backends");
  for (const config::VrrpTrack& track : instance.files)
    judge_file(verdicts, track, values.get(TrackedKind::file, track.name));
  return verdicts;
}

}  // namespace headgate::control
