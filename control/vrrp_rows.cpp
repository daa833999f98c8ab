#include "control/vrrp_rows.h"

#include "config/names.h"

namespace headgate::control {

namespace json = boost::json;

namespace {

// Empty texts as null: there is none.
json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::array addresses_of(const VrrpInstanceStatus& instance) {
  json::array rows;
  for (const VrrpAddressStatus& address : instance.addresses) {
    json::object row;
    row["address"] = net::to_string(address.address);
    row["interface"] = address.interface;
    row["advertised"] = address.advertised;
    row["held"] = address.held;
    rows.push_back(std::move(row));
  }
  return rows;
}

void add_adverts(json::object& row, const VrrpInstanceStatus& instance) {
  row["adverts_sent"] = instance.adverts_sent;
  row["adverts_received"] = instance.adverts_received;
  row["priority_zero_sent"] = instance.priority_zero_sent;
  row["priority_zero_received"] = instance.priority_zero_received;
  row["send_errors"] = instance.send_errors;
  row["late_adverts"] = instance.late_adverts;
  row["worst_lateness_us"] = instance.worst_lateness_us;
  uint64_t discarded = 0;
  json::object reasons;
  for (const VrrpDiscardCount& discard : instance.discards) {
    discarded += discard.count;
    if (discard.count > 0) reasons[discard.reason] = discard.count;
  }
  row["discarded"] = discarded;
  row["discards"] = std::move(reasons);
}

void add_lists(json::object& row, const VrrpInstanceStatus& instance) {
  json::object mismatch;
  mismatch["addresses"] = instance.addresses_mismatch;
  mismatch["interval"] = instance.interval_mismatch;
  row["mismatch"] = std::move(mismatch);
  json::array faults;
  for (const std::string& fault : instance.faults)
    faults.emplace_back(fault);
  row["faults"] = std::move(faults);
  row["addresses"] = addresses_of(instance);
  json::array peers;
  for (const net::IpAddress& peer : instance.peers)
    peers.emplace_back(net::to_string(peer));
  row["peers"] = std::move(peers);
}

}  // namespace

json::object vrrp_row(const VrrpInstanceStatus& instance) {
  json::object row;
  row["name"] = instance.name;
  row["interface"] = instance.interface;
  row["family"] = config::name_of(instance.family);
  row["virtual_router_id"] = instance.virtual_router_id;
  row["version"] = instance.version;
  row["state"] = instance.state;
  row["reason"] = text_or_null(instance.reason);
  row["priority"] = instance.priority;
  row["base_priority"] = instance.base_priority;
  row["master"] =
      instance.master ? json::value(net::to_string(*instance.master)) : json::value(nullptr);
  row["master_priority"] =
      instance.master ? json::value(instance.master_priority) : json::value(nullptr);
  row["in_state_s"] = instance.in_state_s;
  row["became_master"] = instance.became_master;
  row["transitions"] = instance.transitions;
  row["interval_ms"] = instance.interval_ms;
  row["group"] = text_or_null(instance.group);
  add_adverts(row, instance);
  add_lists(row, instance);
  return row;
}

json::object vrrp_group_row(const VrrpGroupStatus& group) {
  json::object row;
  row["name"] = group.name;
  row["state"] = group.state;
  json::array members;
  for (const std::string& member : group.members)
    members.emplace_back(member);
  row["members"] = std::move(members);
  return row;
}

}  // namespace headgate::control
