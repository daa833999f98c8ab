// vrrp_script, track_file, vrrp_track_process and vrrp_sync_group.
#include "config/keepalived/vrrp.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/keepalived/commands.h"
#include "config/keepalived/sections.h"
#include "config/keepalived/values.h"
#include "config/limits.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

constexpr int32_t widest_weight = 254;

// `weight N [reverse]` from the word at `index` on.
void read_weight(Draft& draft, const Statement& statement, size_t index, Tracked& tracked) {
  const auto weight = signed_number(draft, statement, -widest_weight, widest_weight, index);
  if (!weight) return;
  tracked.weight = std::clamp(*weight, -max_track_weight, max_track_weight);
  tracked.reverse =
      statement.words.size() > index + 1 && statement.words[index + 1].text == "reverse";
  only(draft, statement, index + (tracked.reverse ? 2 : 1));
  if (tracked.reverse) {
    draft.note(statement,
               "weights cannot be reversed here: it counts as it would without `reverse`");
  }
}

template <typename List>
auto* find_named(List& list, std::string_view name) {
  const auto found = std::ranges::find(list, name, [](const auto& item) { return item.name; });
  return found == list.end() ? nullptr : &*found;
}

struct ScriptSection {
  Draft& draft;
  std::string path;
  VrrpScript& script;
  Tracked tracked;
};

void read_script(ScriptSection& s, const Statement& st) {
  const auto read = command(s.draft, st, s.path);
  if (!read) return;
  s.script.command = read->text;
  if (read->user) s.script.user = read->user;
  s.draft.place(s.path + ".command", st);
}

void read_rounds(ScriptSection& s, const Statement& st, uint32_t& out) {
  only(s.draft, st, 2);
  if (const auto n = number(s.draft, st, 1, max_script_results)) out = static_cast<uint32_t>(*n);
}

constexpr auto script_keywords = std::to_array<Keyword<ScriptSection>>({
    {"script", read_script},
    {"interval",
     [](ScriptSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto ms = seconds(s.draft, st, 1000, min_script_interval_ms, max_script_interval_ms);
       if (ms) s.script.interval_ms = static_cast<uint32_t>(*ms);
     }},
    {"timeout",
     [](ScriptSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto ms = seconds(s.draft, st, 1000, 0, max_script_interval_ms);
       if (ms && *ms >= min_script_interval_ms) s.script.timeout_ms = static_cast<uint32_t>(*ms);
     }},
    {"weight",
     [](ScriptSection& s, const Statement& st) { read_weight(s.draft, st, 1, s.tracked); }},
    {"rise", [](ScriptSection& s, const Statement& st) { read_rounds(s, st, s.script.rise); }},
    {"fall", [](ScriptSection& s, const Statement& st) { read_rounds(s, st, s.script.fall); }},
    {"user",
     [](ScriptSection& s, const Statement& st) {
       if (text(s.draft, st)) s.script.user = user(s.draft, st, 1);
     }},
    {"init_fail",
     [](ScriptSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.script.start = ScriptStart::down;
     }},
});

struct FileSection {
  Draft& draft;
  std::string path;
  VrrpFile& file;
  Tracked tracked{.weight = 1};
};

constexpr auto file_keywords = std::to_array<Keyword<FileSection>>({
    {"file",
     [](FileSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto path = text(s.draft, st)) s.file.path = *path;
       s.draft.place(s.path + ".path", st);
     }},
    {"weight", [](FileSection& s, const Statement& st) { read_weight(s.draft, st, 1, s.tracked); }},
});
constexpr auto file_unsupported = std::to_array<Unsupported>({
    {"init_file", "the file is not made or changed here: whoever writes it has to begin"},
});

struct ProcessSection {
  Draft& draft;
  std::string path;
  VrrpProcess& process;
  Tracked tracked{.weight = 1};
};

void read_delay(ProcessSection& s, const Statement& st) {
  only(s.draft, st, 2);
  const auto ms = seconds(s.draft, st, 1000, 0, max_process_delay_ms);
  if (!ms) return;
  const auto delay = static_cast<uint32_t>(*ms);
  if (s.process.delay_ms != 0 && s.process.delay_ms != delay) {
    s.draft.note(st, "one delay for up and down here: the longer is used", s.path);
  }
  s.process.delay_ms = std::max(s.process.delay_ms, delay);
}

constexpr auto process_keywords = std::to_array<Keyword<ProcessSection>>({
    {"process",
     [](ProcessSection& s, const Statement& st) {
       const auto name = text(s.draft, st);
       if (!name) return;
       s.process.process = *name;
       s.draft.place(s.path + ".process", st);
       if (st.words.size() > 2) {
         s.draft.note(st, "a process is known by its name alone: its parameters are ignored",
                      s.path);
       }
     }},
    {"weight",
     [](ProcessSection& s, const Statement& st) { read_weight(s.draft, st, 1, s.tracked); }},
    {"quorum",
     [](ProcessSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto n = number(s.draft, st, 1, max_processes))
         s.process.quorum = static_cast<uint32_t>(*n);
     }},
    {"delay", read_delay},
    {"fork_delay", read_delay},
    {"terminate_delay", read_delay},
});
constexpr auto process_unsupported = std::to_array<Unsupported>({
    {"quorum_max", "too many processes are no failure here: ignored"},
    {"param_match", "a process is known by its name alone: ignored"},
    {"full_command", "a process is known by its name alone: ignored"},
});

