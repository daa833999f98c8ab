// Commands that show something.
#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

TEST_F(CommandsTest, ShowServicesAddsUpTheWorkers) {
  const uint32_t id = block("192.0.2.1", 80)->id;
  rows(0).services[id].in_packets.add(10);
  rows(1).services[id].in_packets.add(5);
  EXPECT_EQ(run("show services").code, Code::ok);
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].at("service"), "192.0.2.1:80/tcp");
  EXPECT_EQ(rows_[0].at("name"), "web");
  EXPECT_EQ(rows_[0].at("in_packets"), 15);
  EXPECT_EQ(rows_[0].at("usable"), 2);
  EXPECT_EQ(run("show services", R"({"service": "nope"})").code, Code::refused);
}

TEST_F(CommandsTest, RemovedBackendsAreShownUntilTheirConnectionsEnd) {
  uint32_t hint = 0;
  const uint32_t id =
      find_backend_id(machine_.state, *block("192.0.2.1", 80), {ip("10.0.0.1"), 80}, hint);
  rows(0).backends[dataplane::backend_index(id)].active.add(1);
  ASSERT_EQ(run("backend delete", R"({"service": "web", "backend": "one"})").code, Code::ok);
  run("show backends");
  ASSERT_EQ(rows_.size(), 2U);
  EXPECT_EQ(rows_[0].at("backend"), "10.0.0.2:8080");
  EXPECT_EQ(rows_[1].at("backend"), "10.0.0.1:80");
  EXPECT_EQ(rows_[1].at("state"), "removed");
  EXPECT_EQ(rows_[1].at("service"), "192.0.2.1:80/tcp");
  EXPECT_EQ(rows_[1].at("active"), 1);
  rows(0).backends[dataplane::backend_index(id)].active.add(static_cast<uint64_t>(-1));
  const auto until = std::chrono::steady_clock::now() + 10s;
  do {
    loop_.run_for(100ms);
    run("show backends");
  } while (rows_.size() == 2 && std::chrono::steady_clock::now() < until);
  EXPECT_EQ(rows_.size(), 1U) << "housekeeping gives the id back";
}

TEST_F(CommandsTest, ARemovedBackendThatKeepsThePacketsPortIsShownWithIt) {
  ASSERT_EQ(run("service add", R"({"service": "192.0.2.2:81", "mode": "dr"})").code, Code::ok);
  ASSERT_EQ(run("backend add", R"({"service": "192.0.2.2:81", "backend": "10.0.0.3"})").code,
            Code::ok);
  uint32_t hint = 0;
  const uint32_t id =
      find_backend_id(machine_.state, *block("192.0.2.2", 81), {ip("10.0.0.3"), 81}, hint);
  rows(0).backends[dataplane::backend_index(id)].active.add(1);
  ASSERT_EQ(run("backend delete", R"({"service": "192.0.2.2:81", "backend": "10.0.0.3"})").code,
            Code::ok);
  run("show backends", R"({"service": "192.0.2.2:81"})");
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].at("backend"), "10.0.0.3:81");
  EXPECT_EQ(rows_[0].at("state"), "removed");
  ASSERT_EQ(run("service delete", R"({"service": "192.0.2.2:81"})").code, Code::ok);
  run("show backends");
  EXPECT_EQ(rows_.back().at("backend"), "10.0.0.3") << "nothing tells the port now";
}

TEST_F(CommandsTest, DisabledBackendsKeepTheirCounters) {
  uint32_t hint = 0;
  const uint32_t id =
      find_backend_id(machine_.state, *block("192.0.2.1", 80), {ip("10.0.0.1"), 80}, hint);
  rows(0).backends[dataplane::backend_index(id)].in_packets.add(7);
  rows(0).backends[dataplane::backend_index(id)].active.add(1);
  ASSERT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "enabled": false})").code,
            Code::ok);
  run("show backends", R"({"service": "web"})");
  ASSERT_EQ(rows_.size(), 2U);
  EXPECT_EQ(rows_[0].at("state"), "disabled");
  EXPECT_EQ(rows_[0].at("in_packets"), 7);
  run("show backends", R"({"service": "web", "backend": "10.0.0.2"})");
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].at("backend"), "10.0.0.2:8080");
}

