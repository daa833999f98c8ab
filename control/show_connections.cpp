// `show connections`: the table is read in small steps. In each the control thread is online as a
// reader, copies what passes the filter, and goes offline again, so that neither the loop nor a
// grace period waits for a long dump; the helper pool turns the copies into text.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "config/names.h"
#include "control/offload.h"
#include "control/selector.h"
#include "control/service_notes.h"
#include "control/show.h"
#include "control/show_rows.h"
#include "dataplane/conn_state.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using dataplane::ConnRef;
using protocol::Status;

namespace {

// Entries that one step looks at: some tens of microseconds.
constexpr uint32_t entries_per_step = 1024;

struct Side {
  net::IpAddress address;
  uint16_t port = 0;
};

// What a row needs of a connection.
struct ConnCopy {
  uint8_t protocol = 0;
  bool persistence = false;
  bool one_packet = false;     // waits for the answer to a packet that was scheduled by itself
  uint32_t firewall_mark = 0;  // of its service; 0: the service is that of `vip`
  config::Mode mode = config::Mode::dr;
  dataplane::ConnState state = dataplane::ConnState::none;
  uint32_t owner = 0;
  Side client;
  Side vip;
  Side backend;
  Side local;
  std::optional<uint32_t> expires_s;
};

struct Filter {
  std::optional<uint32_t> service_id;
  std::optional<EndpointFilter> backend;
  std::optional<EndpointFilter> client;

  [[nodiscard]] bool lets_through(uint32_t its_service, const ConnCopy& copy) const {
    return (!service_id || *service_id == its_service) &&
           (!backend || backend->matches(copy.backend.address, copy.backend.port)) &&
           (!client || client->matches(copy.client.address, copy.client.port));
  }
};

template <typename Entry>
void copy_sides(const Entry& entry, ConnCopy& copy) {
  copy.client = {entry.client_ip, entry.client_port.host()};
  copy.vip = {entry.vip, entry.vport.host()};
  copy.backend = {entry.backend_ip, entry.backend_port.host()};
  copy.local = {entry.local_ip, entry.local_port.host()};
}

std::optional<uint32_t> expires_in(const State& state, const dataplane::ConnCommon& common,
                                   uint32_t timeout_ticks) {
  const dataplane::Tick end = common.last_seen.load(std::memory_order_relaxed) + timeout_ticks;
  const auto left = static_cast<int32_t>(end - state.surroundings.now());
  return left <= 0 ? 0 : static_cast<uint32_t>(left) / dataplane::ticks_per_second;
}

// A template holds its backend's id alone, which changes when the client is scheduled anew.
Side backend_of_template(const State& state, const dataplane::SnapshotRoot& root,
                         const dataplane::ConnCommon& common, uint16_t service_port) {
  const uint32_t id = common.backend_id.load(std::memory_order_relaxed);
  const dataplane::BackendRow* row = dataplane::find_backend(state.region, root, id);
  if (row == nullptr) return {};
  return {row->address, row->port.host() == 0 ? service_port : row->port.host()};
}

ConnCopy copy_of(const State& state, const ServiceNotes& services, ConnRef ref,
                 const dataplane::ConnCommon& common) {
  ConnCopy copy;
  copy.protocol = common.protocol;
  copy.persistence = common.kind == dataplane::EntryKind::persistence;
  copy.mode = static_cast<config::Mode>(common.mode);
  const dataplane::StateWord state_word = common.state();
  copy.state = state_word.state();
  copy.one_packet = state_word.has(dataplane::ConnFlag::one_packet);
  copy.owner = state_word.owner();
  if (ref.is_v6()) {
    copy_sides(state.connections.v6(ref), copy);
  } else {
    copy_sides(state.connections.v4(ref), copy);
  }
  const dataplane::SnapshotRoot* root = state.store.current();
  if (root == nullptr) return copy;
  if (!copy.persistence) {
    const auto state_index = static_cast<size_t>(copy.state);
    copy.expires_s = expires_in(state, common,
                                copy.one_packet ? dataplane::one_packet_reply_ticks
                                                : root->settings.timeout_ticks[state_index]);
    return copy;
  }
  copy.backend = backend_of_template(state, *root, common, copy.vip.port);
  if (const auto ticks = services.persistence_ticks(common.service_id)) {
    copy.expires_s = expires_in(state, common, *ticks);
  }
  return copy;
}

std::string text_of(const Side& side) {
  return net::endpoint_to_string(side.address, side.port);
}

std::string_view state_of(const ConnCopy& copy) {
  if (copy.persistence) return "PERSISTENCE";
  return copy.one_packet ? "ONE_PACKET" : dataplane::info(copy.state).name;
}

std::string service_of(const ConnCopy& copy) {
  if (copy.firewall_mark == 0) return text_of(copy.vip);
  return config::to_string(config::ServiceKey{
      .family = copy.client.address.family, .firewall_mark = copy.firewall_mark, .address = {}});
}

json::object row_of(const ConnCopy& copy) {
  // The template of a mark's service is for all protocols and addresses.
  const bool any = copy.persistence && copy.firewall_mark != 0;
  json::object row;
  row["protocol"] = any ? "any" : config::name_of(static_cast<config::Protocol>(copy.protocol));
  row["client"] = text_of(copy.client);
  row["service"] = service_of(copy);
  row["virtual"] = any ? json::value(nullptr) : json::value(text_of(copy.vip));
  row["local"] = copy.mode == config::Mode::fullnat && !copy.persistence
                     ? json::value(text_of(copy.local))
                     : json::value(nullptr);
  row["backend"] = text_of(copy.backend);
  row["mode"] = config::name_of(copy.mode);
  row["state"] = state_of(copy);
  row["expires_s"] = copy.expires_s ? json::value(*copy.expires_s) : json::value(nullptr);
  row["worker"] = copy.owner;
  row["firewall_mark"] =
      copy.firewall_mark == 0 ? json::value(nullptr) : json::value(copy.firewall_mark);
  return row;
}

std::string serialize_rows(const std::vector<ConnCopy>& copies) {
  json::array rows;
  rows.reserve(copies.size());
  for (const ConnCopy& copy : copies)
    rows.push_back(row_of(copy));
  return json::serialize(rows);
}

// One step through the table: the copies that pass, at most `limit`; `cursor` is moved on.
std::vector<ConnCopy> step(const State& state, ServiceNotes& services, const Filter& filter,
                           uint64_t& cursor, uint64_t limit) {
  std::vector<ConnCopy> copies;
  state.grace.online(state.actor);
  services.refresh(state);
  cursor = state.connections.for_each(cursor, entries_per_step,
                                      [&](ConnRef ref, const dataplane::ConnCommon& common) {
                                        if (copies.size() == limit) return;
                                        ConnCopy copy = copy_of(state, services, ref, common);
                                        copy.firewall_mark = services.mark_of(common.service_id);
                                        if (filter.lets_through(common.service_id, copy))
                                          copies.push_back(copy);
                                      });
  state.grace.offline(state.actor);
  return copies;
}

std::expected<Filter, Error> make_filter(const State& state,
                                         const std::optional<std::string>& service,
                                         const std::optional<std::string>& backend,
                                         const std::optional<std::string>& client) {
  Filter filter;
  const config::Service* its_service = nullptr;
  if (service) {
    const auto index = find_service(*state.config, *service);
    if (!index) return std::unexpected(index.error());
    its_service = &state.config->services[*index];
    const auto* block = find_block(state, key_of(*its_service));
    filter.service_id = block == nullptr ? dataplane::none : block->id;
  }
  if (backend) {
    auto parsed = parse_endpoint_filter(*backend);
    if (!parsed && its_service != nullptr) {
      const auto index = find_backend(*its_service, *backend);
      if (!index) return std::unexpected(index.error());
      const config::Backend& known = its_service->backends[*index];
      parsed = EndpointFilter{{known.address, known.address.bits()}, known.port};
    }
    if (!parsed) return std::unexpected(parsed.error());
    filter.backend = *parsed;
  }
  if (client) {
    auto parsed = parse_endpoint_filter(*client);
    if (!parsed) return std::unexpected(parsed.error());
    filter.client = *parsed;
  }
  return filter;
}

}  // namespace

