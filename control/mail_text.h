// A mail as it goes over the wire: headers and text, lines ending in CRLF.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "config/vrrp_model.h"
#include "control/mailer.h"

namespace headgate::control {

// RFC 5322. `number` makes the Message-ID differ from that of any other mail of this second.
[[nodiscard]] std::string mail_text(const config::Mail& settings, const MailMessage& message,
                                    std::string_view host, std::time_t now, uint64_t number);
// One header's text: RFC 2047 words where it is not plain ASCII; controls become blanks.
[[nodiscard]] std::string encode_header(std::string_view text);
// The address alone, of `Name <a@b>` or `a@b`, in angle brackets as SMTP has it.
[[nodiscard]] std::string envelope_address(std::string_view address);
// smtp://HOST:PORT/NAME, where NAME is who we are for EHLO.
[[nodiscard]] std::string smtp_url(std::string_view server, std::string_view host);
// This machine's name, as far as it can stand in a header.
[[nodiscard]] std::string mail_host();

}  // namespace headgate::control
