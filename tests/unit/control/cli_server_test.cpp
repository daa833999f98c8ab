#include "control/cli_server.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace headgate::control {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using protocol::Code;
using protocol::Frame;
using protocol::FrameType;
using protocol::Request;
using protocol::Status;

// Echoes the command; "rows" sends as many pieces as asked for.
asio::awaitable<Status> handle(Peer peer, Request request, SendRows send) {
  if (request.command == "rows") {
    const int64_t pieces = request.arguments.at("pieces").as_int64();
    for (int64_t i = 0; i < pieces; ++i) {
      std::string rows = "[\"" + std::string(1000, 'x') + "\"]";
      co_await send(std::move(rows));
    }
  }
  Status status;
  status.message = request.command;
  status.result["uid"] = peer.uid;
  co_return status;
}

class CliServerTest : public testing::Test {
 protected:
  CliServerTest() {
    std::array<char, 32> pattern{"/tmp/headgate-cli-XXXXXX"};
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/socket";
  }
  ~CliServerTest() override {
    stop();
    unlink(path_.c_str());
    rmdir(directory_.c_str());
  }
  CliServerTest(const CliServerTest&) = delete;
  CliServerTest& operator=(const CliServerTest&) = delete;

  void start(const CliServerLimits& limits = {}) {
    auto server = CliServer::listen(loop_, path_, 0660, handle, limits);
    ASSERT_TRUE(server.has_value()) << server.error().text;
    server_ = std::move(*server);
    thread_ = std::thread([this] {
      const auto guard = asio::make_work_guard(loop_);
      loop_.run();
    });
  }

  void stop() {
    if (!thread_.joinable()) return;
    asio::post(loop_, [this] { server_.reset(); });
    asio::post(loop_, [this] { loop_.stop(); });
    thread_.join();
  }

  // A value read on the loop's thread.
  template <typename Read>
  auto on_loop(Read read) {
    std::promise<decltype(read())> promise;
    asio::post(loop_, [&] { promise.set_value(read()); });
    return promise.get_future().get();
  }
  CliServerCounters counters() {
    return on_loop([this] { return server_->counters(); });
  }

  // Polls until `condition` holds, at most five seconds.
  template <typename Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  asio::io_context loop_{1};
  std::unique_ptr<CliServer> server_;
  std::thread thread_;
  std::string directory_;
  std::string path_;
};

class Client {
 public:
  explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const timeval limit{5, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void ask(const Request& request) const {
    write(protocol::encode({FrameType::request, protocol::to_payload(request)}));
  }
  void shut_down_writing() const { shutdown(fd_, SHUT_WR); }
  // The next frame; nothing at the end of the stream or after five seconds.
  std::optional<Frame> read() {
    while (true) {
      auto frame = decoder_.next();
      if (!frame) return std::nullopt;
      if (*frame) return std::move(*frame);
      std::array<char, 4096> buffer;
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got <= 0) return std::nullopt;
      decoder_.feed({buffer.data(), static_cast<size_t>(got)});
    }
  }
  std::optional<Status> read_status() {
    const auto frame = read();
    if (!frame || frame->type != FrameType::status) return std::nullopt;
    const auto status = protocol::parse_status(frame->payload);
    return status ? std::optional(*status) : std::nullopt;
  }
  // The daemon closed the connection, without another byte.
  bool closed() {
    char byte = 0;
    const ssize_t got = recv(fd_, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }

 private:
  int fd_;
  bool connected_ = false;
  protocol::FrameDecoder decoder_{protocol::max_reply_bytes};
};

TEST_F(CliServerTest, AnswersRequestsOneAfterTheOther) {
  start();
  Client client(path_);
  ASSERT_TRUE(client.connected());
  client.ask({"first", {}});
  client.ask({"second", {}});
  auto status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message, "first");
  EXPECT_EQ(status->result.at("uid"), getuid()) << "credentials come from the kernel";
  status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message, "second");
  EXPECT_EQ(counters().requests, 2U);
}

TEST_F(CliServerTest, SocketHasItsModeAndGoesWithTheServer) {
  start();
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
  stop();
  EXPECT_NE(stat(path_.c_str(), &status), 0);
}

TEST_F(CliServerTest, AnswersAClientThatHasClosedItsSendingSide) {
  start();
  Client client(path_);
  client.ask({"last words", {}});
  client.shut_down_writing();
  const auto status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message, "last words");
  EXPECT_TRUE(client.closed());
}

TEST_F(CliServerTest, SendsRowsBeforeTheStatus) {
  start();
  Client client(path_);
  client.ask({"rows", {{"pieces", 3}}});
  for (int i = 0; i < 3; ++i) {
    const auto frame = client.read();
    ASSERT_TRUE(frame.has_value());
    EXPECT_EQ(frame->type, FrameType::data);
  }
  EXPECT_TRUE(client.read_status().has_value());
}

