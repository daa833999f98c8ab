#include "control/rtnl.h"

#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

namespace headgate::control {

void NlMessageDeleter::operator()(nl_msg* message) const noexcept {
  nlmsg_free(message);
}

void RtnlSocket::Deleter::operator()(nl_sock* socket) const noexcept {
  nl_socket_free(socket);
}

std::expected<RtnlSocket, Error> RtnlSocket::open() {
  RtnlSocket socket(nl_socket_alloc());
  const int code = socket.get() == nullptr ? -NLE_NOMEM : nl_connect(socket.get(), NETLINK_ROUTE);
  if (code < 0) return std::unexpected(Error{"netlink: " + nl_text(code)});
  return socket;
}

int RtnlSocket::request(NlMessage message) {
  const int code = nl_send_auto(socket_.get(), message.get());
  return code < 0 ? code : nl_wait_for_ack(socket_.get());
}

std::string nl_text(int code) {
  std::string text = nl_geterror(code);
  if (code == -NLE_PERM) text += " (needs root, or CAP_NET_ADMIN)";
  return text;
}

}  // namespace headgate::control
