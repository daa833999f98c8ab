// vrrp_instance, and the addresses in it.
#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "config/keepalived/commands.h"
#include "config/keepalived/sections.h"
#include "config/keepalived/values.h"
#include "config/keepalived/vrrp.h"
#include "config/limits.h"
#include "config/names.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

struct InstanceSection {
  Draft& draft;
  std::string path;
  VrrpInstance& instance;
  const TrackedNames& names;
  NotifyReader notify;
  bool state_master = false;
  bool has_priority = false;
  std::optional<uint64_t> advert_ms{};
  const Statement* advert = nullptr;
  const Statement* authentication = nullptr;
};

// ---- addresses

// 192.0.2.1/24, and 192.0.2.1 alone as /32.
std::optional<net::Prefix> address_of(Draft& draft, const Statement& line) {
  const std::string& word = line.keyword();
  if (const auto prefix = net::parse_prefix(word)) return prefix;
  if (const auto address = net::parse_ip(word)) return net::Prefix{*address, address->bits()};
  draft.error(line, "is not an address such as 192.0.2.1/24");
  return std::nullopt;
}

void read_scope(Draft& draft, const Statement& line, const std::string& word, Scope& scope) {
  if (const auto known = parse_name<Scope>(word)) {
    scope = *known;
  } else {
    draft.note(line, fmt::format("scope {}: global is used", in_quotes(word)));
  }
}

void read_address_words(Draft& draft, const Statement& line, VrrpAddress& address) {
  for (size_t i = 1; i < line.words.size(); ++i) {
    const std::string& word = line.words[i].text;
    const bool last = i + 1 == line.words.size();
    const bool takes_value = word == "dev" || word == "label" || word == "scope" || word == "brd" ||
                             word == "broadcast" || word == "peer" || word == "track_group" ||
                             word == "preferred_lft";
    if (takes_value && last) {
      draft.error(line, fmt::format("a value is missing after {}", word));
      return;
    }
    if (word == "dev") {
      address.interface = line.words[++i].text;
    } else if (word == "label") {
      address.label = line.words[++i].text;
    } else if (word == "scope") {
      read_scope(draft, line, line.words[++i].text, address.scope);
    } else if (word == "brd" || word == "broadcast") {
      ++i;  // the kernel needs none for an address that others only send to
      if (draft.once("brd")) draft.note(line, "brd: addresses have no broadcast address here");
    } else if (takes_value) {
      draft.note(line, fmt::format("{} {}: ignored", word, line.words[++i].text));
    } else if (word == "use_vmac") {
      draft.note(line, "use_vmac: write it for the instance as a whole: ignored");
    } else if (word == "no_track" || word == "home" || word == "-nodad" || word == "mngtmpaddr" ||
               word == "noprefixroute" || word == "autojoin" || word == "nodad") {
      draft.note(line, fmt::format("{}: ignored", word));
    } else {
      draft.mistake(line, fmt::format("{} is not known here, and ignored", in_quotes(word)));
    }
  }
}

// ---- the instance

void read_authentication(InstanceSection& s, const Statement& block) {
  s.authentication = &block;
  std::string type = "PASS";
  std::optional<std::string> password;
  for (const Statement& line : block.children) {
    if (line.keyword() == "auth_type") {
      type = text(s.draft, line).value_or("");
      if (type == "PASS" || type == "SIMPLE") {
        type = "PASS";
      } else if (type != "AH") {
        s.draft.error(line, fmt::format("{} is neither PASS nor AH", in_quotes(type)));
      }
      only(s.draft, line, 2);
    } else if (line.keyword() == "auth_pass") {
      password = text(s.draft, line);
      only(s.draft, line, 2);
      s.draft.place(s.path + ".auth_password", line);
      if (password && password->size() > max_auth_password) {
        s.draft.note(line, "only the first 8 characters count", s.path + ".auth_password");
        password->resize(max_auth_password);
      }
    } else {
      unknown(s.draft, line, {"auth_type", "auth_pass"});
    }
  }
  if (type == "AH") {
    s.draft.note(block,
                 "auth_type AH is not there: adverts bear no authentication, and a peer that "
                 "wants it discards them; write PASS on both",
                 s.path + ".auth_password");
  } else if (!password || password->empty()) {
    s.draft.mistake(block, "no auth_pass: adverts bear no authentication", s.path);
  } else {
    s.instance.auth_password = *password;
  }
}

