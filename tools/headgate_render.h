// What `headgate` prints: the daemon's JSON as tables for people, or as JSON for programs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "control/protocol.h"

namespace headgate::cli {

// Takes one reply as it comes in; every call returns what to print now.
class Renderer {
 public:
  Renderer() = default;
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;
  virtual ~Renderer() = default;
  [[nodiscard]] virtual std::string rows(const boost::json::array& rows) = 0;
  [[nodiscard]] virtual std::string end(const control::protocol::Status& status) = 0;
};

struct Format {
  bool json = false;
  bool exact = false;
  bool rates = false;   // traffic by the second, not since the start
  bool detail = false;  // `show vrrp NAME`: all of what was named
};

[[nodiscard]] std::unique_ptr<Renderer> make_renderer(std::string_view command, Format format);

}  // namespace headgate::cli
