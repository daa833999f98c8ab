#include "tools/ipvsadm/program.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "tools/ipvsadm/daemon.h"
#include "tools/ipvsadm/format.h"
#include "tools/ipvsadm/requests.h"
#include "tools/ipvsadm/restore.h"

namespace headgate::ipvsadm {

namespace json = boost::json;
using control::protocol::Request;

namespace {

constexpr int exit_list_failed = 1;

std::unique_ptr<NameBook> names_for(const Invocation& invocation) {
  if (invocation.numeric) return std::make_unique<NumericBook>();
  return std::make_unique<ResolvingBook>();
}

class Program {
 public:
  Program(std::string name, std::string socket, const Streams& streams)
      : name_(std::move(name)), daemon_(std::move(socket)), streams_(streams) {}

  int run(const Invocation& invocation);
  int restore(bool atomic, bool skip_comments, bool from_empty);

 private:
  int change(const Invocation& invocation);
  int zero(const Invocation& invocation);
  int list(const Invocation& invocation);
  int list_services(const Invocation& invocation);
  int list_connections(const Invocation& invocation);
  int list_timeouts();
  int save(const Invocation& invocation);
  int local_addresses(const Invocation& invocation);
  int list_local_addresses(const Invocation& invocation);

  int refuse(std::string_view text) {
    streams_.err << text << "\n";
    return exit_refused;
  }
  int refuse(const Invocation& invocation, const Refusal& refusal) {
    return refuse(refusal_text(invocation.command, refusal.reason, refusal.message));
  }

  std::string name_;
  Daemon daemon_;
  const Streams& streams_;
};

int Program::run(const Invocation& invocation) {
  if (is_change(invocation.command)) return change(invocation);
  switch (invocation.command) {
    case Command::restore:
      return restore(invocation.atomic, false, false);
    case Command::save:
      return save(invocation);
    case Command::zero:
      return zero(invocation);
    case Command::start_daemon:
      return refuse(
          "headgate has no connection synchronisation: let both boxes hash alike (scheduler mh) "
          "and use VRRP");
    case Command::stop_daemon:
      return refuse("No daemon is running");
    case Command::add_local_address:
    case Command::delete_local_address:
      return local_addresses(invocation);
    case Command::list_local_addresses:
      return list_local_addresses(invocation);
    default:
      return list(invocation);
  }
}

int Program::restore(bool atomic, bool skip_comments, bool from_empty) {
  Restore restore(name_, daemon_, streams_,
                  [this](const Invocation& invocation) { return run(invocation); });
  if (atomic) return restore.all_or_nothing(skip_comments, from_empty);
  if (from_empty) {
    Invocation flush;
    flush.command = Command::flush;
    if (const int status = change(flush); status != 0) return status;
  }
  return restore.line_by_line(skip_comments);
}

int Program::change(const Invocation& invocation) {
  const auto request = change_request(invocation);
  if (!request) return refuse(request.error());
  // Where nothing is to be changed the daemon is asked all the same whether it is there.
  const auto done = daemon_.ask(*request ? **request : Request{"timeouts", {}});
  return done ? 0 : refuse(invocation, done.error());
}

int Program::zero(const Invocation& invocation) {
  Request request{"zero", {}};
  if (invocation.service) request.arguments["service"] = identity_text(*invocation.service);
  const auto done = daemon_.ask(request);
  return done ? 0 : refuse(invocation, done.error());
}

int Program::list(const Invocation& invocation) {
  if (invocation.connections) return list_connections(invocation);
  if (invocation.timeouts) return list_timeouts();
  if (invocation.daemon) return 0;  // there is none
  return list_services(invocation);
}

int Program::list_services(const Invocation& invocation) {
  const ListStyle style = style_of(invocation);
  auto services =
      daemon_.services(invocation.service, Which::in_use, style.view == View::persistent);
  if (!services) {
    const int status = refuse(invocation, services.error());
    return services.error().reason.empty() ? status : exit_list_failed;
  }
  if (!invocation.service) {
    const auto size = daemon_.table_size();
    if (!size) return refuse(invocation, size.error());
    streams_.out << version_line(*size);
  }
  if (invocation.sorted) sort_services(*services);
  streams_.out << list_header(style);
  const auto names = names_for(invocation);
  for (const ListedService& service : *services)
    streams_.out << list_service(service, style, *names);
  return 0;
}

int Program::list_connections(const Invocation& invocation) {
  const auto names = names_for(invocation);
  std::string text = connection_header(invocation.persistent_connections);
  const auto done = daemon_.ask({"show connections", {}}, [&](const json::object& row) {
    if (const auto connection = connection_of(row)) text += list_connection(*connection, *names);
    constexpr size_t piece_bytes = 65536;
    if (text.size() > piece_bytes) streams_.out << std::exchange(text, {});
  });
  if (!done) return refuse(invocation, done.error());
  streams_.out << text;
  return 0;
}

int Program::list_timeouts() {
  const auto seconds = daemon_.timeouts();
  if (!seconds) return refuse(seconds.error().message);
  streams_.out << ipvsadm::list_timeouts(*seconds);
  return 0;
}

int Program::save(const Invocation& invocation) {
  auto services = daemon_.services(std::nullopt, Which::configured, false);
  if (!services) return refuse(invocation, services.error());
  sort_services(*services);
  const auto names = names_for(invocation);
  for (const ListedService& service : *services)
    streams_.out << save_service(service, *names);
  return 0;
}

// The daemon takes the whole list: it is read, changed and written back.
int Program::local_addresses(const Invocation& invocation) {
  const std::string service = identity_text(*invocation.service);
  const std::string address = net::to_string(*invocation.local_address);
  json::array addresses;
  Request show{"show services", {}};
  show.arguments["service"] = service;
  const auto shown = daemon_.ask(show, [&](const json::object& row) {
    const json::value* known = row.if_contains("local_addresses");
    if (known != nullptr && known->is_array()) addresses = known->get_array();
  });
  if (!shown) return refuse(invocation, shown.error());
  const auto* found = std::ranges::find(addresses, json::value(address));
  const bool is_there = found != addresses.end();
  if (invocation.command == Command::add_local_address) {
    if (is_there) return refuse("Local address already exists");
    addresses.emplace_back(address);
  } else {
    if (!is_there) return refuse("No such local address");
    addresses.erase(found);
  }
  Request edit{"service edit", {}};
  edit.arguments["service"] = service;
  edit.arguments["local_addresses"] = std::move(addresses);
  const auto done = daemon_.ask(edit);
  return done ? 0 : refuse(invocation, done.error());
}

int Program::list_local_addresses(const Invocation& invocation) {
  Request show{"show services", {}};
  if (invocation.service) show.arguments["service"] = identity_text(*invocation.service);
  std::string text = "Prot Service                      LocalAddress\n";
  const auto shown = daemon_.ask(show, [&](const json::object& row) {
    const json::value* known = row.if_contains("local_addresses");
    const json::value* identity = row.if_contains("service");
    if (known == nullptr || !known->is_array() || identity == nullptr) return;
    const std::string_view its(identity->as_string());
    const size_t slash = its.rfind('/');
    const bool mark = its.starts_with("mark:");
    const std::string_view protocol = mark ? "FWM" : its.ends_with("/udp") ? "UDP" : "TCP";
    for (const json::value& address : known->get_array()) {
      text +=
          fmt::format("{:<4} {:<28} {}\n", protocol, mark ? its.substr(5) : its.substr(0, slash),
                      std::string_view(address.as_string()));
    }
  });
  if (!shown) return refuse(invocation, shown.error());
  streams_.out << text;
  return 0;
}

// The last --socket of these words.
std::optional<std::string> socket_in(const std::vector<std::string>& words) {
  constexpr std::string_view option = "--socket";
  std::optional<std::string> socket;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == option && i + 1 < words.size()) socket = words[i + 1];
    if (words[i].starts_with("--socket=")) socket = words[i].substr(option.size() + 1);
  }
  return socket;
}

}  // namespace

