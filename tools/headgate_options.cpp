#include "tools/headgate_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace headgate::cli {

namespace json = boost::json;

namespace {

// Adds sub-commands and options whose values go straight into the request's arguments.
class Builder {
 public:
  Builder(CLI::App& app, control::protocol::Request& request) : app_(&app), request_(&request) {}

  // A further word, "add" below "service"; the request's command is the words so far.
  Builder word(const std::string& name, const std::string& description, bool is_command = true) {
    CLI::App* sub = app_->add_subcommand(name, description);
    Builder next(*sub, *request_);
    next.words_ = words_.empty() ? name : words_ + " " + name;
    if (is_command) {
      sub->callback([request = request_, words = next.words_] {
        // Callbacks run from the outer word to the inner one: the longest stands.
        if (words.size() > request->command.size()) request->command = words;
      });
    } else {
      sub->require_subcommand(1);
    }
    return next;
  }

  Builder& text(const std::string& flags, const std::string& key, const std::string& description,
                bool required = false) {
    app_->add_option_function<std::string>(
            flags,
            [r = request_, key](const std::string& value) {
              r->arguments[key].emplace_string() = value;
            },
            description)
        ->type_name("TEXT")
        ->required(required);
    return *this;
  }

  // May be given several times.
  Builder& texts(const std::string& flags, const std::string& key, const std::string& description) {
    app_->add_option_function<std::vector<std::string>>(
            flags,
            [r = request_, key](const std::vector<std::string>& values) {
              json::array& list = r->arguments[key].emplace_array();
              for (const std::string& value : values)
                list.emplace_back(value);
            },
            description)
        ->type_name("TEXT")
        ->allow_extra_args(false);
    return *this;
  }

  Builder& number(const std::string& flags, const std::string& key,
                  const std::string& description) {
    // CLI11 takes -1 for an unsigned number: it is read as text here.
    app_->add_option_function<std::string>(
            flags,
            [r = request_, key](const std::string& text) {
              uint64_t value = 0;
              const char* last = text.data() + text.size();
              const auto [end, error] = std::from_chars(text.data(), last, value);
              if (error != std::errc{} || end != last || value > UINT32_MAX) {
                throw CLI::ValidationError(
                    fmt::format("{} is no number from 0 to {}", text, UINT32_MAX));
              }
              r->arguments[key] = value;
            },
            description)
        ->type_name("N");
    return *this;
  }

  // "none" takes the value away, so that the wider scope's holds.
  Builder& duration(const std::string& flags, const std::string& key,
                    const std::string& description) {
    app_->add_option_function<std::string>(
            flags,
            [r = request_, key](const std::string& value) {
              if (value == "none") {
                r->arguments[key] = nullptr;
                return;
              }
              const auto seconds = parse_duration(value);
              if (!seconds) throw CLI::ValidationError(seconds.error());
              r->arguments[key] = *seconds;
            },
            description)
        ->type_name("TIME");
    return *this;
  }

  // Of at least a millisecond and at most a day, as milliseconds.
  Builder& short_time(const std::string& flags, const std::string& key,
                      const std::string& description) {
    app_->add_option_function<std::string>(
            flags,
            [r = request_, key](const std::string& text) {
              const auto value = parse_duration_ms(text);
              if (!value) throw CLI::ValidationError(value.error());
              constexpr uint64_t longest_ms = 86'400'000;
              if (*value == 0 || *value > longest_ms) {
                throw CLI::ValidationError(text + " is not from 1ms to 1d");
              }
              r->arguments[key] = *value;
            },
            description)
        ->type_name("TIME");
    return *this;
  }

  Builder& list(const std::string& flags, const std::string& key, const std::string& description) {
    app_->add_option_function<std::vector<std::string>>(
            flags,
            [r = request_, key](const std::vector<std::string>& values) {
              json::array& array = r->arguments[key].emplace_array();
              for (const std::string& value : values)
                array.emplace_back(value);
            },
            description)
        ->type_name("TEXT");
    return *this;
  }

  // NAME=TIME words; each becomes an argument NAME_s.
  Builder& times(const std::string& placeholder, const std::string& description) {
    app_->add_option_function<std::vector<std::string>>(
            placeholder,
            [r = request_](const std::vector<std::string>& words) {
              for (const std::string& word : words) {
                const size_t equals = word.find('=');
                if (equals == std::string::npos) {
                  throw CLI::ValidationError(word + " is not NAME=TIME, like udp=300s");
                }
                const auto seconds = parse_duration(std::string_view(word).substr(equals + 1));
                if (!seconds) throw CLI::ValidationError(seconds.error());
                const std::string name = word.substr(0, equals);
                r->arguments[name.ends_with("_s") ? name : name + "_s"] = *seconds;
              }
            },
            description)
        ->type_name("NAME=TIME")
        ->required();
    return *this;
  }

