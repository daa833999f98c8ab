#include "dataplane/exception.h"

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <rte_config.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <sys/socket.h>

#include "dataplane/pool.h"
#include "tests/unit/dataplane/eal_environment.h"
#include "tests/unit/dataplane/probe_frames.h"

namespace headgate::dataplane {
namespace {

using Frame = std::string;

// A pair that keeps frame boundaries, in the place of a TAP.
class FakeTap {
 public:
  FakeTap() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) abort();
    inner_ = fds[0];
    kernel_ = fds[1];
  }
  ~FakeTap() {
    close(inner_);
    if (kernel_ >= 0) close(kernel_);
  }
  FakeTap(const FakeTap&) = delete;
  FakeTap& operator=(const FakeTap&) = delete;
  [[nodiscard]] int fd() const { return inner_; }
  void kernel_sends(const Frame& frame) const {
    ASSERT_EQ(send(kernel_, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  // What the kernel got, empty when nothing.
  [[nodiscard]] Frame kernel_gets() const {
    Frame frame(4096, '\0');
    const ssize_t length = recv(kernel_, frame.data(), frame.size(), 0);
    frame.resize(length > 0 ? static_cast<size_t>(length) : 0);
    return frame;
  }
  void kernel_goes_away() {
    close(kernel_);
    kernel_ = -1;
  }

 private:
  int inner_;
  int kernel_;
};

Frame plain_frame(size_t size = 60, char fill = 'x') {
  Frame frame(12, fill);
  frame += std::string("\x08\x00", 2);
  frame.resize(size, fill);
  return frame;
}

Frame tagged(const Frame& frame, uint16_t vlan) {
  const char tag[4] = {'\x81', '\x00', static_cast<char>(vlan >> 8), static_cast<char>(vlan)};
  return frame.substr(0, 12) + Frame(tag, 4) + frame.substr(12);
}

class Exception : public testing::Test {
 protected:
  static constexpr uint32_t pool_size = 1023;

  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);  // of the sockets in the place of TAPs
    need_eal();
    auto pool = make_pool({.name = "exception", .mbufs = pool_size});
    ASSERT_TRUE(pool) << pool.error().text();
    pool_ = std::move(*pool);
    for (uint16_t w = 0; w < 2; ++w) {
      auto rings = make_exception_rings(w, 0, 256);
      ASSERT_TRUE(rings) << rings.error().text();
      rings_.push_back(std::move(*rings));
    }
  }
  // Every test ends with all buffers back.
  void TearDown() override {
    loop_.reset();
    rings_.clear();
    EXPECT_EQ(rte_mempool_avail_count(pool_.get()), pool_size);
  }

  ExceptionOptions options() {
    ExceptionOptions options;
    for (const auto& rings : rings_) {
      options.workers.push_back(*rings);
    }
    options.pool = pool_.get();
    return options;
  }
  void start(ExceptionOptions options) {
    loop_ = std::make_unique<ExceptionLoop>(std::move(options));
  }

  void worker_sends(uint16_t worker, TwinClass twin_class, uint16_t port, const Frame& frame,
                    uint32_t mark = 0) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
    ASSERT_NE(mbuf, nullptr);
    char* data = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
    frame.copy(data, frame.size());
    mbuf->port = port;
    mbuf->hash.usr = mark;
    rte_ring* ring = rings_[worker]->to_twin[static_cast<uint32_t>(twin_class)];
    ASSERT_EQ(rte_ring_sp_enqueue(ring, mbuf), 0);
  }
  // The next frame for a worker, empty when there is none.
  Frame worker_gets(uint16_t worker, uint16_t* port = nullptr) {
    rte_mbuf* mbuf = nullptr;
    if (rte_ring_sc_dequeue(rings_[worker]->from_twin, reinterpret_cast<void**>(&mbuf)) != 0) {
      return {};
    }
    Frame frame(rte_pktmbuf_mtod(mbuf, const char*), mbuf->data_len);
    EXPECT_EQ(mbuf->pkt_len, mbuf->data_len);
    if (port != nullptr) *port = mbuf->port;
    rte_pktmbuf_free(mbuf);
    return frame;
  }
  uint64_t drops(size_t twin, TwinDrop reason) {
    return loop_->counters()[twin].drops[static_cast<uint32_t>(reason)];
  }

  Pool pool_;
  std::vector<ExceptionRingsPtr> rings_;
  std::unique_ptr<ExceptionLoop> loop_;
};

