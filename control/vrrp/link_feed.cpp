#include "control/vrrp/link_feed.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <sys/socket.h>

namespace headgate::control {
namespace {

constexpr int receive_buffer_bytes = 4 << 20;
constexpr auto load_patience = std::chrono::seconds(10);

}  // namespace

std::expected<LinkFeed, Error> LinkFeed::open() {
  LinkFeed feed(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!feed.subscribe()) {
    return std::unexpected(Error{std::string("netlink: ") + std::strerror(errno)});
  }
  if (!feed.load()) {
    return std::unexpected(Error{"netlink: the kernel did not tell its interfaces in 10 s"});
  }
  return feed;
}

LinkFeed::LinkFeed(LinkFeed&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      port_id_(other.port_id_),
      sequence_(other.sequence_),
      table_(std::move(other.table_)),
      fresh_(std::move(other.fresh_)),
      running_(other.running_),
      spoiled_(other.spoiled_),
      wanted_(other.wanted_),
      resyncs_(other.resyncs_),
      buffer_(std::move(other.buffer_)) {}

LinkFeed::~LinkFeed() {
  if (fd_ >= 0) close(fd_);
}

bool LinkFeed::subscribe() {
  if (fd_ < 0) return false;
  static_cast<void>(setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_bytes,
                               sizeof(receive_buffer_bytes)));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  socklen_t size = sizeof(address);
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0) return false;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  port_id_ = address.nl_pid;
  return true;
}

bool LinkFeed::load() {
  const auto deadline = std::chrono::steady_clock::now() + load_patience;
  start_dump();
  while (dumping() || wants_dump()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, 100);
    read();
    if (wants_dump()) start_dump();
  }
  return true;
}

void LinkFeed::read() {
  for (size_t i = 0; i < max_batch; ++i) {
    const ssize_t length =
        recv(fd_, buffer_.data(), buffer_.size() * sizeof(uint64_t), MSG_DONTWAIT | MSG_TRUNC);
    const bool lost = length < 0 ? errno == ENOBUFS
                                 : static_cast<size_t>(length) > buffer_.size() * sizeof(uint64_t);
    if (lost) {
      ++resyncs_;
      // A dump that runs misses what was lost; the next one begins when it is over.
      spoiled_ = dumping();
      wanted_ = !dumping();
      continue;
    }
    if (length <= 0) return;
    auto left = static_cast<int>(length);
    auto* message = reinterpret_cast<nlmsghdr*>(buffer_.data());
    for (; nlmsg_ok(message, left); message = nlmsg_next(message, &left)) {
      take(message);
    }
  }
}

void LinkFeed::take(const nlmsghdr* message) {
  // Nothing else is ever asked for by this socket.
  if (message->nlmsg_pid == port_id_) {
    if (message->nlmsg_seq == sequence_) take_of_dump(message);
    return;
  }
  table_.apply(message);
  if (dumping()) fresh_.apply(message);
}

void LinkFeed::take_of_dump(const nlmsghdr* message) {
  if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) spoiled_ = true;
  switch (message->nlmsg_type) {
    case NLMSG_ERROR:  // EBUSY: an abandoned dump still runs
      running_ = Dump::none;
      wanted_ = true;
      return;
    case NLMSG_DONE:
      if (running_ == Dump::links && !spoiled_) return request(Dump::addresses);
      running_ = Dump::none;
      wanted_ = spoiled_;
      if (!spoiled_) std::swap(table_, fresh_);
      return;
    default:
      fresh_.apply(message);
  }
}

void LinkFeed::start_dump() {
  fresh_ = {};
  spoiled_ = false;
  wanted_ = false;
  request(Dump::links);
}

void LinkFeed::request(Dump dump) {
  struct {
    nlmsghdr header;
    rtgenmsg family;
  } message{};
  message.header.nlmsg_len = NLMSG_LENGTH(sizeof(message.family));
  message.header.nlmsg_type = dump == Dump::links ? RTM_GETLINK : RTM_GETADDR;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.header.nlmsg_seq = ++sequence_;
  message.family.rtgen_family = AF_UNSPEC;
  running_ = dump;
  if (send(fd_, &message, message.header.nlmsg_len, MSG_DONTWAIT) >= 0) return;
  running_ = Dump::none;
  wanted_ = true;
}

}  // namespace headgate::control
