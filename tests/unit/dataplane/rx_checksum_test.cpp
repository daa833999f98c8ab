#include "dataplane/rx_checksum.h"

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

constexpr uint64_t outer_bad = RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD;

TEST(RxChecksum, OnlyGoodIsTakenAsAnAnswer) {
  EXPECT_TRUE(ipv4_checksum_is_verified(RTE_MBUF_F_RX_IP_CKSUM_GOOD));
  EXPECT_FALSE(ipv4_checksum_is_verified(RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN));
  EXPECT_FALSE(ipv4_checksum_is_verified(RTE_MBUF_F_RX_IP_CKSUM_BAD));
  // The field in the frame is wrong, whatever the NIC knows of the header.
  EXPECT_FALSE(ipv4_checksum_is_verified(RTE_MBUF_F_RX_IP_CKSUM_NONE));
}

TEST(RxChecksum, GoodIsNotSaidOfTheOuterHeaderWhereThatOneIsBad) {
  EXPECT_FALSE(ipv4_checksum_is_verified(RTE_MBUF_F_RX_IP_CKSUM_GOOD | outer_bad));
  EXPECT_FALSE(ipv4_checksum_is_verified(outer_bad));
}

TEST(RxChecksum, OtherFlagsDoNotMatter) {
  const uint64_t others = RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_L4_CKSUM_BAD |
                          RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_FDIR;
  EXPECT_TRUE(ipv4_checksum_is_verified(RTE_MBUF_F_RX_IP_CKSUM_GOOD | others));
  EXPECT_FALSE(ipv4_checksum_is_verified(RTE_MBUF_F_RX_IP_CKSUM_BAD | others));
  EXPECT_FALSE(ipv4_checksum_is_verified(others));
}

}  // namespace
}  // namespace headgate::dataplane
