#include "control/netlink.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "control/neighbour_keeper.h"

namespace headgate::control {
namespace {

using Clock = KernelMirror::Clock;

constexpr auto gather_time = std::chrono::milliseconds(2);
constexpr auto min_dump_interval = std::chrono::milliseconds(10);
constexpr auto max_dump_time = std::chrono::seconds(10);
constexpr auto open_time = std::chrono::seconds(30);
constexpr int receive_buffer = 8 * 1024 * 1024;
// A few milliseconds of work: dumps come in datagrams of 32 kB, notifications in small ones.
constexpr ssize_t bytes_per_poll = 512L * 1024;
constexpr int datagrams_per_poll = 1024;

enum Kind : uint8_t { links, addresses, routes, neighbours };
constexpr std::array<uint16_t, 4> dump_request{RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE,
                                               RTM_GETNEIGH};

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

int netlink_socket() {
  return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
}

bool join(int fd, std::initializer_list<rtnetlink_groups> groups) {
  for (const rtnetlink_groups group : groups) {
    const int number = group;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &number, sizeof(number)) != 0) {
      return false;
    }
  }
  return true;
}

struct NeighbourEntry {
  net::MacAddress mac;
  uint16_t state = 0;
  bool usable = false;
};
using Neighbours = std::map<NeighbourKey, NeighbourEntry>;

}  // namespace

struct KernelMirror::Impl {
  explicit Impl(std::span<const int> kernel_indexes) : interfaces(kernel_indexes) {}

  [[nodiscard]] bool open_sockets();
  [[nodiscard]] bool load(Clock::time_point now);
  void read_messages(Clock::time_point now);
  void take(const nlmsghdr* message, Clock::time_point now);
  void take_notification(const nlmsghdr* message, Clock::time_point now);
  void take_neighbour(const DecodedNeighbour& neighbour, Clock::time_point now);
  void collect(const nlmsghdr* message);
  void start_dump(Clock::time_point now);
  void finish_dump(Clock::time_point now);
  void abandon_dump(Clock::time_point now);
  void read_all_again();
  void change(bool KernelParts::* part, Clock::time_point now);
  KernelParts publish();
  void probe(const NeighbourKey& neighbour);
  void discard_answers();
  [[nodiscard]] bool is_usable(const NeighbourKey& neighbour) const;

  InterfaceMap interfaces;
  Descriptor events{netlink_socket()};
  Descriptor requests{netlink_socket()};
  Descriptor epoll{epoll_create1(EPOLL_CLOEXEC)};
  std::vector<uint64_t> buffer = std::vector<uint64_t>(65536 / sizeof(uint64_t));

  // What is known, by kind; `state` is what was handed out last.
  std::vector<KernelInterface> known_links;
  std::vector<KernelAddress> known_addresses;
  std::vector<KernelRoute> known_routes;
  Neighbours known_neighbours;
  KernelState state;
  KernelParts pending;
  std::optional<Clock::time_point> publish_at;

  // The dump under way, and which are to follow.
  std::array<bool, 4> wanted{true, true, true, true};
  std::optional<Kind> running;
  bool spoiled = false;  // interrupted by a change or an overflow: once more
  uint32_t sequence = 0;
  Clock::time_point dump_started;
  Clock::time_point next_dump;
  std::vector<KernelInterface> new_links;
  std::vector<KernelAddress> new_addresses;
  std::vector<DecodedRoute> new_routes;
  Neighbours new_neighbours;

  NeighbourKeeper keeper;
  uint64_t resyncs = 0;
};

