// What a configuration becomes in the snapshot: services, backends, Maglev tables, addresses.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "control/snapshot_walk.h"
#include "dataplane/conn_state.h"
#include "dataplane/maglev.h"
#include "dataplane/scheduler.h"
#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

using control::elements;
using dataplane::ticks_per_second;

class SnapshotServices : public testing::Test {
 protected:
  SnapshotServices() {
    control::KernelState kernel = two_networks();
    add_neighbour(kernel, 0, "10.1.0.11", "02:00:00:00:00:11");
    fixture_.apply_kernel(kernel);
  }

  SnapshotFixture fixture_;
  config::Config config_;
};

TEST_F(SnapshotServices, EveryFieldOfAServiceArrives) {
  config::Service service =
      make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.11", "10.1.0.12", "10.1.0.13"});
  service.scheduler = config::Scheduler::wrr;
  service.backends[0].weight = 4;
  service.backends[1].weight = 6;
  service.backends[2].weight = 0;
  service.backends[1].upper_threshold = 100;
  service.backends[1].lower_threshold = 50;
  service.persistence = config::Persistence{.timeout_s = 300, .netmask = 24};
  service.newest_first = true;
  service.udp_counts_as_active = false;
  service.mid_stream = config::MidStream::hash;
  service.hash_port = true;
  service.fallback = false;
  config_.services = {service};
  fixture_.apply_config(config_);

  const dataplane::ServiceBlock* block = fixture_.service(service);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->vip, ip("192.0.2.1"));
  EXPECT_EQ(block->protocol, 6);
  EXPECT_EQ(block->port.host(), 80);
  EXPECT_EQ(block->scheduler, dataplane::SchedulerKind::wrr);
  EXPECT_EQ(block->flags, dataplane::service_newest_first | dataplane::service_udp_inactive |
                              dataplane::service_mid_stream_hash |
                              dataplane::service_hash_with_port | dataplane::service_no_fallback);
  EXPECT_EQ(block->persistence_ticks, 300 * ticks_per_second);
  EXPECT_EQ(block->persistence_prefix, 24);
  EXPECT_EQ(block->weight_gcd, 2U);
  EXPECT_EQ(block->weight_max, 6U);
  EXPECT_EQ(block->maglev.count, 0U) << "NAT with wrr has no use for a table";
  EXPECT_EQ(block->local_addresses.count, 0U);

  const auto backends = elements(fixture_.region(), block->backends);
  ASSERT_EQ(backends.size(), 3U);
  EXPECT_EQ(backends[0].weight, 4U);
  EXPECT_EQ(backends[1].weight, 6U);
  EXPECT_EQ(backends[1].upper_threshold, 100U);
  EXPECT_EQ(backends[1].lower_threshold, 50U);
  for (size_t i = 0; i < 3; ++i) {
    const dataplane::BackendRow* row =
        dataplane::find_backend(fixture_.region(), fixture_.root(), backends[i].backend_id);
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row, fixture_.backend(service, service.backends[i]));
    EXPECT_EQ(row->service_id, block->id);
    EXPECT_EQ(row->mode, dataplane::Mode::nat);
    EXPECT_EQ(row->address, service.backends[i].address);
    EXPECT_EQ(row->port.host(), 80);
    EXPECT_EQ(row->deadline_tick, 0U);
    EXPECT_EQ(row->flags, i == 2 ? dataplane::backend_quiescent : 0);
  }
}

TEST_F(SnapshotServices, UdpAndMarkServicesAreFoundByTheirKeys) {
  config::Service udp = make_service("192.0.2.1", 53, config::Mode::nat, {"10.1.0.11"});
  udp.protocol = config::Protocol::udp;
  config::Service marked;
  marked.firewall_mark = 7;
  marked.family = net::Family::ipv6;
  marked.backends = {make_backend("fd01::11", 80)};
  config_.services = {udp, marked};
  fixture_.apply_config(config_);
  ASSERT_NE(fixture_.service(udp), nullptr);
  EXPECT_EQ(fixture_.service(udp)->protocol, 17);
  const dataplane::ServiceBlock* found = nullptr;
  control::for_each_service(fixture_.region(), fixture_.root(), [&](const auto& service) {
    if (service.firewall_mark == 7) found = &service;
  });
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->vip.family, net::Family::ipv6);
  EXPECT_EQ(found->protocol, 0);
}

