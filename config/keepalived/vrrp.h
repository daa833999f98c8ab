// What virtual routers and sync groups have in common.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/keepalived/draft.h"
#include "config/keepalived/sections.h"

namespace headgate::config::keepalived {

// A name as headgate takes it, with a note when it had to be changed.
[[nodiscard]] std::string clean_name(Draft& draft, const Statement& statement,
                                     const std::string& name);

// The lines of a track_* block; `known` are the names that there can be, or null for interfaces.
void read_tracks(Draft& draft, const Statement& block,
                 const std::map<std::string, Tracked, std::less<>>* known,
                 std::vector<VrrpTrack>& out);

// notify_master, notify_backup, ... and smtp_alert.
class NotifyReader {
 public:
  explicit NotifyReader(VrrpNotify& notify) : notify_(&notify) {}
  // `path` is that of the instance or group.
  void read(Draft& draft, const Statement& statement, const std::string& path);
  void read_mail(Draft& draft, const Statement& statement);
  void finish(Draft& draft);

 private:
  VrrpNotify* notify_;
  bool first_ = true;
  std::optional<bool> mail_;
};

// The lines of virtual_ipaddress and virtual_ipaddress_excluded.
void read_addresses(Draft& draft, const Statement& block, const std::string& path,
                    std::vector<VrrpAddress>& out);

}  // namespace headgate::config::keepalived
