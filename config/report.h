// Collects what checks find, and leaves out what only follows from a mistake that the reader
// already reported: a port that could not be read is not missing as well.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/model.h"

namespace headgate::config {

// Paths whose values could not be read.
class BrokenPaths {
 public:
  void add(std::string path) { paths_.insert(std::move(path)); }
  // Whether `path` or anything around it could not be read.
  [[nodiscard]] bool cover(std::string_view path) const {
    if (paths_.empty()) return false;
    while (!path.empty()) {
      if (paths_.contains(path)) return true;
      const size_t end = path.find_last_of(".[");
      path = path.substr(0, end == std::string_view::npos ? 0 : end);
    }
    return false;
  }

 private:
  std::set<std::string, std::less<>> paths_;
};

class Report {
 public:
  Report() = default;
  explicit Report(const BrokenPaths& broken) : broken_(&broken) {}

  // `causes` are further paths whose values the message is about.
  void error(std::string path, std::string message,
             std::initializer_list<std::string> causes = {}) {
    add(Severity::error, std::move(path), std::move(message), causes);
  }
  void warning(std::string path, std::string message,
               std::initializer_list<std::string> causes = {}) {
    add(Severity::warning, std::move(path), std::move(message), causes);
  }
  [[nodiscard]] std::vector<Error> take() { return std::exchange(found_, {}); }

 private:
  void add(Severity severity, std::string path, std::string message,
           std::initializer_list<std::string> causes) {
    if (broken_ != nullptr) {
      if (broken_->cover(path)) return;
      for (const std::string& cause : causes) {
        if (broken_->cover(cause)) return;
      }
    }
    Error& error = found_.emplace_back();
    error.path = std::move(path);
    error.message = std::move(message);
    error.severity = severity;
  }

  const BrokenPaths* broken_ = nullptr;
  std::vector<Error> found_;
};

// The parts of normalize() and validate(); a file's values are in range once they are read.
void normalize(Config& config, Report& report);
void check_values(const Config& config, Report& report, const Config* running = nullptr);
void check_relations(const Config& config, Report& report);
void check_ports(const Config& config, Report& report);
void check_services(const Config& config, Report& report);
void check_marks(const Config& config, Report& report);
void check_vrrp(const Config& config, Report& report);
void check_health(const Config& config, Report& report);

}  // namespace headgate::config
