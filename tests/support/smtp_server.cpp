#include "tests/support/smtp_server.h"

#include <cstdint>
#include <poll.h>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace headgate::test {

namespace {

void say(int fd, std::string_view text) {
  const std::string line = std::string(text) + "\r\n";
  [[maybe_unused]] const ssize_t sent = send(fd, line.data(), line.size(), MSG_NOSIGNAL);
}

// Reads with a bound, so that a test ends whatever the other side does.
class Lines {
 public:
  explicit Lines(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}
  // Without its CRLF; false at the end.
  bool next(std::string& line) {
    size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
      pollfd readable{fd_, POLLIN, 0};
      if (poll(&readable, 1, 20) == 0) {
        if (stopping_) return false;
        continue;
      }
      char some[4096];
      const ssize_t count = recv(fd_, some, sizeof some, 0);
      if (count <= 0) return false;
      buffer_.append(some, static_cast<size_t>(count));
    }
    line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return true;
  }

 private:
  int fd_;
  const std::atomic<bool>& stopping_;
  std::string buffer_;
};

}  // namespace

SmtpServer::SmtpServer(Manner manner)
    : manner_(manner), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(listener_, reinterpret_cast<const sockaddr*>(&address), size);
  listen(listener_, 16);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

SmtpServer::~SmtpServer() {
  stopping_ = true;
  thread_.join();
  close(listener_);
}

std::string SmtpServer::address() const {
  return "127.0.0.1:" + std::to_string(port_);
}

std::vector<ReceivedMail> SmtpServer::mails() const {
  const std::scoped_lock lock(mutex_);
  return mails_;
}

void SmtpServer::serve() {
  while (!stopping_) {
    pollfd readable{listener_, POLLIN, 0};
    if (poll(&readable, 1, 20) <= 0) continue;
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++connections_;
    talk(fd);
    close(fd);
  }
}

void SmtpServer::talk(int fd) {
  Lines lines(fd, stopping_);
  std::string line;
  if (manner_ == Manner::silent) {
    while (lines.next(line)) {
    }
    return;
  }
  say(fd, "220 test ready");
  ReceivedMail mail;
  while (lines.next(line)) {
    if (line == "QUIT") return say(fd, "221 bye");
    if (line != "DATA") {
      mail.commands.push_back(line);
      say(fd, line.find(refused) == std::string::npos ? "250 fine" : "550 nobody of that name");
      continue;
    }
    say(fd, "354 go on");
    while (lines.next(line) && line != ".")
      mail.data += line + "\r\n";
    {
      const std::scoped_lock lock(mutex_);
      mails_.push_back(std::exchange(mail, {}));
    }
    say(fd, "250 taken");  // whoever hears it may look for the mail
  }
}

}  // namespace headgate::test
