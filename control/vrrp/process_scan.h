// One look through /proc for the processes that are tracked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace headgate::control {

// How many processes of each name run. A name with a slash is the path of a program: its
// executable, its first argument, or the script that an interpreter runs; else the name is the
// process's own
// (`comm`), or the last part of any of these. Zombies do not count, nor do threads besides their
// process.
[[nodiscard]] std::vector<uint32_t> count_processes(std::span<const std::string> names,
                                                    const std::string& proc = "/proc");

}  // namespace headgate::control
