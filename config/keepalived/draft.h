// A configuration in the making: what the converters of the sections fill, with the notes and
// errors that they find and the place of the file that each part of it comes from.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/keepalived/keepalived.h"
#include "config/keepalived/source.h"
#include "config/keepalived/statement.h"
#include "config/model.h"

namespace headgate::config::keepalived {

// What global_defs says for everything below it.
struct Globals {
  uint8_t version = 2;
  VrrpGratuitous gratuitous;
  bool lower_priority_no_advert = false;
  bool higher_priority_send_advert = false;
  bool strict = false;
  std::optional<bool> mail;          // smtp_alert
  std::optional<bool> vrrp_mail;     // smtp_alert_vrrp
  std::optional<bool> checker_mail;  // smtp_alert_checker
  bool init_notifies = false;        // rs_init_notifies
  std::string default_interface = "eth0";
};

class Draft {
 public:
  Draft(Source& source, const Options& options) : source_(source), options_(options) {}

  Config config;
  Globals globals;
  size_t backends = 0;  // of all services so far

  // Something that is otherwise here, or not at all; `path` is where it belongs.
  void note(const Statement& statement, std::string text, std::string path = {});
  // The same, and keepalived complains of it as well.
  void mistake(const Statement& statement, std::string text, std::string path = {});
  // A note on a part of the configuration that is there already.
  void note_at(const std::string& path, std::string text);
  void error(const Statement& statement, std::string text);
  // An error of the file as a whole.
  void error(std::string text);
  // True the first time that a topic comes up.
  bool once(std::string_view topic) { return topics_.insert(std::string(topic)).second; }
  // The part of the configuration that the statement gave, for messages of validate().
  void place(std::string path, const Statement& statement);
  // What lies below `from` comes from the same places as what lies below `to` from now on.
  void copy_places(const std::string& from, const std::string& to);
  // Gives an error of validate() the file and line of the nearest part above its path.
  void locate(Error& error) const;
  // The same as a note.
  [[nodiscard]] Note located(const std::string& path, std::string text) const;

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const std::string& file_of(const Statement& statement) const;
  std::vector<Note> notes;
  std::vector<Error> errors;

 private:
  Source& source_;
  const Options& options_;
  std::set<std::string, std::less<>> topics_;
  struct Origin {
    Place place;
    std::string keyword;
  };
  [[nodiscard]] const Origin* origin_of(std::string_view path) const;

  std::map<std::string, Origin, std::less<>> places_;
};

}  // namespace headgate::config::keepalived
