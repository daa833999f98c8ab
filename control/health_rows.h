// What `show` tells of health: fields of a service and a backend, and a row for each check.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "config/model.h"
#include "control/counter_view.h"
#include "control/state.h"

namespace headgate::control {

// `state`, `since`, `reason`, `use`, `effective_weight`, `history`.
void add_health(boost::json::object& row, const State& state, const config::Service& service,
                const config::Backend& backend, const TrafficTotals& totals);
// Of the sorry server, which nobody checks.
void add_sorry(boost::json::object& row, const State& state, const config::Service& service);
// `usable`, `quorum`, `sorry`.
void add_pool(boost::json::object& row, const State& state, const config::Service& service);

// A row for each check of a backend.
[[nodiscard]] boost::json::array check_rows(const State& state, const config::Service& service,
                                            const config::Backend& backend);

}  // namespace headgate::control