struct GroupSection {
  Draft& draft;
  std::string path;
  VrrpSyncGroup& group;
  const TrackedNames& names;
  NotifyReader notify;
  // What all members track besides their own.
  VrrpInstance tracks;
};

void read_members(GroupSection& s, const Statement& statement) {
  for (const Statement& line : statement.children) {
    for (const Word& word : line.words) {
      s.draft.place(fmt::format("{}.instances[{}]", s.path, s.group.instances.size()), line);
      s.group.instances.push_back(clean_name(s.draft, line, word.text));
    }
  }
}

constexpr auto group_keywords = std::to_array<Keyword<GroupSection>>({
    {"group", read_members},
    {"track_interface",
     [](GroupSection& s, const Statement& st) {
       read_tracks(s.draft, st, nullptr, s.tracks.interfaces);
     }},
    {"track_script",
     [](GroupSection& s, const Statement& st) {
       read_tracks(s.draft, st, &s.names.scripts, s.tracks.scripts);
     }},
    {"track_file",
     [](GroupSection& s, const Statement& st) {
       read_tracks(s.draft, st, &s.names.files, s.tracks.files);
     }},
    {"track_process",
     [](GroupSection& s, const Statement& st) {
       read_tracks(s.draft, st, &s.names.processes, s.tracks.processes);
     }},
    {"notify_master",
     [](GroupSection& s, const Statement& st) { s.notify.read(s.draft, st, s.path); }},
    {"notify_backup",
     [](GroupSection& s, const Statement& st) { s.notify.read(s.draft, st, s.path); }},
    {"notify_fault",
     [](GroupSection& s, const Statement& st) { s.notify.read(s.draft, st, s.path); }},
    {"notify_stop",
     [](GroupSection& s, const Statement& st) { s.notify.read(s.draft, st, s.path); }},
    {"notify", [](GroupSection& s, const Statement& st) { s.notify.read(s.draft, st, s.path); }},
    {"smtp_alert", [](GroupSection& s, const Statement& st) { s.notify.read_mail(s.draft, st); }},
});
constexpr auto group_unsupported = std::to_array<Unsupported>({
    {"track_bfd", "there is no BFD here: ignored"},
    {"global_tracking", "what a member tracks counts for the group anyway: ignored"},
    {"sync_group_tracking_weight", "weights of members never count in a group here: ignored"},
    {"notify_priority_changes", "priorities are seen by `headgate show vrrp`: ignored"},
    {"notify_deleted", "an instance that a reload removes stops: `notify_stop`: ignored"},
});

// Puts what the group tracks into its members, without doubles.
void add_tracks(std::vector<VrrpTrack>& own, const std::vector<VrrpTrack>& more) {
  for (const VrrpTrack& track : more) {
    if (find_named(own, track.name) == nullptr) own.push_back(track);
  }
}

void drop_weighted(Draft& draft, const Statement& block, const VrrpInstance& instance,
                   std::vector<VrrpTrack>& tracks, const std::string& path) {
  for (const VrrpTrack& track : tracks) {
    if (track.weight == 0) continue;
    draft.note(block,
               fmt::format("{} tracks {} with a weight, which does not count in a group: left out",
                           instance.name, track.name),
               path);
  }
  std::erase_if(tracks, [](const VrrpTrack& track) { return track.weight != 0; });
}

}  // namespace

void read_vrrp_script(Draft& draft, TrackedNames& names, const Statement& block) {
  const auto name = text(draft, block);
  if (!name) return;
  const std::string path = fmt::format("vrrp.scripts[{}]", draft.config.vrrp.scripts.size());
  draft.place(path, block);
  VrrpScript& script = draft.config.vrrp.scripts.emplace_back();
  script.name = clean_name(draft, block, *name);
  script.start = ScriptStart::up;  // as keepalived: no failure before the first result
  ScriptSection section{.draft = draft, .path = path, .script = script, .tracked = {}};
  read_section<ScriptSection>(section, block.children, script_keywords, {});
  names.scripts.insert_or_assign(script.name, section.tracked);
}

void read_track_file(Draft& draft, TrackedNames& names, const Statement& block) {
  const auto name = text(draft, block);
  if (!name) return;
  const std::string path = fmt::format("vrrp.files[{}]", draft.config.vrrp.files.size());
  draft.place(path, block);
  VrrpFile& file = draft.config.vrrp.files.emplace_back();
  file.name = clean_name(draft, block, *name);
  FileSection section{.draft = draft, .path = path, .file = file};
  read_section<FileSection>(section, block.children, file_keywords, file_unsupported);
  names.files.insert_or_assign(file.name, section.tracked);
}

