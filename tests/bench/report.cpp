#include "tests/bench/report.h"

#include <cstdio>
#include <fstream>
#include <iterator>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace headgate::bench {
namespace {

namespace json = boost::json;

json::object spread_json(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.least}, {"max", spread.most}};
}

json::object more_json(const Result& r) {
  json::object more;
  for (const auto& [name, value] : r.more)
    more[name] = value;
  return more;
}

json::object row_json(const Result& r) {
  return {{"case", r.name},
          {"packets", r.packets},
          {"packets_per_second", 1e9 / r.ns.median},
          {"ns_per_packet", spread_json(r.ns)},
          {"floor_ns_per_packet", spread_json(r.floor_ns)},
          {"burst_ns", {{"p50", r.p50_ns}, {"p99", r.p99_ns}, {"max", r.max_ns}}},
          {"floor_burst_ns", {{"p50", r.floor_p50_ns}, {"p99", r.floor_p99_ns}}},
          {"instructions_per_packet", r.instructions == 0 ? json::value() : r.instructions},
          {"bytes_per_connection", r.connection_bytes},
          {"verified_frames", r.verified},
          {"more", more_json(r)},
          {"remark", r.remark},
          {"mistake", r.mistake}};
}

json::object table_figures_json(const TableFigures& figures) {
  return {{"look_up_ns", spread_json(figures.look_up_ns)}, {"insert_ns", figures.insert_ns}};
}

json::object table_json(const TableResult& r) {
  return {{"case", r.name},
          {"keys", r.keys},
          {"connection_table", table_figures_json(r.ours)},
          {"rte_hash", table_figures_json(r.rte_hash)},
          {"mistake", r.mistake}};
}

}  // namespace

void print_head() {
  fmt::print(
      "{:<54} {:>7} {:>6} {:>11} {:>6} {:>7} {:>6} {:>6} {:>6} {:>7} {:>6} {:>6} {:>6} {:>6}\n",
      "case", "Mpps", "ns", "min-max", "floor", "above", "ratio", "p50", "p99", "max", "floor",
      "floor", "bytes", "instr");
  fmt::print(
      "{:<54} {:>7} {:>6} {:>11} {:>6} {:>7} {:>6} {:>6} {:>6} {:>7} {:>6} {:>6} {:>6} {:>6}\n", "",
      "", "median", "", "median", "floor", "", "µs", "µs", "µs", "p50", "p99", "/conn", "/pkt");
}

void print_row(const Result& r) {
  fmt::print(
      "{:<54} {:>7.2f} {:>6.1f} {:>5.0f}-{:<5.0f} {:>6.1f} {:>7.1f} {:>6.1f} {:>6.2f} {:>6.2f} "
      "{:>7.1f} {:>6.2f} {:>6.2f} {:>6.1f} {:>6}\n",
      r.name, 1000 / r.ns.median, r.ns.median, r.ns.least, r.ns.most, r.floor_ns.median,
      r.ns.median - r.floor_ns.median, r.ns.median / r.floor_ns.median, r.p50_ns / 1000,
      r.p99_ns / 1000, r.max_ns / 1000, r.floor_p50_ns / 1000, r.floor_p99_ns / 1000,
      r.connection_bytes, r.instructions == 0 ? "-" : fmt::format("{:.0f}", r.instructions));
  if (!r.remark.empty()) fmt::print("  {}\n", r.remark);
  if (!r.mistake.empty()) fmt::print("  WRONG: {}\n", r.mistake);
  std::fflush(stdout);
}

void print_table_head() {
  fmt::print("\n{:<54} {:>6} {:>11} {:>7} {:>9} {:>11} {:>7}\n", "ns per key", "ours", "min-max",
             "insert", "rte_hash", "min-max", "insert");
}

void print_table_row(const TableResult& r) {
  const auto& [ours, our_insert] = r.ours;
  const auto& [theirs, their_insert] = r.rte_hash;
  fmt::print("{:<54} {:>6.1f} {:>5.1f}-{:<5.1f} {:>7.1f} {:>9.1f} {:>5.1f}-{:<5.1f} {:>7.1f}\n",
             r.name, ours.median, ours.least, ours.most, our_insert, theirs.median, theirs.least,
             theirs.most, their_insert);
  if (!r.mistake.empty()) fmt::print("  WRONG: {}\n", r.mistake);
  std::fflush(stdout);
}

std::map<std::string, double> read_instructions(const std::string& file) {
  std::ifstream stream(file);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  std::map<std::string, double> by_case;
  if (error || !value.is_object()) return by_case;
  for (const auto& [name, figure] : value.get_object()) {
    if (figure.is_number()) by_case[std::string(name)] = figure.to_number<double>();
  }
  return by_case;
}

std::string to_json(const std::vector<Result>& results, const std::vector<TableResult>& tables) {
  json::array cases;
  for (const Result& result : results)
    cases.push_back(row_json(result));
  json::array compared;
  for (const TableResult& table : tables)
    compared.push_back(table_json(table));
  return json::serialize(json::object{{"cases", cases}, {"tables", compared}});
}

}  // namespace headgate::bench
