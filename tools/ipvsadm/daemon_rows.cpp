#include "tools/ipvsadm/daemon_rows.h"

#include <charconv>

#include <boost/json/value.hpp>
#include <fmt/format.h>

namespace headgate::ipvsadm {

namespace json = boost::json;

namespace {

constexpr std::string_view mark_prefix = "mark:";

std::string_view text_in(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                : std::string_view{};
}

std::optional<uint64_t> number_in(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() >= 0) {
    return static_cast<uint64_t>(value->get_int64());
  }
  return std::nullopt;
}

uint64_t count_in(const json::object& row, std::string_view key) {
  return number_in(row, key).value_or(0);
}

bool flag_in(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

template <typename T>
std::optional<T> parse_digits(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// 10.0.0.1:80, [2001:db8::1]:80, or an address alone.
std::optional<Endpoint> parse_plain(std::string_view text) {
  if (const auto address = net::parse_ip(text)) return Endpoint{*address, 0};
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const auto address = net::parse_ip(host);
  const auto port = parse_digits<uint16_t>(text.substr(colon + 1));
  if (!address || !port) return std::nullopt;
  return Endpoint{*address, *port};
}

Traffic totals_of(const json::object& row) {
  return {count_in(row, "connections"), count_in(row, "in_packets"), count_in(row, "out_packets"),
          count_in(row, "in_bytes"), count_in(row, "out_bytes")};
}

Traffic rates_of(const json::object& row) {
  return {count_in(row, "connections_per_s"), count_in(row, "in_packets_per_s"),
          count_in(row, "out_packets_per_s"), count_in(row, "in_bytes_per_s"),
          count_in(row, "out_bytes_per_s")};
}

Forward forward_of(std::string_view mode) {
  if (mode == "nat") return Forward::masquerade;
  if (mode == "fullnat") return Forward::fullnat;
  return mode == "ipip" ? Forward::tunnel : Forward::route;
}

std::string endpoint_text(const Endpoint& endpoint) {
  return net::endpoint_to_string(endpoint.address, endpoint.port);
}

// A backend that its pool has now, as keepalived would have it in the kernel's table: not one that
// is disabled, down or waits for others, and the sorry server only while it serves.
bool is_in_use(const json::object& row) {
  const std::string_view state = text_in(row, "state");
  if (state == "sorry") return true;
  if (state == "disabled") return false;
  if (state == "draining" || state == "drained") return true;
  const std::string_view use = text_in(row, "use");
  return use == "serves" || use == "inhibited";
}

// Another row than those of the service's own backends.
bool is_sorry(const json::object& row) {
  return text_in(row, "state") == "sorry" || text_in(row, "state") == "standby";
}

// IPVS writes a mark where the address of the service would be.
net::IpAddress address_of_mark(uint64_t mark, net::Family family) {
  net::IpAddress address;
  address.family = family;
  for (size_t i = 0; i < 4; ++i)
    address.bytes[i] = static_cast<uint8_t>(mark >> (24 - 8 * i));
  return address;
}

// As the templates of the service have it.
std::string template_identity(const ServiceId& id) {
  if (id.firewall_mark != 0) {
    return endpoint_text({address_of_mark(id.firewall_mark, id.family), 0}) + "/IP";
  }
  return fmt::format("{}/{}", endpoint_text(id.endpoint),
                     id.protocol == Protocol::udp ? "UDP" : "TCP");
}

}  // namespace

std::string identity_text(const ServiceId& id) {
  if (id.firewall_mark != 0) {
    return fmt::format("{}{}/{}", mark_prefix, id.firewall_mark,
                       id.family == net::Family::ipv6 ? "ipv6" : "ipv4");
  }
  return fmt::format("{}/{}", endpoint_text(id.endpoint), service_database_name(id.protocol));
}

std::optional<ServiceId> parse_identity(std::string_view text) {
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view base = text.substr(0, slash);
  const std::string_view suffix = text.substr(slash + 1);
  if (base.starts_with(mark_prefix)) {
    const auto mark = parse_digits<uint32_t>(base.substr(mark_prefix.size()));
    if (!mark) return std::nullopt;
    return ServiceId{
        Protocol::none, {}, *mark, suffix == "ipv6" ? net::Family::ipv6 : net::Family::ipv4};
  }
  const auto endpoint = parse_plain(base);
  if (!endpoint) return std::nullopt;
  return ServiceId{suffix == "udp" ? Protocol::udp : Protocol::tcp, *endpoint, 0,
                   endpoint->address.family};
}

void ListingBuilder::add_service(const json::object& row) {
  const std::string_view identity = text_in(row, "service");
  const auto id = parse_identity(identity);
  if (!id) return;
  ListedService service;
  service.id = *id;
  service.scheduler = text_in(row, "scheduler");
  if (service.scheduler == "sh" || service.scheduler == "mh") {
    service.flags.flag1 = flag_in(row, "fallback") && flag_in(row, "list_fallback");
    service.flags.flag2 = flag_in(row, "hash_port");
  }
  if (const auto seconds = number_in(row, "persistence_s")) {
    service.persistence_s = static_cast<uint32_t>(*seconds);
  }
  if (const auto length = number_in(row, "persistence_netmask")) {
    service.netmask = static_cast<uint8_t>(*length);
  }
  service.one_packet = flag_in(row, "one_packet");
  service.totals = totals_of(row);
  service.rates = rates_of(row);
  by_identity_.emplace(identity, services_.size());
  services_.push_back(std::move(service));
}

void ListingBuilder::add_backend(const json::object& row) {
  const auto found = by_identity_.find(text_in(row, "service"));
  const auto endpoint = parse_plain(text_in(row, "backend"));
  if (found == by_identity_.end() || !endpoint || text_in(row, "state") == "removed") return;
  const bool saved = which_ == Which::configured;
  if (saved ? is_sorry(row) : !is_in_use(row)) return;
  ListedService& service = services_[found->second];
  ListedServer server;
  server.endpoint = *endpoint;
  server.forward = flag_in(row, "local") ? Forward::local : forward_of(text_in(row, "mode"));
  server.weight = static_cast<int64_t>(saved || !row.contains("effective_weight")
                                           ? count_in(row, "weight")
                                           : count_in(row, "effective_weight"));
  server.upper_threshold = static_cast<uint32_t>(count_in(row, "upper_threshold"));
  server.lower_threshold = static_cast<uint32_t>(count_in(row, "lower_threshold"));
  server.active = count_in(row, "active");
  server.inactive = count_in(row, "inactive");
  // IPVS counts no flow of UDP as active.
  if (service.id.protocol == Protocol::udp) server.inactive += std::exchange(server.active, 0);
  server.totals = totals_of(row);
  server.rates = rates_of(row);
  service.servers.push_back(server);
}

void ListingBuilder::count_template(const ListedConnection& connection) {
  ++templates_[{endpoint_text(connection.service) + "/" + connection.protocol,
                endpoint_text(connection.server)}];
}

std::vector<ListedService> ListingBuilder::take() {
  for (ListedService& service : services_) {
    if (templates_.empty()) break;
    const std::string identity = template_identity(service.id);
    for (ListedServer& server : service.servers) {
      const auto found = templates_.find({identity, endpoint_text(server.endpoint)});
      if (found != templates_.end()) server.persistent = found->second;
    }
  }
  return std::move(services_);
}

bool is_template(const json::object& row) {
  return text_in(row, "state") == "PERSISTENCE";
}

std::optional<ListedConnection> connection_of(const json::object& row) {
  const auto client = parse_plain(text_in(row, "client"));
  const auto server = parse_plain(text_in(row, "backend"));
  // A template of a mark's service is for all addresses, and has none.
  const auto mark = is_template(row) ? number_in(row, "firewall_mark") : std::nullopt;
  const auto service = parse_plain(text_in(row, "virtual"));
  if (!client || !server || (!service && !mark)) return std::nullopt;
  // What waits for the answer to a single packet is no connection of IPVS.
  if (text_in(row, "state") == "ONE_PACKET") return std::nullopt;
  const bool udp = text_in(row, "protocol") == "udp";
  ListedConnection connection;
  connection.protocol = udp ? "UDP" : "TCP";
  connection.ports_of = udp ? Protocol::udp : Protocol::tcp;
  connection.expires_s = count_in(row, "expires_s");
  connection.state = is_template(row) ? "NONE" : text_in(row, "state");
  connection.client = *client;
  connection.server = *server;
  if (service) connection.service = *service;
  if (mark) {
    connection.protocol = "IP";
    connection.ports_of = Protocol::none;
    connection.service = {address_of_mark(*mark, client->address.family), 0};
  }
  return connection;
}

}  // namespace headgate::ipvsadm