bool KernelMirror::Impl::open_sockets() {
  if (events.get() < 0 || requests.get() < 0 || epoll.get() < 0) return false;
  // Force needs CAP_NET_ADMIN; without it the limit of the system counts.
  if (setsockopt(events.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer,
                 sizeof(receive_buffer)) != 0) {
    setsockopt(events.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  for (const int fd : {events.get(), requests.get()}) {
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return false;
    epoll_event readable{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &readable) != 0) return false;
  }
  return join(events.get(), {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                             RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH});
}

// The first dumps, waited for.
bool KernelMirror::Impl::load(Clock::time_point now) {
  known_links.resize(interfaces.size());
  const Clock::time_point deadline = now + open_time;
  next_dump = now;
  start_dump(now);
  while (running || std::ranges::count(wanted, true) > 0) {
    if (now >= deadline) return false;
    pollfd readable{.fd = epoll.get(), .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, 10);
    now = Clock::now();
    read_messages(now);
    next_dump = now;  // there is nothing to be polite to yet
    start_dump(now);
  }
  static_cast<void>(publish());
  return true;
}

void KernelMirror::Impl::read_messages(Clock::time_point now) {
  ssize_t bytes = 0;
  for (int i = 0; i < datagrams_per_poll && bytes < bytes_per_poll; ++i) {
    const ssize_t length = recv(events.get(), buffer.data(), buffer.size() * sizeof(uint64_t),
                                MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0 && errno == ENOBUFS) {
      ++resyncs;
      read_all_again();
      continue;
    }
    if (length <= 0) return;
    if (static_cast<size_t>(length) > buffer.size() * sizeof(uint64_t)) {  // cut
      read_all_again();
      continue;
    }
    bytes += length;
    auto left = static_cast<int>(length);
    auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
    for (; nlmsg_ok(message, left); message = nlmsg_next(message, &left)) {
      take(message, now);
    }
  }
}

void KernelMirror::Impl::take(const nlmsghdr* message, Clock::time_point now) {
  const bool of_dump =
      running && message->nlmsg_seq == sequence && (message->nlmsg_flags & NLM_F_MULTI) != 0;
  if (of_dump && (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) spoiled = true;
  switch (message->nlmsg_type) {
    case NLMSG_NOOP:
      return;
    case NLMSG_DONE:
      if (of_dump) finish_dump(now);
      return;
    case NLMSG_ERROR:
      if (running && message->nlmsg_seq == sequence) abandon_dump(now);
      return;
    default:
      break;
  }
  if (of_dump) {
    collect(message);
  } else {
    take_notification(message, now);
  }
}

void KernelMirror::Impl::take_notification(const nlmsghdr* message, Clock::time_point now) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      wanted[links] = true;
      wanted[routes] = true;  // those of a link that goes down vanish without a word
      return;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      wanted[addresses] = true;
      wanted[routes] = true;
      return;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      wanted[routes] = true;
      return;
    default:
      break;
  }
  const auto neighbour = decode_neighbour(message, interfaces);
  if (neighbour) take_neighbour(*neighbour, now);
}

void KernelMirror::Impl::take_neighbour(const DecodedNeighbour& neighbour, Clock::time_point now) {
  const NeighbourEntry entry{neighbour.mac, neighbour.state, neighbour.usable};
  const auto found = known_neighbours.find(neighbour.key);
  const NeighbourEntry before = found == known_neighbours.end() ? NeighbourEntry{} : found->second;
  const bool differs = entry.usable != before.usable || (entry.usable && entry.mac != before.mac);
  if (entry.usable || entry.state != NUD_NONE) known_neighbours[neighbour.key] = entry;
  if (!entry.usable) {
    if (entry.state == NUD_NONE || entry.state == NUD_FAILED) known_neighbours.erase(neighbour.key);
    if (before.usable) keeper.lost(neighbour.key, now);
  }
  if (running == neighbours) new_neighbours.erase(neighbour.key);
  if (running == neighbours && entry.usable) new_neighbours[neighbour.key] = entry;
  if (differs) change(&KernelParts::neighbours, now);
}

void KernelMirror::Impl::collect(const nlmsghdr* message) {
  if (const auto link = decode_link(message, interfaces)) new_links[link->interface] = link->link;
  if (const auto address = decode_address(message, interfaces)) new_addresses.push_back(*address);
  if (auto route = decode_route(message, interfaces)) new_routes.push_back(std::move(*route));
  if (const auto neighbour = decode_neighbour(message, interfaces)) {
    new_neighbours[neighbour->key] = {neighbour->mac, neighbour->state, neighbour->usable};
  }
}

