#include "control/transaction.h"

#include <set>
#include <utility>

#include <fmt/format.h>

#include "control/requested_edit.h"

namespace headgate::control {

namespace json = boost::json;
using config::Config;

namespace {

using Scope = std::expected<EditScope, Error>;

// Beyond this many touched services the whole configuration is compared, which is faster than to
// look for each of them.
constexpr size_t most_services_by_name = 128;

// What many edits touched, without the search that add() makes for each.
class ScopeSum {
 public:
  void add(EditScope scope) {
    services_.insert(scope.services.begin(), scope.services.end());
    sum_.drains.insert(sum_.drains.end(), scope.drains.begin(), scope.drains.end());
    sum_.settings |= scope.settings;
    sum_.everything |= scope.everything;
  }
  [[nodiscard]] EditScope take() {
    sum_.everything |= services_.size() > most_services_by_name;
    if (!sum_.everything) sum_.services.assign(services_.begin(), services_.end());
    return std::move(sum_);
  }

 private:
  EditScope sum_;
  std::set<config::ServiceKey> services_;
};

std::expected<Edit, std::string> parse_command(json::value& value) {
  if (!value.is_object()) return std::unexpected("must be an object of `command` and `arguments`");
  json::object& object = value.get_object();
  const json::value* command = object.if_contains("command");
  if (command == nullptr || !command->is_string()) {
    return std::unexpected("command: is missing, or no text");
  }
  json::object arguments;
  if (json::value* given = object.if_contains("arguments")) {
    if (!given->is_object()) return std::unexpected("arguments: must be an object");
    arguments = std::move(given->get_object());
  }
  Arguments its(std::move(arguments));
  return requested_edit(std::string_view(command->get_string()), its);
}

}  // namespace

std::expected<EditList, std::string> parse_transaction(json::array commands) {
  EditList edits;
  edits.reserve(commands.size());
  for (json::value& value : commands) {
    auto edit = parse_command(value);
    if (!edit) {
      return std::unexpected(
          fmt::format("commands: the one at place {}: {}", edits.size() + 1, edit.error()));
    }
    edits.push_back(std::move(*edit));
  }
  return edits;
}

Edit all_or_nothing(EditList edits, std::shared_ptr<EditRefusals> refusals) {
  return [edits = std::move(edits), refusals = std::move(refusals)](Config& config) -> Scope {
    refusals->clear();
    Config changed = config;
    ScopeSum sum;
    for (size_t i = 0; i < edits.size(); ++i) {
      auto scope = edits[i](changed);
      if (!scope) {
        refusals->push_back({i, scope.error()});
        return std::unexpected(
            Error{fmt::format("at place {}: {}; nothing was changed", i + 1, scope.error().text),
                  scope.error().reason});
      }
      sum.add(std::move(*scope));
    }
    config = std::move(changed);
    return sum.take();
  };
}

Edit each_for_itself(EditList edits, std::shared_ptr<EditRefusals> refusals) {
  return [edits = std::move(edits), refusals = std::move(refusals)](Config& config) -> Scope {
    refusals->clear();
    ScopeSum sum;
    for (size_t i = 0; i < edits.size(); ++i) {
      auto scope = edits[i](config);
      if (scope) {
        sum.add(std::move(*scope));
      } else {
        refusals->push_back({i, std::move(scope.error())});
      }
    }
    return sum.take();
  };
}

}  // namespace headgate::control