void read_peers(InstanceSection& s, const Statement& block) {
  uint8_t least = UINT8_MAX;
  for (const Statement& line : block.children) {
    const auto peer = address(s.draft, line, 0);
    if (!peer) continue;
    uint8_t ttl = 1;  // keepalived looks at it only where it is told to
    for (size_t i = 1; i < line.words.size(); i += 2) {
      const auto value = number(s.draft, line, 0, UINT8_MAX, i + 1);
      if (!value) break;
      if (line.words[i].text == "min_ttl") {
        ttl = static_cast<uint8_t>(std::max<uint64_t>(*value, 1));
      } else if (line.words[i].text == "max_ttl") {
        s.draft.note(line, "max_ttl: ignored", s.path + ".unicast_peers");
      } else {
        s.draft.mistake(
            line, fmt::format("{} is not known here, and ignored", in_quotes(line.words[i].text)));
      }
    }
    least = std::min(least, ttl);
    s.draft.place(fmt::format("{}.unicast_peers[{}]", s.path, s.instance.unicast_peers.size()),
                  line);
    s.instance.unicast_peers.push_back(*peer);
  }
  if (!s.instance.unicast_peers.empty()) s.instance.unicast_min_ttl = least;
}

void read_priority(InstanceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.draft.place(s.path + ".priority", st);
  if (const auto value = number(s.draft, st, 1, max_priority)) {
    s.instance.priority = static_cast<uint8_t>(*value);
    s.has_priority = true;
  }
}

void read_state(InstanceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  const std::string state = text(s.draft, st).value_or("");
  s.state_master = state == "MASTER";
  if (state != "MASTER" && state != "BACKUP") {
    s.draft.error(st, fmt::format("{} is neither MASTER nor BACKUP", in_quotes(state)));
  }
}

void read_vmac(InstanceSection& s, const Statement& st) {
  s.instance.virtual_mac = true;
  s.draft.place(s.path + ".virtual_mac", st);
  if (st.words.size() > 1) {
    s.draft.note(st, "the virtual MAC of the RFC is used, without an interface of its own",
                 s.path + ".virtual_mac");
  }
}

void read_source(InstanceSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.draft.place(s.path + ".source", st);
  s.instance.source = address(s.draft, st);
}

template <auto Member>
void gratuitous(InstanceSection& s, const Statement& st, uint32_t min, uint32_t max) {
  only(s.draft, st, 2);
  const auto value = number(s.draft, st, min, max);
  if (value) s.instance.gratuitous.*Member = static_cast<uint32_t>(*value);
}

void notify(InstanceSection& s, const Statement& st) {
  s.notify.read(s.draft, st, s.path);
}

template <auto Member, bool Bare = true>
void flag(InstanceSection& s, const Statement& st) {
  if (const auto value = boolean(s.draft, st, Bare)) s.instance.*Member = *value;
}