void KernelMirror::Impl::start_dump(Clock::time_point now) {
  if (running && now - dump_started > max_dump_time) abandon_dump(now);
  if (running || now < next_dump) return;
  const auto kind = std::ranges::find(wanted, true);
  if (kind == wanted.end()) return;
  new_links.assign(interfaces.size(), {});
  new_addresses.clear();
  new_routes.clear();
  new_neighbours.clear();

  struct {
    nlmsghdr header;
    rtgenmsg family;
  } request{};
  const auto index = static_cast<size_t>(kind - wanted.begin());
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.family));
  request.header.nlmsg_type = dump_request[index];
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++sequence;
  request.family.rtgen_family = AF_UNSPEC;
  if (send(events.get(), &request, request.header.nlmsg_len, MSG_DONTWAIT) < 0) {
    next_dump = now + min_dump_interval;
    return;
  }
  *kind = false;
  running = static_cast<Kind>(index);
  spoiled = false;
  dump_started = now;
}

void KernelMirror::Impl::finish_dump(Clock::time_point now) {
  const Kind kind = *running;
  running.reset();
  next_dump = std::max(dump_started + min_dump_interval, now + 4 * (now - dump_started));
  // Dumps that follow one another belong to one change: they need not wait.
  if (std::ranges::count(wanted, true) > 0 && !wanted[kind] && !spoiled) next_dump = now;
  if (spoiled) {
    wanted[kind] = true;
    return;
  }
  switch (kind) {
    case links:
      known_links.swap(new_links);
      return change(&KernelParts::links, now);
    case addresses: {
      std::ranges::sort(new_addresses);
      const auto rest = std::ranges::unique(new_addresses);
      new_addresses.erase(rest.begin(), rest.end());
      known_addresses.swap(new_addresses);
      return change(&KernelParts::links, now);
    }
    case routes:
      known_routes = choose_routes(std::move(new_routes));
      new_routes = {};
      return change(&KernelParts::routes, now);
    case neighbours:
      known_neighbours.swap(new_neighbours);
      return change(&KernelParts::neighbours, now);
  }
}

void KernelMirror::Impl::abandon_dump(Clock::time_point now) {
  wanted[*running] = true;
  running.reset();
  ++sequence;  // what still comes of it is not taken for the next one's
  next_dump = now + 10 * min_dump_interval;
}

void KernelMirror::Impl::read_all_again() {
  wanted = {true, true, true, true};
  spoiled = true;
}

void KernelMirror::Impl::change(bool KernelParts::* part, Clock::time_point now) {
  pending.*part = true;
  if (!publish_at) publish_at = now + gather_time;
}

// Brings `state` up to date and says what really differs.
KernelParts KernelMirror::Impl::publish() {
  KernelParts changed;
  if (pending.links) {
    changed.links = state.interfaces != known_links || state.addresses != known_addresses;
    state.interfaces = known_links;
    state.addresses = known_addresses;
  }
  if (pending.routes) {
    changed.routes = state.routes != known_routes;
    state.routes = known_routes;
  }
  if (pending.neighbours) {
    std::vector<KernelNeighbour> usable;
    for (const auto& [key, entry] : known_neighbours) {
      if (entry.usable) usable.push_back({key.interface, key.address, entry.mac});
    }
    changed.neighbours = state.neighbours != usable;
    state.neighbours = std::move(usable);
  }
  pending = {};
  publish_at.reset();
  return changed;
}

bool KernelMirror::Impl::is_usable(const NeighbourKey& neighbour) const {
  const auto found = known_neighbours.find(neighbour);
  return found != known_neighbours.end() && found->second.usable;
}

