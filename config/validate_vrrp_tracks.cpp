// The rules of what a virtual router tracks and of the commands that are run for it.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/text.h"
#include "config/vrrp_rules.h"

namespace headgate::config {
namespace {

class TrackChecker {
 public:
  TrackChecker(const VrrpInstance& instance, const std::string& path, Report& report)
      : instance_(instance), path_(path), report_(report) {}

  // `known` is empty for interfaces, which may come later.
  template <typename Names>
  void check(const std::vector<VrrpTrack>& tracks, std::string_view list, const Names* known,
             std::string_view what) {
    std::set<std::string_view> seen;
    for (size_t i = 0; i < tracks.size(); ++i) {
      const VrrpTrack& track = tracks[i];
      const std::string at = fmt::format("{}.{}[{}]", path_, list, i);
      check_weight(track, at);
      if (track.name.empty()) {
        report_.error(at + ".name", "is missing: the name of what is tracked");
      } else if (!seen.insert(track.name).second) {
        report_.error(at + ".name", fmt::format("{} is listed twice", track.name));
      } else if (known != nullptr && !known->contains(track.name)) {
        refuse_unknown(track.name, at, *known, what);
      }
    }
  }

 private:
  void check_weight(const VrrpTrack& track, const std::string& at) {
    if (track.weight == 0 || instance_.priority != max_priority) return;
    report_.error(at + ".weight",
                  fmt::format("{} has no effect: the priority of an owner (255) does not change; "
                              "take weight 0, or a priority below 255",
                              track.weight),
                  {path_ + ".priority"});
  }

  template <typename Names>
  void refuse_unknown(std::string_view name, const std::string& at, const Names& known,
                      std::string_view what) {
    const std::vector<std::string_view> words(known.begin(), known.end());
    const std::string_view near = nearest(name, words);
    const std::string section(what);
    report_.error(at + ".name",
                  fmt::format("{} is not in `{}`{}", name, section,
                              near.empty() ? "" : fmt::format("; did you mean {}?", near)),
                  {section});
  }

  const VrrpInstance& instance_;
  const std::string& path_;
  Report& report_;
};

// Whether a quote or backslash is still open at the end, as a shell reads it.
bool is_unfinished(std::string_view command) {
  char quote = 0;
  bool escaped = false;
  for (const char c : command) {
    if (escaped) {
      escaped = false;
    } else if (c == '\\' && quote != '\'') {
      escaped = true;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    }
  }
  return quote != 0 || escaped;
}

bool begins_with_path(std::string_view command) {
  const size_t first = command.find_first_not_of(" \"'");
  return first != std::string_view::npos && command[first] == '/';
}

}  // namespace

void check_tracks(const VrrpInstance& instance, const std::string& path, const VrrpWorld& world,
                  Report& report) {
  TrackChecker checker(instance, path, report);
  const std::set<std::string_view>* any = nullptr;
  checker.check(instance.interfaces, "interfaces", any, "");
  checker.check(instance.scripts, "scripts", &world.scripts, "vrrp.scripts");
  checker.check(instance.files, "files", &world.files, "vrrp.files");
  checker.check(instance.processes, "processes", &world.processes, "vrrp.processes");
  checker.check(instance.services, "services", &world.services, "services");
  for (size_t i = 0; i < instance.interfaces.size(); ++i) {
    const std::string at = fmt::format("{}.interfaces[{}].name", path, i);
    if (instance.interfaces[i].name.size() > max_interface_name) {
      report.error(at, fmt::format("{} is no interface: the kernel takes {} characters",
                                   in_quotes(instance.interfaces[i].name), max_interface_name));
    } else if (instance.track_interface && instance.interfaces[i].name == instance.interface) {
      report.warning(at,
                     fmt::format("{} is the interface of its own, and while that is down the "
                                 "virtual router is in fault anyway: see `track_interface`",
                                 instance.interface),
                     {path + ".interface", path + ".track_interface"});
    }
  }
}

void check_command(std::string_view command, bool shell, const std::string& path, Report& report) {
  if (command.empty()) return;
  if (is_unfinished(command)) {
    report.error(path,
                 fmt::format("{} ends within quotes or behind a backslash", in_quotes(command)));
  } else if (!shell && !begins_with_path(command)) {
    report.error(path, fmt::format("{} does not begin with an absolute path, and no shell looks "
                                   "the program up: write the path, or `shell: on`",
                                   in_quotes(command)));
  }
}

void check_notify(const VrrpNotify& notify, const std::string& path, bool mail, Report& report) {
  const auto command = [&](const std::optional<std::string>& text, std::string_view key) {
    if (text) check_command(*text, notify.shell, fmt::format("{}.notify.{}", path, key), report);
  };
  command(notify.master, "master");
  command(notify.backup, "backup");
  command(notify.fault, "fault");
  command(notify.stop, "stop");
  command(notify.any, "any");
  if (notify.mail && !mail) {
    report.error(path + ".notify.mail",
                 "needs a mail server and recipients: add the section `vrrp.mail`", {"vrrp.mail"});
  }
}

}  // namespace headgate::config