using Word = Keyword<InstanceSection>;
constexpr auto instance_keywords = std::to_array<Word>({
    {"state", read_state},
    {"interface",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.instance.interface = text(s.draft, st).value_or("");
       s.draft.place(s.path + ".interface", st);
     }},
    {"virtual_router_id",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.draft.place(s.path + ".virtual_router_id", st);
       const auto id = number(s.draft, st, 1, max_virtual_router_id);
       if (id) s.instance.virtual_router_id = static_cast<uint8_t>(*id);
     }},
    {"priority", read_priority},
    {"advert_int",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.draft.place(s.path + ".advert_interval_ms", st);
       s.advert = &st;
       s.advert_ms = seconds(s.draft, st, 1000, min_advert_interval_ms, max_v2_advert_interval_ms);
     }},
    {"version",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.draft.place(s.path + ".version", st);
       if (const auto v = number(s.draft, st, 2, 3)) s.instance.version = static_cast<uint8_t>(*v);
     }},
    {"virtual_ipaddress",
     [](InstanceSection& s, const Statement& st) {
       read_addresses(s.draft, st, s.path + ".addresses", s.instance.addresses);
     }},
    {"virtual_ipaddress_excluded",
     [](InstanceSection& s, const Statement& st) {
       read_addresses(s.draft, st, s.path + ".excluded_addresses", s.instance.excluded_addresses);
     }},
    {"authentication", read_authentication},
    {"nopreempt",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.instance.preempt = false;
       s.draft.place(s.path + ".preempt", st);
     }},
    {"preempt",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.instance.preempt = true;
     }},
    {"preempt_delay",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.draft.place(s.path + ".preempt_delay_s", st);
       const auto value = whole_seconds(s.draft, st, max_preempt_delay_s);
       if (value) s.instance.preempt_delay_s = *value;
     }},
    {"track_interface",
     [](InstanceSection& s, const Statement& st) {
       read_tracks(s.draft, st, nullptr, s.instance.interfaces);
     }},
    {"track_script",
     [](InstanceSection& s, const Statement& st) {
       read_tracks(s.draft, st, &s.names.scripts, s.instance.scripts);
     }},
    {"track_file",
     [](InstanceSection& s, const Statement& st) {
       read_tracks(s.draft, st, &s.names.files, s.instance.files);
     }},
    {"track_process",
     [](InstanceSection& s, const Statement& st) {
       read_tracks(s.draft, st, &s.names.processes, s.instance.processes);
     }},
    {"dont_track_primary",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.instance.track_interface = false;
     }},
    {"notify_master", notify},
    {"notify_backup", notify},
    {"notify_fault", notify},
    {"notify_stop", notify},
    {"notify", notify},
    {"smtp_alert",
     [](InstanceSection& s, const Statement& st) { s.notify.read_mail(s.draft, st); }},
    {"unicast_src_ip", read_source},
    {"mcast_src_ip", read_source},
    {"unicast_peer", read_peers},
    {"unicast_ttl",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.draft.place(s.path + ".unicast_ttl", st);
       const auto ttl = number(s.draft, st, 0, UINT8_MAX);
       if (ttl) s.instance.unicast_ttl = static_cast<uint8_t>(std::max<uint64_t>(*ttl, 1));
     }},
    {"check_unicast_src",  // what is done always
     [](InstanceSection& s, const Statement& st) { (void)boolean(s.draft, st); }},
    {"use_vmac", read_vmac},
    {"accept", [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.instance.accept = true;
     }},
    {"no_accept",
     [](InstanceSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.instance.accept = false;
       s.draft.place(s.path + ".accept", st);
     }},
    {"lower_prio_no_advert", flag<&VrrpInstance::lower_priority_no_advert>},
    {"higher_prio_send_advert", flag<&VrrpInstance::higher_priority_send_advert>},
    {"strict_mode", flag<&VrrpInstance::strict>},
    {"skip_check_adv_addr",  // adverts with other addresses count unless `strict`
     [](InstanceSection& s, const Statement& st) { (void)boolean(s.draft, st); }},
    {"native_ipv6", [](InstanceSection& s, const Statement& st) { only(s.draft, st, 1); }},
    {"garp_master_delay",
     [](InstanceSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::delay_s>(s, st, 0, max_gratuitous_delay_s);
     }},
    {"garp_master_repeat",
     [](InstanceSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::repeat>(s, st, 1, max_gratuitous_repeat);
     }},
    {"garp_master_refresh",
     [](InstanceSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::refresh_s>(s, st, 0, max_gratuitous_refresh_s);
     }},
    {"garp_master_refresh_repeat",
     [](InstanceSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::refresh_repeat>(s, st, 1, max_gratuitous_repeat);
     }},
    {"garp_lower_prio_delay",
     [](InstanceSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::lower_priority_delay_s>(s, st, 0, max_gratuitous_delay_s);
     }},
    {"garp_lower_prio_repeat",
     [](InstanceSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::lower_priority_repeat>(s, st, 0, max_gratuitous_repeat);
     }},
});

constexpr std::string_view no_routes =
    "routes and rules do not move with a virtual router: set them for good, or in notify_master";
constexpr auto instance_unsupported = std::to_array<Unsupported>({
    {"virtual_routes", no_routes},
    {"virtual_rules", no_routes},
    {"mcast_dst_ip", "the group of global_defs is used: ignored"},
    {"down_timer_adverts", "three intervals always, as the RFC says: ignored"},
    {"vrf", "adverts go out by the interface: ignored"},
    {"use_vmac_addr", "addresses on other interfaces have those interfaces' MACs: ignored"},
    {"vmac_xmit_base", "adverts leave by the interface itself anyway: ignored"},
    {"use_ipvlan", "addresses are put on the interface itself: ignored"},
    {"track_src_ip", "a source address that goes away is no fault here: ignored"},
    {"track_bfd", "there is no BFD here: ignored"},
    {"promote_secondaries", "the kernel's settings are left as they are: ignored"},
    {"unicast_fault_no_peer", "without peers adverts are multicast: ignored"},
    {"old_unicast_checksum", "both forms of checksum are accepted, the new one is sent: ignored"},
    {"garp_extra_if", "interfaces of addresses get all announcements anyway: ignored"},
    {"debug", "`log_level: debug` of a YAML file, or `headgated -v`: ignored"},
    {"notify_deleted", "an instance that a reload removes stops: `notify_stop`: ignored"},
    {"notify_master_rx_lower_pri", "not run: a master that hears a lower one goes on: ignored"},
    {"notify_priority_changes", "priorities are seen by `headgate show vrrp`: ignored"},
    {"kernel_rx_buf_size", "sockets have buffers of their own size here: ignored"},
    {"linkbeat_use_polling", "the kernel's own state of a link counts: ignored"},
    {"lvs_sync_daemon_interface", "connections are not copied to another box: ignored"},
});

