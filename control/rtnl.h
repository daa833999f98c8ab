// A request socket to the kernel's routing netlink, on libnl.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "control/error.h"

struct nl_msg;
struct nl_sock;

namespace headgate::control {

struct NlMessageDeleter {
  void operator()(nl_msg* message) const noexcept;
};
using NlMessage = std::unique_ptr<nl_msg, NlMessageDeleter>;

// In the network namespace of the thread that opens it. Requests wait for the kernel's answer,
// which comes at once.
class RtnlSocket {
 public:
  [[nodiscard]] static std::expected<RtnlSocket, Error> open();

  // Sends a message and waits for its acknowledgement: 0, or an error code of libnl (negative).
  [[nodiscard]] int request(NlMessage message);
  [[nodiscard]] nl_sock* get() const { return socket_.get(); }

 private:
  struct Deleter {
    void operator()(nl_sock* socket) const noexcept;
  };
  explicit RtnlSocket(nl_sock* socket) : socket_(socket) {}
  std::unique_ptr<nl_sock, Deleter> socket_;
};

// "Operation not permitted (needs root, or CAP_NET_ADMIN)" and so on.
[[nodiscard]] std::string nl_text(int code);

}  // namespace headgate::control
