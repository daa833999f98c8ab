// Which prober a check gets.
#include "control/health/prober.h"

#include <cerrno>

#include <fmt/format.h>

#include "control/health/probers.h"

namespace headgate::control {

ProbeOutcome probe_failed(std::string reason, int code) {
  const bool is_ours =
      code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM || code == EAGAIN;
  return {.up = false, .reason = std::move(reason), .asked = !is_ours};
}

std::string duration_text(std::chrono::milliseconds duration) {
  const auto count = duration.count();
  return count % 1000 == 0 ? fmt::format("{} s", count / 1000) : fmt::format("{} ms", count);
}

std::expected<std::unique_ptr<Prober>, Error> make_prober(const config::Check& check,
                                                          const ProbeTarget& target,
                                                          const std::optional<ProgramUser>& user,
                                                          boost::asio::thread_pool* helpers) {
  using enum config::CheckType;
  if (check.type == script) return make_script_prober(check, user);
  if (target.address.family == net::Family::none) {
    return std::unexpected(Error{"no address to ask: give the check one"});
  }
  if (check.source && check.source->family != target.address.family) {
    return std::unexpected(
        Error{fmt::format("source {} is of another family than {}", net::to_string(*check.source),
                          net::to_string(target.address))});
  }
  if (check.type == ping) return make_ping_prober(check, target);
  if (target.port == 0) return std::unexpected(Error{"no port to ask: give the check one"});
  switch (check.type) {
    case http:
    case https:
      return make_http_prober(check, target, helpers);
    case udp:
      return make_udp_prober(check, target);
    case dns:
      return make_dns_prober(check, target);
    case smtp:
      return make_smtp_prober(check, target);
    default:
      return make_tcp_prober(check, target);
  }
}

}  // namespace headgate::control
