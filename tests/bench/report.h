// Results as a table for people and as JSON for programs.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/measure.h"

namespace headgate::bench {

void print_head();
void print_row(const Result& result);
[[nodiscard]] std::string to_json(const std::vector<Result>& results);

}  // namespace headgate::bench
