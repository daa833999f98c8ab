#include "control/health/passive_watch.h"

namespace headgate::control {

std::vector<size_t> PassiveWatch::look(const config::Service& service,
                                       const std::vector<uint64_t>& failures, int64_t steady_ms) {
  std::vector<size_t> suspects;
  if (!service.passive) return suspects;
  std::vector<Window>& windows = services_[config::key_of(service)];
  windows.resize(service.backends.size());
  for (size_t i = 0; i < service.backends.size() && i < failures.size(); ++i) {
    Window& window = windows[i];
    const config::BackendKey key = config::key_of(service.backends[i]);
    const bool over = steady_ms - window.begun_ms >= service.passive->window_ms;
    // Counters begin anew with another backend, and when they are zeroed.
    if (window.key != key || failures[i] < window.count) {
      window = {.key = key, .begun_ms = steady_ms, .count = failures[i]};
      continue;
    }
    if (!window.told && failures[i] - window.count >= service.passive->failures) {
      window.told = true;
      suspects.push_back(i);
    }
    if (over) window = {.key = key, .begun_ms = steady_ms, .count = failures[i]};
  }
  return suspects;
}

}  // namespace headgate::control
