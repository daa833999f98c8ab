// Where packets come from: the block headgate_ports, --port, or the interfaces of virtual routers.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "config/codecs.h"
#include "config/keepalived/sections.h"
#include "config/keepalived/values.h"
#include "config/limits.h"
#include "config/names.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

struct PortSection {
  Draft& draft;
  std::string path;
  Port& port;
};

template <auto Member>
void device(PortSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.port.*Member = text(s.draft, st);
  s.draft.place(s.path, st);
}

template <auto Member, typename T>
void count(PortSection& s, const Statement& st, uint64_t min, uint64_t max) {
  only(s.draft, st, 2);
  if (const auto n = number(s.draft, st, min, max)) s.port.*Member = static_cast<T>(*n);
}

// route 0.0.0.0/0 via 192.0.2.1 [src 192.0.2.2] [metric 10]
void read_route(PortSection& s, const Statement& st) {
  const auto to = text(s.draft, st);
  if (!to) return;
  Route route{.to = {}, .via = {}, .source = {}, .metric = {}};
  const auto network = *to == "default" ? net::parse_prefix("0.0.0.0/0") : net::parse_prefix(*to);
  if (!network) {
    return s.draft.error(
        st, fmt::format("{} is not a network such as 198.51.100.0/24", in_quotes(*to)));
  }
  route.to = *network;
  for (size_t i = 2; i < st.words.size(); i += 2) {
    const std::string& word = st.words[i].text;
    if (word == "via") {
      route.via = address(s.draft, st, i + 1);
    } else if (word == "src") {
      route.source = address(s.draft, st, i + 1);
    } else if (word == "metric") {
      const auto n = number(s.draft, st, 0, UINT32_MAX, i + 1);
      if (n) route.metric = static_cast<uint32_t>(*n);
    } else {
      return s.draft.error(st, fmt::format("{} is none of via, src and metric", in_quotes(word)));
    }
  }
  s.port.twin.routes.push_back(route);
}

void read_pci(PortSection& s, const Statement& st) {
  device<&Port::pci>(s, st);
  if (!s.port.pci) return;
  const auto pci = pci_text().parse<std::string>(*s.port.pci);
  if (!pci) return s.draft.error(st, pci.error());
  s.port.pci = *pci;
}

void read_driver(PortSection& s, const Statement& st) {
  only(s.draft, st, 2);
  const std::string word = text(s.draft, st).value_or("");
  if (const auto driver = parse_name<Driver>(word)) {
    s.port.driver = *driver;
  } else {
    s.draft.error(st, fmt::format("{} is not {}", in_quotes(word), all_names<Driver>()));
  }
}

void read_address(PortSection& s, const Statement& st) {
  only(s.draft, st, 2);
  const auto word = text(s.draft, st);
  if (!word) return;
  const auto prefix = net::parse_prefix(*word);
  if (!prefix) {
    return s.draft.error(st, fmt::format("{} is not an address with its network's length, such as "
                                         "192.0.2.1/24",
                                         in_quotes(*word)));
  }
  s.draft.place(fmt::format("{}.twin.addresses[{}]", s.path, s.port.twin.addresses.size()), st);
  s.port.twin.addresses.push_back(*prefix);
}

constexpr auto port_keywords = std::to_array<Keyword<PortSection>>({
    {"pci", read_pci},
    {"interface", device<&Port::interface>},
    {"vdev", device<&Port::vdev>},
    {"driver", read_driver},
    {"take_over",
     [](PortSection& s, const Statement& st) {
       s.port.take_over = boolean(s.draft, st).value_or(false);
       s.draft.place(s.path + ".take_over", st);
     }},
    {"queues", [](PortSection& s,
                  const Statement& st) { count<&Port::queues, uint16_t>(s, st, 1, max_queues); }},
    {"rx_descriptors",
     [](PortSection& s, const Statement& st) {
       count<&Port::rx_descriptors, uint16_t>(s, st, min_descriptors, max_descriptors);
     }},
    {"tx_descriptors",
     [](PortSection& s, const Statement& st) {
       count<&Port::tx_descriptors, uint16_t>(s, st, min_descriptors, max_descriptors);
     }},
    {"mtu", [](PortSection& s,
               const Statement& st) { count<&Port::mtu, uint16_t>(s, st, min_mtu, max_mtu); }},
    {"promiscuous",
     [](PortSection& s, const Statement& st) {
       s.port.promiscuous = boolean(s.draft, st).value_or(false);
     }},
    {"address", read_address},
    {"route", read_route},
});

Port* find_port(Config& config, std::string_view name) {
  const auto port = std::ranges::find(config.ports, name, &Port::name);
  return port == config.ports.end() ? nullptr : &*port;
}

