// Results as a table for people and as JSON for programs.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/table_compare.h"

namespace headgate::bench {

void print_head();
void print_row(const Result& result);
void print_table_head();
void print_table_row(const TableResult& result);
[[nodiscard]] std::string to_json(const std::vector<Result>& results,
                                  const std::vector<TableResult>& tables);

}  // namespace headgate::bench
