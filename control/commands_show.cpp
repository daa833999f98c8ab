// The commands that only look: services, backends, ports, workers, neighbours, configuration.
// Lists go out in pieces; between two of them everything else on the loop has its turn, and each
// piece reads the snapshot that is current then.
#include <algorithm>
#include <array>
#include <string>
#include <unistd.h>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "config/dump.h"
#include "control/commands.h"
#include "control/config_fields.h"
#include "control/offload.h"
#include "control/selector.h"
#include "control/show.h"
#include "control/show_rows.h"
#include "control/snapshot_walk.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using protocol::Status;

namespace {

asio::awaitable<Status> show_services(Call& call) {
  const auto name = call.arguments.text_if("service");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  const auto config = call.state.config;
  const auto range = named_services(*config, name);
  if (!range) co_return refused(range.error());
  json::array rows;
  for (size_t i = range->begin; i < range->end; ++i) {
    rows.push_back(service_row(call.state, config->services[i]));
    if (rows.size() == rows_per_piece || i + 1 == range->end) {
      co_await call.send_rows(std::exchange(rows, {}));
    }
  }
  co_return Status{};
}

asio::awaitable<Status> show_ports(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  json::array rows;
  for (const PortStatus& port : call.state.surroundings.ports())
    rows.push_back(port_row(port));
  co_await call.send_rows(std::move(rows));
  co_return Status{};
}

asio::awaitable<Status> show_workers(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  json::array rows;
  for (uint32_t worker = 0; worker < call.state.counters.workers(); ++worker) {
    rows.push_back(worker_row(call.state, worker));
    co_await yield_to_loop();
  }
  co_await call.send_rows(std::move(rows));
  co_return Status{};
}

asio::awaitable<Status> show_neighbours(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  std::vector<dataplane::NextHop> hops;
  if (const dataplane::SnapshotRoot* root = call.state.store.current()) {
    for_each_neighbour(call.state.region, *root,
                       [&](const dataplane::NextHop& hop) { hops.push_back(hop); });
  }
  std::ranges::sort(hops, {}, [](const dataplane::NextHop& hop) {
    return std::pair(hop.interface, hop.gateway);
  });
  json::array rows;
  for (const dataplane::NextHop& hop : hops) {
    rows.push_back(neighbour_row(call.state, hop));
    if (rows.size() == rows_per_piece) co_await call.send_rows(std::exchange(rows, {}));
  }
  if (!rows.empty()) co_await call.send_rows(std::move(rows));
  co_return Status{};
}

// As YAML in pieces of text, or with "json" the services as rows and the rest as the result.
asio::awaitable<Status> show_config(Call& call) {
  const bool as_json = call.arguments.flag("json");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  struct Dump {
    std::vector<std::string> payloads;
    json::object rest;
  };
  const auto config = call.state.config;
  auto work = [config, as_json] {
    Dump dump;
    if (as_json) {
      dump.rest = to_json(*config);
      for (json::value& service : dump.rest["services"].as_array()) {
        dump.payloads.push_back(json::serialize(json::array{std::move(service)}));
      }
      dump.rest.erase("services");
      return dump;
    }
    constexpr size_t piece_bytes = 65536;
    const std::string yaml = config::to_yaml(*config);
    for (size_t at = 0; at < yaml.size(); at += piece_bytes) {
      dump.payloads.push_back(json::serialize(json::array{yaml.substr(at, piece_bytes)}));
    }
    return dump;
  };
  Dump dump = co_await offload(call.pool, std::move(work));
  for (std::string& payload : dump.payloads)
    co_await call.send(std::move(payload));
  Status status;
  status.result = std::move(dump.rest);
  co_return status;
}

asio::awaitable<Status> version(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  const auto up = std::chrono::steady_clock::now() - call.state.started;
  Status status;
  status.result["version"] = HEADGATE_VERSION;
  status.result["protocol"] = protocol::version;
  status.result["dpdk"] = call.state.surroundings.dpdk_version;
  status.result["name"] = call.state.config->daemon.name;
  status.result["pid"] = getpid();
  status.result["uptime_s"] = std::chrono::duration_cast<std::chrono::seconds>(up).count();
  co_return status;
}

constexpr std::array commands{
    Command{"show services", show_services},
    Command{"show backends", show_backends},
    Command{"show connections", show_connections},
    Command{"show ports", show_ports},
    Command{"show workers", show_workers},
    Command{"show stats", show_stats},
    Command{"show drops", show_drops},
    Command{"show neighbours", show_neighbours},
    Command{"show config", show_config},
    Command{"version", version},
};

}  // namespace

std::span<const Command> show_commands() {
  return commands;
}

}  // namespace headgate::control