// NTF_USE: as if the kernel itself had a packet for the neighbour. A missing entry is made and
// asked for, a stale one is confirmed, a reachable one is left alone.
void KernelMirror::Impl::probe(const NeighbourKey& neighbour) {
  if (neighbour.interface >= interfaces.size()) return;
  const int index = interfaces.kernel_index(neighbour.interface);
  if (index == 0) return;
  // Since Linux 5.16 NTF_USE makes a permanent entry an ordinary one.
  const auto found = known_neighbours.find(neighbour);
  if (found != known_neighbours.end() && (found->second.state & (NUD_PERMANENT | NUD_NOARP)) != 0) {
    return;
  }
  struct {
    nlmsghdr header;
    ndmsg neighbour;
    nlattr attribute;
    std::array<uint8_t, 16> address;
  } request{};
  const uint16_t size = neighbour.address.bits() / 8U;
  request.header.nlmsg_len =
      static_cast<uint32_t>(NLMSG_LENGTH(sizeof(ndmsg)) + sizeof(nlattr) + size);
  request.header.nlmsg_type = RTM_NEWNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;
  request.neighbour.ndm_family = neighbour.address.is_v4() ? AF_INET : AF_INET6;
  request.neighbour.ndm_ifindex = index;
  request.neighbour.ndm_state = NUD_NONE;
  request.neighbour.ndm_flags = NTF_USE;
  request.attribute = {.nla_len = static_cast<uint16_t>(sizeof(nlattr) + size),
                       .nla_type = NDA_DST};
  request.address = neighbour.address.bytes;
  // A full socket loses it: it is asked for again.
  static_cast<void>(send(requests.get(), &request, request.header.nlmsg_len, MSG_DONTWAIT));
}

void KernelMirror::Impl::discard_answers() {
  std::array<char, 4096> answer;
  for (int i = 0; i < 64; ++i) {
    if (recv(requests.get(), answer.data(), answer.size(), MSG_DONTWAIT) <= 0) return;
  }
}

std::expected<std::unique_ptr<KernelMirror>, Error> KernelMirror::open(
    std::span<const int> kernel_indexes) {
  auto impl = std::make_unique<Impl>(kernel_indexes);
  if (!impl->open_sockets()) {
    return std::unexpected(Error{std::string("netlink: ") + std::strerror(errno)});
  }
  if (!impl->load(Clock::now())) {
    return std::unexpected(Error{"netlink: the kernel did not tell its tables in 30 s"});
  }
  return std::unique_ptr<KernelMirror>(new KernelMirror(std::move(impl)));
}

KernelMirror::KernelMirror(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelMirror::~KernelMirror() = default;

int KernelMirror::fd() const {
  return impl_->epoll.get();
}

KernelParts KernelMirror::poll(Clock::time_point now) {
  impl_->discard_answers();
  impl_->read_messages(now);
  impl_->start_dump(now);
  const auto is_usable = [this](const NeighbourKey& key) { return impl_->is_usable(key); };
  for (const NeighbourKey& neighbour : impl_->keeper.due(now, is_usable)) {
    impl_->probe(neighbour);
  }
  if (!impl_->publish_at || now < *impl_->publish_at) return {};
  return impl_->publish();
}

std::optional<Clock::time_point> KernelMirror::wakeup() const {
  std::optional<Clock::time_point> earliest = impl_->publish_at;
  const auto consider = [&](std::optional<Clock::time_point> time) {
    if (time && (!earliest || *time < *earliest)) earliest = time;
  };
  consider(impl_->keeper.next());
  if (impl_->running) {
    consider(impl_->dump_started + max_dump_time);
  } else if (std::ranges::count(impl_->wanted, true) > 0) {
    consider(impl_->next_dump);
  }
  return earliest;
}

const KernelState& KernelMirror::state() const {
  return impl_->state;
}

void KernelMirror::resolve(const NeighbourKey& neighbour, Clock::time_point now) {
  if (impl_->keeper.ask(neighbour, now)) impl_->probe(neighbour);
}

void KernelMirror::keep_fresh(std::span<const NeighbourKey> neighbours, Clock::time_point now) {
  impl_->keeper.keep(neighbours, now,
                     [this](const NeighbourKey& key) { return impl_->is_usable(key); });
}

uint64_t KernelMirror::resyncs() const {
  return impl_->resyncs;
}

}  // namespace headgate::control