TEST_F(Exception, BringsFramesToTheTwinOfTheirPort) {
  FakeTap wan;
  FakeTap lan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd()}, {.port = 3, .fd = lan.fd()}};
  start(std::move(with));
  worker_sends(0, TwinClass::control, 3, plain_frame(60, 'a'));
  worker_sends(1, TwinClass::bulk, 0, plain_frame(1514, 'b'));
  EXPECT_EQ(loop_->turn(0), 2U);
  EXPECT_EQ(lan.kernel_gets(), plain_frame(60, 'a'));
  EXPECT_EQ(wan.kernel_gets(), plain_frame(1514, 'b'));
  EXPECT_EQ(wan.kernel_gets(), "");
  EXPECT_EQ(loop_->counters()[0].to_kernel[2], 1U);
  EXPECT_EQ(loop_->counters()[0].to_kernel_bytes, 1514U);
  EXPECT_EQ(loop_->counters()[1].to_kernel[0], 1U);
}

TEST_F(Exception, BringsTheKernelsFramesToTheWorkerThatSendsForThePort) {
  FakeTap wan;
  FakeTap lan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd(), .worker = 0}, {.port = 3, .fd = lan.fd(), .worker = 1}};
  start(std::move(with));
  lan.kernel_sends(plain_frame(98, 'k'));
  EXPECT_EQ(loop_->turn(0), 1U);
  uint16_t port = 0;
  EXPECT_EQ(worker_gets(1, &port), plain_frame(98, 'k'));
  EXPECT_EQ(port, 3);
  EXPECT_EQ(worker_gets(0), "");
  EXPECT_EQ(loop_->counters()[1].from_kernel, 1U);
  EXPECT_EQ(loop_->counters()[1].from_kernel_bytes, 98U);
}

TEST_F(Exception, TakesVlanTagsOffAndPutsThemOn) {
  FakeTap untagged;
  FakeTap vlan;
  auto with = options();
  with.twins = {{.port = 1, .fd = untagged.fd()}, {.port = 1, .vlan = 2050, .fd = vlan.fd()}};
  start(std::move(with));
  worker_sends(0, TwinClass::control, 1, tagged(plain_frame(60, 'v'), 2050));
  worker_sends(0, TwinClass::control, 1, tagged(plain_frame(60, 'o'), 7));  // nobody's VLAN
  worker_sends(0, TwinClass::control, 1, plain_frame(60, 'u'));
  EXPECT_EQ(loop_->turn(0), 3U);
  EXPECT_EQ(vlan.kernel_gets(), plain_frame(60, 'v'));
  EXPECT_EQ(vlan.kernel_gets(), "");
  EXPECT_EQ(untagged.kernel_gets(), tagged(plain_frame(60, 'o'), 7));
  EXPECT_EQ(untagged.kernel_gets(), plain_frame(60, 'u'));

  vlan.kernel_sends(plain_frame(1514, 'k'));
  EXPECT_EQ(loop_->turn(0), 1U);
  EXPECT_EQ(worker_gets(0), tagged(plain_frame(1514, 'k'), 2050));
}

TEST_F(Exception, TakesAFrameOfManySegments) {
  FakeTap wan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd()}};
  start(std::move(with));
  worker_sends(0, TwinClass::bulk, 0, plain_frame(60, '1'));
  rte_mbuf* first = nullptr;
  rte_ring* ring = rings_[0]->to_twin[2];
  ASSERT_EQ(rte_ring_sc_dequeue(ring, reinterpret_cast<void**>(&first)), 0);
  rte_mbuf* second = rte_pktmbuf_alloc(pool_.get());
  memset(rte_pktmbuf_append(second, 40), '2', 40);
  ASSERT_EQ(rte_pktmbuf_chain(first, second), 0);
  ASSERT_EQ(rte_ring_sp_enqueue(ring, first), 0);
  EXPECT_EQ(loop_->turn(0), 1U);
  EXPECT_EQ(wan.kernel_gets(), plain_frame(60, '1') + Frame(40, '2'));
}

TEST_F(Exception, AFloodOfBulkDelaysControlByNoMoreThanATurn) {
  FakeTap wan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd()}};
  with.per_turn = {16, 16, 8};
  start(std::move(with));
  for (int i = 0; i < 100; ++i) {
    worker_sends(0, TwinClass::bulk, 0, plain_frame(60, 'f'));
    worker_sends(1, TwinClass::bulk, 0, plain_frame(60, 'f'));
  }
  EXPECT_EQ(loop_->turn(0), 8U);
  worker_sends(0, TwinClass::control, 0, plain_frame(60, 'c'));
  worker_sends(1, TwinClass::backend, 0, plain_frame(60, 'b'));
  EXPECT_EQ(loop_->turn(0), 10U);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(wan.kernel_gets(), plain_frame(60, 'f'));
  }
  EXPECT_EQ(wan.kernel_gets(), plain_frame(60, 'c'));  // in front of the second turn's bulk
  EXPECT_EQ(wan.kernel_gets(), plain_frame(60, 'b'));
}