TEST_F(CommandsTest, StatsShowBothSidesOfTheSumRule) {
  rows(0).worker->received.add(10);
  rows(1).worker->from_twin.add(2);
  rows(0).worker->verdicts[static_cast<size_t>(Verdict::sent_nat)].add(7);
  rows(1).worker->verdicts[static_cast<size_t>(Verdict::twin_control)].add(4);
  rows(1).worker->verdicts[static_cast<size_t>(Verdict::drop_no_service)].add(1);
  const Status status = run("show stats");
  EXPECT_EQ(status.result.at("in").at("received"), 10);
  EXPECT_EQ(status.result.at("in").at("from_twin"), 2);
  EXPECT_EQ(status.result.at("out").at("sent"), 7);
  EXPECT_EQ(status.result.at("out").at("to_twin"), 4);
  EXPECT_EQ(status.result.at("out").at("dropped"), 1);
  EXPECT_EQ(status.result.at("verdicts").as_array().size(), 2U);
  EXPECT_EQ(status.result.at("details").at("ipv4_connections_limit"), 4096);
}

TEST_F(CommandsTest, DropsHaveTheirReasons) {
  rows(1).worker->verdicts[static_cast<size_t>(Verdict::drop_tx_full)].add(3);
  run("show drops");
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].at("verdict"), "drop_tx_full");
  EXPECT_EQ(rows_[0].at("count"), 3);
  EXPECT_EQ(rows_[0].at("description"), "transmit queue full");
  run("show drops", R"({"all": true})");
  EXPECT_GT(rows_.size(), 20U);
}

TEST_F(CommandsTest, WorkersAndPortsAreListed) {
  machine_.state.surroundings.ports = [] {
    PortStatus port;
    port.name = "wan";
    port.link_up = true;
    port.link_mbps = 10000;
    port.rx_packets = 9;
    return std::vector{port};
  };
  rows(1).worker->polls.add(100);
  run("show workers");
  ASSERT_EQ(rows_.size(), workers);
  EXPECT_EQ(rows_[1].at("core"), 5);
  EXPECT_EQ(rows_[1].at("polls"), 100);
  run("show ports");
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].at("link"), "10000 Mbit/s");
  EXPECT_EQ(rows_[0].at("rx_packets"), 9);
}

// Puts `count` connections of client 198.51.100.N to the service into the table.
void add_connections(Machine& machine, uint32_t service_id, uint32_t count) {
  machine.grace.online(0);
  for (uint32_t i = 0; i < count; ++i) {
    const dataplane::ConnRef ref = machine.table.allocate(0, net::Family::ipv4);
    ASSERT_FALSE(ref.is_none());
    dataplane::Connection4& entry = machine.table.v4(ref);
    entry.common.protocol = net::protocol_tcp;
    entry.common.mode = static_cast<uint8_t>(dataplane::Mode::nat);
    entry.common.service_id = service_id;
    entry.common.last_seen = 996;
    entry.common.set_state(entry.common.state().with_state(dataplane::ConnState::established));
    entry.client_ip = ip(("198.51.100." + std::to_string(i % 250 + 1)).c_str()).v4();
    entry.client_port = net::be16::from_host(static_cast<uint16_t>(1024 + i));
    entry.vip = ip("192.0.2.1").v4();
    entry.vport = net::be16::from_host(80);
    entry.backend_ip = ip(i % 2 == 0 ? "10.0.0.1" : "10.0.0.2").v4();
    entry.backend_port = net::be16::from_host(8080);
    entry.local_ip = entry.client_ip;
    entry.local_port = entry.client_port;
    ASSERT_EQ(machine.table.publish(0, ref, dataplane::Keys::both).status,
              dataplane::PublishStatus::inserted);
  }
  machine.grace.offline(0);
}

// And what waits for the answer to a packet that was scheduled by itself.
void add_one_packet(Machine& machine, uint32_t service_id) {
  machine.grace.online(0);
  const dataplane::ConnRef ref = machine.table.allocate(0, net::Family::ipv4);
  ASSERT_FALSE(ref.is_none());
  dataplane::Connection4& entry = machine.table.v4(ref);
  entry.common.protocol = net::protocol_udp;
  entry.common.service_id = service_id;
  entry.common.last_seen = 996;
  entry.common.set_state(entry.common.state()
                             .with_state(dataplane::ConnState::udp)
                             .with(dataplane::ConnFlag::one_packet));
  entry.client_ip = ip("198.51.100.1").v4();
  entry.vip = ip("192.0.2.1").v4();
  entry.vport = net::be16::from_host(80);
  entry.backend_ip = ip("10.0.0.1").v4();
  entry.local_ip = entry.client_ip;
  ASSERT_EQ(machine.table.publish(0, ref, dataplane::Keys::reply_only).status,
            dataplane::PublishStatus::inserted);
  machine.grace.offline(0);
}