int run_ipvsadm(const std::string& program, const std::string& default_socket,
                std::vector<std::string> words, const Streams& streams) {
  const auto invocation = parse(program, std::move(words));
  if (!invocation) {
    const Ending& ending = invocation.error();
    (ending.exit_status == 0 ? streams.out : streams.err) << ending.text;
    return ending.exit_status;
  }
  Program its(program, invocation->socket.empty() ? default_socket : invocation->socket, streams);
  return its.run(*invocation);
}

int run_save(const std::string& program, const std::string& default_socket,
             const std::vector<std::string>& words, const Streams& streams) {
  std::vector<std::string> save{"-S"};
  const std::optional<std::string> socket = socket_in(words);
  bool is_value = false;
  for (const std::string& word : words) {
    if (std::exchange(is_value, word == "--socket") || word.starts_with("--socket")) continue;
    if (word == "-n") {
      if (save.size() == 1) save.emplace_back("-n");
    } else if (word.starts_with('-')) {
      streams.err << fmt::format(
          "{}: writes the services of headgated to standard output.\n"
          "   With -n, addresses and ports are numbers.\n",
          program);
      return 1;
    }
  }
  return run_ipvsadm(program, socket.value_or(default_socket), std::move(save), streams);
}

int run_restore(const std::string& program, const std::string& default_socket,
                const std::vector<std::string>& words, const Streams& streams) {
  const bool atomic = std::ranges::find(words, "--atomic") != words.end();
  Program its(program, socket_in(words).value_or(default_socket), streams);
  return its.restore(atomic, true, true);
}

}  // namespace headgate::ipvsadm
