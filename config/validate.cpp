// The rules between the fields of the sections that concern the daemon as a whole; ports and
// services have files of their own.
#include "config/validate.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/report.h"

namespace headgate::config {
namespace {

void check_daemon(const Daemon& daemon, Report& report) {
  if (daemon.name.empty()) report.error("daemon.name", "is empty");
  if (!daemon.socket && daemon.socket_path().size() > max_socket_path) {
    report.error("daemon.run_dir",
                 fmt::format("makes {} of {} bytes, and a unix socket's path may have {}: shorten "
                             "it, or set `socket`",
                             daemon.socket_path(), daemon.socket_path().size(), max_socket_path));
  }
}

void check_workers(const Workers& workers, Report& report) {
  if (!workers.cores) return;
  if (workers.cores->empty()) {
    report.error("workers.cores", "an empty list: write the cores, or auto");
  }
  if (workers.cores->size() > max_workers) {
    report.error("workers.cores", fmt::format("{} cores, and there can be {} workers",
                                              workers.cores->size(), max_workers));
  }
  std::vector<uint16_t> sorted = *workers.cores;
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  if (twice != sorted.end()) {
    report.error("workers.cores", fmt::format("core {} is listed twice", *twice));
  }
}

// Virtual routers alone need no port; everything else does.
void check_need_of_ports(const Config& config, Report& report) {
  if (!config.ports.empty()) return;
  if (config.vrrp.instances.empty()) {
    report.error("ports",
                 "no port: the daemon needs at least one to take packets from, unless all it runs "
                 "is virtual routers (`vrrp.instances`)",
                 {"vrrp.instances"});
  } else if (!config.services.empty()) {
    report.error("services",
                 "no port to take their packets from: add one to `ports`, or remove them",
                 {"ports"});
  }
}

void check_totals(const Config& config, Report& report) {
  size_t backends = 0;
  size_t sorry_servers = 0;
  for (const Service& service : config.services) {
    backends += service.backends.size();
    if (service.sorry_server) ++sorry_servers;
  }
  if (config.services.size() > config.memory.max_services) {
    report.error("services", fmt::format("{} services, and memory.max_services allows {}: raise it",
                                         config.services.size(), config.memory.max_services));
  }
  if (backends + sorry_servers > config.memory.max_backends) {
    report.error(
        "services",
        fmt::format("{} backends{} in all, and memory.max_backends allows {}: raise it",
                    backends + sorry_servers, sorry_servers == 0 ? "" : " and sorry servers",
                    config.memory.max_backends));
  }
}

}  // namespace

void check_relations(const Config& config, Report& report) {
  check_daemon(config.daemon, report);
  check_workers(config.workers, report);
  check_need_of_ports(config, report);
  check_ports(config, report);
  check_totals(config, report);
  check_services(config, report);
  check_marks(config, report);
  check_vrrp(config, report);
  check_health(config, report);
}

std::vector<Error> validate(const Config& config, const Config* running) {
  Report report;
  check_values(config, report, running);
  check_relations(config, report);
  return report.take();
}

}  // namespace headgate::config
