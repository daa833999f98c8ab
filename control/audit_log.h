// The audit log: who changed what, when, and what came of it; a JSON object a line (audit_text.h),
// appended to a file. On the control thread: a line is one small write. A log that cannot be
// written stops nothing: that is logged once, and the lines that are missing are counted.
//
// The file may be renamed and a new one put in its place at any time (logrotate): each line goes to
// the file that has the name now.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include <sys/types.h>

#include "control/audit_text.h"
#include "control/error.h"
#include "control/user_names.h"

namespace headgate::control {

class AuditLog {
 public:
  AuditLog() = default;  // writes nowhere
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Where to write from now on; empty: nowhere. A file that is missing is made, with mode 0640.
  void write_to(std::string path);
  // Lets go of the file, so that the next line opens it anew.
  void reopen();
  void write(const AuditEntry& entry);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] uint64_t lost() const { return lost_; }  // lines that could not be written

 private:
  [[nodiscard]] bool open();
  [[nodiscard]] bool has_moved() const;
  [[nodiscard]] bool append(const std::string& line);
  void lose(const char* what);
  void failed(const char* what);

  std::string path_;
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool torn_ = false;  // the last line is not whole
  bool broken_ = false;
  uint64_t lost_ = 0;
  uint64_t missing_ = 0;  // of these, since it broke
  UserNames users_;
};

// The last lines of an audit log, oldest first; those that are no JSON objects are passed over.
// Reads a bounded piece of the file's end. Blocks: for the helper pool.
[[nodiscard]] std::expected<std::vector<boost::json::object>, Error> last_audit_lines(
    const std::string& path, size_t count);

}  // namespace headgate::control
