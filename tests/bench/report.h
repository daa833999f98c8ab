// Results as a table for people and as JSON for programs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/table_compare.h"

namespace headgate::bench {

void print_head();
void print_row(const Result& result);
void print_table_head();
void print_table_row(const TableResult& result);
// Instructions per packet by case, as tools/count_instructions.py --json writes them; empty where
// the file is not such a list.
[[nodiscard]] std::map<std::string, double> read_instructions(const std::string& file);
[[nodiscard]] std::string to_json(const std::vector<Result>& results,
                                  const std::vector<TableResult>& tables);

}  // namespace headgate::bench
