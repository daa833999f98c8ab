#include "dataplane/eal.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <utility>

#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>

namespace headgate::dataplane {
namespace {

uint64_t read_number(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  file >> value;
  return file ? value : 0;
}

const char* page_name(HugePages pages) {
  switch (pages) {
    case HugePages::size_2m:
      return "2 MB";
    case HugePages::size_1g:
      return "1 GB";
    default:
      return "4 kB";
  }
}

// What to type for `memory_mb` of huge pages.
std::string huge_page_remedy(HugePages pages, uint32_t memory_mb) {
  if (pages == HugePages::size_1g) {
    const uint32_t count = (memory_mb + 1023) / 1024;
    return "echo " + std::to_string(count) +
           " > /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages, at best early after boot";
  }
  return "echo " + std::to_string((memory_mb + 1) / 2) + " > /proc/sys/vm/nr_hugepages";
}

const char* level_name(EalLogLevel level) {
  switch (level) {
    case EalLogLevel::error:
      return "error";
    case EalLogLevel::warning:
      return "warning";
    case EalLogLevel::info:
      return "info";
    case EalLogLevel::debug:
      return "debug";
  }
  return "warning";
}

// "0@(0,1,5)": one lcore, for the thread that starts the EAL, on every core that it may use now.
std::string lcore_argument() {
  std::string list;
  for (const uint16_t core : usable_cores()) {
    if (!list.empty()) list += ",";
    list += std::to_string(core);
  }
  return "0@(" + list + ")";
}

Error init_error(int code) {
  const std::string reason = rte_strerror(code);
  if (code == EALREADY) return {"DPDK was started before in this process", ""};
  if (code == EACCES || code == EPERM) {
    return {"DPDK does not start: " + reason,
            "run as root, or with CAP_SYS_ADMIN, CAP_NET_ADMIN, "
            "CAP_NET_RAW and CAP_IPC_LOCK"};
  }
  return {"DPDK does not start: " + reason, "the lines of EAL above say why"};
}

}  // namespace

HugePageCount read_huge_pages() {
  const std::string base = "/sys/kernel/mm/hugepages/hugepages-";
  return {.free_2m = read_number(base + "2048kB/free_hugepages"),
          .free_1g = read_number(base + "1048576kB/free_hugepages")};
}

std::expected<MemoryChoice, Error> choose_memory(HugePages wanted, uint32_t memory_mb,
                                                 const HugePageCount& have) {
  const uint64_t free_2m_mb = have.free_2m * 2;
  const uint64_t free_1g_mb = have.free_1g * 1024;
  const std::string amount = std::to_string(memory_mb) + " MB of ";
  if (wanted == HugePages::none) {
    return MemoryChoice{HugePages::none, amount + "ordinary pages, as configured"};
  }
  if (wanted != HugePages::size_1g && free_2m_mb >= memory_mb) {
    return MemoryChoice{HugePages::size_2m, amount + "2 MB pages"};
  }
  if (wanted != HugePages::size_2m && free_1g_mb >= memory_mb) {
    return MemoryChoice{HugePages::size_1g, amount + "1 GB pages"};
  }
  const HugePages size = wanted == HugePages::size_1g ? HugePages::size_1g : HugePages::size_2m;
  const uint64_t free_mb = size == HugePages::size_1g ? free_1g_mb : free_2m_mb;
  const std::string shortage =
      std::to_string(free_mb) + " MB of " + page_name(size) + " pages are free";
  if (wanted == HugePages::automatic) {
    return MemoryChoice{HugePages::none,
                        amount + "ordinary pages, as " + shortage +
                            "; for more speed: " + huge_page_remedy(size, memory_mb)};
  }
  return std::unexpected(Error{
      "memory.huge_pages: " + std::to_string(memory_mb) + " MB are needed, but only " + shortage,
      huge_page_remedy(size, memory_mb)});
}

std::vector<std::string> eal_arguments(const EalOptions& options, HugePages pages) {
  // Nothing in the run directory or in hugetlbfs that could clash with another daemon or stay
  // behind after a kill: --in-memory, which needs no mount of hugetlbfs either, or, as DPDK does
  // not take that without huge pages, --no-shconf.
  std::vector<std::string> arguments{options.program,
                                     "--lcores=" + lcore_argument(),
                                     pages == HugePages::none ? "--no-shconf" : "--in-memory",
                                     "--no-telemetry",
                                     "--file-prefix=" + options.file_prefix,
                                     std::string("--log-level=") + level_name(options.log_level)};
  if (pages == HugePages::none) {
    arguments.emplace_back("--no-huge");
    arguments.emplace_back("-m");
    arguments.emplace_back(std::to_string(options.memory_mb));
  }
  if (options.pci.empty()) arguments.emplace_back("--no-pci");
  for (const std::string& address : options.pci) {
    arguments.emplace_back("-a");
    arguments.emplace_back(address);
  }
  return arguments;
}

std::expected<Eal, Error> Eal::start(const EalOptions& options) {
  auto memory = choose_memory(options.huge_pages, options.memory_mb, read_huge_pages());
  if (!memory) return std::unexpected(memory.error());

  // DPDK keeps pointers to the arguments and to the stream.
  static std::vector<std::string> arguments;
  static std::vector<char*> pointers;
  if (!arguments.empty()) return std::unexpected(init_error(EALREADY));
  arguments = eal_arguments(options, memory->pages);
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) {
    pointers.push_back(argument.data());
  }
  pointers.push_back(nullptr);
  rte_openlog_stream(stderr);  // else DPDK writes to syslog as well

