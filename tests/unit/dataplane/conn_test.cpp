#include "dataplane/conn.h"

#include <gtest/gtest.h>

#include "tests/support/conn_fixture.h"

namespace headgate::dataplane {
namespace {

TEST(ConnRef, CarriesPoolAndIndex) {
  EXPECT_TRUE(no_conn.is_none());
  EXPECT_FALSE(ConnRef::make(true, 0).is_none());
  EXPECT_TRUE(ConnRef::make(true, 5).is_v6());
  EXPECT_FALSE(ConnRef::make(false, 5).is_v6());
  EXPECT_EQ(ConnRef::make(true, 5).index(), 5U);
}

TEST(StateWord, ChangesOnePartAndKeepsTheOthers) {
  const StateWord fresh = StateWord::of_owner(127);
  EXPECT_EQ(fresh.owner(), 127U);
  EXPECT_EQ(fresh.state(), ConnState::none);
  const StateWord word =
      fresh.with_state(ConnState::syn_recv).with(ConnFlag::embryonic).with(ConnFlag::published);
  EXPECT_EQ(word.state(), ConnState::syn_recv);
  EXPECT_EQ(word.owner(), 127U);
  EXPECT_TRUE(word.has(ConnFlag::embryonic));
  EXPECT_TRUE(word.is_settled());
  EXPECT_FALSE(word.has(ConnFlag::dying));
  const StateWord established =
      word.with_state(ConnState::established).without(ConnFlag::embryonic);
  EXPECT_EQ(established.state(), ConnState::established);
  EXPECT_FALSE(established.has(ConnFlag::embryonic));
  EXPECT_TRUE(established.has(ConnFlag::published));
  EXPECT_FALSE(established.with(ConnFlag::dying).is_settled());
  EXPECT_FALSE(fresh.is_settled());
}

TEST(Connection, KeysAreTheTuplesOfItsTwoDirections) {
  Connection4 entry{};
  test::fill(entry, 7, 3);
  const FlowKey4 forward = entry.key(Direction::forward);
  EXPECT_EQ(forward.source, entry.client_ip);
  EXPECT_EQ(forward.source_port, entry.client_port);
  EXPECT_EQ(forward.destination, entry.vip);
  EXPECT_EQ(forward.destination_port, entry.vport);
  EXPECT_EQ(forward.protocol, net::protocol_tcp);
  const FlowKey4 reply = entry.key(Direction::reply);
  EXPECT_EQ(reply.source, entry.backend_ip);
  EXPECT_EQ(reply.source_port, entry.backend_port);
  EXPECT_EQ(reply.destination, entry.local_ip);
  EXPECT_EQ(reply.destination_port, entry.local_port);
}

TEST(Connection, LastSeenIsWrittenOnlyWhenTheTickChanged) {
  Connection4 entry{};
  entry.common.touch(4);
  EXPECT_EQ(entry.common.last_seen.load(), 4U);
  entry.common.touch(4);
  entry.common.touch(5);
  EXPECT_EQ(entry.common.last_seen.load(), 5U);
}

}  // namespace
}  // namespace headgate::dataplane
