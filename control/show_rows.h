// Rows of the `show` commands from what runs: one JSON object each. On the control thread, in one
// go with the snapshot that they read.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/json/object.hpp>

#include "config/model.h"
#include "control/state.h"

namespace headgate::control {

// The service as workers have it, or null.
[[nodiscard]] const dataplane::ServiceBlock* find_block(const State& state,
                                                        const config::ServiceKey& key);
// The id of a backend that is in the snapshot and takes part in its service; none when it does not.
// `hint` is where it should be in the block's list, and is moved on.
[[nodiscard]] uint32_t find_backend_id(const State& state, const dataplane::ServiceBlock& block,
                                       const config::BackendKey& key, uint32_t& hint);

// Backends that workers know as removed: those that were taken out and have connections left, and
// those that are disabled. Sorted by service.
[[nodiscard]] std::vector<dataplane::BackendRow> removed_backends(const State& state);

[[nodiscard]] boost::json::object service_row(const State& state, const config::Service& service);

[[nodiscard]] bool is_backend(const dataplane::BackendRow& row, const config::BackendKey& key);

// `id` is none for a backend that the snapshot does not hold.
[[nodiscard]] boost::json::object backend_row(const State& state, const config::Service& service,
                                              const config::Backend& backend, uint32_t id);
// Of a backend that the configuration no longer has; `service` is the text of its service, and
// `service_port` that of backends that keep the packet's own, 0 when it is not known.
[[nodiscard]] boost::json::object removed_backend_row(const State& state, std::string_view service,
                                                      uint16_t service_port,
                                                      const dataplane::BackendRow& row);

[[nodiscard]] boost::json::object port_row(const PortStatus& port);
[[nodiscard]] boost::json::object worker_row(const State& state, uint32_t worker);
[[nodiscard]] boost::json::object neighbour_row(const State& state, const dataplane::NextHop& hop);

}  // namespace headgate::control
