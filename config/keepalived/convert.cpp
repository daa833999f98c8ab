// From the text to a valid configuration: the sections in the order in which they need each other.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "config/keepalived/draft.h"
#include "config/keepalived/keepalived.h"
#include "config/keepalived/sections.h"
#include "config/keepalived/tree.h"
#include "config/keepalived/values.h"
#include "config/text.h"
#include "config/validate.h"

namespace headgate::config::keepalived {
namespace {

constexpr std::string_view no_static =
    "not set here: leave it to the system's network configuration, or to `address` and `route` in "
    "headgate_ports";
constexpr auto unsupported = std::to_array<Unsupported>({
    {"static_ipaddress", no_static},
    {"static_routes", no_static},
    {"static_rules", no_static},
    {"track_group", "static addresses are not tracked here: ignored"},
    {"linkbeat_interfaces", "the kernel's own state of a link counts: ignored"},
    {"linkbeat_use_polling", "the kernel's own state of a link counts: ignored"},
    {"bfd_instance", "there is no BFD here: ignored"},
    {"garp_group", "interfaces share `vrrp_garp_interval`: ignored"},
    {"interface_up_down_delays", "a link that goes down counts at once: ignored"},
    {"SSL", "checks of type https need no certificate of their own: ignored"},
    {"net_namespace", "start headgated in the namespace, with `ip netns exec`: ignored"},
    {"net_namespace_ipvs", "start headgated in the namespace, with `ip netns exec`: ignored"},
    {"namespace_with_ipsets", "headgate needs no firewall rules of its own: ignored"},
    {"use_pid_dir", "headgate is one process, and writes no pid file: ignored"},
    {"instance", "the daemon's name is that of router_id: ignored"},
    {"child_wait_time", "headgate is one process: ignored"},
});

// The block keywords of the outermost level in the order in which they are read.
constexpr std::array<std::string_view, 13> order{
    "global_defs",
    "headgate_ports",
    "vrrp_script",
    "track_file",
    "vrrp_track_file",
    "vrrp_track_process",
    "track_process",
    "vrrp_instance",
    "vrrp_sync_group",
    "virtual_server_group",
    "local_address_group",
    "virtual_server",
    "",
};

struct Reader {
  Draft& draft;
  TrackedNames names{};
  Groups groups{};

  void read(std::string_view keyword, const Statement& block) {
    if (!block.block) {
      draft.error(block, "is followed by a block in braces");
    } else if (keyword == "global_defs") {
      read_globals(draft, block);
    } else if (keyword == "headgate_ports") {
      read_headgate_ports(draft, block);
    } else if (keyword == "vrrp_script") {
      read_vrrp_script(draft, names, block);
    } else if (keyword == "track_file" || keyword == "vrrp_track_file") {
      read_track_file(draft, names, block);
    } else if (keyword == "vrrp_track_process" || keyword == "track_process") {
      read_track_process(draft, names, block);
    } else if (keyword == "vrrp_instance") {
      read_vrrp_instance(draft, names, block);
    } else if (keyword == "vrrp_sync_group") {
      read_vrrp_sync_group(draft, names, block);
    } else if (keyword == "virtual_server_group") {
      read_server_group(draft, groups, block);
    } else if (keyword == "local_address_group") {
      read_local_address_group(draft, groups, block);
    } else if (keyword == "virtual_server") {
      read_virtual_server(draft, groups, block);
    }
  }
};

bool is_known(std::string_view keyword) {
  return !keyword.empty() && std::ranges::find(order, keyword) != order.end();
}

// What no section is for, among the outermost statements.
void read_rest(Draft& draft, const std::vector<Statement>& statements) {
  for (const Statement& statement : statements) {
    if (is_known(statement.keyword())) continue;
    const auto note = std::ranges::find(unsupported, statement.keyword(), &Unsupported::name);
    if (note != unsupported.end()) {
      draft.note(statement, std::string(note->text));
      continue;
    }
    unknown(draft, statement, {order.begin(), order.end() - 1});
  }
}

void read_sections(Draft& draft, const std::vector<Statement>& statements) {
  Reader reader{.draft = draft};
  const Statement* globals = nullptr;
  for (const std::string_view keyword : order) {
    for (const Statement& statement : statements) {
      if (statement.keyword() != keyword) continue;
      reader.read(keyword, statement);
      if (keyword == "global_defs") globals = &statement;
    }
    if (keyword == "global_defs" && globals != nullptr) complete_mail(draft, *globals);
  }
  read_rest(draft, statements);
  if (!draft.errors.empty()) return;
  complete_ports(draft);
  complete_vrrp(draft);
  note_differences(draft);
}

// The rules that hold for every configuration, with the places of this file.
void check(Draft& draft) {
  std::vector<Error> found = normalize(draft.config);
  std::vector<Error> more = validate(draft.config);
  std::ranges::move(more, std::back_inserter(found));
  for (Error& error : found) {
    if (error.severity == Severity::warning) {
      draft.notes.push_back(draft.located(error.path, error.message));
    } else {
      draft.locate(error);
      draft.errors.push_back(error);
    }
  }
}

// Each once: addresses of a group repeat what was said of the first.
void sort_notes(std::vector<Note>& notes) {
  const auto key = [](const Note& note) {
    return std::tie(note.file, note.line, note.keyword, note.text, note.path);
  };
  std::ranges::stable_sort(notes, {}, key);
  const auto same = [](const Note& a, const Note& b) {
    return std::tie(a.file, a.line, a.keyword, a.text) ==
           std::tie(b.file, b.line, b.keyword, b.text);
  };
  notes.erase(std::ranges::unique(notes, same).begin(), notes.end());
}

std::string first_word(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty() || line.front() == '#' || line.front() == '!') continue;
    return std::string(line.substr(0, line.find_first_of(" \t\r{")));
  }
  return {};
}

}  // namespace

