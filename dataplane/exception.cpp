#include "dataplane/exception.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <unistd.h>
#include <utility>

#include <rte_config.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "dataplane/limits.h"
#include "dataplane/net/headers.h"

namespace headgate::dataplane {
namespace {

constexpr uint32_t burst = 32;
constexpr uint32_t vlan_ids = 4096;
constexpr uint16_t no_twin = 0xffff;
constexpr uint32_t addresses_size = 12;  // of the Ethernet header, in front of a VLAN tag
constexpr uint32_t tag_size = sizeof(net::VlanTag);
constexpr int max_segments = 8;

void add(std::atomic<uint64_t>& counter, uint64_t n) noexcept {  // single writer
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

void add_drop(TwinCounters& counters, TwinDrop reason, uint64_t n) noexcept {
  add(counters.drops[static_cast<uint32_t>(reason)], n);
}

// The VLAN id of a frame, 0 without a tag.
uint16_t vlan_of(const rte_mbuf* mbuf) noexcept {
  if (mbuf->data_len < sizeof(net::EthernetHeader) + tag_size) return 0;
  const auto* header = rte_pktmbuf_mtod(mbuf, const net::EthernetHeader*);
  if (header->type.host() != net::ethertype_vlan) return 0;
  const auto* tag = rte_pktmbuf_mtod_offset(mbuf, const net::VlanTag*, sizeof(*header));
  return tag->tci.host() & net::vlan_id_mask;
}

void take_tag_off(rte_mbuf* mbuf) noexcept {
  auto* data = rte_pktmbuf_mtod(mbuf, uint8_t*);
  std::memmove(data + tag_size, data, addresses_size);
  rte_pktmbuf_adj(mbuf, tag_size);
}

// The frame lies behind room for the tag.
void put_tag_on(uint8_t* data, uint16_t vlan) noexcept {
  std::memmove(data, data + tag_size, addresses_size);
  const net::be16 words[2] = {net::be16::from_host(net::ethertype_vlan),
                              net::be16::from_host(vlan)};
  std::memcpy(data + addresses_size, words, sizeof(words));
}

bool write_frame(int fd, const rte_mbuf* mbuf) noexcept {
  iovec parts[max_segments];
  int count = 0;
  for (const rte_mbuf* segment = mbuf; segment != nullptr; segment = segment->next) {
    if (count == max_segments) return false;
    parts[count++] = {rte_pktmbuf_mtod(segment, void*), segment->data_len};
  }
  ssize_t written;
  do {
    written = writev(fd, parts, count);
  } while (written < 0 && errno == EINTR);
  return written >= 0;
}

// A token bucket that holds up to a tenth of a second.
class Bucket {
 public:
  explicit Bucket(uint32_t per_second) : per_second_(per_second), tokens_(limit()) {}
  uint32_t allowance(uint64_t now_ns, uint32_t wanted) noexcept {
    if (per_second_ == 0) return wanted;
    const uint64_t elapsed_ns = std::min<uint64_t>(now_ns - last_ns_, 1'000'000'000);
    const uint64_t fresh = elapsed_ns * per_second_ / 1'000'000'000;
    if (fresh > 0) {
      tokens_ = std::min(limit(), tokens_ + fresh);
      last_ns_ = now_ns;
    }
    return static_cast<uint32_t>(std::min<uint64_t>(wanted, tokens_));
  }
  void spend(uint32_t n) noexcept {
    if (per_second_ != 0) tokens_ -= n;
  }

 private:
  [[nodiscard]] uint64_t limit() const noexcept {
    return std::max<uint64_t>(per_second_ / 10, burst);
  }
  uint64_t per_second_;
  uint64_t tokens_;
  uint64_t last_ns_ = 0;
};

struct PortTwins {
  uint16_t untagged = no_twin;
  std::vector<uint16_t> by_vlan;  // vlan_ids entries, or empty
};

}  // namespace

struct ExceptionLoop::State {
  explicit State(ExceptionOptions given);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  uint32_t drain(uint32_t twin_class, uint32_t budget) noexcept;
  void to_kernel(rte_mbuf* mbuf, uint32_t twin_class) noexcept;
  void write_to(uint16_t index, rte_mbuf* mbuf, uint32_t twin_class) noexcept;
  [[nodiscard]] uint16_t find_twin(uint16_t port, uint16_t vlan) const noexcept;
  uint32_t read_ready() noexcept;
  uint32_t from_kernel(uint16_t twin) noexcept;
  uint32_t read_burst(uint16_t twin, rte_mbuf** mbufs, uint32_t& looks, bool& more) noexcept;

  ExceptionOptions options;
  std::vector<PortTwins> ports;
  std::vector<TwinCounters> counters;
  TwinCounters unknown_port;  // frames of ports without any twin: counted, with nowhere to show
  std::vector<Bucket> buckets;
  ProbePath probes;
  uint64_t now_ns = 0;        // of this turn
  uint32_t first_worker = 0;  // whose turn it is to be first
  int epoll = -1;
  int event = -1;
};

ExceptionLoop::State::State(ExceptionOptions given)
    : options(std::move(given)), counters(options.twins.size()) {
  for (const uint32_t per_second : options.per_second) {
    buckets.emplace_back(per_second);
  }
  epoll = epoll_create1(EPOLL_CLOEXEC);
  event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event wanted{.events = EPOLLIN, .data = {.u32 = no_twin}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted);
  const auto twin_count = static_cast<uint16_t>(options.twins.size());
  for (uint16_t t = 0; t < twin_count; ++t) {
    const TwinPort& twin = options.twins[t];
    if (ports.size() <= twin.port) ports.resize(twin.port + 1U);
    PortTwins& port = ports[twin.port];
    if (twin.vlan == 0) {
      port.untagged = t;
    } else {
      if (port.by_vlan.empty()) port.by_vlan.assign(vlan_ids, no_twin);
      port.by_vlan[twin.vlan % vlan_ids] = t;
    }
    wanted.data.u32 = t;
    epoll_ctl(epoll, EPOLL_CTL_ADD, twin.fd, &wanted);
  }
}

ExceptionLoop::State::~State() {
  if (event >= 0) close(event);
  if (epoll >= 0) close(epoll);
}

uint16_t ExceptionLoop::State::find_twin(uint16_t port, uint16_t vlan) const noexcept {
  if (port >= ports.size()) return no_twin;
  const PortTwins& twins = ports[port];
  if (vlan != 0 && !twins.by_vlan.empty() && twins.by_vlan[vlan] != no_twin) {
    return twins.by_vlan[vlan];
  }
  return twins.untagged;
}

void ExceptionLoop::State::to_kernel(rte_mbuf* mbuf, uint32_t twin_class) noexcept {
  uint16_t probing_twin = no_twin;
  if (twin_class == static_cast<uint32_t>(TwinClass::probe)) {
    const ProbePath::Arriving what = probes.arrive(mbuf, probing_twin, now_ns);
    if (what == ProbePath::Arriving::dropped) return;
    if (what == ProbePath::Arriving::probe) return write_to(probing_twin, mbuf, twin_class);
  }
  const uint16_t index = find_twin(mbuf->port, vlan_of(mbuf));
  if (index == no_twin) {
    add_drop(unknown_port, TwinDrop::no_twin, 1);
    return;
  }
  if (options.twins[index].vlan != 0) take_tag_off(mbuf);
  write_to(index, mbuf, twin_class);
}

// The frame is as this twin's kernel side takes it.
void ExceptionLoop::State::write_to(uint16_t index, rte_mbuf* mbuf, uint32_t twin_class) noexcept {
  TwinCounters& counter = counters[index];
  if (!write_frame(options.twins[index].fd, mbuf)) {
    add_drop(counter, TwinDrop::kernel_refused, 1);
    return;
  }
  add(counter.to_kernel[twin_class], 1);
  add(counter.to_kernel_bytes, mbuf->pkt_len);
}

// Up to `budget` frames of one class, a burst from each worker in turn.
uint32_t ExceptionLoop::State::drain(uint32_t twin_class, uint32_t budget) noexcept {
  const auto workers = static_cast<uint32_t>(options.workers.size());
  uint32_t done = 0;
  bool found = true;
  while (found && done < budget) {
    found = false;
    for (uint32_t i = 0; i < workers && done < budget; ++i) {
      rte_ring* ring = options.workers[(first_worker + i) % workers].to_twin[twin_class];
      rte_mbuf* mbufs[burst];
      const uint32_t count = rte_ring_sc_dequeue_burst(ring, reinterpret_cast<void**>(mbufs),
                                                       std::min(burst, budget - done), nullptr);
      for (uint32_t m = 0; m < count; ++m) {
        to_kernel(mbufs[m], twin_class);
      }
      rte_pktmbuf_free_bulk(mbufs, count);
      done += count;
      found = found || count > 0;
    }
  }
  return done;
}

// Fills mbufs with frames; `more` becomes false when the kernel has no further one. `looks`: how
// many may be read; how many were, those included that ended here.
uint32_t ExceptionLoop::State::read_burst(uint16_t twin, rte_mbuf** mbufs, uint32_t& looks,
                                          bool& more) noexcept {
  const uint32_t most = std::exchange(looks, 0);
  const TwinPort& options_of = options.twins[twin];
  const uint32_t offset = options_of.vlan != 0 ? tag_size : 0;
  uint32_t count = 0;
  while (looks < most) {
    rte_mbuf* mbuf = mbufs[count];
    auto* data = rte_pktmbuf_mtod(mbuf, uint8_t*);
    const uint32_t room = rte_pktmbuf_tailroom(mbuf) - offset;
    const ssize_t length = read(options_of.fd, data + offset, room);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) {
      more = false;
      break;
    }
    ++looks;
    if (length == room || length < static_cast<ssize_t>(sizeof(net::EthernetHeader))) {
      add_drop(counters[twin], TwinDrop::too_large, 1);  // the kernel cuts without a word
      continue;
    }
    if (offset != 0) put_tag_on(data, options_of.vlan);
    mbuf->data_len = static_cast<uint16_t>(length + offset);
    mbuf->pkt_len = mbuf->data_len;
    mbuf->port = options_of.port;
    if (probes.leave(mbuf, twin, now_ns) == ProbePath::Leaving::dropped) continue;
    add(counters[twin].from_kernel_bytes, mbuf->pkt_len);
    ++count;
  }
  return count;
}

uint32_t ExceptionLoop::State::from_kernel(uint16_t twin) noexcept {
  TwinCounters& counter = counters[twin];
  rte_ring* ring = options.workers[options.twins[twin].worker].from_twin;
  uint32_t done = 0;
  bool more = true;
  while (more && done < options.from_kernel_per_turn) {
    rte_mbuf* mbufs[burst];
    if (rte_pktmbuf_alloc_bulk(options.pool, mbufs, burst) != 0) {
      // The frame is read and dropped: left where it is, it would keep the thread from sleeping.
      uint8_t frame[64];
      if (read(options.twins[twin].fd, frame, sizeof(frame)) <= 0) break;
      add_drop(counter, TwinDrop::no_mbuf, 1);
      ++done;
      continue;
    }
    uint32_t looks = burst;
    const uint32_t count = read_burst(twin, mbufs, looks, more);
    const uint32_t taken =
        rte_ring_sp_enqueue_burst(ring, reinterpret_cast<void**>(mbufs), count, nullptr);
    add(counter.from_kernel, taken);
    if (taken < count) add_drop(counter, TwinDrop::worker_ring_full, count - taken);
    rte_pktmbuf_free_bulk(mbufs + taken, burst - taken);
    done += looks;
  }
  return done;
}

uint32_t ExceptionLoop::State::read_ready() noexcept {
  epoll_event ready[64];
  const int count = epoll_wait(epoll, ready, std::size(ready), 0);
  uint32_t done = 0;
  for (int i = 0; i < count; ++i) {
    const uint32_t twin = ready[i].data.u32;
    if (twin == no_twin) continue;
    if ((ready[i].events & EPOLLERR) != 0) {  // somebody deleted the interface: it stays ready
      epoll_ctl(epoll, EPOLL_CTL_DEL, options.twins[twin].fd, nullptr);
      continue;
    }
    done += from_kernel(static_cast<uint16_t>(twin));
  }
  return done;
}

ExceptionLoop::ExceptionLoop(ExceptionOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}

ExceptionLoop::~ExceptionLoop() = default;

uint32_t ExceptionLoop::turn(uint64_t now_ns) noexcept {
  State& state = *state_;
  state.probes.refresh();
  state.now_ns = now_ns;
  uint32_t done = 0;
  for (uint32_t c = 0; c < twin_class_count; ++c) {
    Bucket& bucket = state.buckets[c];
    const uint32_t moved = state.drain(c, bucket.allowance(now_ns, state.options.per_turn[c]));
    bucket.spend(moved);
    done += moved;
  }
  done += state.read_ready();
  if (!state.options.workers.empty()) {
    state.first_worker = (state.first_worker + 1) % state.options.workers.size();
  }
  return done;
}

void ExceptionLoop::wait(uint32_t timeout_us) noexcept {
  epoll_event ready;
  const timespec timeout{.tv_sec = 0, .tv_nsec = static_cast<long>(timeout_us) * 1000};
  if (epoll_pwait2(state_->epoll, &ready, 1, &timeout, nullptr) < 0 && errno == ENOSYS) {
    epoll_wait(state_->epoll, &ready, 1, 1);  // before Linux 5.11: whole milliseconds
  }
}

void ExceptionLoop::wake() noexcept {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(state_->event, &one, sizeof(one));
}

std::span<const TwinCounters> ExceptionLoop::counters() const {
  return state_->counters;
}

void ExceptionLoop::set_probes(std::shared_ptr<const ProbeTable> table) {
  state_->probes.set(std::move(table));
}

const ProbeCounters& ExceptionLoop::probe_counters() const {
  return state_->probes.counters();
}

}  // namespace headgate::dataplane
