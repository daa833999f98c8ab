// What becomes of backends and services that leave the configuration while connections refer to
// them.
#include <gtest/gtest.h>

#include "control/snapshot_walk.h"
#include "dataplane/limits.h"
#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

using dataplane::ticks_per_second;

class SnapshotRemoval : public testing::Test {
 protected:
  SnapshotRemoval() {
    fixture_.apply_kernel(two_networks());
    service_ = make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.11", "10.1.0.12"});
    config_.services = {service_};
    fixture_.apply_config(config_);
  }

  // A connection of the backend begins on one worker and ends on another.
  void begin_connection(uint32_t index) { count(0, index, 1); }
  void end_connection(uint32_t index) { count(1, index, static_cast<uint64_t>(-1)); }
  void count(uint32_t worker, uint32_t index, uint64_t n) {
    dataplane::counter_rows(fixture_.region(), worker).backends[index].active.add(n);
  }
  [[nodiscard]] uint32_t index_of(size_t backend) const {
    return dataplane::backend_index(id_of(backend));
  }
  [[nodiscard]] uint32_t id_of(size_t backend) const {
    return fixture_.builder
        ->backend_id(config::key_of(service_), config::key_of(service_.backends[backend]))
        .value();
  }
  void remove_backend(size_t backend, dataplane::Tick now = 0) {
    config_.services[0].backends.erase(config_.services[0].backends.begin() +
                                       static_cast<long>(backend));
    fixture_.apply_config(config_, now);
  }
  // The configuration as it was at first.
  void bring_back() {
    config_.services = {service_};
    fixture_.apply_config(config_);
  }
  // Looks as often as it takes; returns whether ids were given back.
  bool reclaim() {
    for (int i = 0; i < 3; ++i) {
      fixture_.store->poll();
      if (!fixture_.builder->reclaimable()) continue;
      control::SnapshotChange change;
      change.reclaim = true;
      fixture_.apply(change);
      fixture_.store->poll();
      return true;
    }
    return false;
  }

  SnapshotFixture fixture_;
  config::Config config_;
  config::Service service_;
};

TEST_F(SnapshotRemoval, RemovedBackendKeepsItsRowForItsConnections) {
  const uint32_t id = id_of(0);
  begin_connection(index_of(0));
  remove_backend(0);
  const dataplane::BackendRow* row =
      dataplane::find_backend(fixture_.region(), fixture_.root(), id);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->flags, dataplane::backend_removed);
  EXPECT_EQ(row->deadline_tick, 0U);
  EXPECT_EQ(row->address, ip("10.1.0.11"));
  ASSERT_EQ(fixture_.service(service_)->backends.count, 1U);
  EXPECT_EQ(
      control::elements(fixture_.region(), fixture_.service(service_)->backends)[0].backend_id,
      id_of(1));
  EXPECT_FALSE(reclaim()) << "a connection refers to it";
}

TEST_F(SnapshotRemoval, TheServiceSaysHowItsConnectionsEnd) {
  config_.services[0].on_backend_removed = config::OnRemoved::drop;
  fixture_.apply_config(config_);
  const uint32_t first = id_of(0);
  const uint32_t second = id_of(1);
  remove_backend(0);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), first)->flags,
            dataplane::backend_removed | dataplane::backend_cut);
  config_.services[0].on_backend_removed = config::OnRemoved::expire;
  fixture_.apply_config(config_);
  remove_backend(0);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), second)->flags,
            dataplane::backend_removed | dataplane::backend_expire);
}