TEST_F(CliServerTest, GarbageIsAnsweredCountedAndClosed) {
  start();
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Client client(path_);
    ASSERT_TRUE(client.connected());
    std::string garbage(8 + random() % 4000, '\0');
    for (char& byte : garbage)
      byte = static_cast<char>(random());
    garbage[0] = 'X';
    client.write(garbage);
    const auto status = client.read_status();
    ASSERT_TRUE(status.has_value()) << round;
    EXPECT_EQ(status->code, Code::usage);
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(counters().bad_frames, 50U);
  EXPECT_EQ(counters().requests, 0U);
  Client client(path_);
  client.ask({"still there", {}});
  EXPECT_TRUE(client.read_status().has_value());
}

TEST_F(CliServerTest, OversizeFramesAreRefusedByTheirHeader) {
  start();
  Client client(path_);
  const auto header = protocol::encode_header(FrameType::request, protocol::max_request_bytes + 1);
  client.write({header.data(), header.size()});
  const auto status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message, "the frame is longer than allowed");
  EXPECT_TRUE(client.closed());
}

TEST_F(CliServerTest, TheLongestRequestIsTaken) {
  start();
  Client client(path_);
  Request request{"long", {}};
  const size_t rest = protocol::max_request_bytes - protocol::to_payload(request).size();
  request.command += std::string(rest, 'x');
  client.ask(request);
  const auto status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message.size(), 4 + rest);
}

TEST_F(CliServerTest, AFrameWithoutARequestIsAnsweredAndTheClientStays) {
  start();
  Client client(path_);
  client.write(protocol::encode({FrameType::request, "{\"comm"}));
  auto status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, Code::usage);
  client.ask({"better", {}});
  status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message, "better");
  EXPECT_EQ(counters().bad_requests, 1U);
}

TEST_F(CliServerTest, OnlyRequestsMayBeSent) {
  start();
  Client client(path_);
  client.write(protocol::encode({FrameType::status, "{}"}));
  ASSERT_TRUE(client.read_status().has_value());
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(counters().bad_frames, 1U);
}

TEST_F(CliServerTest, HalfARequestIsGivenUpAfterItsTime) {
  start({.request = 100ms});
  Client client(path_);
  const std::string bytes =
      protocol::encode({FrameType::request, protocol::to_payload(Request{"slow", {}})});
  // Bytes that trickle do not move the limit.
  std::optional<Status> status;
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {
    client.write(bytes.substr(i, 1));
    if (counters().timeouts > 0) break;
    std::this_thread::sleep_for(20ms);
  }
  status = client.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message, "the rest of the request did not come in time");
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(counters().timeouts, 1U);
}

TEST_F(CliServerTest, IdleClientsAreSentAway) {
  start({.idle = 50ms});
  Client client(path_);
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(eventually([this] { return on_loop([this] { return server_->clients(); }) == 0; }));
}

TEST_F(CliServerTest, AClientThatReadsNothingHoldsNothingUp) {
  start({.write = 200ms});
  Client stuck(path_);
  stuck.ask({"rows", {{"pieces", 1000000}}});
  Client other(path_);
  other.ask({"meanwhile", {}});
  const auto status = other.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->message, "meanwhile");
  EXPECT_TRUE(eventually([this] { return counters().timeouts == 1; }));
  EXPECT_TRUE(eventually([this] { return on_loop([this] { return server_->clients(); }) == 1; }));
}

TEST_F(CliServerTest, AClientThatLeavesInTheMiddleIsCounted) {
  start();
  {
    Client client(path_);
    client.write("HG\x01");
  }
  EXPECT_TRUE(eventually([this] { return counters().cut_short == 1; }));
}

TEST_F(CliServerTest, TooManyClientsAreToldSo) {
  start({.clients = 2});
  Client first(path_);
  Client second(path_);
  first.ask({"x", {}});
  second.ask({"x", {}});
  ASSERT_TRUE(first.read_status().has_value());
  ASSERT_TRUE(second.read_status().has_value());
  Client third(path_);
  const auto status = third.read_status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, Code::refused);
  EXPECT_TRUE(third.closed());
  EXPECT_EQ(counters().refused_busy, 1U);
}

TEST_F(CliServerTest, ASecondServerIsRefusedAndALeftOverSocketIsReplaced) {
  start();
  asio::io_context other_loop;
  const auto second = CliServer::listen(other_loop, path_, 0660, handle);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().text.find("another daemon listens here"), std::string::npos);
  stop();

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  close(dead);
  EXPECT_TRUE(CliServer::listen(other_loop, path_, 0660, handle).has_value());
}

TEST_F(CliServerTest, WhereNoSocketCanBeTheRemedyIsTold) {
  const auto server = CliServer::listen(loop_, "/nowhere/headgate.sock", 0660, handle);
  ASSERT_FALSE(server.has_value());
  EXPECT_EQ(server.error().text,
            "/nowhere/headgate.sock: no socket can be made: No such file or directory; choose "
            "another place with daemon.socket or --socket");
}

TEST_F(CliServerTest, AFileInTheWayIsNotRemoved) {
  const int file = open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  close(file);
  const auto server = CliServer::listen(loop_, path_, 0660, handle);
  ASSERT_FALSE(server.has_value());
  EXPECT_NE(server.error().text.find("not a socket"), std::string::npos);
  struct stat status{};
  EXPECT_EQ(stat(path_.c_str(), &status), 0);
}

}  // namespace
}  // namespace headgate::control
