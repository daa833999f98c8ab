// virtual_server: one service, or one for each address of its group.
#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "config/codecs.h"
#include "config/keepalived/checks.h"
#include "config/keepalived/commands.h"
#include "config/keepalived/real_server.h"
#include "config/keepalived/sections.h"
#include "config/keepalived/values.h"
#include "config/limits.h"
#include "config/names.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

struct ServiceSection {
  Draft& draft;
  std::string path;
  Service& service;
  const Groups& groups;
  ServerState state;
  bool has_protocol = false;
  bool has_fallback = false;
  bool refused = false;
};

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

void read_scheduler(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.draft.place(s.path + ".scheduler", st);
  const auto word = text(s.draft, st);
  if (!word) return;
  if (const auto known = parse_name<Scheduler>(*word)) {
    s.service.scheduler = *known;
  } else if (*word == "twos") {
    s.draft.note(st, "there is no scheduler twos: wlc is used", s.path + ".scheduler");
  } else {
    s.draft.error(st,
                  fmt::format("{} is no scheduler: {}", in_quotes(*word), all_names<Scheduler>()));
  }
}

void read_protocol(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.has_protocol = true;
  const std::string word = upper(text(s.draft, st).value_or(""));
  if (word == "UDP") {
    s.service.protocol = Protocol::udp;
  } else if (word == "SCTP") {
    s.draft.error(st,
                  "SCTP is not forwarded by headgate: take the virtual_server out, or mark its "
                  "lines with @^headgate");
  } else if (word != "TCP") {
    s.draft.error(st, fmt::format("{} is none of TCP, UDP and SCTP", in_quotes(word)));
  }
}

void read_persistence(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.draft.place(s.path + ".persistence", st);
  uint64_t timeout = 360;
  if (st.words.size() > 1) {
    const auto given = number(s.draft, st, 0, 31UL * 24 * 3600);
    if (!given) return;
    timeout = *given;
  }
  if (timeout == 0) {
    s.service.persistence.reset();
    return;
  }
  if (timeout > max_timeout_s) {
    s.draft.note(st, fmt::format("{} s is the longest there is, and used", max_timeout_s),
                 s.path + ".persistence");
    timeout = max_timeout_s;
  }
  if (!s.service.persistence) s.service.persistence.emplace();
  s.service.persistence->timeout_s = static_cast<uint32_t>(timeout);
}

// A mask of IPv4, or the length of a prefix of IPv6.
void read_granularity(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  const auto word = text(s.draft, st);
  if (!word) return;
  s.draft.place(s.path + ".persistence", st);
  const auto mask = Netmask{}.parse<uint8_t>(*word);
  if (!mask) return s.draft.error(st, mask.error());
  if (!s.service.persistence) s.service.persistence.emplace();
  s.service.persistence->netmask = *mask;
}

void read_sorry(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 3);
  s.draft.place(s.path + ".sorry_server", st);
  const auto ip = address(s.draft, st);
  if (!ip) return;
  const auto mode = s.service.sorry_server ? s.service.sorry_server->mode : std::nullopt;
  SorryServer& sorry = s.service.sorry_server.emplace();
  sorry.address = *ip;
  sorry.mode = mode;
  if (st.words.size() > 2) sorry.port = port(s.draft, st, 2).value_or(0);
}

void read_hook(ServiceSection& s, const Statement& st,
               std::optional<std::string> ServiceNotify::* slot) {
  const auto read = command(s.draft, st, s.path + ".notify");
  if (!read) return;
  s.service.notify.*slot = read->text;
  s.draft.place(s.path + ".notify", st);
  share_user(s.draft, st, *read, s.service.notify.user, s.state.first_user);
  s.state.first_user = false;
}

void read_quorum(ServiceSection& s, const Statement& st, uint32_t& out, uint64_t min,
                 const char* key) {
  only(s.draft, st, 2);
  s.draft.place(s.path + key, st);
  if (const auto n = number(s.draft, st, min, max_quorum)) out = static_cast<uint32_t>(*n);
}

void read_fallback(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 1);
  s.has_fallback = true;
}
void read_hash_port(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 1);
  s.service.hash_port = true;
  s.draft.place(s.path + ".hash_port", st);
}
void read_mode(ServiceSection& s, const Statement& st) {
  s.draft.place(s.path + ".mode", st);
  if (const auto mode = read_method(s.draft, st)) s.service.mode = *mode;
}

