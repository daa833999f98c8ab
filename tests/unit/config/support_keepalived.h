// A keepalived.conf, converted: what tests look at.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/dump.h"
#include "config/keepalived/keepalived.h"
#include "tests/unit/config/support.h"

namespace headgate::config {

// A file that has to be usable; a port `wan` is there for its services.
inline keepalived::Conversion converted(const std::string& text, keepalived::Options options = {}) {
  if (options.ports.empty()) options.ports = {"wan=vdev:net_null0"};
  auto conversion = keepalived::convert(text, "k.conf", options);
  if (!conversion) {
    ADD_FAILURE() << to_string(conversion.error()) << text;
    return {};
  }
  return std::move(*conversion);
}

// The errors of a file, a line each, without warnings; empty when it is usable.
inline std::string errors_of(const std::string& text, keepalived::Options options = {}) {
  if (options.ports.empty()) options.ports = {"wan=vdev:net_null0"};
  const auto conversion = keepalived::convert(text, "k.conf", options);
  std::string result;
  if (conversion) return result;
  for (const Error& error : conversion.error()) {
    if (error.severity == Severity::error) result += to_string(error) + "\n";
  }
  return result;
}

// The notes of a file, a line each; those that hold for every file with services or a port without
// addresses are left out.
inline std::string notes_of(const std::string& text, const keepalived::Options& options = {}) {
  std::string result;
  for (const keepalived::Note& note : converted(text, options).notes) {
    if (note.path == "services[0].newest_first" || note.path == "ports[0].twin" ||
        note.path == "services[0].on_backend_removed") {
      continue;
    }
    result += keepalived::to_string(note) + (note.mistake ? " (mistake)" : "") + "\n";
  }
  return result;
}

// A service's lines within a virtual_server, and the service that they give.
inline Service service_of(const std::string& lines) {
  const keepalived::Conversion conversion =
      converted("virtual_server 192.0.2.1 80 {\nprotocol TCP\n" + lines + "\n}\n");
  if (conversion.config.services.size() != 1) {
    ADD_FAILURE() << "no service";
    return {};
  }
  return conversion.config.services.front();
}

// A checker's block in one real_server, and the check that it gives.
inline Check check_of(const std::string& block) {
  const Service service = service_of("delay_loop 7\nreal_server 10.0.0.1 80 {\n" + block + "\n}");
  if (service.checks.size() != 1) {
    ADD_FAILURE() << service.checks.size() << " checks";
    return {};
  }
  return service.checks.front();
}

// The lines of a vrrp_instance, and the instance.
inline VrrpInstance instance_of(const std::string& lines, const std::string& before = {}) {
  const keepalived::Conversion conversion = converted(
      before + "\nvrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 51\n" + lines + "\n}\n");
  if (conversion.config.vrrp.instances.size() != 1) {
    ADD_FAILURE() << "no instance";
    return {};
  }
  return conversion.config.vrrp.instances.front();
}

}  // namespace headgate::config
