// DPDK's environment (EAL): memory, log level and threads, started once per process.
//
// headgate runs its own std::threads; a thread that touches mbufs registers itself with DPDK to get
// an lcore id and with it a mempool cache. The EAL itself owns no core, so that the control thread
// keeps the affinity it had.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/error.h"

namespace headgate::dataplane {

// automatic: 2 MB or 1 GB pages when enough of them are free, ordinary pages else.
enum class HugePages : uint8_t { automatic, size_2m, size_1g, none };
enum class EalLogLevel : uint8_t { error, warning, info, debug };

// What the machine has, per page size: read by read_huge_pages(), an argument of choose_memory() so
// that the choice can be tested.
struct HugePageCount {
  uint64_t free_2m = 0;
  uint64_t free_1g = 0;
};
[[nodiscard]] HugePageCount read_huge_pages();

struct MemoryChoice {
  HugePages pages = HugePages::none;  // never automatic
  std::string notice;                 // one line for the log: what was chosen and why
};
// Pure. An error when the wanted pages are not there; its remedy says what to type.
[[nodiscard]] std::expected<MemoryChoice, Error> choose_memory(HugePages wanted, uint32_t memory_mb,
                                                               const HugePageCount& have);

struct EalOptions {
  std::string program = "headgated";
  std::string file_prefix = "headgate";  // one per daemon on a machine
  HugePages huge_pages = HugePages::automatic;
  uint32_t memory_mb = 256;      // for mbufs, rings and drivers: see estimate_memory_mb() in port.h
  std::vector<std::string> pci;  // PCI addresses to take; empty: the PCI bus is not looked at
  EalLogLevel log_level = EalLogLevel::warning;
};

// The arguments for rte_eal_init(), without effects. `pages` is not automatic.
[[nodiscard]] std::vector<std::string> eal_arguments(const EalOptions& options, HugePages pages);

// The running EAL. Destroyed last, after every port, pool, ring and registered thread.
class Eal {
 public:
  // Once per process: DPDK cannot be started a second time, not even after a failure.
  [[nodiscard]] static std::expected<Eal, Error> start(const EalOptions& options);
  Eal(Eal&& other) noexcept;
  Eal& operator=(Eal&& other) noexcept;
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;
  ~Eal();

  [[nodiscard]] HugePages pages() const { return pages_; }
  // One line: "DPDK 22.11.11, 256 MB of 2 MB pages".
  [[nodiscard]] const std::string& notice() const { return notice_; }

 private:
  Eal(HugePages pages, std::string notice) : pages_(pages), notice_(std::move(notice)) {}
  bool owner_ = true;
  HugePages pages_;
  std::string notice_;
};

// Registers the calling thread with DPDK for as long as this object lives, names it (15 characters)
// and pins it to `core` when one is given. Create and destroy on the thread itself.
class RegisteredThread {
 public:
  [[nodiscard]] static std::expected<RegisteredThread, Error> enter(const std::string& name,
                                                                    std::optional<uint16_t> core);
  RegisteredThread(RegisteredThread&& other) noexcept;
  RegisteredThread& operator=(RegisteredThread&&) = delete;
  RegisteredThread(const RegisteredThread&) = delete;
  RegisteredThread& operator=(const RegisteredThread&) = delete;
  ~RegisteredThread();

 private:
  RegisteredThread() = default;
  bool registered_ = true;
};

// Cores that this process may run on, ascending.
[[nodiscard]] std::vector<uint16_t> usable_cores();

}  // namespace headgate::dataplane
