// The edits that the command line can ask for, from a request's arguments.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "control/change_plan.h"
#include "control/error.h"

namespace headgate::control {

// `fields` are keys of the configuration with their values: see set_field().
[[nodiscard]] Edit add_service(std::string service, boost::json::object fields);
[[nodiscard]] Edit edit_service(std::string service, boost::json::object fields);
[[nodiscard]] Edit delete_service(std::string service);
[[nodiscard]] Edit delete_all_services();

[[nodiscard]] Edit add_backend(std::string service, std::string backend,
                               boost::json::object fields);
[[nodiscard]] Edit edit_backend(std::string service, std::string backend,
                                boost::json::object fields);
[[nodiscard]] Edit delete_backend(std::string service, std::string backend);
// How long the connections of a drained backend may go on.
struct DrainTime {
  bool as_configured = true;           // drain_deadline_s of the backend or its service
  std::optional<uint32_t> deadline_s;  // else: this; empty: to their end
};
// Weight 0, and connections that are left end in time.
[[nodiscard]] Edit drain_backend(std::string service, std::string backend, DrainTime time);

[[nodiscard]] Edit set_timeouts(boost::json::object fields);
[[nodiscard]] Edit replace_all(std::shared_ptr<const config::Config> wanted);
// The same, and what differs from `base` stays: config/keep_changes.h. What of it went all the same
// is in `lost`, a line each, once the edit is made.
[[nodiscard]] Edit replace_file(std::shared_ptr<const config::Config> base,
                                std::shared_ptr<const config::Config> wanted,
                                std::shared_ptr<std::vector<std::string>> lost);

}  // namespace headgate::control
