#include "control/vrrp/socket_error.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace headgate::control {
namespace {

std::string_view remedy(int code) {
  switch (code) {
    case EPERM:
    case EACCES:
      return " (needs root, or CAP_NET_RAW and CAP_NET_ADMIN; or a packet filter forbids it)";
    case ENODEV:
    case ENXIO:
      return " (the interface is gone)";
    case ENETDOWN:
      return " (the interface is down)";
    case ENETUNREACH:
      return " (the interface is down, or there is no route)";
    case EADDRNOTAVAIL:
      return " (the interface has no address of the family, or IPv6 is off)";
    case EMSGSIZE:
      return " (the interface's MTU is too small)";
    default:
      return "";
  }
}

}  // namespace

Error socket_error(const std::string& interface, std::string_view what, int code) {
  return {fmt::format("{}: {}: {}{}", interface, what, std::strerror(code), remedy(code))};
}

}  // namespace headgate::control
