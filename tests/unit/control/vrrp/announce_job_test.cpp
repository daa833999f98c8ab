// Which frames of an announcement come next.
#include "control/vrrp/announce_job.h"

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

net::IpAddress vip(uint8_t last) {
  return net::Ipv4Address::from_host(0xc0000200U + last);
}

Announcement three_addresses_twice() {
  Announcement announcement;
  announcement.mac = {{2, 0, 0, 0, 0, 1}};
  announcement.addresses = {vip(1), vip(2), vip(3)};
  announcement.repeat = 2;
  return announcement;
}

// The last byte of the target address of each frame.
std::vector<int> targets(const AnnounceJob& job, size_t limit) {
  std::vector<int> result;
  for (const EthernetFrame& frame : job.frames(limit)) {
    result.push_back(frame.back());
  }
  return result;
}

using Targets = std::vector<int>;

TEST(AnnounceJob, GoesThroughAllAddressesBeforeItRepeatsOne) {
  const AnnounceJob job(three_addresses_twice());
  EXPECT_EQ(job.waiting(), 6U);
  EXPECT_EQ(targets(job, 100), (Targets{1, 2, 3, 1, 2, 3}));
}

TEST(AnnounceJob, GoesOnWhereItStopped) {
  AnnounceJob job(three_addresses_twice());
  job.advance(2);
  EXPECT_EQ(targets(job, 2), (Targets{3, 1}));
  job.advance(4);
  EXPECT_TRUE(job.is_done());
  EXPECT_EQ(targets(job, 2), Targets{});
}

TEST(AnnounceJob, TakesTheSameAgainInItsPlace) {
  const Announcement wanted = three_addresses_twice();
  AnnounceJob job(wanted);
  EXPECT_TRUE(job.absorb(wanted));
  EXPECT_EQ(job.waiting(), 6U);
  job.advance(4);
  EXPECT_TRUE(job.absorb(wanted));
  EXPECT_EQ(targets(job, 100), (Targets{2, 3, 1, 2, 3, 1, 2, 3}));
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(job.absorb(wanted));
  EXPECT_EQ(job.waiting(), 8U);
  Announcement other = wanted;
  other.mac.bytes[5] = 2;
  EXPECT_FALSE(job.absorb(other));
  job.advance(8);
  EXPECT_FALSE(job.absorb(wanted));
}

TEST(AnnounceJob, LeavesOutWhatWasRemoved) {
  AnnounceJob job(three_addresses_twice());
  job.advance(1);  // of address 1
  job.remove({vip(1)});
  EXPECT_EQ(targets(job, 100), (Targets{2, 3, 2, 3}));
  job.advance(1);
  job.remove({vip(3)});
  EXPECT_EQ(targets(job, 100), (Targets{2})) << "the first round is over without the third";
  job.remove({vip(2)});
  EXPECT_TRUE(job.is_done());
}

TEST(AnnounceJob, IsDoneWithoutAddressesOrRepetitions) {
  EXPECT_TRUE(AnnounceJob(Announcement{}).is_done());
  Announcement never = three_addresses_twice();
  never.repeat = 0;
  EXPECT_TRUE(AnnounceJob(never).is_done());
}

}  // namespace
}  // namespace headgate::control
