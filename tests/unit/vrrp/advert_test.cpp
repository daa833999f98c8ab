#include "vrrp/advert.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/vrrp/advert_rig.h"

namespace headgate::vrrp::test {
namespace {

const std::vector<Advert> samples{advert_v2(), advert_v3(), advert_v6()};

TEST(Advert, IsEncodedAsKeepalivedSendsIt) {
  EXPECT_EQ(message_of(advert_v2()), captured_v2);
  EXPECT_EQ(message_of(advert_v3()), captured_v3);
}

TEST(Advert, IsDecodedAsKeepalivedSendsIt) {
  EXPECT_EQ(decode(packet_of(advert_v2(), captured_v2)), advert_v2());
  EXPECT_EQ(decode(packet_of(advert_v3(), captured_v3)), advert_v3());
}

TEST(Advert, WithoutPseudoHeaderIsDecodedToo) {
  const auto message = message_of(advert_v3(), Checksum::message_only);
  EXPECT_EQ(message, bytes_of_hex("313396020064 2303 0a4d0064 0a4d0065"));
  EXPECT_EQ(decode(packet_of(advert_v3(), message)), advert_v3());
}

TEST(Advert, OfIpv6AlwaysHasAPseudoHeader) {
  const auto message = message_of(advert_v6(), Checksum::message_only);
  EXPECT_EQ(message, message_of(advert_v6()));
  auto bare = message;
  bare[6] = bare[7] = 0;
  const uint16_t checksum = net::checksum_finish(net::checksum_add(0, bare)).host();
  bare[6] = static_cast<uint8_t>(checksum >> 8);
  bare[7] = static_cast<uint8_t>(checksum);
  EXPECT_EQ(verdict(decode(packet_of(advert_v6(), bare))), "checksum");
}

TEST(Advert, OfVersion2HasNoPseudoHeader) {
  auto message = captured_v2;
  mend_checksum(advert_v3(), message);  // as if it were version 3
  EXPECT_EQ(verdict(decode(packet_of(advert_v2(), message))), "checksum");
}

TEST(Advert, OfIpv6HasThisForm) {
  Advert advert = advert_v6();
  advert.interval_cs = 4095;
  const auto message = message_of(advert);
  ASSERT_EQ(message.size(), 8U + 2 * 16);
  EXPECT_EQ(std::vector(message.begin(), message.begin() + 6), bytes_of_hex("313396020fff"));
  EXPECT_EQ(std::vector(message.begin() + 8, message.end()),
            bytes_of_hex("fe800000000000000000000000000100 20010db8000000000000000000000100"));
  EXPECT_EQ(decode(packet_of(advert, message)), advert);
}

TEST(Advert, CutShortAnywhereIsOfTheWrongLength) {
  for (const Advert& advert : samples) {
    const auto message = message_of(advert);
    for (size_t length = 0; length < message.size(); ++length) {
      const std::vector<uint8_t> cut(message.begin(),
                                     message.begin() + static_cast<ptrdiff_t>(length));
      EXPECT_EQ(verdict(decode(packet_of(advert, cut))), "length") << length;
    }
  }
}

TEST(Advert, WithPaddingIsTheSameAdvert) {
  for (const Advert& advert : samples) {
    auto message = message_of(advert);
    for (size_t i = 0; i < 50; ++i) {
      message.push_back(static_cast<uint8_t>(i * 37));
      EXPECT_EQ(decode(packet_of(advert, message)), advert);
    }
  }
}

// Byte 0 tells the version, byte 3 the length; elsewhere it is the checksum that shows.
TEST(Advert, WithAnyBitFlippedIsDiscarded) {
  for (const Advert& advert : samples) {
    for (const Checksum checksum : {Checksum::with_pseudo_header, Checksum::message_only}) {
      const auto message = message_of(advert, checksum);
      for (size_t bit = 0; bit < message.size() * 8; ++bit) {
        auto changed = message;
        changed[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
        const auto reason = verdict(decode(packet_of(advert, changed)));
        if (bit / 8 == 0 && bit % 8 >= 4) {
          EXPECT_TRUE(reason == "version" || reason == "checksum" || reason == "length") << bit;
        } else if (bit / 8 == 3 && changed[3] > message[3]) {
          EXPECT_EQ(reason, "length") << bit;
        } else {
          EXPECT_EQ(reason, "checksum") << bit;
        }
      }
    }
  }
}

TEST(Advert, OfOtherAddressesThanItWasSentFromIsDiscarded) {
  for (const Advert& advert : {advert_v3(), advert_v6()}) {
    const auto message = message_of(advert);
    Received packet = packet_of(advert, message);
    packet.source.bytes[3] ^= 1;
    EXPECT_EQ(verdict(decode(packet)), "checksum");
    packet = packet_of(advert, message);
    packet.destination.bytes[0] ^= 1;
    EXPECT_EQ(verdict(decode(packet)), "checksum");
  }
}

TEST(Advert, OfAnotherVersionIsDiscarded) {
  for (const Advert& advert : samples) {
    for (unsigned version = 0; version < 16; ++version) {
      if (version == 2 || version == 3) continue;
      auto message = message_of(advert);
      message[0] = static_cast<uint8_t>(version << 4 | 1);
      mend_checksum(advert, message);
      EXPECT_EQ(verdict(decode(packet_of(advert, message))), "version") << version;
    }
  }
}

TEST(Advert, OfVersion2OverIpv6IsDiscarded) {
  auto message = message_of(advert_v6());
  message[0] = 0x21;
  message.resize(message.size() + 8);
  mend_checksum(advert_v6(), message);
  EXPECT_EQ(verdict(decode(packet_of(advert_v6(), message))), "version");
}

TEST(Advert, OfAnotherTypeIsDiscarded) {
  for (const Advert& advert : samples) {
    for (unsigned type = 0; type < 16; ++type) {
      auto message = message_of(advert);
      message[0] = static_cast<uint8_t>((message[0] & 0xf0) | type);
      mend_checksum(advert, message);
      EXPECT_EQ(verdict(decode(packet_of(advert, message))), type == 1 ? "" : "type");
    }
  }
}

TEST(Advert, WithoutAddressesIsDiscarded) {
  for (const Advert& advert : samples) {
    auto message = message_of(advert);
    message[3] = 0;
    message.resize(8 + (advert.version == Version::v2 ? 8 : 0));
    mend_checksum(advert, message);
    EXPECT_EQ(verdict(decode(packet_of(advert, message))), "address_count");
  }
}

TEST(Advert, WithAnIntervalOf0IsDiscarded) {
  for (Advert advert : samples) {
    advert.interval_cs = 0;
    EXPECT_EQ(verdict(decode(packet_of(advert, message_of(advert)))), "interval");
  }
}

TEST(Advert, TheReservedBitsOfVersion3AreIgnored) {
  auto message = captured_v3;
  message[4] |= 0xf0;
  mend_checksum(advert_v3(), message);
  EXPECT_EQ(decode(packet_of(advert_v3(), message)), advert_v3());
}

TEST(Advert, AuthenticationDataWithoutAuthenticationIsIgnored) {
  auto message = captured_v2;
  message[4] = 0;
  mend_checksum(advert_v2(), message);
  const auto advert = decode(packet_of(advert_v2(), message));
  ASSERT_TRUE(advert.has_value());
  EXPECT_EQ(advert->auth_type, AuthType::none);
  EXPECT_EQ(advert->auth_data, (std::array<uint8_t, 8>{}));
}

TEST(Advert, IntervalsSurviveTheWay) {
  for (uint16_t interval = 1; interval <= max_interval_cs; ++interval) {
    Advert advert = advert_v3();
    advert.interval_cs = interval;
    ASSERT_EQ(decode(packet_of(advert, message_of(advert))), advert);
  }
  for (uint16_t seconds = 1; seconds <= 255; ++seconds) {
    Advert advert = advert_v2();
    advert.interval_cs = static_cast<uint16_t>(seconds * 100);
    ASSERT_EQ(decode(packet_of(advert, message_of(advert))), advert);
  }
}

net::IpAddress random_address(std::mt19937& random, net::Family family) {
  net::IpAddress address;
  address.family = family;
  for (size_t i = 0; i < address.bits() / 8U; ++i)
    address.bytes[i] = static_cast<uint8_t>(random());
  return address;
}

TEST(Advert, SurvivesTheWayWhateverItHolds) {
  std::mt19937 random(9568);  // NOLINT(bugprone-random-generator-seed): tests repeat
  std::set<size_t> counts;
  for (int i = 0; i < 20000; ++i) {
    Advert advert = samples[random() % samples.size()];
    const net::Family family = advert.addresses.front().family;
    advert.vrid = static_cast<uint8_t>(1 + random() % 255);
    advert.priority = static_cast<uint8_t>(random());
    advert.addresses.resize(1 + random() % (i % 10 == 0 ? max_addresses : 4));
    for (net::IpAddress& address : advert.addresses)
      address = random_address(random, family);
    counts.insert(advert.addresses.size());
    const auto checksum = random() % 2 == 0 ? Checksum::with_pseudo_header : Checksum::message_only;
    const auto message = message_of(advert, checksum);
    ASSERT_EQ(decode(packet_of(advert, message)), advert);
  }
  EXPECT_EQ(*counts.begin(), 1U);
  EXPECT_EQ(*counts.rbegin(), max_addresses);
}

TEST(Discards, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < discard_reasons; ++i)
    names.insert(name_of(static_cast<Discard>(i)));
  EXPECT_EQ(names.size(), discard_reasons);
  EXPECT_EQ(name_of(Discard::ttl), "ttl");
  EXPECT_EQ(name_of(Discard::vrid), "vrid");
  EXPECT_EQ(name_of(Discard::auth_data), "auth_data");
  EXPECT_EQ(name_of(Discard::priority), "priority");
}

}  // namespace
}  // namespace headgate::vrrp::test
