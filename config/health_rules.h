// What the rules of health checks look things up in, and the parts that check them; internal to
// validate_health.cpp and validate_checks.cpp.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "config/report.h"

namespace headgate::config {

// Names of the whole configuration, as views into it.
struct HealthWorld {
  bool mail = false;
  std::map<std::string_view, std::string_view> beneath;  // interface of a port, its port's name
  std::set<std::string_view> sideless;                   // ports with `twin: none`
  // What is wrong with each expression: thousands of backends may share one.
  std::map<std::string_view, std::string> regexes;
};

// Whom one list of checks asks: a backend, all of a service that have no checks of their own, or,
// where there is none, a backend as the service would have it.
struct Asked {
  struct One {
    std::string who;  // backends[3], or the service
    std::string path;
    net::IpAddress address;
  };
  // The first of its kind, if there is one.
  std::optional<One> translated;  // in nat or fullnat mode
  std::optional<One> portless;    // takes all ports
  std::optional<One> ipv4;        // by its own address
  std::optional<One> ipv6;
};

// `path` is that of the section around `checks`.
void check_list(const std::vector<Check>& checks, const std::string& path, const Service& service,
                const std::string& service_path, const Asked& asked, HealthWorld& world,
                Report& report);

}  // namespace headgate::config
