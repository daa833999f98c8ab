#include "tools/ipvsadm/options.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <climits>
#include <utility>

#include <fmt/format.h>

#include "tools/ipvsadm/checks.h"
#include "tools/ipvsadm/option_table.h"
#include "tools/ipvsadm/scanner.h"

namespace headgate::ipvsadm {

namespace {

using enum OptionId;
using Done = std::expected<void, Ending>;

constexpr uint32_t longest_timeout_s = 31 * 86400;
constexpr uint32_t default_persistence_s = 360;
constexpr size_t longest_scheduler = 15;  // the kernel's names; the rest is cut off

std::unexpected<Ending> fail(std::string_view text) {
  return std::unexpected(Ending{exit_usage, std::string(text) + "\n", true});
}

bool is_command(OptionId id) {
  return id < first_option;
}

Command command_of(OptionId id) {
  // The two letters of `list` are one command.
  const auto index = static_cast<uint8_t>(id);
  return static_cast<Command>(id <= list ? index : index - 1);
}

class Parser {
 public:
  Parser(std::string program, std::vector<std::string> words, bool restoring)
      : program_(std::move(program)),
        restoring_(restoring),
        scanner_(option_names(), std::move(words)) {}

  std::expected<Invocation, Ending> run() {
    if (auto done = read_command(); !done) return std::unexpected(done.error());
    if (auto done = read_options(); !done) return std::unexpected(done.error());
    if (auto done = read_words(); !done) return std::unexpected(done.error());
    if (auto done = read_flags(flags_text_, result_); !done) return std::unexpected(done.error());
    if (auto done = check_rules(given_, result_); !done) return std::unexpected(done.error());
    if (auto done = check_meaning(given_, result_); !done) return std::unexpected(done.error());
    return std::move(result_);
  }

 private:
  Done read_command();
  Done read_options();
  Done read_option(const ScannedOption& option);
  Done read_parameter(const ScannedOption& option);
  Done read_service(OptionId id, const std::string& text);
  Done read_mark(const std::string& text);
  Done read_server(const std::string& text);
  Done read_method(OptionId id);
  Done read_tunnel(OptionId id, const std::string& text);
  Done read_sync(OptionId id, const std::string& text);
  Done read_persistence(const ScannedOption& option);
  Done read_netmask(const std::string& text);
  Done read_number(OptionId id, const std::string& text);
  Done read_words();
  Done read_daemon_state(OptionId id, const std::string& text);
  [[nodiscard]] bool* switch_of(OptionId id);
  // Notes that the option was given; once is enough.
  Done once(OptionId id);
  [[nodiscard]] std::unexpected<Ending> try_help() const {
    return std::unexpected(Ending{
        exit_refused, fmt::format("Try `{0} -h' or '{0} --help' for more information.\n", program_),
        true});
  }