// Version and interval go together: version 2 knows whole seconds only.
void settle_version(InstanceSection& s, const Statement& block) {
  VrrpInstance& instance = s.instance;
  if (family_of(instance) == net::Family::ipv6) instance.version = 3;
  uint64_t interval = s.advert_ms.value_or(1000);
  if (instance.version == 2 && interval % 1000 != 0) {
    interval = std::max<uint64_t>((interval + 500) / 1000, 1) * 1000;
    s.draft.mistake(*s.advert,
                    fmt::format("VRRP version 2 has whole seconds: {} s is used", interval / 1000),
                    s.path + ".advert_interval_ms");
  } else if (instance.version == 3 && interval % 10 != 0) {
    interval = std::max<uint64_t>(interval / 10, 1) * 10;
  }
  instance.advert_interval_ms = static_cast<uint32_t>(interval);
  if (instance.version == 3 && instance.auth_password) {
    s.draft.mistake(s.authentication != nullptr ? *s.authentication : block,
                    "version 3 has no authentication: ignored", s.path);
    instance.auth_password.reset();
  }
}

void settle_priority(InstanceSection& s, const Statement& block) {
  VrrpInstance& instance = s.instance;
  if (!s.has_priority && s.state_master) {
    instance.priority = max_priority;
    s.draft.note(block, "state MASTER without a priority: it is 255, the owner's",
                 s.path + ".priority");
  }
  if (s.state_master && !instance.preempt && instance.priority != max_priority) {
    s.draft.note(block, "nopreempt with state MASTER: it begins as backup like every other here",
                 s.path + ".preempt");
  }
  if (instance.priority != max_priority) return;
  if (!instance.preempt) {
    s.draft.mistake(block, "nopreempt does not go with priority 255: ignored", s.path + ".preempt");
    instance.preempt = true;
  }
  for (auto* tracks : {&instance.scripts, &instance.files, &instance.processes}) {
    for (const VrrpTrack& track : *tracks) {
      if (track.weight == 0) continue;
      s.draft.mistake(
          block, fmt::format("{}: weights do not count with priority 255: left out", track.name));
    }
    std::erase_if(*tracks, [](const VrrpTrack& track) { return track.weight != 0; });
  }
  for (VrrpTrack& track : instance.interfaces)
    track.weight = 0;
}

}  // namespace

void read_addresses(Draft& draft, const Statement& block, const std::string& path,
                    std::vector<VrrpAddress>& out) {
  for (const Statement& line : block.children) {
    const auto prefix = address_of(draft, line);
    if (!prefix) continue;
    VrrpAddress address{.address = *prefix, .interface = {}, .label = {}, .scope = Scope::global};
    read_address_words(draft, line, address);
    const bool known = std::ranges::any_of(
        out, [&](const VrrpAddress& other) { return other.address.address == prefix->address; });
    if (known) {
      draft.mistake(line, "is listed twice: ignored", path);
      continue;
    }
    draft.place(fmt::format("{}[{}]", path, out.size()), line);
    out.push_back(std::move(address));
  }
}

void read_vrrp_instance(Draft& draft, const TrackedNames& names, const Statement& block) {
  const auto name = text(draft, block);
  if (!name) return;
  std::vector<VrrpInstance>& instances = draft.config.vrrp.instances;
  const std::string path = fmt::format("vrrp.instances[{}]", instances.size());
  draft.place(path, block);
  VrrpInstance& instance = instances.emplace_back();
  const Globals& globals = draft.globals;
  instance.name = clean_name(draft, block, *name);
  instance.version = globals.version;
  instance.gratuitous = globals.gratuitous;
  instance.lower_priority_no_advert = globals.lower_priority_no_advert;
  instance.higher_priority_send_advert = globals.higher_priority_send_advert;
  instance.strict = globals.strict;
  InstanceSection section{.draft = draft,
                          .path = path,
                          .instance = instance,
                          .names = names,
                          .notify = NotifyReader(instance.notify)};
  read_section<InstanceSection>(section, block.children, instance_keywords, instance_unsupported);
  section.notify.finish(draft);
  if (instance.interface.empty()) {
    instance.interface = globals.default_interface;
    draft.note(block, fmt::format("no interface: {} is used", instance.interface), path);
  }
  // Its own is tracked anyway.
  std::erase_if(instance.interfaces,
                [&](const VrrpTrack& track) { return track.name == instance.interface; });
  settle_version(section, block);
  settle_priority(section, block);
}

}  // namespace headgate::config::keepalived