TEST_F(SnapshotRemoval, OnDownSaysHowTheConnectionsOfABackendThatIsDownEnd) {
  config_.services[0].on_backend_removed = config::OnRemoved::drop;
  config_.services[0].drain_deadline_s = 60;
  const uint32_t id = id_of(0);
  const auto flags_when = [&](config::OnDown down) {
    config_.services[0].backends[0].enabled = false;
    config_.services[0].backends[0].down = down;
    fixture_.apply_config(config_, 1000);
    const dataplane::BackendRow* row =
        dataplane::find_backend(fixture_.region(), fixture_.root(), id);
    EXPECT_NE(row, nullptr);
    EXPECT_EQ(row->deadline_tick, 0U) << "it may be back";
    return row->flags;
  };
  EXPECT_EQ(flags_when(config::OnDown::keep), dataplane::backend_removed);
  EXPECT_EQ(flags_when(config::OnDown::reset),
            dataplane::backend_removed | dataplane::backend_reset);
  EXPECT_EQ(flags_when(config::OnDown::reschedule),
            dataplane::backend_removed | dataplane::backend_expire);
  EXPECT_EQ(fixture_.service(service_)->backends.count, 1U);
  config_.services[0].backends[0].enabled = true;
  config_.services[0].backends[0].down.reset();
  fixture_.apply_config(config_, 1000);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), id)->flags, 0);
}

TEST_F(SnapshotRemoval, WhatIsDownBeginsItsDrainWhenItIsDisabledOrRemoved) {
  config_.services[0].drain_deadline_s = 60;
  for (config::Backend& backend : config_.services[0].backends) {
    backend.enabled = false;
    backend.down = config::OnDown::keep;
  }
  const uint32_t first = id_of(0);
  const uint32_t second = id_of(1);
  fixture_.apply_config(config_, 1000);
  config_.services[0].backends[0].down.reset();
  fixture_.apply_config(config_, 2000);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), first)->deadline_tick,
            2000 + 60 * ticks_per_second);
  remove_backend(1, 3000);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), second)->deadline_tick,
            3000 + 60 * ticks_per_second);
}

TEST_F(SnapshotRemoval, BackendThatGoesDownWhileItDrainsKeepsItsDeadline) {
  control::SnapshotChange change;
  config_.services[0].backends[0].weight = 0;
  change.config = &config_;
  change.drains = {
      {config::key_of(config_.services[0]), config::key_of(config_.services[0].backends[0]), 5000}};
  const uint32_t id = id_of(0);
  fixture_.apply(change);
  config_.services[0].backends[0].enabled = false;
  config_.services[0].backends[0].down = config::OnDown::reset;
  fixture_.apply_config(config_, 1000);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), id)->deadline_tick, 5000U);
}

TEST_F(SnapshotRemoval, DrainDeadlineRunsFromTheRemoval) {
  config_.services[0].drain_deadline_s = 60;
  config_.services[0].backends[1].drain_deadline_s = 10;
  fixture_.apply_config(config_, 1000);
  const uint32_t first = id_of(0);
  const uint32_t second = id_of(1);
  remove_backend(0, 2000);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), first)->deadline_tick,
            2000 + 60 * ticks_per_second);
  remove_backend(0, 3000);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), second)->deadline_tick,
            3000 + 10 * ticks_per_second)
      << "the backend's own goes before the service's";
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), first)->deadline_tick,
            2000 + 60 * ticks_per_second)
      << "later changes do not move it";
}

TEST_F(SnapshotRemoval, ReturningBackendIsTheSameAgain) {
  const uint32_t id = id_of(0);
  begin_connection(index_of(0));
  config_.services[0].drain_deadline_s = 60;
  remove_backend(0, 1000);
  bring_back();
  EXPECT_EQ(id_of(0), id);
  const dataplane::BackendRow* row =
      dataplane::find_backend(fixture_.region(), fixture_.root(), id);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->flags, 0);
  EXPECT_EQ(row->deadline_tick, 0U);
  EXPECT_FALSE(reclaim());
}

TEST_F(SnapshotRemoval, DisabledBackendKeepsItsIdWithoutConnections) {
  const uint32_t id = id_of(0);
  config_.services[0].drain_deadline_s = 60;
  config_.services[0].backends[0].enabled = false;
  fixture_.apply_config(config_, 1000);
  const auto row = [&] { return dataplane::find_backend(fixture_.region(), fixture_.root(), id); };
  ASSERT_NE(row(), nullptr);
  EXPECT_EQ(row()->flags, dataplane::backend_removed);
  EXPECT_EQ(row()->deadline_tick, 1000 + 60 * ticks_per_second);
  EXPECT_EQ(fixture_.service(service_)->backends.count, 1U);
  fixture_.apply_config(config_, 5000);
  EXPECT_EQ(row()->deadline_tick, 1000 + 60 * ticks_per_second);
  EXPECT_FALSE(reclaim());
  config_.services[0].backends[0].enabled = true;
  fixture_.apply_config(config_);
  EXPECT_EQ(id_of(0), id);
  EXPECT_EQ(row()->flags, 0);
  EXPECT_EQ(row()->deadline_tick, 0U);
}

