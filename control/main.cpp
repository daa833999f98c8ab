// headgated: reads its configuration, runs the daemon, and ends when it is told to.
#include <algorithm>
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
// As keepalived's: `-t` found mistakes that would be stepped over.
constexpr int exit_mistakes = 5;

struct Arguments {
  control::DaemonOptions daemon;
  std::string check;  // a file to check instead of running
  std::string test;   // the same as keepalived does it; empty: the daemon's own file
};

void print(const std::vector<config::Error>& errors) {
  for (const config::Error& error : errors)
    fmt::print(stderr, "{}\n", config::to_string(error));
}

// `--check FILE`: every mistake on stderr, and whether the daemon would start with it.
int check(const std::string& file, const config::keepalived::Options& foreign) {
  const auto reading = config::read_file(file, foreign);
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

// `-t`: silent when all is well, so that scripts made for keepalived go on.
int test(const std::string& file, const config::keepalived::Options& foreign) {
  const auto reading = config::read_file(file, foreign);
  print(reading ? reading->warnings : reading.error());
  if (!reading) return exit_refused;
  const bool mistakes =
      std::ranges::any_of(reading->notes, [](const auto& note) { return note.mistake; });
  return mistakes ? exit_mistakes : 0;
}

int run(const control::DaemonOptions& options) {
  const auto reading = config::read_file(options.config_path, options.foreign);
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
  app.add_option("-c,--config,-f,--use-file", arguments.daemon.config_path,
                 "configuration file, in YAML or a keepalived.conf")
      ->capture_default_str();
  app.add_option("--check", arguments.check, "check a file and exit: 0 usable, 1 not");
  CLI::Option* tested =
      app.add_option("-t,--config-test", arguments.test,
                     "check a file, or that of --config, as keepalived does, and exit: 0 valid, 1 "
                     "not usable, 5 with mistakes that would be stepped over")
          ->expected(0, 1);
  app.add_option("--port", arguments.daemon.foreign.ports,
                 "a port for a keepalived.conf: NAME=PCI, NAME=vdev:ARGUMENTS or "
                 "NAME=interface:INTERFACE; may be given several times")
      ->allow_extra_args(false);
  app.add_option("-i,--config-id", arguments.daemon.foreign.config_id,
                 "which @ID lines of a keepalived.conf count")
      ->default_str(std::string(config::keepalived::default_config_id));
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
  const config::keepalived::Options& foreign = arguments.daemon.foreign;
  if (tested->count() > 0) {
    return test(arguments.test.empty() ? arguments.daemon.config_path : arguments.test, foreign);
  }
  return arguments.check.empty() ? run(arguments.daemon) : check(arguments.check, foreign);
}