TEST_F(SnapshotServices, DrAndIpipKeepThePacketsPort) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::dr, {"10.1.0.11"});
  service.backends.push_back(make_backend("10.2.0.12", 8080));
  service.backends[1].mode = config::Mode::ipip;
  service.backends.push_back(make_backend("10.1.0.13", 8080));
  service.backends[2].mode = config::Mode::fullnat;
  config_.services = {service};
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.backend(service, service.backends[0])->port.host(), 0);
  EXPECT_EQ(fixture_.backend(service, service.backends[1])->port.host(), 0);
  EXPECT_EQ(fixture_.backend(service, service.backends[2])->port.host(), 8080);
  EXPECT_EQ(fixture_.backend(service, service.backends[1])->tunnel_source, ip("10.2.0.1"));
}

TEST_F(SnapshotServices, EveryBackendHasATunnelSourceForConnectionsThatBeganInATunnel) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::ipip, {"10.2.0.11"});
  config_.services = {service};
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.backend(service, service.backends[0])->tunnel_source, ip("10.2.0.1"));
  config_.services[0].mode = config::Mode::nat;
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.backend(service, service.backends[0])->tunnel_source, ip("10.2.0.1"));
}

TEST_F(SnapshotServices, ADeadlineAndAnExpiredBackendSetTheWorkersLookingForItsConnections) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::nat, {"10.2.0.11"});
  service.on_backend_removed = config::OnRemoved::expire;
  config_.services = {service};
  fixture_.apply_config(config_);
  const uint32_t before = fixture_.root().sweep_serial;
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.root().sweep_serial, before);
  config_.services[0].backends.clear();
  fixture_.apply_config(config_);
  EXPECT_NE(fixture_.root().sweep_serial, before);
}

TEST_F(SnapshotServices, AShorterTimeOutSetsTheWorkersLookingForWhatItEnds) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::nat, {"10.2.0.11"});
  service.persistence = config::Persistence{.timeout_s = 300, .netmask = {}};
  config_.services = {service};
  fixture_.apply_config(config_);
  const auto looks_after = [this](const auto& change) {
    const uint32_t before = fixture_.root().sweep_serial;
    change();
    fixture_.apply_config(config_);
    return fixture_.root().sweep_serial != before;
  };
  EXPECT_TRUE(looks_after([this] { config_.timeouts.udp_s = 5; }));
  EXPECT_FALSE(looks_after([this] { config_.timeouts.udp_s = 600; }));
  EXPECT_TRUE(looks_after([this] { config_.services[0].persistence->timeout_s = 60; }));
  EXPECT_FALSE(looks_after([this] { config_.services[0].persistence->timeout_s = 900; }));
  EXPECT_TRUE(looks_after([this] { config_.services[0].persistence.reset(); }));
}

TEST_F(SnapshotServices, MaglevTableHasTheConfiguredSizeAndFollowsTheBackends) {
  config::Service service =
      make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.11", "10.1.0.12"});
  service.scheduler = config::Scheduler::mh;
  service.maglev_table_size = 65537;
  config::Service small = make_service("192.0.2.2", 80, config::Mode::nat, {"10.1.0.11"});
  small.scheduler = config::Scheduler::mh;
  small.maglev_table_size = 251;
  config::Service by_itself =
      make_service("192.0.2.3", 80, config::Mode::nat, {"10.1.0.11", "10.1.0.12", "10.1.0.13"});
  by_itself.scheduler = config::Scheduler::mh;
  by_itself.backends[2].enabled = false;
  config_.services = {service, small, by_itself};
  fixture_.apply_config(config_);
  const auto table = elements(fixture_.region(), fixture_.service(service)->maglev);
  ASSERT_EQ(table.size(), 65537U);
  std::vector<dataplane::MaglevBackend> backends;
  backends.reserve(service.backends.size());
  for (const auto& backend : service.backends) {
    backends.push_back({backend.address, net::be16::from_host(backend.port), backend.weight});
  }
  std::vector<uint16_t> expected(65537);
  dataplane::fill_maglev(backends, expected);
  EXPECT_TRUE(std::ranges::equal(table, expected));
  EXPECT_EQ(fixture_.service(small)->maglev.count, 251U);
  EXPECT_EQ(fixture_.service(by_itself)->maglev.count, dataplane::maglev_table_size(3))
      << "a backend that is out for a while does not make it another table";
}

