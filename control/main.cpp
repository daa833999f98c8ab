// headgated: reads its configuration, runs the daemon, and ends when it is told to.
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "config/reader.h"
#include "control/daemon.h"
#include "control/log.h"

namespace {

using namespace headgate;

constexpr int exit_refused = 1;
constexpr int exit_usage = 2;

struct Arguments {
  control::DaemonOptions daemon;
  std::string check;  // a file to check instead of running
};

void print(const std::vector<config::Error>& errors) {
  for (const config::Error& error : errors)
    fmt::print(stderr, "{}\n", config::to_string(error));
}

// `--check FILE`: every mistake on stderr, and whether the daemon would start with it.
int check(const std::string& file) {
  const auto reading = config::read_file(file);
  if (!reading) {
    print(reading.error());
    fmt::print(stderr, "{}: not usable\n", file);
    return exit_refused;
  }
  print(reading->warnings);
  const size_t routers = reading->config.vrrp.instances.size();
  fmt::print("{}: usable, {} services, {}{} warnings\n", file, reading->config.services.size(),
             routers == 0 ? "" : fmt::format("{} virtual routers, ", routers),
             reading->warnings.size());
  return 0;
}

int run(const control::DaemonOptions& options) {
  const auto reading = config::read_file(options.config_path);
  if (!reading) {
    print(reading.error());
    fmt::print(stderr, "headgated: {} is not usable; `headgated --check FILE` checks another\n",
               options.config_path);
    return exit_refused;
  }
  auto daemon = control::Daemon::start(options, *reading);
  if (!daemon) {
    control::log_error("{}", daemon.error().text);
    return exit_refused;
  }
  (*daemon)->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
#if defined(__AVX2__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) {
    fmt::print(stderr,
               "headgated: this build is for processors with AVX2 and BMI2, which this one lacks; "
               "build it with -Dcpu=x86-64-v2\n");
    return 1;
  }
#endif
  CLI::App app("headgated: a layer-4 load balancer on DPDK");
  Arguments arguments;
  arguments.daemon.config_path = config::default_config_path;
  app.add_option("-c,--config", arguments.daemon.config_path, "configuration file")
      ->capture_default_str();
  app.add_option("--check", arguments.check, "check a file and exit: 0 usable, 1 not");
  app.add_option("--run-dir", arguments.daemon.run_dir, "run directory, instead of the file's");
  app.add_option("--socket", arguments.daemon.socket, "unix socket, instead of the file's");
  app.add_flag("-v,--verbose", arguments.daemon.verbose,
               "log everything, whatever daemon.log_level says");
  app.set_version_flag("--version", "headgated " HEADGATE_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : exit_usage;
  }
  return arguments.check.empty() ? run(arguments.daemon) : check(arguments.check);
}