void read_local_addresses(ServiceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.draft.place(s.path + ".local_addresses", st);
  const auto name = text(s.draft, st);
  if (!name) return;
  const auto group = s.groups.addresses.find(*name);
  if (group == s.groups.addresses.end()) {
    return s.draft.error(st, fmt::format("{} is no local_address_group", in_quotes(*name)));
  }
  s.service.local_addresses = group->second;
}

constexpr auto service_keywords = std::to_array<Keyword<ServiceSection>>({
    {"lb_algo", read_scheduler},
    {"lvs_sched", read_scheduler},
    {"lb_kind", read_mode},
    {"lvs_method", read_mode},
    {"protocol", read_protocol},
    {"persistence_timeout", read_persistence},
    {"persistence_granularity", read_granularity},
    {"sorry_server", read_sorry},
    {"sorry_server_lvs_method",
     [](ServiceSection& s, const Statement& st) {
       const auto mode = read_method(s.draft, st);
       if (!s.service.sorry_server) s.service.sorry_server.emplace();
       s.service.sorry_server->mode = mode;
     }},
    {"quorum", [](ServiceSection& s,
                  const Statement& st) { read_quorum(s, st, s.service.quorum, 1, ".quorum"); }},
    {"hysteresis",
     [](ServiceSection& s, const Statement& st) {
       read_quorum(s, st, s.service.quorum_hysteresis, 0, ".quorum_hysteresis");
     }},
    {"quorum_up",
     [](ServiceSection& s, const Statement& st) { read_hook(s, st, &ServiceNotify::quorum_up); }},
    {"quorum_down",
     [](ServiceSection& s, const Statement& st) { read_hook(s, st, &ServiceNotify::quorum_down); }},
    {"inhibit_on_failure",
     [](ServiceSection& s, const Statement& st) {
       s.service.inhibit_on_failure = boolean(s.draft, st).value_or(false);
       s.draft.place(s.path + ".inhibit_on_failure", st);
     }},
    {"omega",
     [](ServiceSection& s, const Statement& st) {
       s.service.notify.at_stop = boolean(s.draft, st).value_or(false);
       s.draft.place(s.path + ".notify", st);
     }},
    {"ops",
     [](ServiceSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.service.one_packet = true;
       s.draft.place(s.path + ".one_packet", st);
     }},
    {"virtualhost",
     [](ServiceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.state.checks.host = text(s.draft, st);
     }},
    {"smtp_alert",
     [](ServiceSection& s, const Statement& st) { s.state.service_mail = boolean(s.draft, st); }},
    {"sh-port", read_hash_port},
    {"mh-port", read_hash_port},
    {"flag-2", read_hash_port},
    {"sh-fallback", read_fallback},
    {"mh-fallback", read_fallback},
    {"flag-1", read_fallback},
    {"ip_family",
     [](ServiceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const std::string word = text(s.draft, st).value_or("");
       s.service.family = word == "inet6" ? net::Family::ipv6 : net::Family::ipv4;
     }},
    {"laddr_group_name", read_local_addresses},
});
constexpr auto service_unsupported = std::to_array<Unsupported>({
    {"nat_mask", "has had no effect in LVS since long: ignored"},
    {"ha_suspend", "checks go on while another router is master: ignored"},
    {"persistence_engine", "persistence is by the client's address: ignored"},
    {"sorry_server_inhibit",
     "the sorry server takes no connections while it is not needed: ignored"},
    {"flag-3", "there is no such flag here: ignored"},
    {"snmp_name", "there is no SNMP here: ignored"},
    {"established_timeout", "time-outs are those of all services, `lvs_timeouts`: ignored"},
    {"syn_proxy", "there is no SYN proxy here: ignored"},
});