bool is_keepalived(std::string_view text, std::string_view name) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::string word = first_word(text);
  if (word.starts_with('@') || word.starts_with('$') || word.starts_with('~')) return true;
  const auto known = [&](const Unsupported& keyword) { return keyword.name == word; };
  if (is_known(word) || word.starts_with("include") || std::ranges::any_of(unsupported, known)) {
    return true;
  }
  if (word.ends_with(':') || word == "---" || word == "-" || word.starts_with('%')) return false;
  return name.ends_with(".conf");
}

std::expected<Conversion, std::vector<Error>> convert(std::string_view text,
                                                      const std::string& name,
                                                      const Options& options) {
  Source source = read_source(text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text, name,
                              {.config_id = options.config_id, .includes = options.includes});
  const std::vector<Statement> tree = parse_tree(source);
  Draft draft(source, options);
  for (const SourceNote& note : source.notes) {
    draft.notes.push_back({.file = source.files[note.place.file],
                           .line = note.place.line,
                           .keyword = note.keyword,
                           .text = note.text,
                           .path = {},
                           .mistake = false});
  }
  // What braces do not hold together would only be misunderstood.
  const bool whole = std::ranges::none_of(
      source.errors, [](const Error& error) { return error.path == "{" || error.path == "}"; });
  if (whole) read_sections(draft, tree);
  std::ranges::copy(source.errors, std::back_inserter(draft.errors));
  if (draft.errors.empty()) check(draft);
  sort_notes(draft.notes);
  if (draft.errors.empty()) {
    return Conversion{.config = std::move(draft.config), .notes = std::move(draft.notes)};
  }
  for (const Note& note : draft.notes)
    draft.errors.push_back(as_warning(note));
  std::ranges::stable_sort(draft.errors, {},
                           [](const Error& e) { return std::tie(e.file, e.line); });
  return std::unexpected(std::move(draft.errors));
}

std::string to_string(const Note& note) {
  std::string result = note.file;
  if (note.line != 0) result += fmt::format(":{}", note.line);
  if (!note.keyword.empty()) result += ": " + note.keyword;
  return result + ": " + note.text;
}

Error as_warning(const Note& note) {
  return {.file = note.file,
          .line = note.line,
          .path = note.keyword,
          .message = note.text,
          .severity = Severity::warning};
}

}  // namespace headgate::config::keepalived
