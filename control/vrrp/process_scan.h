// One look through /proc for the processes that are tracked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace headgate::control {

// How many processes of each name run. A name with a slash is the path of a program: its executable
// or its first argument; else the name is the process's own (`comm`, 15 characters of it), or the
// last part of either. Zombies do not count, threads do not count besides their process.
[[nodiscard]] std::vector<uint32_t> count_processes(std::span<const std::string> names,
                                                    const std::string& proc = "/proc");

}  // namespace headgate::control
