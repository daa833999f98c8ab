// Who is told of what health found: notify scripts, the pipe of `health.notify_fifo`, mail. In the
// order of the events, and without holding up the loop: scripts of one service run one after the
// other.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "config/model.h"
#include "control/error.h"
#include "control/health/health_book.h"
#include "control/mailer.h"
#include "control/notify_fifo.h"
#include "control/program_queue.h"
#include "control/programs.h"

namespace headgate::control {

// As keepalived writes it to its pipe, and gives it to scripts as words:
//   RS [10.0.0.7]:tcp:80 [192.0.2.10]:tcp:80 DOWN
//   VS [192.0.2.10]:tcp:80 UP
// A service by firewall mark is FWM 6.
[[nodiscard]] std::vector<std::string> words_of(const HealthEvent& event);
// Its form too: [edge1] Realserver [10.0.0.7]:tcp:80 of virtual server [192.0.2.10]:tcp:80 - DOWN
[[nodiscard]] MailMessage mail_of(std::string_view router_id, const HealthEvent& event);

class HealthNotifier {
 public:
  explicit HealthNotifier(boost::asio::io_context& loop) : queue_(loop) {}

  [[nodiscard]] std::expected<void, Error> configure(const config::Config& config,
                                                     std::shared_ptr<const Programs> programs);
  // `service` is that of the event, with its commands.
  void tell(const HealthEvent& event, const config::Service& service);
  [[nodiscard]] boost::asio::awaitable<bool> finish(std::chrono::milliseconds bound) {
    return queue_.finish(bound);
  }

 private:
  void run(const HealthEvent& event, const config::Service& service,
           const std::optional<std::string>& command, const std::vector<std::string>& arguments);

  ProgramQueue queue_;
  std::shared_ptr<const Programs> programs_;
  std::unique_ptr<NotifyFifo> fifo_;
  std::optional<Mailer> mailer_;
  std::string router_id_;
};

}  // namespace headgate::control
