// packet_rig: the bench of rig.h behind a line protocol, so that packet tests are written in Python
// with scapy, an independent judge of every byte. One JSON object a line on standard input, one
// answer a line on standard output. See rig.py for the other end.
//
//   {"op":"start","workers":1,"capacity":4096,"start_tick":1,"interfaces":[[port,vlan]..],
//    "queues":[..],"twins":[true..],"tx_frames":n,"twin_frames":n,"own_mbufs":n,
//    "rss_key":hex,"rss_table":[..]}
//   {"op":"configure","yaml":"..","kernel":{interfaces,addresses,routes,neighbours},
//    "down":[[address,"keep"|"reset"|"reschedule"]..]}
//   {"op":"ownership","inactive":[address..],
//    "virtual_macs":[{interface,"family":4,vrid,"addresses":[..]}..]}
//   {"op":"frames","port":0,"worker":0,"frames":[hex..],"segments":[bytes..],"flags":[n..]}
//                        in one go                -> {"sent":[[port,hex]..],"twin":[..]}
//   {"op":"each",..}     the same, one by one     -> {"outputs":[{"sent","twin"}..]}
//   {"op":"from_twin","port":0,"frame":hex}, with "service":index,"backend":index a probe's
//   {"op":"probing","probing":true}
//   {"op":"advance","ms":1000}  {"op":"jump","ms":1000}
//   {"op":"settle","turns":64}  {"op":"reclaim"}
//   {"op":"counters"}    every verdict and worker counter that is not zero, and the sum rule
//   {"op":"connections"}  {"op":"table"}  {"op":"totals"}  {"op":"requests"}
#include <iostream>
#include <string>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "config/reader.h"
#include "dataplane/conn_state.h"
#include "tests/packet/rig.h"

namespace {

namespace json = boost::json;
using namespace headgate;
using namespace headgate::tests;

int digit(char c) {
  return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

std::vector<uint8_t> from_hex(std::string_view text) {
  std::vector<uint8_t> bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(digit(text[i]) << 4 | digit(text[i + 1])));
  }
  return bytes;
}

std::string to_hex(const std::vector<uint8_t>& bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? std::string{} : std::string(value->as_string());
}
uint64_t number_of(const json::object& object, std::string_view key, uint64_t otherwise) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? otherwise : value->to_number<uint64_t>();
}
template <typename Function>
void each(const json::object& object, std::string_view key, Function function) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return;
  for (const json::value& element : value->as_array())
    function(element);
}

std::vector<uint16_t> numbers_of(const json::object& object, std::string_view key) {
  std::vector<uint16_t> numbers;
  each(object, key,
       [&](const json::value& number) { numbers.push_back(number.to_number<uint16_t>()); });
  return numbers;
}

uint16_t interface_of(const json::object& object) {
  return static_cast<uint16_t>(number_of(object, "interface", control::foreign_interface));
}

control::KernelRouteKind route_kind(const std::string& text) {
  if (text == "unreachable") return control::KernelRouteKind::unreachable;
  if (text == "prohibited") return control::KernelRouteKind::prohibited;
  if (text == "blackhole") return control::KernelRouteKind::blackhole;
  if (text == "local") return control::KernelRouteKind::local;
  return control::KernelRouteKind::unicast;
}

control::KernelRoute route_of(const json::object& object) {
  control::KernelRoute route;
  route.prefix = net::parse_prefix(text_of(object, "prefix")).value();
  route.kind = route_kind(text_of(object, "kind"));
  route.source = net::parse_ip(text_of(object, "source")).value_or(net::IpAddress{});
  if (route.kind == control::KernelRouteKind::unicast) {
    route.hops.push_back({interface_of(object),
                          net::parse_ip(text_of(object, "gateway")).value_or(net::IpAddress{}), 1});
  }
  return route;
}

// As health makes it of backends with these addresses that are down.
void take_down(config::Config& config, const json::object& request) {
  each(request, "down", [&](const json::value& value) {
    const json::array& pair = value.as_array();
    const net::IpAddress address = net::parse_ip(std::string_view(pair.at(0).as_string())).value();
    const std::string_view word = pair.at(1).as_string();
    for (config::Service& service : config.services) {
      for (config::Backend& backend : service.backends) {
        if (backend.address != address) continue;
        backend.enabled = false;
        backend.down = word == "keep"    ? config::OnDown::keep
                       : word == "reset" ? config::OnDown::reset
                                         : config::OnDown::reschedule;
      }
    }
  });
}