void read_track_process(Draft& draft, TrackedNames& names, const Statement& block) {
  const auto name = text(draft, block);
  if (!name) return;
  const std::string path = fmt::format("vrrp.processes[{}]", draft.config.vrrp.processes.size());
  draft.place(path, block);
  VrrpProcess& process = draft.config.vrrp.processes.emplace_back();
  process.name = clean_name(draft, block, *name);
  ProcessSection section{.draft = draft, .path = path, .process = process};
  read_section<ProcessSection>(section, block.children, process_keywords, process_unsupported);
  names.processes.insert_or_assign(process.name, section.tracked);
}

void read_vrrp_sync_group(Draft& draft, const TrackedNames& names, const Statement& block) {
  const auto name = text(draft, block);
  if (!name) return;
  Vrrp& vrrp = draft.config.vrrp;
  const std::string path = fmt::format("vrrp.sync_groups[{}]", vrrp.sync_groups.size());
  draft.place(path, block);
  VrrpSyncGroup& group = vrrp.sync_groups.emplace_back();
  group.name = clean_name(draft, block, *name);
  GroupSection section{.draft = draft,
                       .path = path,
                       .group = group,
                       .names = names,
                       .notify = NotifyReader(group.notify),
                       .tracks = {}};
  read_section<GroupSection>(section, block.children, group_keywords, group_unsupported);
  section.notify.finish(draft);
  for (const std::string& member : group.instances) {
    VrrpInstance* instance = find_named(vrrp.instances, member);
    if (instance == nullptr) continue;  // validate() names it
    const std::string at = fmt::format("vrrp.instances[{}]", instance - vrrp.instances.data());
    drop_weighted(draft, block, *instance, instance->scripts, at);
    drop_weighted(draft, block, *instance, instance->files, at);
    drop_weighted(draft, block, *instance, instance->processes, at);
    for (VrrpTrack& track : instance->interfaces)
      track.weight = 0;
    add_tracks(instance->interfaces, section.tracks.interfaces);
    add_tracks(instance->scripts, section.tracks.scripts);
    add_tracks(instance->files, section.tracks.files);
    add_tracks(instance->processes, section.tracks.processes);
  }
}

std::string clean_name(Draft& draft, const Statement& statement, const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c) != 0) || c == '_' || c == '-' || c == '.';
  };
  if (!name.empty() && name.size() <= max_name && std::ranges::all_of(name, allowed)) return name;
  std::string result;
  for (const char c : name.substr(0, max_name))
    result += allowed(static_cast<unsigned char>(c)) ? c : '_';
  if (result.empty()) result = "unnamed";
  if (draft.once("name " + name)) {
    draft.note(statement, fmt::format("{} is called {} here: names have letters, digits, '.', '_' "
                                      "and '-'",
                                      in_quotes(name), result));
  }
  return result;
}

void read_tracks(Draft& draft, const Statement& block,
                 const std::map<std::string, Tracked, std::less<>>* known,
                 std::vector<VrrpTrack>& out) {
  for (const Statement& line : block.children) {
    Tracked tracked;
    const std::string name =
        known == nullptr ? line.keyword() : clean_name(draft, line, line.keyword());
    if (known != nullptr) {
      const auto found = known->find(name);
      if (found == known->end()) {
        draft.mistake(
            line, fmt::format("nothing of that name is there for {}: ignored", block.keyword()));
        continue;
      }
      tracked = found->second;
    }
    if (line.words.size() > 1 && line.words[1].text == "weight") {
      read_weight(draft, line, 2, tracked);
    } else {
      only(draft, line, 1);
    }
    if (find_named(out, name) != nullptr) {
      draft.mistake(line, "is tracked already: ignored");
      continue;
    }
    out.push_back({.name = name, .weight = tracked.weight});
  }
}

void NotifyReader::read(Draft& draft, const Statement& statement, const std::string& path) {
  const auto read = command(draft, statement, path + ".notify");
  if (!read) return;
  const std::string_view keyword = statement.keyword();
  std::string key = "any";
  if (keyword != "notify") key = keyword.substr(std::string_view("notify_").size());
  auto& slot = key == "master"   ? notify_->master
               : key == "backup" ? notify_->backup
               : key == "fault"  ? notify_->fault
               : key == "stop"   ? notify_->stop
                                 : notify_->any;
  slot = read->text;
  draft.place(path + ".notify." + key, statement);
  share_user(draft, statement, *read, notify_->user, first_);
  first_ = false;
}

void NotifyReader::read_mail(Draft& draft, const Statement& statement) {
  mail_ = boolean(draft, statement);
  if (mail_.value_or(false) && !draft.config.vrrp.mail) {
    draft.note(statement, "no mail is sent without notification_email and smtp_server");
  }
}

void NotifyReader::finish(Draft& draft) {
  const Globals& globals = draft.globals;
  const bool wanted = mail_.value_or(globals.vrrp_mail.value_or(globals.mail.value_or(false)));
  notify_->mail = wanted && draft.config.vrrp.mail.has_value();
}

}  // namespace headgate::config::keepalived