TEST_F(SnapshotRemoval, IdGoesWhenItsLastConnectionHasEnded) {
  const uint32_t id = id_of(0);
  const uint32_t index = index_of(0);
  begin_connection(index);
  remove_backend(0);
  EXPECT_FALSE(reclaim());
  end_connection(index);
  EXPECT_TRUE(reclaim());
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), id), nullptr);
  EXPECT_EQ(fixture_.address_flags("10.1.0.11"), 0);
  bring_back();
  EXPECT_NE(id_of(0), id) << "a new life, a new id";
}

TEST_F(SnapshotRemoval, OneLookThatFindsNothingIsNotBelieved) {
  const uint32_t index = index_of(0);
  begin_connection(index);
  remove_backend(0);
  fixture_.store->poll();
  // A worker stands between two steps: the connection left `active` and is not in `inactive` yet.
  fixture_.grace.online(0);
  end_connection(index);
  EXPECT_FALSE(fixture_.builder->reclaimable());
  EXPECT_FALSE(fixture_.builder->reclaimable()) << "the worker is still in the same burst";
  dataplane::counter_rows(fixture_.region(), 1).backends[index].inactive.add(1);
  fixture_.grace.quiescent(0);
  EXPECT_FALSE(fixture_.builder->reclaimable());
  dataplane::counter_rows(fixture_.region(), 0)
      .backends[index]
      .inactive.add(static_cast<uint64_t>(-1));
  EXPECT_FALSE(fixture_.builder->reclaimable());
  fixture_.grace.quiescent(0);
  EXPECT_TRUE(fixture_.builder->reclaimable());
  fixture_.grace.offline(0);
}

TEST_F(SnapshotRemoval, BackendThatReturnsBeforeItIsReclaimedStays) {
  const uint32_t id = id_of(0);
  remove_backend(0);
  fixture_.store->poll();
  (void)fixture_.builder->reclaimable();
  ASSERT_TRUE(fixture_.builder->reclaimable());
  bring_back();
  control::SnapshotChange change;
  change.reclaim = true;
  fixture_.apply(change);
  ASSERT_NE(fixture_.backend(service_, service_.backends[0]), nullptr);
  EXPECT_EQ(id_of(0), id);
}

TEST_F(SnapshotRemoval, RemovedServiceKeepsItsVipWhileConnectionsLive) {
  const uint32_t service_id = fixture_.builder->service_id(config::key_of(service_)).value();
  const uint32_t id = id_of(0);
  const uint32_t index = index_of(0);
  begin_connection(index);
  fixture_.apply_config({});
  EXPECT_EQ(fixture_.service(service_), nullptr);
  EXPECT_EQ(fixture_.address_flags("192.0.2.1"), dataplane::address_vip);
  ASSERT_NE(dataplane::find_backend(fixture_.region(), fixture_.root(), id), nullptr);
  EXPECT_TRUE(reclaim()) << "the backend without connections";
  EXPECT_EQ(fixture_.builder->service_id(config::key_of(service_)), service_id);
  end_connection(index);
  EXPECT_TRUE(reclaim());
  EXPECT_EQ(fixture_.address_flags("192.0.2.1"), 0);
  EXPECT_FALSE(fixture_.builder->service_id(config::key_of(service_)).has_value());
}

TEST_F(SnapshotRemoval, ReturningServiceHasItsIdAndANewSerial) {
  const uint32_t service_id = fixture_.service(service_)->id;
  const uint32_t serial = fixture_.service(service_)->serial;
  fixture_.apply_config({});
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.service(service_)->id, service_id);
  EXPECT_NE(fixture_.service(service_)->serial, serial);
}