// NAME=PCI, NAME=vdev:ARGUMENTS, NAME=interface:INTERFACE.
void add_choice(Draft& draft, const std::string& choice) {
  const size_t equals = choice.find('=');
  const std::string name = choice.substr(0, equals);
  const std::string device = equals == std::string::npos ? "" : choice.substr(equals + 1);
  if (name.empty() || device.empty()) {
    return draft.error(
        fmt::format("--port {}: write NAME=PCI, NAME=vdev:ARGUMENTS or "
                    "NAME=interface:INTERFACE",
                    in_quotes(choice)));
  }
  Port* port = find_port(draft.config, name);
  if (port == nullptr) {
    port = &draft.config.ports.emplace_back();
    port->name = name;
  }
  port->pci.reset();
  port->vdev.reset();
  port->interface.reset();
  port->take_over = false;
  if (device.starts_with("vdev:")) {
    port->vdev = device.substr(5);
  } else if (device.starts_with("interface:")) {
    port->interface = device.substr(10);
    port->take_over = *port->interface == name;
  } else if (const auto pci = pci_text().parse<std::string>(device)) {
    port->pci = *pci;
  } else {
    draft.error(fmt::format("--port {}: {}", choice, pci.error()));
  }
  if (port->interface) return;
  port->driver = Driver::af_xdp;
  if (port->twin.addresses.empty() && draft.once("no address " + name)) {
    const auto index = port - draft.config.ports.data();
    draft.note_at(
        fmt::format("ports[{}].twin", index),
        fmt::format("port {} has no address of its own: give it one with `address` in the "
                    "block headgate_ports, if it needs one",
                    name));
  }
}

// eth0.100 is VLAN 100 of eth0.
std::optional<uint16_t> vlan_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return std::nullopt;
  uint16_t id = 0;
  const char* end = name.data() + name.size();
  const auto [stop, code] = std::from_chars(name.data() + dot + 1, end, id);
  if (code != std::errc{} || stop != end || id == 0 || id > max_vlan_id) return std::nullopt;
  return id;
}

bool is_there(const Config& config, const std::string& interface) {
  return std::ranges::any_of(config.ports, [&](const Port& port) {
    return port.name == interface || port.interface == interface ||
           (port.twin.enabled && port.twin_name() == interface) ||
           std::ranges::any_of(port.vlans,
                               [&](const Vlan& vlan) { return port.vlan_name(vlan) == interface; });
  });
}

Port& take_over(Draft& draft, const std::string& interface) {
  if (Port* port = find_port(draft.config, interface)) return *port;
  Port& port = draft.config.ports.emplace_back();
  port.name = interface;
  port.interface = interface;
  port.take_over = true;
  return port;
}

// The interface of a virtual router becomes a port that takes its name, addresses and routes over.
void add_interface(Draft& draft, const std::string& interface, const std::string& path) {
  if (interface.empty() || interface == "lo" || is_there(draft.config, interface)) return;
  if (const auto id = vlan_of(interface)) {
    Port& port = take_over(draft, interface.substr(0, interface.rfind('.')));
    Vlan vlan;
    vlan.id = *id;
    if (port.vlan_name(vlan) != interface) vlan.name = interface;
    port.vlans.push_back(vlan);
    draft.note_at(path, fmt::format("{} is taken for VLAN {} of {}; write its own addresses as "
                                    "`vlans` of the port, in a YAML file",
                                    interface, *id, port.name));
    return;
  }
  take_over(draft, interface);
}

}  // namespace

void read_headgate_ports(Draft& draft, const Statement& block) {
  only(draft, Statement{block.place, block.words, false, {}}, 1);
  for (const Statement& line : block.children) {
    const std::string path = fmt::format("ports[{}]", draft.config.ports.size());
    draft.place(path, line);
    Port& port = draft.config.ports.emplace_back();
    port.name = line.keyword();
    only(draft, Statement{line.place, line.words, false, {}}, 1);
    PortSection section{.draft = draft, .path = path, .port = port};
    read_section<PortSection>(section, line.children, port_keywords, {});
    // A name alone is the interface of that name.
    if (!port.pci && !port.vdev && !port.interface) {
      port.interface = port.name;
      port.take_over = true;
    }
  }
}

void complete_ports(Draft& draft) {
  Config& config = draft.config;
  const size_t written = config.ports.size();
  for (const std::string& choice : draft.options().ports)
    add_choice(draft, choice);
  if (config.services.empty()) return;
  if (written == 0 || !draft.options().ports.empty()) {
    for (size_t i = 0; i < config.vrrp.instances.size(); ++i) {
      const VrrpInstance& instance = config.vrrp.instances[i];
      const std::string path = fmt::format("vrrp.instances[{}].interface", i);
      add_interface(draft, instance.interface, path);
      for (const auto* list : {&instance.addresses, &instance.excluded_addresses}) {
        for (const VrrpAddress& address : *list)
          add_interface(draft, address.interface.value_or(""), path);
      }
    }
  }
  if (!config.ports.empty()) return;
  draft.error(
      "there are virtual servers, and nothing says on which interface: name a port on the command "
      "line, `--port wan=0000:3b:00.0` or `--port eth0=interface:eth0`, or in a block "
      "headgate_ports");
}

void complete_vrrp(Draft& draft) {
  for (size_t i = 0; i < draft.config.vrrp.instances.size(); ++i) {
    VrrpInstance& instance = draft.config.vrrp.instances[i];
    const std::string path = fmt::format("vrrp.instances[{}]", i);
    if (is_there(draft.config, instance.interface)) continue;
    if (instance.virtual_mac) {
      draft.note_at(path + ".virtual_mac",
                    "a virtual MAC needs a port of headgate, and this file has none for it: the "
                    "interface's own is used");
      instance.virtual_mac = false;
    }
    if (!instance.accept) {
      draft.note_at(path + ".accept",
                    "no_accept needs a port of headgate, and this file has none for it: the box "
                    "takes what is sent to the addresses");
      instance.accept = true;
    }
  }
}

}  // namespace headgate::config::keepalived
