// The checkers of a real_server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/keepalived/draft.h"
#include "config/keepalived/statement.h"

namespace headgate::config::keepalived {

// What a checker takes from its real_server, and that from its virtual_server, where it says
// nothing itself.
struct CheckDefaults {
  uint32_t interval_ms = 60000;
  uint32_t timeout_ms = 5000;
  std::optional<uint32_t> retries;
  std::optional<uint32_t> retry_delay_ms;
  std::optional<uint32_t> warmup_ms;
  bool alpha = false;
  std::optional<std::string> host;  // virtualhost
};

// delay_loop, connect_timeout, retry, ...: whether the statement was one of them.
bool read_check_default(Draft& draft, const Statement& statement, CheckDefaults& defaults);

[[nodiscard]] bool is_checker(std::string_view keyword);
// Nothing for a checker that is left out, with a note. `path` is where it will stand.
[[nodiscard]] std::optional<Check> read_checker(Draft& draft, const Statement& block,
                                                const CheckDefaults& defaults,
                                                const std::string& path);

}  // namespace headgate::config::keepalived
