// Signs of trouble in the traffic itself: backends of which so many connections were refused or
// stayed unanswered within a time. They decide nothing, but their checks are asked at once. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "config/model.h"

namespace headgate::control {

class PassiveWatch {
 public:
  // The counts of all backends of a service with `passive`, in their order, as of now. Which of
  // them are suspect, by their place: each is named once in a window.
  [[nodiscard]] std::vector<size_t> look(const config::Service& service,
                                         const std::vector<uint64_t>& failures, int64_t steady_ms);
  void forget(const config::ServiceKey& service) { services_.erase(service); }

 private:
  struct Window {
    config::BackendKey key;
    int64_t begun_ms = 0;
    uint64_t count = 0;  // at its beginning
    bool told = false;
  };
  std::map<config::ServiceKey, std::vector<Window>> services_;
};

}  // namespace headgate::control
