// Keys of the configuration by their names, for changes that come as JSON, and the configuration as
// JSON. Both walk config/schema.h, so that a new key needs nothing here.
#pragma once

#include <expected>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "config/model.h"
#include "control/error.h"

namespace headgate::control {

// Puts `value` into the member that the file calls `key`. A number, a text as in the file, a switch
// (true, false), a list of texts, or null for "as if not written" where a key may be left out. The
// identity of a service or backend cannot be set, nor a section or a list of them, such as checks;
// a service's persistence is "persistence_timeout_s" and "persistence_netmask".
[[nodiscard]] std::expected<void, Error> set_field(config::Service& service, std::string_view key,
                                                   const boost::json::value& value);
[[nodiscard]] std::expected<void, Error> set_field(config::Backend& backend, std::string_view key,
                                                   const boost::json::value& value);
[[nodiscard]] std::expected<void, Error> set_field(config::Timeouts& timeouts, std::string_view key,
                                                   const boost::json::value& value);

[[nodiscard]] boost::json::object to_json(const config::Timeouts& timeouts);
// Every key, defaults included; null where the file leaves the value to the machine.
[[nodiscard]] boost::json::object to_json(const config::Config& config);

}  // namespace headgate::control
