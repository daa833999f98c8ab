#include "vrrp/receive.h"

#include <algorithm>
#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/vrrp/advert_rig.h"

namespace headgate::vrrp::test {
namespace {

ReceiveSettings settings_for(const Advert& advert) {
  return {.version = advert.version,
          .vrid = advert.vrid,
          .priority = 100,
          .interval_cs = advert.interval_cs,
          .addresses = advert.addresses,
          .auth_type = advert.auth_type,
          .auth_data = advert.auth_data,
          .source = is_v6(advert) ? ip("fe80::2") : ip("10.77.0.2")};
}

const std::vector<Advert> samples{advert_v2(), advert_v3(), advert_v6()};

std::string_view verdict_on(const ReceiveSettings& settings, const Advert& advert) {
  const auto message = message_of(advert);
  return verdict(receive(settings, packet_of(advert, message)));
}

TEST(Receive, AcceptsWhatIsConfigured) {
  for (const Advert& advert : samples) {
    for (const bool strict : {false, true}) {
      ReceiveSettings settings = settings_for(advert);
      settings.strict = strict;
      const auto message = message_of(advert);
      const auto accepted = receive(settings, packet_of(advert, message));
      ASSERT_TRUE(accepted.has_value());
      EXPECT_EQ(accepted->advert, advert);
      EXPECT_EQ(accepted->mismatch, Mismatch{});
    }
  }
}

TEST(Receive, MulticastDemandsATtlOf255) {
  for (const Advert& advert : samples) {
    ReceiveSettings settings = settings_for(advert);
    settings.min_ttl = 1;  // of unicast peers
    const auto message = message_of(advert);
    Received packet = packet_of(advert, message);
    for (const unsigned ttl : {0U, 1U, 64U, 254U}) {
      packet.ttl = static_cast<uint8_t>(ttl);
      EXPECT_EQ(verdict(receive(settings, packet)), "ttl");
    }
  }
}

TEST(Receive, UnicastPeersDemandTheirLeastTtl) {
  const Advert advert = advert_v3();
  ReceiveSettings settings = settings_for(advert);
  settings.peers = {ip("10.77.0.7"), ip("10.77.0.1")};
  const auto message = message_of(advert);
  Received packet = packet_of(advert, message);
  packet.ttl = 254;
  EXPECT_EQ(verdict(receive(settings, packet)), "ttl");
  settings.min_ttl = 250;
  EXPECT_EQ(verdict(receive(settings, packet)), "");
  packet.ttl = 250;
  EXPECT_EQ(verdict(receive(settings, packet)), "");
  packet.ttl = 249;
  EXPECT_EQ(verdict(receive(settings, packet)), "ttl");
}

TEST(Receive, OnlyPeersAreHeardInUnicast) {
  for (const Advert& advert : samples) {
    ReceiveSettings settings = settings_for(advert);
    settings.peers = {is_v6(advert) ? ip("fe80::7") : ip("10.77.0.7")};
    EXPECT_EQ(verdict_on(settings, advert), "source");
    settings.peers.push_back(source_of(advert));
    EXPECT_EQ(verdict_on(settings, advert), "");
  }
}

TEST(Receive, AdvertsFromOurOwnAddressAreNotHeard) {
  for (const Advert& advert : samples) {
    ReceiveSettings settings = settings_for(advert);
    settings.source = source_of(advert);
    EXPECT_EQ(verdict_on(settings, advert), "source");
    settings.peers = {source_of(advert)};
    EXPECT_EQ(verdict_on(settings, advert), "source");
  }
}

TEST(Receive, TheOtherVersionIsNotHeard) {
  ReceiveSettings settings = settings_for(advert_v2());
  EXPECT_EQ(verdict_on(settings, advert_v3()), "version");
  settings = settings_for(advert_v3());
  EXPECT_EQ(verdict_on(settings, advert_v2()), "version");
  settings = settings_for(advert_v6());
  settings.version = Version::v2;
  EXPECT_EQ(verdict_on(settings, advert_v6()), "version");
}

TEST(Receive, WhatDecodeFindsIsTheReason) {
  for (const Advert& advert : samples) {
    const ReceiveSettings settings = settings_for(advert);
    const auto message = message_of(advert);
    for (size_t length = 0; length < message.size(); ++length) {
      const std::vector<uint8_t> cut(message.begin(),
                                     message.begin() + static_cast<ptrdiff_t>(length));
      EXPECT_EQ(verdict(receive(settings, packet_of(advert, cut))), "length");
    }
    auto changed = message;
    changed.back() ^= 1;
    EXPECT_EQ(verdict(receive(settings, packet_of(advert, changed))), "checksum");
    changed = message;
    changed[0] ^= 3;
    mend_checksum(advert, changed);
    EXPECT_EQ(verdict(receive(settings, packet_of(advert, changed))), "type");
  }
}

TEST(Receive, AnotherVridIsNotOurs) {
  for (Advert advert : samples) {
    const ReceiveSettings settings = settings_for(advert);
    for (unsigned vrid = 0; vrid < 256; ++vrid) {
      advert.vrid = static_cast<uint8_t>(vrid);
      EXPECT_EQ(verdict_on(settings, advert), vrid == settings.vrid ? "" : "vrid");
    }
  }
}

TEST(Receive, AnotherAuthenticationIsDiscarded) {
  Advert advert = advert_v2();
  const ReceiveSettings settings = settings_for(advert);
  for (const AuthType other : {AuthType::none, AuthType::ip_header, static_cast<AuthType>(200)}) {
    advert.auth_type = other;
    EXPECT_EQ(verdict_on(settings, advert), "auth_type");
  }
  ReceiveSettings without = settings;
  without.auth_type = AuthType::none;
  without.auth_data = {};
  EXPECT_EQ(verdict_on(without, advert_v2()), "auth_type");
}

TEST(Receive, EachOfTheEightBytesOfAPasswordCounts) {
  Advert advert = advert_v2();
  advert.auth_data = {'s', 'e', 'c', 'r', 'e', 't'};
  const ReceiveSettings settings = settings_for(advert);
  EXPECT_EQ(verdict_on(settings, advert), "");
  for (size_t i = 0; i < advert.auth_data.size(); ++i) {
    Advert other = advert;
    other.auth_data[i] ^= 0x20;
    EXPECT_EQ(verdict_on(settings, other), "auth_data") << i;
  }
}

TEST(Receive, WithoutAuthenticationTheFieldIsIgnored) {
  Advert advert = advert_v2();
  advert.auth_type = AuthType::none;
  ReceiveSettings settings = settings_for(advert);
  settings.auth_data = {};
  EXPECT_EQ(verdict_on(settings, advert), "");  // "12345678" stands in the message
}

void expect_survived(const Advert& advert, const ReceiveSettings& settings, Mismatch mismatch) {
  const auto message = message_of(advert);
  const auto accepted = receive(settings, packet_of(advert, message));
  ASSERT_TRUE(accepted.has_value()) << verdict(accepted);
  EXPECT_EQ(accepted->mismatch, mismatch);
  EXPECT_EQ(accepted->advert, advert);
}

TEST(Receive, AddressesMayComeInAnyOrder) {
  for (Advert advert : samples) {
    ReceiveSettings settings = settings_for(advert);
    settings.strict = true;
    std::ranges::reverse(advert.addresses);
    expect_survived(advert, settings, {});
  }
}

TEST(Receive, OtherAddressesAreToldAndSurvived) {
  for (Advert advert : samples) {
    const ReceiveSettings settings = settings_for(advert);
    advert.addresses.back().bytes[3] ^= 1;
    expect_survived(advert, settings, {.addresses = true});
    advert.addresses.pop_back();
    expect_survived(advert, settings, {.addresses = true});
  }
}

TEST(Receive, OtherAddressesAreDiscardedIfStrict) {
  for (Advert advert : samples) {
    ReceiveSettings settings = settings_for(advert);
    settings.strict = true;
    advert.addresses.back().bytes[3] ^= 1;
    EXPECT_EQ(verdict_on(settings, advert), "address_list");
    advert.addresses.back() = advert.addresses.front();  // twice the same is not both
    EXPECT_EQ(verdict_on(settings, advert), "address_list");
    advert.addresses.push_back(settings.addresses.back());
    EXPECT_EQ(verdict_on(settings, advert), "address_count");
    advert.addresses.resize(1);
    EXPECT_EQ(verdict_on(settings, advert), "address_count");
  }
}

TEST(Receive, OtherAddressesOfAnOwnerAreSurvivedInVersion2EvenIfStrict) {
  for (Advert advert : {advert_v2(), advert_v3()}) {
    ReceiveSettings settings = settings_for(advert);
    settings.strict = true;
    advert.priority = owner_priority;
    advert.addresses.pop_back();
    EXPECT_EQ(verdict_on(settings, advert), advert.version == Version::v2 ? "" : "address_count");
  }
}

TEST(Receive, AnotherIntervalIsToldAndSurvived) {
  for (Advert advert : samples) {
    const ReceiveSettings settings = settings_for(advert);
    advert.interval_cs = 300;
    expect_survived(advert, settings, {.interval = true});
  }
}

TEST(Receive, AnotherIntervalIsDiscardedIfStrictButInVersion3Adopted) {
  for (Advert advert : samples) {
    ReceiveSettings settings = settings_for(advert);
    settings.strict = true;
    advert.interval_cs = 300;
    if (advert.version == Version::v2) {
      EXPECT_EQ(verdict_on(settings, advert), "interval");
    } else {
      expect_survived(advert, settings, {.interval = true});
    }
  }
}

TEST(Receive, AnOwnerHearsAllButAnotherOwner) {
  for (Advert advert : samples) {
    ReceiveSettings settings = settings_for(advert);
    settings.priority = owner_priority;
    advert.priority = 254;
    EXPECT_EQ(verdict_on(settings, advert), "");
    advert.priority = owner_priority;
    EXPECT_EQ(verdict_on(settings, advert), "priority");
    settings.priority = 254;
    EXPECT_EQ(verdict_on(settings, advert), "");
  }
}

// One advert with everything wrong that can be: mending one thing at a time shows the next reason.
TEST(Receive, LooksInTheOrderOfTheReasons) {
  Advert advert = advert_v2();
  ReceiveSettings settings = settings_for(advert);
  settings.strict = true;
  settings.priority = owner_priority;
  // An owner's list of addresses is believed, so the last reason has an advert of its own.
  advert.vrid = 52;
  advert.auth_type = AuthType::none;
  advert.interval_cs = 200;
  advert.addresses.resize(1);
  advert.addresses.front() = ip("10.77.0.200");
  settings.source = source_of(advert);

  std::vector<std::string_view> reasons;
  uint8_t ttl = 1;
  uint8_t first = 0x51;
  bool is_cut = true;
  uint8_t last_byte = 1;
  const auto look = [&] {
    auto message = message_of(advert);
    message[0] = first;
    if (first == 0x20 || first == 0x21) mend_checksum(advert, message);
    message.back() ^= last_byte;
    if (is_cut) message.pop_back();
    Received packet = packet_of(advert, message);
    packet.ttl = ttl;
    reasons.push_back(verdict(receive(settings, packet)));
  };
  const std::vector<std::function<void()>> remedies{
      [&] { ttl = 255; },
      [&] { first = 0x20; },
      [&] { is_cut = false; },
      [&] { last_byte = 0; },
      [&] { first = 0x21; },
      [&] { advert.vrid = 51; },
      [&] { settings.source = ip("10.77.0.2"); },
      [&] { advert.auth_type = AuthType::simple_text, advert.auth_data[7] = 0; },
      [&] { advert.auth_data[7] = '8'; },
      [&] { advert.addresses.push_back(ip("10.77.0.201")); },
      [&] { advert.addresses = settings.addresses; },
      [&] { advert.interval_cs = 100, advert.priority = owner_priority; },
      [&] { settings.priority = 100; },
  };
  look();
  for (const auto& remedy : remedies) {
    remedy();
    look();
  }
  std::vector<std::string_view> expected;
  expected.reserve(discard_reasons + 1);
  for (size_t i = 0; i < discard_reasons; ++i)
    expected.push_back(name_of(static_cast<Discard>(i)));
  expected.emplace_back("");
  EXPECT_EQ(reasons, expected);
}

}  // namespace
}  // namespace headgate::vrrp::test
