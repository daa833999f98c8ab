// The rules of what services and backends have of health checks: whom checks ask, who is told, the
// quorum and the sorry server. Tens of thousands of backends pass through here on every change:
// nothing is quadratic.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/health_rules.h"
#include "config/limits.h"
#include "config/names.h"
#include "config/vrrp_rules.h"

namespace headgate::config {
namespace {

using net::Family;

bool translates(Mode mode) {
  return mode == Mode::nat || mode == Mode::fullnat;
}

HealthWorld health_world_of(const Config& config) {
  HealthWorld world;
  world.mail = config.vrrp.mail.has_value();
  for (const Port& port : config.ports) {
    if (port.interface) world.beneath.try_emplace(*port.interface, port.name);
    if (!port.twin.enabled) world.sideless.insert(port.name);
  }
  // A twin may be called like the interface beneath another port only by mistake, told elsewhere.
  for (const Port& port : config.ports)
    if (port.twin.enabled) world.sideless.erase(port.twin_name());
  return world;
}

class HealthChecker {
 public:
  HealthChecker(const Service& service, size_t index, HealthWorld& world, Report& report)
      : service_(service),
        path_(fmt::format("services[{}]", index)),
        world_(world),
        report_(report) {}

  void check() {
    check_checks();
    check_effects();
    check_quorum();
    if (service_.sorry_server) check_sorry_server(*service_.sorry_server);
    check_notify();
  }

 private:
  [[nodiscard]] std::string at(std::string_view key) const {
    return fmt::format("{}.{}", path_, key);
  }
  [[nodiscard]] std::string of_backend(size_t index) const {
    return fmt::format("{}.backends[{}]", path_, index);
  }

  void check_checks() {
    if (!service_.checks.empty()) {
      check_list(service_.checks, path_, service_, path_, asked_by_service(), world_, report_);
    }
    for (size_t i = 0; i < service_.backends.size(); ++i) {
      const Backend& backend = service_.backends[i];
      if (backend.checks.empty()) continue;
      Asked asked;
      ask(backend, i, asked);
      check_list(backend.checks, of_backend(i), service_, path_, asked, world_, report_);
      has_checks_ = true;
    }
    has_checks_ = has_checks_ || !service_.checks.empty();
  }

  Asked asked_by_service() {
    Asked asked;
    bool any = false;
    for (size_t i = 0; i < service_.backends.size(); ++i) {
      if (!service_.backends[i].checks.empty()) continue;
      ask(service_.backends[i], i, asked);
      any = true;
    }
    if (any) return asked;
    // Backends may be added later.
    const Asked::One self{.who = "the service", .path = path_, .address = {}};
    if (translates(service_.mode)) asked.translated = self;
    if (service_.port == 0) asked.portless = self;
    return asked;
  }

  void ask(const Backend& backend, size_t index, Asked& asked) {
    const auto first = [&](std::optional<Asked::One>& one, bool is) {
      if (!is || one) return;
      one = Asked::One{.who = fmt::format("backends[{}]", index),
                       .path = of_backend(index),
                       .address = backend.address};
    };
    first(asked.translated, translates(mode_of(service_, backend)));
    first(asked.portless, backend.port == 0);
    first(asked.ipv4, backend.address.family == Family::ipv4);
    first(asked.ipv6, backend.address.family == Family::ipv6);
  }

  // What is written and does nothing.
  void check_effects() {
    const auto no_effect = [&](std::string_view key, std::string_view why,
                               std::initializer_list<std::string> causes) {
      report_.warning(at(key), fmt::format("has no effect: {}", why), causes);
    };
    const Scheduler scheduler = service_.scheduler;
    if (service_.slow_start_s != 0 &&
        (scheduler == Scheduler::rr || scheduler == Scheduler::lc || scheduler == Scheduler::dh)) {
      no_effect("slow_start_s",
                fmt::format("scheduler {} does not look at weights", name_of(scheduler)),
                {at("scheduler")});
    }
    if (service_.passive && !any_mode(translates)) {
      no_effect("passive", "no backend is in nat or fullnat mode, where answers are seen",
                {at("backends"), at("mode")});
    } else if (service_.passive && !has_checks_) {
      no_effect("passive", "it starts a check early, and there are no `checks`",
                {at("checks"), at("backends")});
    }
    if (!has_checks_) return check_without_checks();
    if (service_.on_down == OnDown::keep) return;
    const auto inhibits = [&](const Backend& backend) {
      return backend.inhibit_on_failure.value_or(service_.inhibit_on_failure);
    };
    const bool all_inhibit = service_.backends.empty()
                                 ? service_.inhibit_on_failure
                                 : std::ranges::all_of(service_.backends, inhibits);
    if (all_inhibit) {
      no_effect("on_down",
                "by `inhibit_on_failure` backends that are down stay with weight 0, and keep their "
                "connections",
                {at("inhibit_on_failure"), at("backends")});
    } else if (service_.on_down == OnDown::reset && !service_.firewall_mark &&
               service_.protocol == Protocol::udp) {
      report_.warning(at("on_down"), "UDP knows no reset: flows are forgotten, as by `reschedule`",
                      {at("protocol"), at("firewall_mark")});
    }
  }

