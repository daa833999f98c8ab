#include "control/vrrp/process_scan.h"

#include <array>
#include <cctype>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>

namespace headgate::control {

namespace {

constexpr size_t comm_length = 15;

struct Process {
  std::string comm;
  std::string argument;    // argv[0]
  std::string script;      // argv[1], where it is a script that has given the process its name
  std::string executable;  // empty: not ours to know
};

std::string read_start(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 4096> text;
  const ssize_t count = read(fd, text.data(), text.size());
  close(fd);
  return count > 0 ? std::string(text.data(), static_cast<size_t>(count)) : std::string();
}

std::string read_link(const std::string& path) {
  std::array<char, 4096> target;
  const ssize_t count = readlink(path.c_str(), target.data(), target.size());
  if (count <= 0) return {};
  std::string text(target.data(), static_cast<size_t>(count));
  // A program that was replaced on disk still runs.
  constexpr std::string_view deleted = " (deleted)";
  if (text.ends_with(deleted)) text.resize(text.size() - deleted.size());
  return text;
}

std::string_view last_part(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// False for one that is gone, or only waits to be reaped.
bool read_process(const std::string& folder, Process& process) {
  // `PID (COMM) STATE ...`, where COMM may hold anything.
  const std::string stat = read_start(folder + "/stat");
  const size_t open_at = stat.find('(');
  const size_t close_at = stat.rfind(')');
  if (close_at == std::string::npos || close_at < open_at || close_at + 2 >= stat.size()) {
    return false;
  }
  const char state = stat[close_at + 2];
  if (state == 'Z' || state == 'X') return false;
  process.comm = stat.substr(open_at + 1, close_at - open_at - 1);
  const std::string arguments = read_start(folder + "/cmdline");
  const size_t end = arguments.find('\0');
  process.argument = arguments.substr(0, end);
  if (end != std::string::npos) {
    const std::string second = arguments.substr(end + 1, arguments.find('\0', end + 1) - end - 1);
    if (last_part(second).substr(0, comm_length) == process.comm) process.script = second;
  }
  process.executable = read_link(folder + "/exe");
  return true;
}

bool matches(const Process& process, const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return process.executable == name || process.argument == name || process.script == name;
  }
  if (process.comm == name && name.size() <= comm_length) return true;
  return last_part(process.argument) == name || last_part(process.executable) == name ||
         last_part(process.script) == name;
}

}  // namespace

std::vector<uint32_t> count_processes(std::span<const std::string> names, const std::string& proc) {
  std::vector<uint32_t> counts(names.size());
  const auto close_folder = [](DIR* folder) { closedir(folder); };
  const std::unique_ptr<DIR, decltype(close_folder)> folder(opendir(proc.c_str()), close_folder);
  if (!folder) return counts;
  while (const dirent* entry = readdir(folder.get())) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    Process process;
    if (!read_process(fmt::format("{}/{}", proc, entry->d_name), process)) continue;
    for (size_t i = 0; i < names.size(); ++i) {
      if (matches(process, names[i])) ++counts[i];
    }
  }
  return counts;
}

}  // namespace headgate::control