// Which addresses or marks the keyword's own line names.
std::vector<Target> targets_of(Draft& draft, const Groups& groups, const Statement& block) {
  const Statement line{.place = block.place, .words = block.words, .block = false, .children = {}};
  const auto first = text(draft, line);
  if (!first) return {};
  if (*first == "group") {
    only(draft, line, 3);
    const auto name = text(draft, line, 2);
    if (!name) return {};
    const auto group = groups.servers.find(*name);
    if (group == groups.servers.end()) {
      draft.error(block, fmt::format("{} is no virtual_server_group", in_quotes(*name)));
      return {};
    }
    if (group->second.empty())
      draft.note(block, fmt::format("group {} is empty", in_quotes(*name)));
    return group->second;
  }
  Target target;
  if (*first == "fwmark") {
    only(draft, line, 3);
    const auto mark = number(draft, line, 1, UINT32_MAX, 2);
    if (!mark) return {};
    target.mark = static_cast<uint32_t>(*mark);
    return {target};
  }
  only(draft, line, 3);
  const auto ip = address(draft, line);
  if (!ip) return {};
  target.address = *ip;
  if (line.words.size() > 2) {
    const auto at = port(draft, line, 2);
    if (!at) return {};
    target.port = *at;
  }
  return {target};
}

// Mails of backends are on in keepalived unless something says otherwise, those of quorums off;
// here they go together.
void settle_mail(ServiceSection& s) {
  const Globals& globals = s.draft.globals;
  const auto all = globals.checker_mail ? globals.checker_mail : globals.mail;
  const bool backends = s.state.backend_mail.value_or(all.value_or(true));
  const bool quorum = s.state.service_mail.value_or(all.value_or(false));
  s.service.notify.mail = (backends || quorum) && s.draft.config.vrrp.mail.has_value();
}

// IPVS hands packets for an address of the box itself to its own stack, whatever the method; what
// the stack takes here are packets to the VIP as they came.
void settle_local(ServiceSection& s, const std::string& path, const net::IpAddress& address,
                  std::optional<Mode>& mode) {
  if (!net::is_loopback(address)) return;
  if (mode.value_or(s.service.mode) != Mode::dr) mode = Mode::dr;
  s.draft.note_at(path, fmt::format("{} is this box itself: it gets the packets as they came, so "
                                    "the program there has to listen at the virtual address, or at "
                                    "all of them",
                                    net::to_string(address)));
}

void settle_locals(ServiceSection& s) {
  if (s.service.sorry_server) {
    SorryServer& sorry = *s.service.sorry_server;
    if (sorry.address.family == net::Family::none) return s.service.sorry_server.reset();
    settle_local(s, s.path + ".sorry_server", sorry.address, sorry.mode);
  }
  for (size_t i = 0; i < s.service.backends.size(); ++i) {
    Backend& backend = s.service.backends[i];
    settle_local(s, fmt::format("{}.backends[{}]", s.path, i), backend.address, backend.mode);
  }
}

// Checks that all backends have alike stand once, in the service.
void hoist_checks(Draft& draft, Service& service, const std::string& path) {
  if (service.backends.empty() || service.backends.front().checks.empty()) return;
  const std::vector<Check>& first = service.backends.front().checks;
  const bool alike = std::ranges::all_of(
      service.backends, [&](const Backend& backend) { return backend.checks == first; });
  if (!alike) return;
  service.checks = first;
  for (Backend& backend : service.backends)
    backend.checks.clear();
  draft.copy_places(path + ".backends[0].checks", path + ".checks");
  for (Note& note : draft.notes) {
    const size_t at = note.path.find(".checks");
    if (at != std::string::npos && note.path.starts_with(path + ".backends[")) {
      note.path = path + note.path.substr(at);
    }
  }
}

// A service of a mark or of all ports has none that its checks could ask: they ask the
// real_server's. In DR and TUN that is all that its port is good for.
void pin_ports(Service& service) {
  for (Backend& backend : service.backends) {
    for (Check& check : backend.checks) {
      const bool asks = check.type != CheckType::ping && check.type != CheckType::script;
      if (asks && !check.port && backend.port != 0) check.port = backend.port;
    }
    const Mode mode = mode_of(service, backend);
    if (mode == Mode::dr || mode == Mode::ipip) backend.port = 0;
  }
}

void settle(ServiceSection& s, const Statement& block) {
  Service& service = s.service;
  settle_mail(s);
  settle_locals(s);
  service.notify.at_start = s.draft.globals.init_notifies;
  if (s.state.checks.alpha) s.draft.place(s.path + ".checks", block);
  if (service.persistence && service.one_packet) {
    s.draft.note(block, "ops: each packet is scheduled by itself, within the client's persistence",
                 s.path + ".one_packet");
  }
}

