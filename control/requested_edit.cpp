#include "control/requested_edit.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "config/text.h"
#include "control/edits.h"

namespace headgate::control {

namespace json = boost::json;

namespace {

using Requested = std::expected<Edit, std::string>;
constexpr std::string_view nothing_named = "nothing to change was named";

Requested service_add(Arguments& arguments) {
  std::string service = arguments.text("service");
  json::object fields = arguments.rest();
  if (auto mistake = arguments.mistake(); !mistake.empty()) return std::unexpected(mistake);
  return add_service(std::move(service), std::move(fields));
}

Requested service_edit(Arguments& arguments) {
  std::string service = arguments.text("service");
  json::object fields = arguments.rest();
  if (auto mistake = arguments.mistake(); !mistake.empty()) return std::unexpected(mistake);
  if (fields.empty()) return std::unexpected(std::string(nothing_named));
  return edit_service(std::move(service), std::move(fields));
}

Requested service_delete(Arguments& arguments) {
  std::string service = arguments.text("service");
  if (auto mistake = arguments.mistake(); !mistake.empty()) return std::unexpected(mistake);
  return delete_service(std::move(service));
}

Requested flush(Arguments& arguments) {
  if (auto mistake = arguments.mistake(); !mistake.empty()) return std::unexpected(mistake);
  return delete_all_services();
}

Requested backend_add(Arguments& arguments) {
  std::string service = arguments.text("service");
  std::string backend = arguments.text("backend");
  json::object fields = arguments.rest();
  if (auto mistake = arguments.mistake(); !mistake.empty()) return std::unexpected(mistake);
  return add_backend(std::move(service), std::move(backend), std::move(fields));
}

Requested backend_edit(Arguments& arguments) {
  std::string service = arguments.text("service");
  std::string backend = arguments.text("backend");
  json::object fields = arguments.rest();
  if (auto mistake = arguments.mistake(); !mistake.empty()) return std::unexpected(mistake);
  if (fields.empty()) return std::unexpected(std::string(nothing_named));
  return edit_backend(std::move(service), std::move(backend), std::move(fields));
}

Requested backend_delete(Arguments& arguments) {
  std::string service = arguments.text("service");
  std::string backend = arguments.text("backend");
  if (auto mistake = arguments.mistake(); !mistake.empty()) return std::unexpected(mistake);
  return delete_backend(std::move(service), std::move(backend));
}

Requested timeouts_set(Arguments& arguments) {
  json::object fields = arguments.rest();
  if (fields.empty()) return std::unexpected("no time-out was named");
  return set_timeouts(std::move(fields));
}

struct Entry {
  std::string_view command;
  Requested (*make)(Arguments& arguments);
};
constexpr std::array entries{
    Entry{"service add", service_add},
    Entry{"service edit", service_edit},
    Entry{"service delete", service_delete},
    Entry{"backend add", backend_add},
    Entry{"backend edit", backend_edit},
    Entry{"backend delete", backend_delete},
    Entry{"flush", flush},
    Entry{"timeouts set", timeouts_set},
};

}  // namespace

std::expected<Edit, std::string> requested_edit(std::string_view command, Arguments& arguments) {
  const auto* found = std::ranges::find(entries, command, &Entry::command);
  if (found == entries.end()) {
    return std::unexpected(fmt::format("{} is no change of a service, a backend or time-outs",
                                       config::in_quotes(command)));
  }
  return found->make(arguments);
}

}  // namespace headgate::control