Frame text_of(const test::Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

class ExceptionProbes : public Exception {
 protected:
  void begin() {
    auto with = options();
    with.twins = {{.port = 0, .fd = wan.fd()},
                  {.port = 1, .vlan = 100, .fd = lan.fd(), .worker = 1}};
    start(std::move(with));
    ProbeTable table;
    table.networks = {net::parse_prefix("198.18.0.0/15").value()};
    table.entries = {{test::ip("198.18.0.7"), test::ip("192.0.2.1"), net::be16::from_host(80),
                      net::protocol_tcp, 0x01000007}};
    loop_->set_probes(std::make_shared<const ProbeTable>(std::move(table)));
  }
  void worker_judges(uint16_t worker, uint16_t port, const Frame& frame, uint32_t otherwise) {
    worker_sends(worker, TwinClass::probe, port, frame, otherwise);
  }
  // The mark of the next frame for the worker, whose source port on the wire is told.
  uint32_t worker_gets_marked(uint16_t worker, size_t l2, uint16_t& wire_port) {
    rte_mbuf* mbuf = nullptr;
    if (rte_ring_sc_dequeue(rings_[worker]->from_twin, reinterpret_cast<void**>(&mbuf)) != 0) {
      return none;
    }
    const auto* l4 = rte_pktmbuf_mtod_offset(mbuf, const uint8_t*, l2 + 20);
    wire_port = static_cast<uint16_t>(l4[0] << 8 | l4[1]);
    const uint32_t mark = mbuf->hash.usr;
    rte_pktmbuf_free(mbuf);
    return mark;
  }

  static constexpr uint32_t none = 0xffffffff;
  const net::IpAddress host = test::ip("10.1.0.1");
  const net::IpAddress probe = test::ip("198.18.0.7");
  const net::IpAddress vip = test::ip("192.0.2.1");
  FakeTap wan;
  FakeTap lan;
};

TEST_F(ExceptionProbes, ProbesAreMarkedAndOtherFramesAreNot) {
  begin();
  wan.kernel_sends(text_of(test::frame_of({host, probe, 40000, 80})));
  wan.kernel_sends(text_of(test::frame_of({host, test::ip("10.1.0.9"), 40000, 80})));
  wan.kernel_sends(text_of(test::frame_of({host, test::ip("198.18.0.8"), 40000, 80})));
  EXPECT_EQ(loop_->turn(0), 3U);
  uint16_t port = 0;
  EXPECT_EQ(worker_gets_marked(0, 14, port), 0x01000007U);
  EXPECT_EQ(worker_gets_marked(0, 14, port), 0U);
  EXPECT_EQ(worker_gets_marked(0, 14, port), none);
  EXPECT_EQ(loop_->counters()[0].from_kernel, 2U);
  EXPECT_EQ(loop_->probe_counters()[static_cast<size_t>(ProbeCount::drop_unknown)], 1U);
}

TEST_F(ExceptionProbes, AnAnswerGoesToTheTwinThatAskedWhereverItComesIn) {
  begin();
  lan.kernel_sends(text_of(test::frame_of({host, probe, 40000, 80})));
  loop_->turn(0);
  uint16_t port = 0;
  EXPECT_EQ(worker_gets_marked(1, 18, port), 0x01000007U);
  const Frame answer =
      text_of(test::frame_of({vip, host, 80, port}, test::other_mac, test::other_mac));
  worker_judges(0, 0, answer, probe_or_nothing);
  EXPECT_EQ(loop_->turn(0), 1U);
  EXPECT_EQ(lan.kernel_gets(),
            text_of(test::frame_of({probe, host, 80, 40000}, test::other_mac, test::twin_mac)));
  EXPECT_EQ(wan.kernel_gets(), "");
  EXPECT_EQ(loop_->counters()[1].to_kernel[static_cast<size_t>(TwinClass::probe)], 1U);
}

TEST_F(ExceptionProbes, WhatIsNoAnswerGoesToItsOwnTwinOrNowhere) {
  begin();
  const Frame stray = text_of(test::frame_of({vip, host, 80, 1024}));
  worker_judges(0, 0, stray, probe_or_nothing);
  worker_judges(0, 0, stray, probe_or_host);
  worker_judges(0, 1, tagged(stray, 100), probe_or_host);
  EXPECT_EQ(loop_->turn(0), 3U);
  EXPECT_EQ(wan.kernel_gets(), stray);
  EXPECT_EQ(wan.kernel_gets(), "");
  EXPECT_EQ(lan.kernel_gets(), stray);
}

// Frames that end here count towards a turn like others.
TEST_F(ExceptionProbes, AFloodToTheProbeNetworkTakesNoMoreThanItsShareOfATurn) {
  begin();
  const Frame lost = text_of(test::frame_of({host, test::ip("198.18.0.8"), 40000, 80}));
  for (int i = 0; i < 100; ++i)
    wan.kernel_sends(lost);
  EXPECT_EQ(loop_->turn(0), 64U);
  EXPECT_EQ(loop_->turn(0), 36U);
}

TEST_F(Exception, SharesAClassBetweenWorkers) {
  FakeTap wan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd()}};
  with.per_turn = {0, 0, 64};
  start(std::move(with));
  for (int i = 0; i < 200; ++i) {
    worker_sends(0, TwinClass::bulk, 0, plain_frame(60, '0'));
  }
  for (int i = 0; i < 40; ++i) {
    worker_sends(1, TwinClass::bulk, 0, plain_frame(60, '1'));
  }
  EXPECT_EQ(loop_->turn(0), 64U);
  EXPECT_LE(rte_ring_count(rings_[1]->to_twin[2]), 8U);  // 32 of its 40 went in the first turn
}