control::KernelState kernel_of(const json::object& object) {
  control::KernelState state;
  int kernel_index = 1;
  each(object, "interfaces", [&](const json::value& value) {
    const json::object& entry = value.as_object();
    state.interfaces.push_back({text_of(entry, "name"), ++kernel_index,
                                net::parse_mac(text_of(entry, "mac")).value(),
                                static_cast<uint16_t>(number_of(entry, "mtu", 1500)), true});
  });
  each(object, "addresses", [&](const json::value& value) {
    const json::object& entry = value.as_object();
    state.addresses.push_back(
        {interface_of(entry), net::parse_prefix(text_of(entry, "prefix")).value(), false, false});
  });
  each(object, "routes",
       [&](const json::value& value) { state.routes.push_back(route_of(value.as_object())); });
  each(object, "neighbours", [&](const json::value& value) {
    const json::object& entry = value.as_object();
    state.neighbours.push_back({interface_of(entry),
                                net::parse_ip(text_of(entry, "address")).value(),
                                net::parse_mac(text_of(entry, "mac")).value()});
  });
  std::ranges::sort(state.addresses);
  std::ranges::sort(state.routes);
  std::ranges::sort(state.neighbours);
  return state;
}

json::object output_of(const Output& output) {
  json::array sent;
  for (const SentFrame& frame : output.sent) {
    sent.push_back(json::array{frame.port, to_hex(frame.bytes)});
  }
  json::array twin;
  for (const TwinFrame& frame : output.twin) {
    twin.push_back(json::array{frame.port, static_cast<uint32_t>(frame.twin_class) + frame.mark,
                               to_hex(frame.bytes)});
  }
  return {{"sent", sent}, {"twin", twin}};
}

class Session {
 public:
  json::object answer(const json::object& request) {
    const std::string op = text_of(request, "op");
    if (op == "start") return start(request);
    if (rig_ == nullptr) return {{"error", "not started"}};
    if (op == "configure") return configure(request);
    if (op == "ownership") return set_ownership(request);
    if (op == "frames") {
      return output_of(rig_->inject(port_of(request), frames_of(request), worker_of(request)));
    }
    if (op == "each") return each_frame(request);
    if (op == "from_twin") {
      const Frame frame{from_hex(text_of(request, "frame")), {}};
      return output_of(rig_->inject_from_twin(port_of(request), frame, worker_of(request),
                                              probed_backend(request)));
    }
    if (op == "probing") return set_probing(request);
    if (op == "advance") return output_of(rig_->advance_ms(number_of(request, "ms", 0)));
    if (op == "jump") return output_of(rig_->jump_ms(number_of(request, "ms", 0)));
    if (op == "settle") {
      return output_of(rig_->settle(static_cast<uint32_t>(number_of(request, "turns", 64))));
    }
    if (op == "reclaim") return reclaim();
    if (op == "counters") return counters();
    if (op == "connections") return connections();
    if (op == "table") return table();
    if (op == "totals") return totals();
    if (op == "requests") return requests();
    if (op == "stop") return stop();
    return {{"error", "unknown op " + op}};
  }

 private:
  // 0 without one.
  uint32_t probed_backend(const json::object& request) {
    if (!request.contains("service")) return 0;
    const config::Service& service = config_.services.at(number_of(request, "service", 0));
    const config::Backend& backend = service.backends.at(number_of(request, "backend", 0));
    return rig_->builder().backend_id(key_of(service), key_of(backend)).value_or(dataplane::none);
  }

  json::object set_probing(const json::object& request) {
    rig_->set_probing(request.at("probing").as_bool());
    return {};
  }

  static uint16_t port_of(const json::object& request) {
    return static_cast<uint16_t>(number_of(request, "port", 0));
  }
  static uint32_t worker_of(const json::object& request) {
    return static_cast<uint32_t>(number_of(request, "worker", 0));
  }

  json::object start(const json::object& request) {
    RigOptions options;
    options.workers = static_cast<uint32_t>(number_of(request, "workers", 1));
    options.capacity_v4 = static_cast<uint32_t>(number_of(request, "capacity", 4096));
    options.capacity_v6 = options.capacity_v4;
    options.start_tick =
        static_cast<dataplane::Tick>(number_of(request, "start_tick", options.start_tick));
    options.tx_frames = static_cast<uint32_t>(number_of(request, "tx_frames", options.tx_frames));
    options.twin_frames =
        static_cast<uint32_t>(number_of(request, "twin_frames", options.twin_frames));
    options.own_mbufs = static_cast<uint32_t>(number_of(request, "own_mbufs", options.own_mbufs));
    options.rss_key = from_hex(text_of(request, "rss_key"));
    options.rss_table = numbers_of(request, "rss_table");
    if (request.contains("interfaces")) options.interfaces.clear();
    each(request, "interfaces", [&](const json::value& pair) {
      options.interfaces.push_back(
          {pair.at(0).to_number<uint16_t>(), pair.at(1).to_number<uint16_t>()});
    });
    for (const RigInterface& interface : options.interfaces) {
      options.ports.resize(std::max<size_t>(options.ports.size(), interface.port + 1U));
    }
    const std::vector<uint16_t> queues = numbers_of(request, "queues");
    for (size_t i = 0; i < queues.size(); ++i)
      options.ports.at(i).queues = queues[i];
    size_t port = 0;
    each(request, "twins",
         [&](const json::value& has) { options.ports.at(port++).has_twin = has.as_bool(); });
    rig_.reset();
    rig_ = std::make_unique<Rig>(options);
    kernel_ = {};
    return {};
  }

