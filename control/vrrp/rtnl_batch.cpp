#include "control/vrrp/rtnl_batch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <span>

#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

namespace headgate::control {
namespace {

// Answers to so many fit into the smallest receive buffer that systems have.
constexpr size_t requests_per_call = 64;
constexpr int patience_ms = 5000;      // the kernel answers within the call that sends, or never
constexpr size_t buffer_words = 8192;  // 64 KiB

// Reads one datagram and gives its messages to `take` until that returns false; the error
// otherwise.
int read_messages(int fd, std::vector<uint64_t>& buffer,
                  const std::function<void(const nlmsghdr*)>& take) {
  pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&readable, 1, patience_ms) <= 0) return ETIMEDOUT;
  const ssize_t length = recv(fd, buffer.data(), buffer.size() * sizeof(uint64_t), MSG_DONTWAIT);
  if (length < 0) return errno;
  auto left = static_cast<int>(length);
  auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
  for (; nlmsg_ok(message, left); message = nlmsg_next(message, &left)) {
    take(message);
  }
  return 0;
}

int error_in(const nlmsghdr* message) {
  const auto* answer = static_cast<const nlmsgerr*>(nlmsg_data(message));
  return -answer->error;
}

// One call's worth of requests: codes[i] is the answer to the request i.
void request_some(int fd, uint32_t first_sequence, std::span<const NlMessage> messages,
                  std::span<int> codes, std::vector<uint64_t>& buffer) {
  std::ranges::fill(codes, EIO);
  std::vector<iovec> parts;
  for (size_t i = 0; i < messages.size(); ++i) {
    nlmsghdr* header = nlmsg_hdr(messages[i].get());
    header->nlmsg_seq = first_sequence + static_cast<uint32_t>(i);
    header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    parts.push_back({header, NLMSG_ALIGN(header->nlmsg_len)});
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (sendmsg(fd, &message, 0) < 0) {
    std::ranges::fill(codes, errno);
    return;
  }
  size_t answers = 0;
  while (answers < messages.size()) {
    const int code = read_messages(fd, buffer, [&](const nlmsghdr* answer) {
      const uint32_t index = answer->nlmsg_seq - first_sequence;
      if (answer->nlmsg_type != NLMSG_ERROR || index >= codes.size()) return;
      codes[index] = error_in(answer);
      ++answers;
    });
    if (code != 0) return;
  }
}

}  // namespace

std::vector<int> request_all(RtnlSocket& socket, const std::vector<NlMessage>& messages) {
  std::vector<int> codes(messages.size());
  std::vector<uint64_t> buffer(buffer_words);
  const int fd = nl_socket_get_fd(socket.get());
  for (size_t i = 0; i < messages.size(); i += requests_per_call) {
    const size_t count = std::min(requests_per_call, messages.size() - i);
    uint32_t sequence = nl_socket_use_seq(socket.get());
    for (size_t used = 1; used < count; ++used) {
      static_cast<void>(nl_socket_use_seq(socket.get()));
    }
    request_some(fd, sequence, std::span(messages).subspan(i, count),
                 std::span(codes).subspan(i, count), buffer);
  }
  return codes;
}

bool request_dump(RtnlSocket& socket, const NlMessage& message,
                  const std::function<void(const nlmsghdr*)>& take) {
  const int fd = nl_socket_get_fd(socket.get());
  nlmsghdr* request = nlmsg_hdr(message.get());
  request->nlmsg_seq = nl_socket_use_seq(socket.get());
  request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  if (::send(fd, request, request->nlmsg_len, 0) < 0) return false;
  std::vector<uint64_t> buffer(buffer_words);
  bool done = false;
  bool whole = true;
  while (!done) {
    const int code = read_messages(fd, buffer, [&](const nlmsghdr* answer) {
      if (answer->nlmsg_seq != request->nlmsg_seq) return;
      if ((answer->nlmsg_flags & NLM_F_DUMP_INTR) != 0) whole = false;
      if (answer->nlmsg_type == NLMSG_DONE || answer->nlmsg_type == NLMSG_ERROR) {
        whole = whole && answer->nlmsg_type == NLMSG_DONE;
        done = true;
        return;
      }
      take(answer);
    });
    if (code != 0) return false;
  }
  return whole;
}

std::optional<bool> request_one(RtnlSocket& socket, const NlMessage& message,
                                const std::function<std::optional<bool>(const nlmsghdr*)>& read) {
  const int fd = nl_socket_get_fd(socket.get());
  nlmsghdr* request = nlmsg_hdr(message.get());
  request->nlmsg_seq = nl_socket_use_seq(socket.get());
  request->nlmsg_flags |= NLM_F_REQUEST;
  if (::send(fd, request, request->nlmsg_len, 0) < 0) return std::nullopt;
  std::vector<uint64_t> buffer(buffer_words);
  std::optional<bool> result;
  bool answered = false;
  while (!answered) {
    const int code = read_messages(fd, buffer, [&](const nlmsghdr* answer) {
      if (answer->nlmsg_seq != request->nlmsg_seq) return;
      answered = true;
      if (answer->nlmsg_type != NLMSG_ERROR) result = read(answer);
    });
    if (code != 0) return std::nullopt;
  }
  return result;
}

}  // namespace headgate::control
