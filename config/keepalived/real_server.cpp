#include "config/keepalived/real_server.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "config/keepalived/commands.h"
#include "config/keepalived/values.h"
#include "config/limits.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

struct BackendSection {
  Draft& draft;
  std::string path;
  Backend& backend;
  Service& service;
  ServerState& state;
};

void read_notify(BackendSection& s, const Statement& st,
                 std::optional<std::string> BackendNotify::* slot) {
  const auto read = command(s.draft, st, s.path + ".notify");
  if (!read) return;
  if (!s.backend.notify) s.backend.notify.emplace();
  (*s.backend.notify).*slot = read->text;
  s.draft.place(s.path + ".notify", st);
  share_user(s.draft, st, *read, s.service.notify.user, s.state.first_user);
  s.state.first_user = false;
}

void read_threshold(BackendSection& s, const Statement& st, uint32_t& out, const char* key) {
  only(s.draft, st, 2);
  s.draft.place(s.path + key, st);
  if (const auto n = number(s.draft, st, 0, UINT32_MAX)) out = static_cast<uint32_t>(*n);
}

constexpr auto backend_keywords = std::to_array<Keyword<BackendSection>>({
    {"weight",
     [](BackendSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto weight = number(s.draft, st, 0, max_weight);
       if (weight) s.backend.weight = static_cast<uint16_t>(*weight);
     }},
    {"lvs_method",
     [](BackendSection& s, const Statement& st) { s.backend.mode = read_method(s.draft, st); }},
    {"lb_kind",
     [](BackendSection& s, const Statement& st) { s.backend.mode = read_method(s.draft, st); }},
    {"uthreshold",
     [](BackendSection& s, const Statement& st) {
       read_threshold(s, st, s.backend.upper_threshold, ".upper_threshold");
     }},
    {"lthreshold",
     [](BackendSection& s, const Statement& st) {
       read_threshold(s, st, s.backend.lower_threshold, ".lower_threshold");
     }},
    {"inhibit_on_failure",
     [](BackendSection& s, const Statement& st) {
       s.backend.inhibit_on_failure = boolean(s.draft, st);
     }},
    {"notify_up",
     [](BackendSection& s, const Statement& st) { read_notify(s, st, &BackendNotify::up); }},
    {"notify_down",
     [](BackendSection& s, const Statement& st) { read_notify(s, st, &BackendNotify::down); }},
    {"smtp_alert",
     [](BackendSection& s, const Statement& st) {
       const auto value = boolean(s.draft, st);
       s.state.backend_mail = s.state.backend_mail.value_or(false) || value.value_or(false);
     }},
});
constexpr auto backend_unsupported = std::to_array<Unsupported>({
    {"snmp_name", "there is no SNMP here: ignored"},
});

}  // namespace

std::optional<Mode> read_method(Draft& draft, const Statement& statement) {
  std::string method = text(draft, statement).value_or("");
  std::ranges::transform(method, method.begin(), [](unsigned char c) { return std::toupper(c); });
  if (method == "TUN") {
    const bool type = statement.words.size() > 3 && statement.words[2].text == "type";
    if (type && statement.words[3].text != "ipip") {
      draft.error(statement, fmt::format("tunnels are IP in IP here, {} is not there",
                                         in_quotes(statement.words[3].text)));
      return std::nullopt;
    }
    only(draft, statement, type ? 4 : 2);
    return Mode::ipip;
  }
  only(draft, statement, 2);
  if (method == "NAT") return Mode::nat;
  if (method == "DR") return Mode::dr;
  if (method == "FNAT" || method == "FULLNAT") return Mode::fullnat;
  draft.error(statement, fmt::format("{} is none of NAT, DR, TUN and FNAT", in_quotes(method)));
  return std::nullopt;
}

void read_real_server(Draft& draft, const Statement& block, Service& service, ServerState& state,
                      const std::string& service_path) {
  const std::string path = fmt::format("{}.backends[{}]", service_path, service.backends.size());
  draft.place(path, block);
  const auto ip = address(draft, block);
  Backend& backend = service.backends.emplace_back();
  if (ip) backend.address = *ip;
  if (block.words.size() > 2) backend.port = port(draft, block, 2).value_or(0);
  only(draft, Statement{block.place, block.words, false, {}}, 3);
  BackendSection section{
      .draft = draft, .path = path, .backend = backend, .service = service, .state = state};
  CheckDefaults defaults = state.checks;
  std::vector<Statement> rest;
  for (const Statement& line : block.children) {
    if (line.keyword() == "virtualhost") {
      only(draft, line, 2);
      defaults.host = text(draft, line);
    } else if (!read_check_default(draft, line, defaults) && !is_checker(line.keyword())) {
      rest.push_back(line);
    }
  }
  read_section<BackendSection>(section, rest, backend_keywords, backend_unsupported);
  for (const Statement& line : block.children) {
    if (!is_checker(line.keyword())) continue;
    const std::string at = fmt::format("{}.checks[{}]", path, backend.checks.size());
    if (auto check = read_checker(draft, line, defaults, at))
      backend.checks.push_back(std::move(*check));
  }
}

}  // namespace headgate::config::keepalived
