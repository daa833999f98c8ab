// Several changes of services, backends and time-outs as one edit: one snapshot, all or nothing, or
// each for itself. Pure; the edits run on the helper pool.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "control/change_plan.h"
#include "control/error.h"

namespace headgate::control {

// The edits of a transaction in the order in which they are made.
using EditList = std::vector<Edit>;

// From {command, arguments} objects; see requested_edit(). The error is a sentence that names the
// place of the wrong one, counted from 1.
[[nodiscard]] std::expected<EditList, std::string> parse_transaction(boost::json::array commands);

// One of the edits that was refused; `index` counts from 0.
struct EditRefusal {
  size_t index = 0;
  Error error;
};
// What was refused in the last run of the edit: it may run more than once.
using EditRefusals = std::vector<EditRefusal>;

// Ends with the first refusal, which `refusals` then holds, and nothing is changed.
[[nodiscard]] Edit all_or_nothing(EditList edits, std::shared_ptr<EditRefusals> refusals);
// Makes those that can be made.
[[nodiscard]] Edit each_for_itself(EditList edits, std::shared_ptr<EditRefusals> refusals);

}  // namespace headgate::control
