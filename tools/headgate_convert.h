// `headgate convert`: a keepalived.conf as YAML. Works on the file alone, without the daemon.
#pragma once

#include <iosfwd>
#include <string>

#include "config/keepalived/keepalived.h"

namespace headgate::cli {

// YAML with the notes as comments goes to `out`, notes and errors to `err`. The status to exit
// with: 0, or 1 when the file has errors or is no keepalived.conf.
[[nodiscard]] int convert(const std::string& file, const config::keepalived::Options& options,
                          std::ostream& out, std::ostream& err);

}  // namespace headgate::cli
