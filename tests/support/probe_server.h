// Servers for tests of probes, good and bad: each a thread of this process, on a loopback address
// of its own network namespace (OwnNetwork).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace headgate::test {

// The process's network: loopback, and a device `void0` with 10.9.0.1/24 and fd09::1/64, behind
// which nobody is; what goes to 10.9.0.7 is lost without a word. Before any thread. Needs root.
void enter_own_network();

// One connection, as the server sees it. All calls return early when the server is to end.
class Peer {
 public:
  Peer(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}

  // false: the other side is gone.
  bool send(std::string_view bytes) const;
  // A byte every `pause_ms`.
  void send_slowly(std::string_view bytes, int pause_ms) const;
  // What has come when `mark` is in it, or the other side has ended.
  [[nodiscard]] std::string receive_until(std::string_view mark) const;
  // Says nothing until the other side has closed; true: by a reset.
  [[nodiscard]] bool wait_for_reset() const;
  void wait_for_end() const { (void)wait_for_reset(); }
  // The end of the talk will be a reset.
  void reset_at_end() const;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  [[nodiscard]] bool wait(short events) const;

  int fd_;
  const std::atomic<bool>& stopping_;
};

class TcpServer {
 public:
  using Talk = std::function<void(const Peer&)>;
  // `address` is IPv4 or IPv6; port 0: any that is free.
  explicit TcpServer(Talk talk, const std::string& address = "127.0.0.1", uint16_t port = 0);
  ~TcpServer();
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }
  // Where the last one came from.
  [[nodiscard]] std::string client() const;

 private:
  void serve();

  Talk talk_;
  int listener_;
  uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::string client_;
  std::vector<std::thread> talks_;
  std::thread thread_;
};

class UdpServer {
 public:
  // Datagrams to send back for one that came.
  using Answer = std::function<std::vector<std::string>(const std::string& question)>;
  explicit UdpServer(Answer answer, const std::string& address = "127.0.0.1");
  ~UdpServer();
  UdpServer(const UdpServer&) = delete;
  UdpServer& operator=(const UdpServer&) = delete;

  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] int questions() const { return questions_; }
  // Answers come from another socket than was asked.
  std::atomic<bool> from_elsewhere = false;

 private:
  void serve();

  Answer answer_;
  int fd_;
  int other_fd_;
  uint16_t port_ = 0;
  std::atomic<int> questions_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace headgate::test