  json::object stop() {
    const uint32_t lost = rig_->shut_down();
    rig_.reset();
    return {{"lost_mbufs", lost}};
  }

  json::object configure(const json::object& request) {
    auto reading = config::read_text(text_of(request, "yaml"), "test.yaml");
    if (!reading) {
      std::string errors;
      for (const config::Error& error : reading.error())
        errors += config::to_string(error) + "\n";
      return {{"error", errors}};
    }
    config_ = reading->config;
    take_down(config_, request);
    if (request.contains("kernel")) kernel_ = kernel_of(request.at("kernel").as_object());
    const auto generation = rig_->apply(config_, kernel_);
    if (!generation) return {{"error", generation.error()}};
    json::array warnings;
    for (const config::Error& warning : reading->warnings)
      warnings.push_back(json::string(config::to_string(warning)));
    return {{"generation", *generation}, {"warnings", warnings}};
  }

  static std::vector<net::IpAddress> addresses_of(const json::object& request,
                                                  std::string_view key) {
    std::vector<net::IpAddress> list;
    each(request, key, [&](const json::value& text) {
      list.push_back(net::parse_ip(std::string_view(text.as_string())).value());
    });
    return list;
  }

  json::object set_ownership(const json::object& request) {
    control::Ownership ownership;
    ownership.inactive = addresses_of(request, "inactive");
    each(request, "virtual_macs", [&](const json::value& value) {
      const json::object& entry = value.as_object();
      control::VirtualMac mac;
      mac.interface = interface_of(entry);
      mac.family = number_of(entry, "family", 4) == 4 ? net::Family::ipv4 : net::Family::ipv6;
      mac.vrid = static_cast<uint8_t>(number_of(entry, "vrid", 0));
      mac.addresses = addresses_of(entry, "addresses");
      ownership.virtual_macs.push_back(std::move(mac));
    });
    const auto generation = rig_->set_ownership(std::move(ownership));
    if (!generation) return {{"error", generation.error()}};
    return {{"generation", *generation}};
  }

  static std::vector<Frame> frames_of(const json::object& request) {
    std::vector<Frame> list;
    const std::vector<uint16_t> segments = numbers_of(request, "segments");
    const std::vector<uint16_t> flags = numbers_of(request, "flags");
    each(request, "frames", [&](const json::value& hex) {
      const uint64_t flag = list.size() < flags.size() ? flags[list.size()] : 0;
      list.push_back({from_hex(std::string_view(hex.as_string())), segments, flag});
    });
    return list;
  }

  json::object each_frame(const json::object& request) {
    json::array outputs;
    for (const Frame& frame : frames_of(request)) {
      outputs.push_back(output_of(rig_->inject(port_of(request), {frame}, worker_of(request))));
    }
    return {{"outputs", outputs}};
  }

  json::object reclaim() {
    rig_->reclaim();
    return {};
  }

  json::object counters() {
    json::object result;
    const control::CounterView& view = rig_->counters();
    for (uint32_t i = 0; i < dataplane::verdict_count; ++i) {
      const auto verdict = static_cast<dataplane::Verdict>(i);
      if (const uint64_t n = view.verdict(verdict); n != 0) result[info(verdict).name] = n;
    }
    const auto add = [&](std::string_view name,
                         dataplane::Counter dataplane::WorkerCounters::* field) {
      uint64_t sum = 0;
      for (uint32_t w = 0; w < view.workers(); ++w)
        sum += (view.worker(w).*field).get();
      if (sum != 0) result[name] = sum;
    };
    using Row = dataplane::WorkerCounters;
    add("received", &Row::received);
    add("from_twin", &Row::from_twin);
    add("originated", &Row::originated);
    add("released", &Row::released);
    add("replies_local", &Row::replies_local);
    add("replies_foreign", &Row::replies_foreign);
    add("fullnat_port_rss", &Row::fullnat_port_rss);
    add("fullnat_port_other", &Row::fullnat_port_other);
    add("fallback_stateless", &Row::fallback_stateless);
    add("insert_races", &Row::insert_races);
    if (const uint32_t lost = rig_->lost_mbufs(); lost != 0) result["lost_mbufs"] = lost;
    if (const std::string broken = rig_->sum_rule_violation(); !broken.empty()) {
      result["sum_rule"] = broken;
    }
    return {{"counters", result}};
  }