asio::awaitable<Status> show_connections(Call& call) {
  const auto service = call.arguments.text_if("service");
  const auto backend = call.arguments.text_if("backend");
  const auto client = call.arguments.text_if("client");
  const uint64_t limit = call.arguments.number_if("limit").value_or(UINT32_MAX);
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (limit == 0) co_return wrong_usage("limit: 0 would show nothing; leave it out to see all");
  const auto filter = make_filter(call.state, service, backend, client);
  if (!filter) co_return refused(filter.error().text);
  uint64_t shown = 0;
  uint64_t cursor = 0;
  ServiceNotes services;
  while (cursor != dataplane::ConnTable::scan_end && shown < limit) {
    std::vector<ConnCopy> copies = step(call.state, services, *filter, cursor, limit - shown);
    if (copies.empty()) {
      co_await yield_to_loop();
      continue;
    }
    shown += copies.size();
    auto work = [copies = std::move(copies)] { return serialize_rows(copies); };
    std::string rows = co_await offload(call.pool, std::move(work));
    co_await call.send(std::move(rows));
  }
  const dataplane::ConnTableCounters counters = call.state.connections.counters();
  Status status;
  status.result["shown"] = shown;
  status.result["in_use"] = counters.in_use4 + counters.in_use6;
  if (shown > 0) {
    status.message =
        fmt::format("{} shown, {} in the table", shown, counters.in_use4 + counters.in_use6);
  }
  co_return status;
}

}  // namespace headgate::control
