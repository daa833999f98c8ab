// Rows of `show vrrp`: one JSON object for each virtual router.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "control/vrrp_status.h"

namespace headgate::control {

[[nodiscard]] boost::json::object vrrp_row(const VrrpInstanceStatus& instance);
[[nodiscard]] boost::json::object vrrp_group_row(const VrrpGroupStatus& group);

}  // namespace headgate::control