TEST_F(SnapshotServices, StatelessModesHaveASmallTableForTheFallback) {
  config::Service direct = make_service("192.0.2.1", 80, config::Mode::dr, {"10.1.0.11"});
  config::Service tunnel = make_service("192.0.2.2", 80, config::Mode::ipip, {"10.1.0.11"});
  config::Service nat = make_service("192.0.2.3", 80, config::Mode::nat, {"10.1.0.11"});
  config_.services = {direct, tunnel, nat};
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.service(direct)->maglev.count, dataplane::maglev_table_size(1));
  EXPECT_EQ(fixture_.service(tunnel)->maglev.count, dataplane::maglev_table_size(1));
  EXPECT_EQ(fixture_.service(nat)->maglev.count, 0U);
}

TEST_F(SnapshotServices, TableIsSharedUntilSetOrWeightsChange) {
  config::Service service =
      make_service("192.0.2.1", 80, config::Mode::dr, {"10.1.0.11", "10.1.0.12"});
  config_.services = {service};
  fixture_.apply_config(config_);
  const uint64_t table = fixture_.service(service)->maglev.first.value;

  config_.services[0].backends[0].upper_threshold = 10;
  fixture_.apply_service(config_, config_.services[0]);
  EXPECT_EQ(fixture_.service(service)->maglev.first.value, table);
  config_.services[0].backends[0].weight = 3;
  fixture_.apply_service(config_, config_.services[0]);
  EXPECT_NE(fixture_.service(service)->maglev.first.value, table);
}

TEST_F(SnapshotServices, TablesFilledBeforehandAreTaken) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::dr, {"10.1.0.11"});
  config_.services = {service};
  control::SnapshotChange change;
  change.config = &config_;
  change.all_services = true;
  control::MaglevTables tables = fixture_.builder->maglev_tables(change);
  ASSERT_EQ(tables.size(), 1U);
  tables.fill(0);
  const uint64_t blocks = fixture_.arena->usage().blocks;
  auto prepared = fixture_.builder->prepare(change, std::move(tables));
  ASSERT_TRUE(prepared.has_value());
  fixture_.builder->commit(std::move(*prepared));
  // Service, slots, addresses, chunk, its list, next hops, neighbours and root are new.
  EXPECT_LE(fixture_.arena->usage().blocks, blocks + 8);
  EXPECT_EQ(fixture_.service(service)->maglev.count, dataplane::maglev_table_size(1));
  EXPECT_EQ(fixture_.builder->maglev_tables(change).size(), 0U) << "the table is there now";
}

TEST_F(SnapshotServices, TablesThatNoLongerFitAreThrownAway) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::dr, {"10.1.0.11"});
  config_.services = {service};
  control::SnapshotChange change;
  change.config = &config_;
  change.all_services = true;
  control::MaglevTables tables = fixture_.builder->maglev_tables(change);
  tables.fill_all();
  config_.services[0].backends.push_back(make_backend("10.1.0.12", 80));
  const auto prepared = fixture_.builder->prepare(change, std::move(tables));
  ASSERT_TRUE(prepared.has_value());
  fixture_.builder->commit(std::move(const_cast<control::PreparedSnapshot&>(*prepared)));
  const auto table = elements(fixture_.region(), fixture_.service(service)->maglev);
  EXPECT_NE(std::ranges::count(table, 1), 0) << "the second backend has its share";
  EXPECT_EQ(fixture_.service(service)->backends.count, 2U);
}

TEST_F(SnapshotServices, WithoutFallbackTheTableKeepsTheLastWeight) {
  config::Service service =
      make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.11", "10.1.0.12"});
  service.scheduler = config::Scheduler::mh;
  service.maglev_table_size = 251;
  service.fallback = false;
  config_.services = {service};
  fixture_.apply_config(config_);
  const auto count_of_first = [&] {
    return std::ranges::count(elements(fixture_.region(), fixture_.service(service)->maglev), 0);
  };
  const auto share = count_of_first();
  config_.services[0].backends[0].weight = 0;
  fixture_.apply_config(config_);
  EXPECT_EQ(count_of_first(), share);
  config_.services[0].fallback = true;
  fixture_.apply_config(config_);
  EXPECT_EQ(count_of_first(), 0);
}

TEST_F(SnapshotServices, LargeServicesGetScratchForEachWorkersScheduler) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::nat, {});
  for (int i = 0; i < 40; ++i) {
    service.backends.push_back(make_backend("10.1.0." + std::to_string(i + 20), 80));
  }
  config_.services = {service};
  fixture_.apply_config(config_);
  const dataplane::ServiceBlock* block = fixture_.service(service);
  EXPECT_EQ(block->scheduler_scratch.count, 2 * dataplane::scheduler_scratch_bytes(40));
  EXPECT_EQ(block->scheduler_scratch.first.value % 64, 0U);
}