  cpu_set_t affinity;
  const bool have_affinity =
      pthread_getaffinity_np(pthread_self(), sizeof(affinity), &affinity) == 0;
  const int result = rte_eal_init(static_cast<int>(arguments.size()), pointers.data());
  if (have_affinity) pthread_setaffinity_np(pthread_self(), sizeof(affinity), &affinity);
  if (result < 0) return std::unexpected(init_error(rte_errno));
  return Eal(memory->pages, std::string(rte_version()) + ", " + memory->notice);
}

Eal::Eal(Eal&& other) noexcept
    : owner_(std::exchange(other.owner_, false)),
      pages_(other.pages_),
      notice_(std::move(other.notice_)) {}

Eal& Eal::operator=(Eal&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(pages_, other.pages_);
  std::swap(notice_, other.notice_);
  return *this;
}

Eal::~Eal() {
  if (!owner_) return;
  const std::string directory = rte_eal_get_runtime_dir();  // empty, as nothing is shared
  rte_eal_cleanup();
  rmdir(directory.c_str());
}

std::expected<RegisteredThread, Error> RegisteredThread::enter(const std::string& name,
                                                               std::optional<uint16_t> core) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  if (core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (*core < CPU_SETSIZE) CPU_SET(*core, &set);
    const int code = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    if (code != 0) {
      std::string cores;
      for (const uint16_t usable : usable_cores()) {
        cores += (cores.empty() ? "" : ", ") + std::to_string(usable);
      }
      return std::unexpected(Error{"workers.cores: core " + std::to_string(*core) +
                                       " cannot be used: " + std::strerror(code),
                                   "this process may run on " + cores});
    }
  }
  // After pinning: DPDK derives the NUMA node from the affinity.
  if (rte_thread_register() != 0) {
    return std::unexpected(
        Error{"thread " + name + ": DPDK does not take it: " + rte_strerror(rte_errno),
              rte_errno == ENOMEM ? "fewer workers: DPDK has no lcore id left" : ""});
  }
  return RegisteredThread();
}

RegisteredThread::RegisteredThread(RegisteredThread&& other) noexcept
    : registered_(std::exchange(other.registered_, false)) {}

RegisteredThread::~RegisteredThread() {
  if (registered_) rte_thread_unregister();
}

std::vector<uint16_t> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<uint16_t> cores;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (uint16_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

}  // namespace headgate::dataplane