  // The backend by its row, as LVS lists it: an entry has no room for one of the other family, and
  // a template names it by its id alone.
  std::string backend_of(const dataplane::ConnCommon& common, net::be16 port) {
    const uint32_t id = common.backend_id.load(std::memory_order_relaxed);
    const auto* row = find_backend(rig_->region(), *rig_->root(), id);
    if (row == nullptr) return "gone";
    const bool is_template = common.kind == dataplane::EntryKind::persistence;
    const net::be16 shown = is_template && row->port.raw() != 0 ? row->port : port;
    return net::endpoint_to_string(row->address, shown.host());
  }

  template <typename Entry>
  json::object describe(const Entry& entry) {
    const dataplane::ConnCommon& common = entry.common;
    const dataplane::Tick idle = rig_->tick() - common.last_seen.load(std::memory_order_relaxed);
    const auto end = [](const auto& address, net::be16 port) {
      return net::endpoint_to_string(net::IpAddress(address), port.host());
    };
    const bool is_template = common.kind == dataplane::EntryKind::persistence;
    return {{"protocol", common.protocol},
            {"template", is_template},
            {"one_packet", common.state().has(dataplane::ConnFlag::one_packet)},
            {"state", info(common.state().state()).name},
            {"client", end(entry.client_ip, entry.client_port)},
            {"virtual", end(entry.vip, entry.vport)},
            {"backend", backend_of(common, is_template ? entry.vport : entry.backend_port)},
            {"local", end(entry.local_ip, entry.local_port)},
            {"idle_ticks", idle},
            {"owner", common.state().owner()}};
  }

  json::object table() {
    const dataplane::ConnTableCounters now = rig_->connections().counters();
    return {{"in_use4", now.in_use4},   {"in_use6", now.in_use6},
            {"retired", now.retired},   {"embryonic", now.embryonic},
            {"no_entry", now.no_entry}, {"reply_taken", now.reply_taken},
            {"held", rig_->held()}};
  }

  json::object connections() {
    json::array list;
    const dataplane::ConnTable& table = rig_->connections();
    uint64_t cursor = 0;
    while (cursor != dataplane::ConnTable::scan_end) {
      cursor = table.for_each(cursor, 1024, [&](dataplane::ConnRef ref, dataplane::ConnCommon&) {
        list.push_back(ref.is_v6() ? describe(table.v6(ref)) : describe(table.v4(ref)));
      });
    }
    return {{"connections", list}};
  }

  static json::object object_of(const control::TrafficTotals& totals) {
    return {{"connections", totals.connections}, {"in_packets", totals.in_packets},
            {"out_packets", totals.out_packets}, {"in_bytes", totals.in_bytes},
            {"out_bytes", totals.out_bytes},     {"refused", totals.refused},
            {"active", totals.active},           {"inactive", totals.inactive}};
  }

  json::object totals() {
    json::object services;
    json::object backends;
    for (const config::Service& service : config_.services) {
      const config::ServiceKey key = key_of(service);
      const auto id = rig_->builder().service_id(key);
      if (!id) continue;
      services[to_string(key)] = object_of(rig_->counters().service(*id));
      for (const config::Backend& backend : service.backends) {
        const auto backend_id = rig_->builder().backend_id(key, key_of(backend));
        if (!backend_id) continue;
        const control::TrafficTotals totals =
            rig_->counters().backend(dataplane::backend_index(*backend_id));
        json::object row = object_of(totals);
        row["unanswered"] = totals.unanswered;
        backends[to_string(key) + " " + to_string(key_of(backend))] = std::move(row);
      }
    }
    return {{"services", services}, {"backends", backends}};
  }

  json::object requests() {
    json::array list;
    for (const dataplane::NeighbourRequest& request : rig_->neighbour_requests()) {
      list.push_back(json::array{request.interface, net::to_string(request.address)});
    }
    return {{"requests", list}};
  }

  std::unique_ptr<Rig> rig_;
  config::Config config_;
  control::KernelState kernel_;
};

}  // namespace

int main() {
  start_dpdk_for_tests();
  Session session;
  std::string line;
  while (std::getline(std::cin, line)) {
    boost::system::error_code bad;
    const json::value request = json::parse(line, bad);
    json::object answer;
    if (bad || !request.is_object()) {
      answer = {{"error", "not a JSON object"}};
    } else {
      answer = session.answer(request.as_object());
    }
    std::cout << json::serialize(answer) << '\n' << std::flush;
  }
  return 0;
}