TEST_F(Exception, HoldsAClassToItsRate) {
  FakeTap wan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd()}};
  with.per_second = {0, 0, 1000};
  start(std::move(with));
  for (int i = 0; i < 250; ++i) {
    worker_sends(0, TwinClass::bulk, 0, plain_frame());
  }
  uint32_t moved = 0;
  for (int i = 0; i < 50; ++i) {
    moved += loop_->turn(0);
  }
  EXPECT_EQ(moved, 100U);  // what the bucket holds: a tenth of a second
  for (int i = 0; i <= 50; ++i) {
    moved += loop_->turn(static_cast<uint64_t>(i) * 1'000'000);
  }
  EXPECT_EQ(moved, 150U);                                  // 50 ms more
  EXPECT_EQ(rte_ring_count(rings_[0]->to_twin[2]), 100U);  // the rest waits
}

TEST_F(Exception, CountsEveryFrameThatItDrops) {
  FakeTap wan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd()}};
  start(std::move(with));
  wan.kernel_sends(Frame(4000, 'l'));  // more than a buffer
  wan.kernel_sends(Frame(13, 's'));    // less than a header
  loop_->turn(0);
  EXPECT_EQ(drops(0, TwinDrop::too_large), 2U);
  EXPECT_EQ(worker_gets(0), "");

  for (int i = 0; i < 300; i += 10) {
    for (int j = 0; j < 10; ++j) {
      wan.kernel_sends(plain_frame());
    }
    loop_->turn(0);
  }
  EXPECT_EQ(drops(0, TwinDrop::worker_ring_full), 44U);  // 300 less the ring's 256
  EXPECT_EQ(loop_->counters()[0].from_kernel, 256U);

  std::vector<rte_mbuf*> taken(rte_mempool_avail_count(pool_.get()) - 10);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool_.get(), taken.data(), static_cast<unsigned>(taken.size())),
            0);
  wan.kernel_sends(plain_frame());
  loop_->turn(0);
  EXPECT_EQ(drops(0, TwinDrop::no_mbuf), 1U);
  rte_pktmbuf_free_bulk(taken.data(), static_cast<unsigned>(taken.size()));

  wan.kernel_goes_away();
  worker_sends(0, TwinClass::control, 0, plain_frame());
  worker_sends(0, TwinClass::control, 9, plain_frame());  // a port that nobody knows
  loop_->turn(0);
  EXPECT_EQ(drops(0, TwinDrop::kernel_refused), 1U);
}

TEST_F(Exception, ThreadMovesFramesWhileIdleAndEndsAtOnce) {
  FakeTap wan;
  auto with = options();
  with.twins = {{.port = 0, .fd = wan.fd()}};
  const auto begin = std::chrono::steady_clock::now();
  {
    auto thread = ExceptionThread::start(std::move(with));
    ASSERT_TRUE(thread) << thread.error().text();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // it sleeps its longest now
    worker_sends(0, TwinClass::control, 0, plain_frame(60, 'w'));
    wan.kernel_sends(plain_frame(60, 'k'));
    Frame to_kernel;
    Frame to_worker;
    while ((to_kernel.empty() || to_worker.empty()) &&
           std::chrono::steady_clock::now() - begin < std::chrono::seconds(5)) {
      if (to_kernel.empty()) to_kernel = wan.kernel_gets();
      if (to_worker.empty()) to_worker = worker_gets(0);
    }
    EXPECT_EQ(to_kernel, plain_frame(60, 'w'));
    EXPECT_EQ(to_worker, plain_frame(60, 'k'));
    EXPECT_EQ(thread->counters()[0].to_kernel[0], 1U);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace headgate::dataplane