TEST_F(CommandsTest, ConnectionsOfAMarkAreShownByItsServiceAndBesideItTheAddress) {
  ASSERT_EQ(run("service add", R"({"service": "mark:7", "mode": "nat"})").code, Code::ok);
  const auto* marked = dataplane::find_marked_service(
      machine_.state.region, *machine_.state.store.current(), 7, net::Family::ipv4);
  ASSERT_NE(marked, nullptr);
  add_connections(machine_, marked->id, 2);
  add_one_packet(machine_, marked->id);
  run("show connections", R"({"service": "mark:7"})");
  ASSERT_EQ(rows_.size(), 3U);
  for (const json::value& row : rows_) {
    EXPECT_EQ(row.at("service"), "mark:7/ipv4");
    EXPECT_EQ(row.at("virtual"), "192.0.2.1:80");
  }
  EXPECT_EQ(rows_[0].at("state"), "ESTABLISHED");
  EXPECT_EQ(rows_[2].at("state"), "ONE_PACKET");
  EXPECT_EQ(rows_[2].at("expires_s"), 4) << "seen one second ago";
}

TEST_F(CommandsTest, ConnectionsAreShownAndFiltered) {
  add_connections(machine_, block("192.0.2.1", 80)->id, 600);
  Status status = run("show connections");
  EXPECT_EQ(status.result.at("shown"), 600);
  ASSERT_EQ(rows_.size(), 600U);
  EXPECT_EQ(rows_[0].at("service"), "192.0.2.1:80");
  EXPECT_EQ(rows_[0].at("state"), "ESTABLISHED");
  EXPECT_EQ(rows_[0].at("expires_s"), 899) << "seen one second ago";
  EXPECT_EQ(rows_[0].at("mode"), "nat");
  EXPECT_TRUE(rows_[0].at("local").is_null());

  run("show connections", R"({"backend": "10.0.0.1"})");
  EXPECT_EQ(rows_.size(), 300U);
  run("show connections", R"({"client": "198.51.100.7"})");
  EXPECT_EQ(rows_.size(), 3U);
  run("show connections", R"({"client": "198.51.100.0/24", "limit": 10})");
  EXPECT_EQ(rows_.size(), 10U);
  run("show connections", R"({"service": "web"})");
  EXPECT_EQ(rows_.size(), 600U);
  ASSERT_EQ(run("service add", R"({"service": "192.0.2.1:81", "mode": "nat"})").code, Code::ok);
  run("show connections", R"({"service": "192.0.2.1:81"})");
  EXPECT_EQ(rows_.size(), 0U);
  EXPECT_EQ(run("show connections", R"({"client": "x"})").code, Code::refused);
}

TEST_F(CommandsTest, ALongDumpHoldsUpNoGracePeriod) {
  add_connections(machine_, block("192.0.2.1", 80)->id, 3000);
  std::optional<Status> result;
  spawn("show connections", "{}", result);
  while (rows_.empty())
    loop_.run_one();
  ASSERT_FALSE(result.has_value()) << "the dump has more than one piece";
  EXPECT_TRUE(machine_.grace.passed(machine_.grace.start())) << "offline between two pieces";
  while (!result)
    loop_.run_one();
  EXPECT_EQ(rows_.size(), 3000U);
}

TEST_F(CommandsTest, ConfigComesAsYamlThatReadsBackOrAsJson) {
  run("show config");
  std::string yaml;
  for (const json::value& piece : rows_)
    yaml += piece.as_string().c_str();
  const auto back = config::read_text(yaml, "shown");
  ASSERT_TRUE(back.has_value()) << config::to_string(back.error());
  EXPECT_EQ(back->config, *machine_.state.config);
  const Status status = run("show config", R"({"json": true})");
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].at("name"), "web");
  EXPECT_EQ(status.result.at("timeouts").at("udp_s"), 300);
}

TEST_F(CommandsTest, UnknownCommandsAndArgumentsAreUsageErrors) {
  Status status = run("show service");
  EXPECT_EQ(status.code, Code::usage);
  EXPECT_EQ(status.message, "there is no command \"show service\"; did you mean show services?");
  status = run("show services", R"({"colour": "red"})");
  EXPECT_EQ(status.code, Code::usage);
  EXPECT_EQ(status.message, "colour: there is no such argument");
  EXPECT_EQ(run("service delete").message, "service: is missing");
  EXPECT_EQ(run("service delete", R"({"service": 5})").code, Code::usage);
  EXPECT_EQ(run("show connections", R"({"limit": -1})").code, Code::usage);
  EXPECT_EQ(run("show connections", R"({"limit": 0})").code, Code::usage);
  EXPECT_EQ(run("backend edit", R"({"service": "web", "backend": "one"})").code, Code::usage);
}

TEST_F(CommandsTest, VersionSaysWhoAnswers) {
  const Status status = run("version");
  EXPECT_EQ(status.result.at("pid"), getpid());
  EXPECT_EQ(status.result.at("protocol"), protocol::version);
}

}  // namespace
}  // namespace headgate::control
