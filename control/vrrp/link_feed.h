// The kernel's messages about links and addresses into a LinkTable: notifications, and a dump at
// the start and whenever the kernel had to drop some. No loop, no clock.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <vector>

#include "control/error.h"
#include "control/vrrp/link_table.h"

namespace headgate::control {

class LinkFeed {
 public:
  static constexpr size_t max_batch = 64;  // datagrams read by one call

  // In the network namespace of the calling thread; the table is filled when it returns.
  [[nodiscard]] static std::expected<LinkFeed, Error> open();
  LinkFeed(LinkFeed&& other) noexcept;
  LinkFeed& operator=(LinkFeed&&) = delete;
  ~LinkFeed();

  // Takes what waits. Afterwards wants_dump() may say that start_dump() is due: not at once, the
  // kernel holds its routing lock for it.
  void read();
  [[nodiscard]] bool wants_dump() const { return wanted_; }
  // Begins a dump, whose answer read() takes; also when one that began seems to be stuck.
  void start_dump();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool dumping() const { return running_ != Dump::none; }
  [[nodiscard]] const LinkTable& table() const { return table_; }
  [[nodiscard]] uint64_t resyncs() const { return resyncs_; }

 private:
  enum class Dump : uint8_t { none, links, addresses };

  explicit LinkFeed(int fd) : fd_(fd), buffer_(buffer_words) {}
  [[nodiscard]] bool subscribe();
  [[nodiscard]] bool load();
  void take(const nlmsghdr* message);
  void take_of_dump(const nlmsghdr* message);
  void request(Dump dump);

  static constexpr size_t buffer_words = 8192;  // 64 KiB

  int fd_;
  uint32_t port_id_ = 0;
  uint32_t sequence_ = 0;
  LinkTable table_;
  LinkTable fresh_;  // what the running dump has told, and notifications since it began
  Dump running_ = Dump::none;
  bool spoiled_ = false;  // the running dump cannot be used
  bool wanted_ = false;
  uint64_t resyncs_ = 0;
  std::vector<uint64_t> buffer_;
};

}  // namespace headgate::control
