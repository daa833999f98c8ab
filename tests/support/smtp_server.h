// A mail server on the loopback interface that takes one mail a connection and remembers it, or one
// that takes connections and never says a word.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace headgate::test {

struct ReceivedMail {
  std::vector<std::string> commands;  // EHLO, MAIL, RCPT
  std::string data;                   // as it came, without the final dot
};

class SmtpServer {
 public:
  enum class Manner { polite, silent };

  explicit SmtpServer(Manner manner = Manner::polite);
  ~SmtpServer();
  SmtpServer(const SmtpServer&) = delete;
  SmtpServer& operator=(const SmtpServer&) = delete;

  [[nodiscard]] std::string address() const;  // HOST:PORT
  [[nodiscard]] std::vector<ReceivedMail> mails() const;
  [[nodiscard]] int connections() const { return connections_; }
  // Recipients that hold this text are refused. Before the first mail.
  std::string refused = "refused@";

 private:
  void serve();
  void talk(int fd);

  Manner manner_;
  int listener_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<ReceivedMail> mails_;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace headgate::test