  std::string program_;
  bool restoring_;
  Scanner scanner_;
  Invocation result_;
  std::optional<std::string> flags_text_;
  bool sched_flags_given_ = false;
  GivenOptions given_;
};

// The first option is the command; where the daemon's socket is may stand in front of it.
Done Parser::read_command() {
  while (true) {
    const auto option = scanner_.next();
    if (!option || !*option) return try_help();
    const auto id = static_cast<OptionId>((*option)->id);
    if (id == socket) {
      result_.socket = *(*option)->value;
      continue;
    }
    if (id == help) return std::unexpected(Ending{0, usage_text(program_), true});
    if (id == version) return std::unexpected(Ending{0, version_text(), true});
    if (!is_command(id) || (restoring_ && id == restore)) return try_help();
    result_.command = command_of(id);
    if (id == start_daemon || id == stop_daemon) return read_daemon_state(id, *(*option)->value);
    const Command command = result_.command;
    if (command == Command::add_server || command == Command::edit_server) {
      // DPVS's -b, for FULLNAT, stands alone.
      scanner_.make_optional(static_cast<int>(sched_flags));
    }
    return {};
  }
}

Done Parser::read_daemon_state(OptionId id, const std::string& text) {
  if (text == "master" || text == "backup") return {};
  return fail(id == start_daemon ? "illegal start-daemon parameter specified"
                                 : "illegal start_daemon specified");
}

Done Parser::read_options() {
  while (true) {
    const auto option = scanner_.next();
    if (!option) {
      return std::unexpected(Ending{exit_refused, option.error() + "\n", false});
    }
    if (!*option) return {};
    if (auto done = read_option(**option); !done) return done;
  }
}

Done Parser::once(OptionId id) {
  const auto index = static_cast<size_t>(id);
  if (given_[index]) return fail(fmt::format("multiple '{}' options specified", name_of(id)));
  given_.set(index);
  return {};
}

bool* Parser::switch_of(OptionId id) {
  switch (id) {
    case numeric:
      return &result_.numeric;
    case connection:
      return &result_.connections;
    case timeout:
      return &result_.timeouts;
    case OptionId::daemon:
      return &result_.daemon;
    case stats:
      return &result_.stats;
    case rate:
      return &result_.rate;
    case thresholds:
      return &result_.thresholds;
    case persistent_conn:
      return &result_.persistent_connections;
    case tun_info:
      return &result_.tunnel_info;
    case exact:
      return &result_.exact;
    case one_packet:
      return &result_.one_packet;
    case atomic:
      return &result_.atomic;
    default:
      return nullptr;
  }
}

Done Parser::read_option(const ScannedOption& option) {
  const auto id = static_cast<OptionId>(option.id);
  const std::string text = option.value.value_or("");
  if (is_command(id)) return fail(fmt::format("invalid option `{}'", option.word));
  if (bool* its = switch_of(id)) {
    *its = true;
    return once(id);
  }
  switch (id) {
    case tcp_service:
    case udp_service:
    case sctp_service:
      return read_service(id, text);
    case fwmark_service:
      return read_mark(text);
    case ipv6:
      if (!result_.service || result_.service->firewall_mark == 0) {
        return fail("-6 used before -f\n");
      }
      result_.service->family = net::Family::ipv6;
      return {};
    case scheduler:
      result_.scheduler = text.substr(0, longest_scheduler);
      return once(id);
    case persistence_engine:
      result_.persistence_engine = text;
      return once(id);
    case persistent:
      return read_persistence(option);
    case netmask:
      return read_netmask(text);
    case real_server:
      return read_server(text);
    case sort:
      return {};
    default:
      return read_parameter(option);
  }
}

// Of servers, lists and what is beside services.
Done Parser::read_parameter(const ScannedOption& option) {
  const auto id = static_cast<OptionId>(option.id);
  const std::string text = option.value.value_or("");
  switch (id) {
    case gatewaying:
    case ipip:
    case masquerading:
    case fullnat:
      return read_method(id);
    case weight:
    case upper_threshold:
    case lower_threshold:
      return read_number(id, text);
    case nosort:
      result_.sorted = false;
      return once(id);
    case sched_flags:
      if (!option.value) return read_method(fullnat);
      if (std::exchange(sched_flags_given_, true)) {
        return fail("multiple 'sched-flags' options specified");
      }
      flags_text_ = text;
      return {};
    case local_address: {
      if (auto done = once(id); !done) return done;
      result_.local_address = net::parse_ip(text);
      return result_.local_address ? Done{} : fail("illegal local address specified");
    }
    case local_interface:
      return once(id);
    case socket:
      result_.socket = text;
      return {};
    case tun_type:
    case tun_port:
    case tun_nocsum:
    case tun_csum:
    case tun_remcsum:
      return read_tunnel(id, text);
    default:
      return read_sync(id, text);
  }
}

Done Parser::read_service(OptionId id, const std::string& text) {
  if (auto done = once(service_address); !done) return done;
  const Protocol protocol = id == udp_service    ? Protocol::udp
                            : id == sctp_service ? Protocol::sctp
                                                 : Protocol::tcp;
  const auto endpoint = parse_endpoint(text, protocol);
  if (!endpoint) return fail("illegal virtual server address[:port] specified");
  result_.service = ServiceId{protocol, *endpoint, 0, endpoint->address.family};
  return {};
}

Done Parser::read_mark(const std::string& text) {
  if (auto done = once(service_address); !done) return done;
  const auto mark = parse_number(text, 1, UINT32_MAX);
  if (!mark) return fail(fmt::format("invalid fwmark value `{}' specified", text));
  result_.service = ServiceId{Protocol::none, {}, static_cast<uint32_t>(*mark)};
  return {};
}

Done Parser::read_server(const std::string& text) {
  if (auto done = once(real_server); !done) return done;
  const Protocol protocol = result_.service ? result_.service->protocol : Protocol::tcp;
  result_.server = parse_endpoint(text, protocol);
  return result_.server ? Done{} : fail("illegal real server address[:port] specified");
}

Done Parser::read_method(OptionId id) {
  result_.method = id == ipip           ? Method::tunnel
                   : id == masquerading ? Method::masquerade
                   : id == fullnat      ? Method::fullnat
                                        : Method::route;
  return once(forwarding_method);
}

Done Parser::read_persistence(const ScannedOption& option) {
  if (auto done = once(persistent); !done) return done;
  result_.persistence_s = default_persistence_s;
  if (!option.value) return {};
  const auto seconds = parse_number(*option.value, 1, longest_timeout_s);
  if (!seconds) return fail(fmt::format("invalid timeout value `{}' specified", *option.value));
  result_.persistence_s = static_cast<uint32_t>(*seconds);
  return {};
}

Done Parser::read_netmask(const std::string& text) {
  if (auto done = once(netmask); !done) return done;
  result_.netmask = text;
  if (result_.service && result_.service->family == net::Family::ipv6) {
    return parse_number(text, 1, 128) ? Done{} : fail("illegal ipv6 netmask specified");
  }
  const auto mask = parse_host_v4(text);
  if (!mask) return fail("illegal virtual server persistent mask specified");
  if (!parse_number(text, 1, 128)) result_.netmask = net::to_string(*mask);
  return {};
}

Done Parser::read_number(OptionId id, const std::string& text) {
  if (auto done = once(id); !done) return done;
  const auto number = parse_number(text, 0, INT_MAX);
  const std::string_view name = id == weight            ? "weight"
                                : id == upper_threshold ? "u_threshold"
                                                        : "l_threshold";
  if (!number) return fail(fmt::format("illegal {} specified", name));
  (id == weight            ? result_.weight
   : id == upper_threshold ? result_.upper_threshold
                           : result_.lower_threshold) = *number;
  return {};
}

Done Parser::read_tunnel(OptionId id, const std::string& text) {
  if (auto done = once(id); !done) return done;
  if (id == tun_port && !parse_number(text, 1, UINT16_MAX)) {
    return fail("illegal tunnel port specified");
  }
  if (id != tun_type) return {};
  if (text != "ipip" && text != "gue" && text != "gre") {
    return fail("illegal tunnel type specified");
  }
  result_.tunnel_type = text == "gue"   ? TunnelType::gue
                        : text == "gre" ? TunnelType::gre
                                        : TunnelType::ipip;
  return {};
}

// Options of the connection synchronisation, which is refused as a whole where they are right.
Done Parser::read_sync(OptionId id, const std::string& text) {
  if (auto done = once(id); !done) return done;
  constexpr int longest_payload = 65535 - 20 - 8;
  switch (id) {
    case syncid:
      return parse_number(text, 0, 255) ? Done{} : fail("illegal syncid specified");
    case sync_maxlen:
      return parse_number(text, 1, longest_payload) ? Done{}
                                                    : fail("illegal sync-maxlen specified");
    case mcast_port:
      return parse_number(text, 1, UINT16_MAX) ? Done{} : fail("illegal mcast-port specified");
    case mcast_ttl:
      return parse_number(text, 1, 255) ? Done{} : fail("illegal mcast-ttl specified");
    case mcast_group:
      return check_group(text);
    default:
      return {};
  }
}

Done Parser::read_words() {
  if (result_.command == Command::set_timeouts) {
    std::array<std::string, 3> texts;
    for (std::string& text : texts) {
      auto word = scanner_.take_word();
      if (!word) return fail("--set option requires 3 timeout values");
      text = std::move(*word);
    }
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto seconds = parse_number(texts[i], 0, longest_timeout_s);
      if (!seconds) return fail(fmt::format("invalid timeout value `{}' specified", texts[i]));
      result_.set_timeouts_s[i] = static_cast<uint32_t>(*seconds);
    }
  }
  if (const auto word = scanner_.take_word()) {
    return fail(fmt::format("unexpected argument {}", *word));
  }
  return {};
}

}  // namespace

std::expected<Invocation, Ending> parse(const std::string& program, std::vector<std::string> words,
                                        bool restoring) {
  // Without a command it lists.
  if (words.empty() && !restoring) return Invocation{};
  return Parser(program, std::move(words), restoring).run();
}

}  // namespace headgate::ipvsadm