// The service at one of its targets.
void put_target(ServiceSection& s, const Statement& block, const Target& target, Service& service) {
  service.address = target.address;
  service.port = target.port;
  service.firewall_mark = target.mark;
  if (target.mark) {
    service.protocol = Protocol::tcp;
    if (target.family != net::Family::none) service.family = target.family;
    if (service.family == net::Family::none && !service.backends.empty()) {
      service.family = service.backends.front().address.family;
    }
    return;
  }
  service.family = net::Family::none;
  if (!s.has_protocol) {
    service.protocol = Protocol::udp;
    s.draft.note(block, "no protocol: it is UDP, as keepalived 2 takes it", s.path + ".protocol");
  }
}

// Each address of a group has all backends: what would not be taken anyway is not made.
bool has_room(Draft& draft, const Statement& block, size_t services, size_t backends) {
  const Memory& memory = draft.config.memory;
  draft.backends += services * backends;
  if (draft.config.services.size() + services <= memory.max_services &&
      draft.backends <= memory.max_backends) {
    return true;
  }
  draft.error(block, fmt::format("more than {} services or {} backends, each address of a group "
                                 "counted: `memory.max_services` and `max_backends` of a YAML file "
                                 "make room for more",
                                 memory.max_services, memory.max_backends));
  return false;
}

}  // namespace

void read_virtual_server(Draft& draft, const Groups& groups, const Statement& block) {
  const std::vector<Target> targets = targets_of(draft, groups, block);
  std::vector<Service>& services = draft.config.services;
  const std::string path = fmt::format("services[{}]", services.size());
  draft.place(path, block);
  draft.place(path + ".address", block);
  Service service;
  service.mode = Mode::nat;
  ServiceSection section{
      .draft = draft, .path = path, .service = service, .groups = groups, .state = {}};
  std::vector<Statement> rest;
  for (const Statement& line : block.children) {
    if (!read_check_default(draft, line, section.state.checks) && line.keyword() != "real_server") {
      rest.push_back(line);
    }
  }
  read_section<ServiceSection>(section, rest, service_keywords, service_unsupported);
  for (const Statement& line : block.children) {
    if (line.keyword() == "real_server")
      read_real_server(draft, line, service, section.state, path);
  }
  settle(section, block);
  if (!has_room(draft, block, targets.size(), service.backends.size())) return;
  for (size_t i = 0; i < targets.size(); ++i) {
    const std::string own = fmt::format("services[{}]", services.size());
    if (i > 0) draft.copy_places(path, own);
    Service& at_target = services.emplace_back(service);
    put_target(section, block, targets[i], at_target);
    if (at_target.port == 0) pin_ports(at_target);
    hoist_checks(draft, at_target, own);
  }
  const bool hashes = service.scheduler == Scheduler::sh || service.scheduler == Scheduler::mh;
  if (hashes && !section.has_fallback && !targets.empty() && draft.once("fallback")) {
    draft.note(block,
               "a client whose backend cannot take it goes to another one here, as with "
               "`sh-fallback`; `fallback: off` refuses it, as IPVS without that flag",
               path + ".fallback");
  }
  const bool counts = service.scheduler == Scheduler::lc || service.scheduler == Scheduler::wlc ||
                      service.scheduler == Scheduler::sed || service.scheduler == Scheduler::nq;
  const bool udp = !targets.empty() && services.back().protocol == Protocol::udp;
  if (udp && counts && draft.once("udp")) {
    draft.note(block,
               "UDP flows count as active connections here, so that they spread; "
               "`udp_counts_as_active: off` for the way of IPVS",
               path + ".udp_counts_as_active");
  }
}

void note_differences(Draft& draft) {
  if (draft.config.services.empty()) return;
  draft.note_at("services[0].on_backend_removed",
                "connections of a backend that is taken out run to their end; "
                "`on_backend_removed: drop` for the way of IPVS");
  draft.note_at(
      "services[0].newest_first",
      "schedulers begin with the real_server that is listed first; `newest_first: on` for "
      "the way of IPVS");
}

}  // namespace headgate::config::keepalived
