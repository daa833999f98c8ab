// What of a command line is wrong as a whole, once all of its options are read.
#pragma once

#include <bitset>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>

#include "tools/ipvsadm/option_table.h"
#include "tools/ipvsadm/options.h"

namespace headgate::ipvsadm {

// The options that were given, by OptionId.
using GivenOptions = std::bitset<static_cast<size_t>(OptionId::last_checked)>;

// Reads `sh-port,sh-fallback` into the invocation's flags; its scheduler is known.
[[nodiscard]] std::expected<void, Ending> read_flags(const std::optional<std::string>& text,
                                                     Invocation& invocation);
// Which options a command takes and wants.
[[nodiscard]] std::expected<void, Ending> check_rules(const GivenOptions& given,
                                                      const Invocation& invocation);
// Options that contradict each other. Puts the service's port into a server that keeps it.
[[nodiscard]] std::expected<void, Ending> check_meaning(const GivenOptions& given,
                                                        Invocation& invocation);
[[nodiscard]] std::expected<void, Ending> check_group(const std::string& text);

}  // namespace headgate::ipvsadm