  void check_without_checks() {
    const auto no_effect = [&](bool given, std::string_view key) {
      if (!given) return;
      report_.warning(at(key),
                      "has no effect: there are no `checks` that could find a backend down",
                      {at("checks"), at("backends")});
    };
    no_effect(service_.inhibit_on_failure, "inhibit_on_failure");
    no_effect(service_.on_down != OnDown::keep, "on_down");
    no_effect(service_.panic_percent != 0, "panic_percent");
  }

  template <typename Is>
  [[nodiscard]] bool any_mode(const Is& is) const {
    if (service_.backends.empty()) return is(service_.mode);
    return std::ranges::any_of(
        service_.backends, [&](const Backend& backend) { return is(mode_of(service_, backend)); });
  }

  void check_quorum() {
    if (service_.quorum_hysteresis >= service_.quorum) {
      report_.error(at("quorum_hysteresis"),
                    fmt::format("{} is not below quorum, {}: a quorum once had would never be lost",
                                service_.quorum_hysteresis, service_.quorum),
                    {at("quorum")});
      return;
    }
    const uint64_t needed = uint64_t{service_.quorum} + service_.quorum_hysteresis;
    uint64_t total = 0;
    for (const Backend& backend : service_.backends)
      total += backend.enabled ? backend.weight : 0;
    if (needed == 1 || total == 0 || needed <= total) return;
    report_.warning(
        at("quorum"),
        fmt::format("a weight of {} is needed{}, and all backends together have {}: "
                    "that much is enough",
                    needed, service_.quorum_hysteresis == 0 ? "" : " with `quorum_hysteresis`",
                    total),
        {at("quorum_hysteresis"), at("backends")});
  }

  void check_sorry_server(const SorryServer& sorry) {
    const std::string address = at("sorry_server.address");
    const std::string mode_path = at("sorry_server.mode");
    if (sorry.address.family == Family::none) {
      report_.error(address, "is missing: the address of the server");
      return;
    }
    const Family family = family_of(service_);
    const Mode mode = mode_of(service_, sorry);
    if (family != Family::none && sorry.address.family != family && mode != Mode::ipip) {
      report_.error(address,
                    fmt::format("{} is {} and the service is {}: {} cannot translate between the "
                                "two, only ipip can carry one in the other",
                                net::to_string(sorry.address), name_of(sorry.address.family),
                                name_of(family), name_of(mode)),
                    {mode_path, at("mode"), at("family"), at("address")});
    }
    if (!service_.firewall_mark && sorry.address == service_.address) {
      report_.error(address,
                    fmt::format("{} is the service's own address: write that of the real server",
                                net::to_string(sorry.address)));
    }
    const BackendKey key{sorry.address, sorry.port};
    for (size_t i = 0; i < service_.backends.size(); ++i) {
      if (key_of(service_.backends[i]) != key) continue;
      report_.error(address,
                    fmt::format("{} is backends[{}] already: one that waits for the others is a "
                                "backend of a higher `priority`",
                                to_string(key), i),
                    {at("sorry_server.port"), mode_path, of_backend(i) + ".port",
                     of_backend(i) + ".mode", at("port"), at("mode")});
    }
  }

  void check_notify() {
    const ServiceNotify& notify = service_.notify;
    const auto command = [&](const std::optional<std::string>& text, const std::string& path) {
      if (text) check_command(*text, notify.shell, path, report_);
    };
    if (notify != ServiceNotify{}) {
      command(notify.backend_up, at("notify.backend_up"));
      command(notify.backend_down, at("notify.backend_down"));
      command(notify.quorum_up, at("notify.quorum_up"));
      command(notify.quorum_down, at("notify.quorum_down"));
      command(notify.any, at("notify.any"));
      if (notify.mail && !world_.mail) {
        report_.error(at("notify.mail"),
                      "needs a mail server and recipients: add the section `vrrp.mail`",
                      {"vrrp.mail"});
      }
    }
    for (size_t i = 0; i < service_.backends.size(); ++i) {
      const auto& own = service_.backends[i].notify;
      if (!own) continue;
      command(own->up, of_backend(i) + ".notify.up");
      command(own->down, of_backend(i) + ".notify.down");
    }
  }

  const Service& service_;
  const std::string path_;
  HealthWorld& world_;
  Report& report_;
  bool has_checks_ = false;
};

}  // namespace

void check_health(const Config& config, Report& report) {
  const Health& health = config.health;
  if (health.state_file && health.state_file == health.notify_fifo) {
    report.error("health.state_file",
                 fmt::format("{} is `notify_fifo` as well: the one is a file, the other a pipe",
                             *health.state_file),
                 {"health.notify_fifo"});
  }
  HealthWorld world = health_world_of(config);
  for (size_t i = 0; i < config.services.size(); ++i)
    HealthChecker(config.services[i], i, world, report).check();
}

}  // namespace headgate::config
