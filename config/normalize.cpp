// Brings a configuration into the form that the rest of the daemon reads; see validate.h.
#include <string>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/names.h"
#include "config/report.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

bool is_prime(uint32_t value) {
  if (value < 4) return value > 1;
  if (value % 2 == 0) return false;
  for (uint64_t divisor = 3; divisor * divisor <= value; divisor += 2) {
    if (value % divisor == 0) return false;
  }
  return true;
}

// Maglev's permutations need a prime: every backend's step then visits every slot.
void make_prime(uint32_t& size, const std::string& path, Report& report) {
  if (size > max_maglev_table) return;  // for check_values to refuse
  const uint32_t wanted = size;
  while (!is_prime(size))
    ++size;
  if (size != wanted) {
    report.warning(path, fmt::format("{} is not prime: {} is used", wanted, size));
  }
}

// `where` names the backend or sorry server below the service; its text is made when it is needed.
template <typename Where>
void normalize_port(const Service& service, Mode mode, uint16_t& port,
                    const std::string& service_path, const Where& where, Report& report) {
  // DR and IPIP hand the packet over as the client sent it; IPVS forces the port just the same.
  const bool keeps_port = mode == Mode::dr || mode == Mode::ipip;
  const uint16_t service_port = service.firewall_mark ? uint16_t{0} : service.port;
  if (keeps_port && port != 0 && port != service_port) {
    const std::string own = service_path + ".port";
    report.warning(
        fmt::format("{}.{}.port", service_path, where()),
        fmt::format("{} cannot be had in {} mode, which leaves the client's destination port as it "
                    "is: {} is used; nat and fullnat can change the port",
                    port, name_of(mode),
                    service_port == 0 ? "that port" : std::to_string(service_port)),
        {own});
  }
  if (keeps_port || port == 0) port = service_port;
}

}  // namespace

void normalize(Config& config, Report& report) {
  if (auto& size = config.forwarding.maglev_table_size) {
    make_prime(*size, "forwarding.maglev_table_size", report);
  }
  for (Port& port : config.ports) {
    if (!port.twin.enabled)
      port.twin = Twin{.enabled = false, .name = {}, .addresses = {}, .routes = {}, .mtu = {}};
  }
  for (size_t i = 0; i < config.services.size(); ++i) {
    Service& service = config.services[i];
    const std::string path = fmt::format("services[{}]", i);
    if (service.firewall_mark) {
      service.family = family_of(service);
    } else if (service.family == service.address.family) {
      service.family = net::Family::none;
    }
    if (service.maglev_table_size) {
      make_prime(*service.maglev_table_size, path + ".maglev_table_size", report);
    }
    for (size_t j = 0; j < service.backends.size(); ++j) {
      Backend& backend = service.backends[j];
      normalize_port(
          service, mode_of(service, backend), backend.port, path,
          [j] { return fmt::format("backends[{}]", j); }, report);
    }
    if (service.sorry_server) {
      SorryServer& sorry = *service.sorry_server;
      normalize_port(
          service, mode_of(service, sorry), sorry.port, path,
          [] { return std::string("sorry_server"); }, report);
    }
  }
}

std::vector<Error> normalize(Config& config) {
  Report report;
  normalize(config, report);
  return report.take();
}

}  // namespace headgate::config