TEST_F(SnapshotRemoval, NextServiceWithAnIdHasAnotherSerial) {
  SnapshotFixture small({.max_services = 1});
  config::Config config;
  config.services = {make_service("192.0.2.1", 80, config::Mode::nat, {})};
  small.apply_config(config);
  const uint32_t serial = small.service(config.services[0])->serial;
  small.apply_config({});
  small.store->poll();
  (void)small.builder->reclaimable();
  config.services = {make_service("192.0.2.9", 80, config::Mode::nat, {})};
  small.apply_config(config);
  ASSERT_NE(small.service(config.services[0]), nullptr);
  EXPECT_EQ(small.service(config.services[0])->id, 0U);
  EXPECT_NE(small.service(config.services[0])->serial, serial);
}

TEST_F(SnapshotRemoval, DrainSetsADeadlineUntilTheWeightReturns) {
  config_.services[0].backends[0].weight = 0;
  control::SnapshotChange change;
  change.config = &config_;
  change.drains = {{config::key_of(service_), config::key_of(service_.backends[0]), 777}};
  fixture_.apply(change);
  const auto row = [&] { return fixture_.backend(service_, service_.backends[0]); };
  EXPECT_EQ(row()->deadline_tick, 777U);
  EXPECT_EQ(row()->flags, dataplane::backend_quiescent);
  fixture_.apply_config(config_, 900);
  EXPECT_EQ(row()->deadline_tick, 777U) << "a reload does not forget it";
  config_.services[0].backends[0].weight = 1;
  fixture_.apply_config(config_);
  EXPECT_EQ(row()->deadline_tick, 0U);
  EXPECT_EQ(row()->flags, 0);
}

TEST_F(SnapshotRemoval, CountersOfANewIdBeginAtZero) {
  const uint32_t index = index_of(0);
  for (uint32_t worker = 0; worker < 2; ++worker) {
    auto rows = dataplane::counter_rows(fixture_.region(), worker);
    rows.backends[index].connections.add(5);
    rows.backends[index].in_bytes.add(500);
  }
  EXPECT_EQ(fixture_.counters->backend(index).connections, 10U);
  EXPECT_EQ(fixture_.counters->backend(index).in_bytes, 1000U);
  fixture_.counters->zero_backend(index);
  EXPECT_EQ(fixture_.counters->backend(index), control::TrafficTotals{});
  dataplane::counter_rows(fixture_.region(), 0).backends[index].connections.add(1);
  EXPECT_EQ(fixture_.counters->backend(index).connections, 1U);

  SnapshotFixture small({.workers = 1, .max_backends = 1});
  config::Config config;
  config.services = {make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.11"})};
  small.apply_config(config);
  dataplane::counter_rows(small.region(), 0).backends[0].connections.add(9);
  dataplane::counter_rows(small.region(), 0).services[0].connections.add(9);
  EXPECT_EQ(small.counters->backend(0).connections, 9U);
  config.services[0].backends = {};
  small.apply_config(config);
  small.store->poll();
  (void)small.builder->reclaimable();
  ASSERT_TRUE(small.builder->reclaimable());
  control::SnapshotChange change;
  change.reclaim = true;
  small.apply(change);
  small.store->poll();
  (void)small.builder->reclaimable();
  config.services[0].backends = {make_backend("10.1.0.99", 80)};
  small.apply_config(config);
  EXPECT_EQ(small.counters->backend(0).connections, 0U);
  EXPECT_EQ(small.counters->service(0).connections, 9U) << "the service is the same";
}

TEST_F(SnapshotRemoval, LiveConnectionsAreNeverZeroed) {
  const uint32_t index = index_of(0);
  begin_connection(index);
  begin_connection(index);
  end_connection(index);
  fixture_.counters->zero_backend(index);
  EXPECT_EQ(fixture_.counters->backend(index).active, 1U);
  EXPECT_EQ(fixture_.counters->live(index), (control::LiveCounts{.active = 1, .inactive = 0}));
}

}  // namespace
}  // namespace headgate::test
