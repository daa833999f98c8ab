// Sends mail by SMTP from a thread of its own: a dead server delays nothing but other mail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/vrrp_model.h"

namespace headgate::control {

struct MailMessage {
  std::string subject;  // one line; others than ASCII are encoded as RFC 2047 says
  std::string body;     // lines end in \n
};

class Mailer {
 public:
  struct Counts {
    uint64_t sent = 0;
    uint64_t failed = 0;   // logged with the reason; not tried again
    uint64_t dropped = 0;  // the oldest of too many that waited, or without settings
  };

  explicit Mailer(size_t queued = 100);
  // Gives up what is on its way and what waits; returns within about a second.
  ~Mailer();
  Mailer(const Mailer&) = delete;
  Mailer& operator=(const Mailer&) = delete;

  // For mails that are sent from now on.
  void configure(const config::Mail& settings);
  // Any thread; returns at once.
  void send(MailMessage message);
  [[nodiscard]] bool idle() const;  // nothing waits or is on its way
  [[nodiscard]] Counts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Makes, configures or ends the mailer, as there are settings or none.
void follow_settings(std::optional<Mailer>& mailer, const std::optional<config::Mail>& settings);

}  // namespace headgate::control
