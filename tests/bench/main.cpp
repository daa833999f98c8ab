// headgate's packet path against the clock. docs/performance.md says what is measured and how,
// tools/bench.sh runs it.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <thread>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "dataplane/eal.h"
#include "tests/bench/cases.h"
#include "tests/bench/count.h"
#include "tests/bench/report.h"

namespace headgate::bench {
namespace {

struct Options {
  bool full = false;
  bool list = false;
  bool count = false;
  bool plain_pages = false;
  std::string only;
  std::string json_file;
  std::string instructions_file;
  RunOptions run;
};

template <class AnyCase>  // Case or TableCase
bool is_wanted(const AnyCase& one, const Options& options) {
  if (options.only.ends_with('$')) return one.name + '$' == options.only;
  if (!options.only.empty()) return one.name.find(options.only) != std::string::npos;
  return options.full || !one.full_only;
}

std::vector<Result> run_cases(const Options& options, rte_mempool* pool, rte_mempool* own_pool) {
  std::map<std::string, double> instructions;
  if (!options.instructions_file.empty()) {
    instructions = read_instructions(options.instructions_file);
  }
  std::vector<Result> results;
  for (const Case& one : all_cases()) {
    if (!is_wanted(one, options)) continue;
    if (one.needs_two_cores() && !options.run.other_core) {
      fmt::print("{}: not measured, it needs a second core\n", one.name);
      continue;
    }
    if (results.empty()) print_head();
    results.push_back(run_case(one, options.run, pool, own_pool));
    results.back().instructions = instructions[one.name];
    print_row(results.back());
  }
  return results;
}

std::vector<TableResult> run_tables(const Options& options) {
  std::vector<TableResult> results;
  for (const TableCase& one : all_table_cases()) {
    if (!is_wanted(one, options)) continue;
    if (results.empty()) print_table_head();
    results.push_back(compare_tables(one, options.run.slices, options.run.pages));
    print_table_row(results.back());
  }
  return results;
}

int run_timed(const Options& options, rte_mempool* pool, rte_mempool* own_pool) {
  const std::vector<Result> cases = run_cases(options, pool, own_pool);
  const std::vector<TableResult> tables = run_tables(options);
  if (!options.json_file.empty()) {
    std::ofstream(options.json_file) << to_json(cases, tables) << "\n";
  }
  const auto is_wrong = [](const auto& result) { return !result.mistake.empty(); };
  const bool wrong = std::ranges::any_of(cases, is_wrong) || std::ranges::any_of(tables, is_wrong);
  return wrong || (cases.empty() && tables.empty()) ? 1 : 0;
}

// Packet buffers, and rte_hash where it is wanted.
uint32_t memory_mb(const Options& options) {
  uint32_t most = 0;
  for (const TableCase& one : all_table_cases()) {
    if (!options.count && is_wanted(one, options)) {
      most = std::max(most, rte_hash_memory_mb(one.keys));
    }
  }
  return 64 + most;
}

int run(const Options& options) {
  rte_mempool* pool = make_bench_pool(2);
  rte_mempool* own_pool = make_bench_pool(1);
  const int status =
      options.count ? run_counted(options.run, pool, own_pool) : run_timed(options, pool, own_pool);
  rte_mempool_free(pool);
  rte_mempool_free(own_pool);
  return status;
}

int start(Options options) {
  dataplane::EalOptions eal_options;
  eal_options.program = "headgate_bench";
  eal_options.file_prefix = fmt::format("hg-bench-{}", getpid());
  eal_options.memory_mb = memory_mb(options);
  if (options.plain_pages) eal_options.huge_pages = dataplane::HugePages::none;
  const auto eal = dataplane::Eal::start(eal_options);
  if (!eal) {
    fmt::print(stderr, "headgate_bench: {}\n", eal.error().text());
    return 2;
  }
  fmt::print("{}\n", eal->notice());
  int status = 2;
  const std::vector<uint16_t> cores = dataplane::usable_cores();
  if (cores.size() > 1) options.run.other_core = cores.front();
  std::thread([&] {
    const auto thread = dataplane::RegisteredThread::enter("bench", cores.back());
    if (thread) {
      status = run(options);
    } else {
      fmt::print(stderr, "headgate_bench: {}\n", thread.error().text());
    }
  }).join();
  return status;
}

void list_cases() {
  const auto print = [](const auto& one) {
    fmt::print("{}{}\n", one.name, one.full_only ? "   (--full)" : "");
  };
  std::ranges::for_each(all_cases(), print);
  std::ranges::for_each(all_table_cases(), print);
}

}  // namespace
}  // namespace headgate::bench

int main(int argc, char** argv) {
  using namespace headgate::bench;
  Options options;
  CLI::App app("Times headgate's packet path.", "headgate_bench");
  app.add_flag("--full", options.full, "the whole matrix");
  app.add_flag("--list", options.list, "names of the cases");
  app.add_flag("--count", options.count,
               "only the turns that tools/count_instructions.py counts the instructions of");
  app.add_flag("--plain-pages", options.plain_pages, "no huge pages, even if there are any");
  app.add_option("--only", options.only,
                 "cases whose name contains this; with $ at its end: the case of this name");
  app.add_option("--json", options.json_file, "results as JSON, to this file");
  app.add_option("--instructions", options.instructions_file,
                 "figures of tools/count_instructions.py --json, to show beside the times");
  app.add_option("--slices", options.run.slices.count, "measured slices of each case");
  app.add_option("--packets", options.run.slices.packets, "packets of a slice");
  app.add_option("--seconds", options.run.fresh_seconds, "of new flows, after settling");
  CLI11_PARSE(app, argc, argv);
  if (options.list) {
    list_cases();
    return 0;
  }
  if (options.plain_pages) options.run.pages = headgate::control::RegionPages::plain;
  return start(options);
}