  // A word that must be on or off, as true or false.
  Builder& on_off(const std::string& placeholder, const std::string& key,
                  const std::string& description) {
    app_->add_option_function<std::string>(
            placeholder,
            [r = request_, key](const std::string& word) {
              if (word != "on" && word != "off") {
                throw CLI::ValidationError(word + " is neither on nor off");
              }
              r->arguments[key] = word == "on";
            },
            description)
        ->type_name("on|off")
        ->required();
    return *this;
  }

  // `flags` may hold a negation: "--fallback,!--no-fallback".
  Builder& flag(const std::string& flags, const std::string& key, const std::string& description) {
    // CLI11 takes --flag=VALUE, and throws what is no ParseError where it makes no number of it.
    const auto alone = [](const std::string& value) {
      return value == "true" || value == "false" ? std::string{} : value + ": takes no value";
    };
    app_->add_flag_function(
            flags, [r = request_, key](int64_t count) { r->arguments[key] = count > 0; },
            description)
        ->check(alone);
    return *this;
  }

 private:
  CLI::App* app_;
  control::protocol::Request* request_;
  std::string words_;
};

void add_show(Builder& root) {
  Builder show = root.word("show", "what is configured and what happens", false);
  show.word("services", "services with their traffic")
      .text("service", "service", "only this one: its name, or ADDRESS:PORT[/tcp|udp], or mark:N");
  show.word("backends", "backends with their traffic, those still draining too")
      .text("service", "service", "only those of this service")
      .text("--backend", "backend", "only this backend: its name or ADDRESS[:PORT]");
  show.word("checks", "what the checks of backends say")
      .text("service", "service", "only those of this service")
      .text("--backend", "backend", "only those of this backend: its name or ADDRESS[:PORT]");
  show.word("connections", "live connections")
      .text("--service", "service", "only those of this service")
      .text("--backend", "backend", "only those to this backend: ADDRESS[:PORT]")
      .text("--client", "client", "only those from this client: ADDRESS[:PORT] or ADDRESS/LENGTH")
      .number("--limit", "limit", "stop after so many");
  show.word("ports", "ports, their links and counters");
  show.word("workers", "the polling cores");
  show.word("stats", "every packet in and what became of it, and the connection table");
  show.word("drops", "why packets were dropped")
      .flag("--all", "all", "reasons that never happened as well");
  show.word("neighbours", "next hops and their MAC addresses, as the workers see them");
  show.word("vrrp", "virtual routers and sync groups")
      .text("name", "name", "all about this one: a virtual router's name, or a sync group's");
  show.word("config", "the configuration that runs, as YAML");
  show.word("pending", "the apply that waits for its confirmation");
  show.word("audit", "who changed what, and what came of it: the end of the audit log")
      .number("--last", "last", "so many lines (20)");
}

void service_options(Builder& command) {
  command.text("--name", "name", "a name of your own")
      .text("--mode", "mode", "dr, nat, fullnat or ipip; for backends that name none")
      .text("--scheduler,-s", "scheduler",
            "rr, wrr, lc, wlc, sed, nq, sh, dh, fo, mh, ovf, lblc or lblcr")
      .duration("--persistence,-p", "persistence_timeout_s",
                "a client stays with its backend for so long after its last connection; or none")
      .number("--netmask", "persistence_netmask",
              "prefix length of the clients that stay together (persistence)")
      .flag("--fallback,!--no-fallback", "fallback",
            "sh, mh: take another backend when the chosen one cannot")
      .flag("--hash-port,!--no-hash-port", "hash_port", "sh, mh: hash the client's port too")
      .flag("--one-packet,!--no-one-packet", "one_packet",
            "UDP: each packet is scheduled by itself")
      .number("--maglev-table-size", "maglev_table_size", "mh: slots, a prime")
      .text("--mid-stream", "mid_stream", "TCP without a connection: reset or hash")
      .list("--local-address", "local_addresses", "FULLNAT: source address; may be repeated")
      .text("--on-backend-removed", "on_backend_removed",
            "connections of a removed backend: keep, drop or expire")
      .duration("--drain-deadline", "drain_deadline_s",
                "connections of removed backends end after this; or none")
      .flag("--newest-first,!--oldest-first", "newest_first",
            "schedulers begin with the backend added last, as IPVS does")
      .flag("--udp-active,!--udp-inactive", "udp_counts_as_active",
            "UDP flows count as active connections; IPVS counts them as inactive")
      .flag("--inhibit-on-failure,!--no-inhibit-on-failure", "inhibit_on_failure",
            "a backend that is down stays with weight 0")
      .text("--on-down", "on_down",
            "connections of a backend that is down: keep, reset or reschedule")
      .duration("--slow-start", "slow_start_s",
                "a backend that comes up gets its share in this time; 0s: at once")
      .number("--panic-percent", "panic_percent",
              "use all backends when fewer than this share are up; 0: never")
      .number("--quorum", "quorum", "weight of backends that has to be up")
      .number("--quorum-hysteresis", "quorum_hysteresis",
              "so much more for the quorum to come back, and less for it to go");
}

void add_service(Builder& root) {
  const std::string which = "its name, or ADDRESS:PORT[/tcp|udp], or mark:N[/ipv4|ipv6]";
  Builder service = root.word("service", "add, edit or delete a service", false);
  Builder add = service.word("add", "add a service");
  add.text("service", "service", "ADDRESS:PORT[/tcp|udp], or mark:N[/ipv4|ipv6]", true);
  service_options(add);
  Builder edit = service.word("edit", "change a service; what is not named stays");
  edit.text("service", "service", which, true);
  service_options(edit);
  service
      .word("delete", "delete a service; on_backend_removed says what becomes of its connections")
      .text("service", "service", which, true);
}

void backend_options(Builder& command) {
  command.text("--name", "name", "a name of your own")
      .number("--weight,-w", "weight", "share of new connections; 0 takes none")
      .text("--mode", "mode", "dr, nat, fullnat or ipip; the service's when not given")
      .number("--upper-threshold", "upper_threshold", "take no more connections than this; 0: any")
      .number("--lower-threshold", "lower_threshold", "and new ones again below this")
      .flag("--enable,!--disable", "enabled", "a disabled one keeps its place and takes nothing")
      .duration("--drain-deadline", "drain_deadline_s",
                "connections end so long after it left; or none")
      .number("--priority", "priority", "of its pool: a higher number waits for those below")
      .flag("--inhibit-on-failure,!--no-inhibit-on-failure", "inhibit_on_failure",
            "it stays with weight 0 while it is down; the service says when not given");
}

void add_backend(Builder& root) {
  Builder backend = root.word("backend", "add, edit, delete, check or drain a backend", false);
  const auto positional = [](Builder& command) {
    command.text("service", "service", "its service: name, or ADDRESS:PORT[/tcp|udp], or mark:N",
                 true);
    command.text("backend", "backend", "ADDRESS[:PORT], or its name", true);
  };
  Builder add = backend.word("add", "add a backend to a service");
  positional(add);
  backend_options(add);
  Builder edit = backend.word("edit", "change a backend; what is not named stays");
  positional(edit);
  backend_options(edit);
  Builder remove = backend.word("delete", "take a backend out; its connections live on");
  positional(remove);
  Builder check = backend.word("check", "ask its checks now, out of turn");
  positional(check);
  Builder drain = backend.word("drain", "weight 0: no new connections, those it has go on");
  positional(drain);
  drain.duration("--deadline", "deadline_s", "end what is left after this");
}

void add_vrrp(Builder& root) {
  Builder vrrp = root.word("vrrp", "hand over virtual routers, or leave them all", false);
  vrrp.word("failover", "leave mastership to another router, and do not take it back by preemption")
      .text("name", "name", "a virtual router's name, or a sync group's", true);
  vrrp.word("maintenance", "on: leave all virtual routers until it is off again")
      .on_off("switch", "on", "on or off");
}

void add_rest(Builder& root) {
  root.word("reload", "read the configuration file again and apply what changed")
      .text("file", "file", "another file, from now on");
  root.word("plan", "what a file would change, and which connections would move; changes nothing")
      .text("file", "file", "the file; the daemon's own when not given");
  root.word("apply", "read a file and apply what changed, on probation if so wished")
      .text("file", "file", "the file, the daemon's own from now on", true)
      .short_time("--confirm-within", "confirm_within_ms",
                  "take it back unless `headgate confirm` comes within this: 60s, 2m, 500ms");
  root.word("confirm", "keep what was applied on probation");
  root.word("rollback", "take back at once what was applied on probation");
  Builder timeouts = root.word("timeouts", "show or set the idle time-outs of connections");
  timeouts.word("set", "set some: udp=300 tcp_established=15m")
      .times("times", "names as `headgate timeouts` shows them");
  root.word("zero", "start the counters of services and backends at zero again")
      .text("service", "service", "only those of this service");
  root.word("convert", "print a keepalived.conf as YAML, with remarks; asks no daemon")
      .text("conf", "conf", "the file", true)
      .texts("--port", "ports", "a port: NAME=PCI, NAME=vdev:ARGUMENTS or NAME=interface:INTERFACE")
      .text("--config-id", "config_id", "which @ID lines count; headgate when not given")
      .text("--settings", "settings", "a YAML file to which it adds, as for headgated");
  root.word("version", "versions of this program and of the daemon");
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// CLI11 only tells that a command is missing: which ones there are, and what stands in its place.
// Empty when it is something else that is missing.
std::string missing_command(const CLI::App& app) {
  const CLI::App* last = &app;
  while (!last->get_subcommands().empty())
    last = last->get_subcommands().back();
  std::string known;
  for (const CLI::App* command : last->get_subcommands([](const CLI::App*) { return true; })) {
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  if (known.empty()) return {};
  // Words fall through to the outermost command.
  const std::vector<std::string> words = app.remaining(true);
  const auto word = std::ranges::find_if(words, [](const auto& w) { return !w.starts_with('-'); });
  if (word != words.end()) {
    return fmt::format("headgate: there is no command \"{}\"; one of {}\n", *word, known);
  }
  if (!words.empty()) return fmt::format("headgate: there is no option {}\n", words.front());
  return fmt::format("headgate: a command is missing; one of {}\n", known);
}

// The daemon has another working directory.
std::expected<void, std::string> make_absolute(json::value& file) {
  const std::string name(file.as_string());
  if (name.empty()) return std::unexpected("the file's name is empty");
  std::error_code failure;
  const std::filesystem::path path = std::filesystem::absolute(name, failure);
  if (failure) return std::unexpected(fmt::format("{}: {}", name, failure.message()));
  file.emplace_string() = path.string();
  return {};
}

}  // namespace

std::expected<Invocation, Ending> parse(const std::vector<std::string>& arguments,
                                        std::string_view default_socket) {
  Invocation invocation;
  if (!default_socket.empty()) invocation.socket = default_socket;
  CLI::App app{"Talks to headgated, the load balancer's daemon.\n", "headgate"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--socket,-S", invocation.socket, "the daemon's socket (or $HEADGATE_SOCKET)")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_flag("--json,-j", invocation.json, "print JSON");
  app.add_flag("--exact", invocation.exact, "print all digits of large numbers");
  app.add_flag("--rate", invocation.rates,
               "`show services` and `show backends`: traffic of the last second");
  app.add_option_function<std::string>(
         "--timeout",
         [&](const std::string& text) {
           const auto seconds = parse_duration(text);
           if (!seconds) throw CLI::ValidationError(seconds.error());
           constexpr uint64_t longest = 86400;
           if (*seconds == 0 || *seconds > longest) {
             throw CLI::ValidationError(text + " is not from 1s to 1d");
           }
           invocation.timeout = std::chrono::seconds(*seconds);
         },
         "give up when the daemon says nothing for so long (60s)")
      ->type_name("TIME");
  app.set_version_flag("--version", "headgate " HEADGATE_VERSION,
                       "version of this program; `version` asks the daemon as well");
  app.footer("Exit status: 0 done, 1 refused by the daemon, 2 wrong usage, 3 daemon not reached.");
  Builder root(app, invocation.request);
  add_show(root);
  add_service(root);
  add_backend(root);
  add_vrrp(root);
  add_rest(root);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const int status = app.exit(error, out, err);
    if (status == 0) return std::unexpected(Ending{0, out.str()});
    std::string text;
    if (error.get_name() == "RequiredError") text = missing_command(app);
    if (text.empty()) text = "headgate: " + replace_all(err.str(), "\n\n", "\n");
    return std::unexpected(Ending{static_cast<int>(control::protocol::Code::usage), text});
  }
  control::protocol::Request& request = invocation.request;
  if (invocation.json && request.command == "show config") request.arguments["json"] = true;
  if (json::value* file = request.arguments.if_contains("file")) {
    if (auto done = make_absolute(*file); !done) {
      return std::unexpected(Ending{static_cast<int>(control::protocol::Code::usage),
                                    fmt::format("headgate: {}\n", done.error())});
    }
  }
  return invocation;
}

std::expected<uint64_t, std::string> parse_duration_ms(std::string_view text) {
  constexpr std::string_view unit = "ms";
  if (!text.ends_with(unit)) {
    const auto seconds = parse_duration(text);
    if (!seconds)
      return std::unexpected(fmt::format("{} is no time; write 500ms, 30s or 5m", text));
    return *seconds * 1000;
  }
  const std::string_view digits = text.substr(0, text.size() - unit.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || number > UINT32_MAX) {
    return std::unexpected(fmt::format("{} is no time; write 500ms, 30s or 5m", text));
  }
  return number;
}

std::expected<uint64_t, std::string> parse_duration(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  constexpr std::array<std::pair<std::string_view, uint64_t>, 5> units{
      {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};
  const auto* found = std::ranges::find(units, unit, [](const auto& known) { return known.first; });
  constexpr uint64_t limit = 1U << 31;
  if (error != std::errc{} || found == units.end() || number > limit / found->second) {
    return std::unexpected(fmt::format("{} is no time; write 30s, 5m, 2h or 1d", text));
  }
  return number * found->second;
}

}  // namespace headgate::cli