TEST_F(SnapshotServices, FullnatAddressesComeFromTheServiceOrAreShared) {
  config_.forwarding.local_addresses = {ip("10.1.0.200"), ip("fd01::200"), ip("10.1.0.201")};
  config::Service one = make_service("192.0.2.1", 80, config::Mode::fullnat, {"10.1.0.11"});
  config::Service two = make_service("192.0.2.2", 80, config::Mode::fullnat, {"10.1.0.11"});
  config::Service six = make_service("2001:db8::1", 80, config::Mode::fullnat, {"fd01::11"});
  config::Service own = make_service("192.0.2.3", 80, config::Mode::fullnat, {"10.1.0.11"});
  own.local_addresses = {ip("10.1.0.210")};
  config_.services = {one, two, six, own};
  fixture_.apply_config(config_);
  const auto locals = [&](const config::Service& service) {
    const auto list = elements(fixture_.region(), fixture_.service(service)->local_addresses);
    return std::vector<net::IpAddress>(list.begin(), list.end());
  };
  EXPECT_EQ(locals(one), (std::vector{ip("10.1.0.200"), ip("10.1.0.201")}));
  EXPECT_EQ(locals(six), (std::vector{ip("fd01::200")}));
  EXPECT_EQ(locals(own), (std::vector{ip("10.1.0.210")}));
  EXPECT_EQ(fixture_.service(one)->local_addresses, fixture_.service(two)->local_addresses);
  for (const std::string_view address : {"10.1.0.200", "fd01::200", "10.1.0.210"}) {
    EXPECT_EQ(fixture_.address_flags(address), dataplane::address_local);
  }

  config_.forwarding.local_addresses = {ip("10.1.0.220")};
  fixture_.apply_config(config_);
  EXPECT_EQ(locals(one), (std::vector{ip("10.1.0.220")}));
  EXPECT_EQ(locals(six), (std::vector<net::IpAddress>{}));
  EXPECT_EQ(fixture_.address_flags("10.1.0.200"), 0);
}

TEST_F(SnapshotServices, AddressesAreFlaggedByWhatTheyAre) {
  config::Service service = make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.11"});
  config::Service on_host = make_service("10.1.0.1", 80, config::Mode::nat, {"10.1.0.11"});
  config_.services = {service, on_host};
  fixture_.apply_config(config_);
  using namespace dataplane;
  EXPECT_EQ(fixture_.address_flags("192.0.2.1"), address_vip);
  EXPECT_EQ(fixture_.address_flags("10.1.0.1"), address_vip | address_host);
  EXPECT_EQ(fixture_.address_flags("10.2.0.1"), address_host);
  EXPECT_EQ(fixture_.address_flags("10.1.0.11"), address_backend);
  EXPECT_EQ(fixture_.address_flags("10.1.0.12"), 0);
}

TEST_F(SnapshotServices, SettingsAreTicksAndSharesOfEachWorker) {
  config_.timeouts.tcp_established_s = 100;
  config_.timeouts.udp_s = 7;
  config_.rates.rst_per_s = 1001;
  config_.rates.icmp_echo_per_s = 0;
  config_.connections.max_ipv4 = 1000;
  config_.connections.max_ipv6 = 1000;
  config_.connections.embryonic_percent = 50;
  config_.connections.embryonic_pressure_percent = 80;
  config_.forwarding.routing = true;
  fixture_.apply_config(config_);
  const dataplane::Settings& settings = fixture_.root().settings;
  const auto ticks = [&](dataplane::ConnState state) {
    return settings.timeout_ticks[static_cast<uint32_t>(state)];
  };
  EXPECT_EQ(ticks(dataplane::ConnState::established), 100 * ticks_per_second);
  EXPECT_EQ(ticks(dataplane::ConnState::udp), 7 * ticks_per_second);
  EXPECT_EQ(ticks(dataplane::ConnState::close), 10 * ticks_per_second);
  EXPECT_EQ(settings.rst_per_second, 501U) << "two workers";
  EXPECT_EQ(settings.echo_per_second, 0U);
  EXPECT_EQ(settings.embryonic_limit, 1000U);
  EXPECT_EQ(settings.embryonic_pressure, 800U);
  EXPECT_EQ(settings.routing, 1);
  EXPECT_EQ(settings.conn_reuse, 1);
}

}  // namespace
}  // namespace headgate::test
