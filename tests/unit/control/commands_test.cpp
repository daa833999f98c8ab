// The commands from request to snapshot: the real State, Changes and Commands on a region in
// memory, without ports and workers.
#include "control/commands.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "config/reader.h"
#include "control/region_memory.h"
#include "control/reload.h"
#include "control/show_rows.h"
#include "control/snapshot_walk.h"
#include "dataplane/net/headers.h"

namespace headgate::control {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace json = boost::json;
using dataplane::Verdict;
using protocol::Code;
using protocol::Status;

constexpr uint32_t workers = 2;
constexpr uint32_t control_actor = workers;

constexpr const char* first_file = R"(
ports:
  - {name: wan, interface: eth0}
services:
  - name: web
    address: 192.0.2.1
    port: 80
    mode: nat
    backends:
      - {name: one, address: 10.0.0.1, weight: 5}
      - {address: 10.0.0.2, port: 8080}
)";

net::IpAddress ip(const char* text) {
  return net::parse_ip(text).value();
}

// Region, table and State as the daemon makes them.
struct Machine {
  Machine()
      : memory(RegionMemory::create(limits(), RegionPages::plain).value()),
        grace(workers + 1),
        table(make_table()),
        state(memory.view(), table, grace, control_actor, {{0, 0, 1500, {}, {}, {}}}) {}

  static dataplane::ConnTableLimits table_limits() {
    return {.capacity4 = 4096, .capacity6 = 1024, .workers = workers, .other_actors = 1};
  }
  static dataplane::RegionLimits limits() {
    dataplane::RegionLimits result;
    result.workers = workers;
    result.max_services = 64;
    result.max_backends = 1024;
    result.snapshot_bytes = 16U << 20;
    result.connection_bytes = dataplane::ConnTable::bytes_needed(table_limits());
    return result;
  }
  dataplane::ConnTable make_table() {
    const dataplane::RegionArea area = memory.header().connections;
    const std::span bytes(memory.view().base() + area.offset, area.bytes);
    return dataplane::ConnTable::create(bytes, table_limits(), {}, grace).value();
  }

  RegionMemory memory;
  dataplane::GracePeriod grace;
  dataplane::ConnTable table;
  State state;
};

class CommandsTest : public testing::Test {
 protected:
  CommandsTest() {
    std::array<char, 40> pattern{"/tmp/headgate-commands-XXXXXX"};
    directory_ = mkdtemp(pattern.data());
    machine_.state.config_path = directory_ + "/headgate.yaml";
    write_file(first_file);
    machine_.state.surroundings.now = [this] { return now_; };
    machine_.state.surroundings.cores = {4, 5};
    machine_.state.surroundings.interfaces = {"wan"};
    const auto reading = config::read_file(machine_.state.config_path);
    EXPECT_TRUE(reading.has_value());
    EXPECT_TRUE(changes_.publish_first(reading->config, {}, {}).has_value());
    changes_.start();
  }
  ~CommandsTest() override {
    while (!changes_.stop())
      loop_.run_one();
    pool_.join();
    loop_.poll();
    remove(machine_.state.config_path.c_str());
    rmdir(directory_.c_str());
  }
  CommandsTest(const CommandsTest&) = delete;
  CommandsTest& operator=(const CommandsTest&) = delete;

  void write_file(const std::string& text) const {
    std::ofstream(machine_.state.config_path) << text;
  }

  // One request, run to its end on the loop; the rows that it sent are in rows_.
  Status run(const std::string& command, const char* arguments = "{}", Peer peer = {1, 0, 0}) {
    std::optional<Status> result;
    spawn(command, arguments, result, peer);
    while (!result)
      loop_.run_one();
    return std::move(*result);
  }
  void spawn(const std::string& command, const char* arguments, std::optional<Status>& result,
             Peer peer = {1, 0, 0}) {
    rows_.clear();
    protocol::Request request{command, json::parse(arguments).as_object()};
    SendRows send = [this](std::string rows) { return keep(std::move(rows)); };
    asio::co_spawn(loop_, commands_.run(peer, std::move(request), std::move(send)),
                   [&result](const std::exception_ptr& error, Status status) {
                     result = std::move(status);
                     if (error) result = refused("threw " + what_of(error));
                   });
  }
  static std::string what_of(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      return exception.what();
    }
  }
  asio::awaitable<void> keep(std::string rows) {
    json::value piece = json::parse(rows);
    for (json::value& row : piece.as_array())
      rows_.push_back(std::move(row));
    co_return;
  }

  // The named service's block in the snapshot that workers read.
  [[nodiscard]] const dataplane::ServiceBlock* block(const char* vip, uint16_t port) const {
    const auto* root = machine_.state.store.current();
    return dataplane::find_service(machine_.state.region, *root, ip(vip), net::protocol_tcp,
                                   net::be16::from_host(port));
  }
  [[nodiscard]] std::vector<uint32_t> weights(const char* vip, uint16_t port) const {
    std::vector<uint32_t> result;
    for (const auto& backend : elements(machine_.state.region, block(vip, port)->backends)) {
      result.push_back(backend.weight);
    }
    return result;
  }
  dataplane::CounterRows rows(uint32_t worker) {
    return dataplane::counter_rows(machine_.state.region, worker);
  }

  Machine machine_;
  asio::io_context loop_{1};
  asio::thread_pool pool_{1};
  Changes changes_{loop_, pool_, machine_.state, {.visible = 100ms, .retry = 50ms}};
  Commands commands_{machine_.state, changes_, pool_};
  dataplane::Tick now_ = 1000;
  json::array rows_;
  std::string directory_;
};

TEST_F(CommandsTest, ServiceAddReachesTheSnapshot) {
  const Status status =
      run("service add", R"({"service": "192.0.2.7:443", "mode": "nat", "scheduler": "rr"})");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.message, "done, generation 2");
  ASSERT_NE(block("192.0.2.7", 443), nullptr);
  EXPECT_EQ(block("192.0.2.7", 443)->scheduler, dataplane::SchedulerKind::rr);
  EXPECT_NE(block("192.0.2.1", 80), nullptr);
  EXPECT_EQ(machine_.state.config->services.size(), 2U);
}

TEST_F(CommandsTest, BackendsAreAddedEditedAndDeleted) {
  EXPECT_EQ(run("backend add", R"({"service": "web", "backend": "10.0.0.3", "weight": 9})").code,
            Code::ok);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{5, 1, 9}));
  EXPECT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 6})").code,
            Code::ok);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{6, 1, 9}));
  const Status status = run("backend delete", R"({"service": "web", "backend": "10.0.0.2"})");
  EXPECT_EQ(status.code, Code::ok);
  EXPECT_EQ(status.result.at("changes").as_array().size(), 1U);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{6, 9}));
}

TEST_F(CommandsTest, ServiceDeleteTakesItOutOfTheSnapshot) {
  EXPECT_EQ(run("service delete", R"({"service": "192.0.2.1:80"})").code, Code::ok);
  EXPECT_EQ(block("192.0.2.1", 80), nullptr);
  EXPECT_EQ(run("service delete", R"({"service": "192.0.2.1:80"})").code, Code::refused);
}

TEST_F(CommandsTest, AChangeThatChangesNothingPublishesNothing) {
  const Status status = run("backend edit", R"({"service": "web", "backend": "one", "weight": 5})");
  EXPECT_EQ(status.code, Code::ok);
  EXPECT_EQ(status.message, "nothing differs from what runs");
  EXPECT_EQ(machine_.state.store.generation(), 1U);
}

TEST_F(CommandsTest, RefusedChangesLeaveTheSnapshotAlone) {
  const Status status =
      run("backend edit", R"({"service": "web", "backend": "one", "weight": 70000})");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_EQ(status.message, "weight: 70000 is above 65535");
  EXPECT_EQ(machine_.state.store.generation(), 1U);
}

TEST_F(CommandsTest, ChangesThatArriveTogetherAreOneSnapshot) {
  std::array<std::optional<Status>, 3> results;
  spawn("backend edit", R"({"service": "web", "backend": "one", "weight": 6})", results[0]);
  spawn("backend edit", R"({"service": "web", "backend": "nobody", "weight": 1})", results[1]);
  spawn("backend edit", R"({"service": "web", "backend": "10.0.0.2", "weight": 7})", results[2]);
  while (!results[0] || !results[1] || !results[2])
    loop_.run_one();
  EXPECT_EQ(results[0]->result.at("generation"), 2);
  EXPECT_EQ(results[1]->code, Code::refused);
  EXPECT_EQ(results[2]->result.at("generation"), 2);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{6, 7}));
}

TEST_F(CommandsTest, TheAnswerWaitsUntilEveryWorkerHasTheChange) {
  machine_.grace.online(1);
  std::optional<Status> result;
  spawn("backend edit", R"({"service": "web", "backend": "one", "weight": 6})", result);
  while (machine_.state.store.generation() < 2)
    loop_.run_one();
  const auto until = std::chrono::steady_clock::now() + 20ms;
  while (std::chrono::steady_clock::now() < until)
    loop_.run_one_for(1ms);
  EXPECT_FALSE(result.has_value()) << "worker 1 may still work by generation 1";
  machine_.grace.quiescent(1);
  while (!result)
    loop_.run_one();
  EXPECT_EQ(result->code, Code::ok);
  machine_.grace.offline(1);
}

TEST_F(CommandsTest, AHangingWorkerMakesTheAnswerSaySo) {
  machine_.grace.online(1);
  const Status status = run("backend edit", R"({"service": "web", "backend": "one", "weight": 6})");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("made, as generation 2"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("show workers"), std::string::npos);
  machine_.grace.offline(1);
}

TEST_F(CommandsTest, DrainTellsWhatIsLeftAndSetsTheDeadline) {
  uint32_t hint = 0;
  const auto* service = block("192.0.2.1", 80);
  const uint32_t id = find_backend_id(machine_.state, *service, {ip("10.0.0.1"), 80}, hint);
  ASSERT_NE(id, dataplane::none);
  const uint32_t index = dataplane::backend_index(id);
  rows(0).backends[index].active.add(3);
  rows(1).backends[index].inactive.add(2);
  const Status status =
      run("backend drain", R"({"service": "web", "backend": "one", "deadline_s": 30})");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.result.at("left"), 5);
  EXPECT_EQ(status.message,
            "10.0.0.1:80 takes no new connections; 5 left, ended in 30 s at the latest\n"
            "`headgate backend edit web 10.0.0.1:80 --weight 5` takes it back");
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{0, 1}));
  const auto* row =
      dataplane::find_backend(machine_.state.region, *machine_.state.store.current(), id);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->deadline_tick, now_ + 30 * dataplane::ticks_per_second);

  EXPECT_EQ(run("show backends").code, Code::ok);
  EXPECT_EQ(rows_.at(0).at("state"), "draining");
  EXPECT_EQ(rows_.at(0).at("ends_in_s"), 30);
  EXPECT_EQ(rows_.at(1).at("state"), "up");
}

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

TEST_F(CommandsTest, ZeroStartsCountersAgainAndKeepsLiveCounts) {
  const uint32_t id = block("192.0.2.1", 80)->id;
  rows(0).services[id].connections.add(10);
  rows(0).services[id].active.add(4);
  EXPECT_EQ(run("zero", R"({"service": "web"})").code, Code::ok);
  rows(0).services[id].connections.add(1);
  run("show services");
  EXPECT_EQ(rows_.at(0).at("connections"), 1);
  EXPECT_EQ(rows_.at(0).at("active"), 4);
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

TEST_F(CommandsTest, ReloadAppliesTheFileAsOneSnapshot) {
  write_file(R"(
ports:
  - {name: wan, interface: eth0}
timeouts: {udp_s: 30}
services:
  - {name: web, address: 192.0.2.1, port: 80, mode: nat,
     backends: [{address: 10.0.0.2, port: 8080}]}
  - {name: tls, address: 192.0.2.1, port: 443, mode: nat, backends: [{address: 10.0.0.2}]}
)");
  const uint32_t id = block("192.0.2.1", 80)->id;
  const Status status = run("reload");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.result.at("generation"), 2);
  EXPECT_EQ(weights("192.0.2.1", 80), std::vector<uint32_t>{1});
  EXPECT_NE(block("192.0.2.1", 443), nullptr);
  EXPECT_EQ(block("192.0.2.1", 80)->id, id);
  EXPECT_EQ(machine_.state.store.current()
                ->settings.timeout_ticks[static_cast<size_t>(dataplane::ConnState::udp)],
            30 * dataplane::ticks_per_second);
}

TEST_F(CommandsTest, ABadFileChangesNothingAndSaysWhy) {
  write_file("services:\n  - {address: 192.0.2.1, port: 70000}\ncolour: red\n");
  const Status status = run("reload");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("headgate.yaml:2:"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("headgate.yaml:3:"), std::string::npos) << status.message;
  EXPECT_EQ(machine_.state.store.generation(), 1U);
}

TEST_F(CommandsTest, WhatNeedsARestartIsNotReloaded) {
  write_file("ports:\n  - {name: wan, interface: eth1}\n");
  const Status status = run("reload");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("ports[wan].interface: eth0 -> eth1"), std::string::npos)
      << status.message;
  EXPECT_NE(block("192.0.2.1", 80), nullptr) << "the services of the file are not applied either";
}

TEST_F(CommandsTest, OnlyRootMayNameAFileToReload) {
  const Status status = run("reload", R"({"file": "/etc/shadow"})", Peer{1, 65534, 65534});
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("only root"), std::string::npos);
  EXPECT_EQ(run("reload", R"({"file": "relative.yaml"})").code, Code::usage);
  EXPECT_EQ(run("reload", "{}", Peer{1, 65534, 65534}).code, Code::ok);
}

TEST_F(CommandsTest, ANamedFileIsTheOneToReadFromThenOn) {
  const std::string other = directory_ + "/other.yaml";
  std::ofstream(other) << first_file;
  const std::string arguments = R"({"file": ")" + other + "\"}";
  EXPECT_EQ(run("reload", arguments.c_str()).code, Code::ok);
  EXPECT_EQ(machine_.state.config_path, other);
  const std::string missing = R"({"file": ")" + other + ".missing\"}";
  EXPECT_EQ(run("reload", missing.c_str()).code, Code::refused);
  EXPECT_EQ(machine_.state.config_path, other) << "a file that cannot be read is forgotten";
  remove(other.c_str());
  machine_.state.config_path = directory_ + "/headgate.yaml";
}

TEST_F(CommandsTest, TimeoutsAreShownAndSet) {
  EXPECT_EQ(run("timeouts").result.at("timeouts").at("udp_s"), 300);
  const Status status = run("timeouts set", R"({"udp_s": 20})");
  EXPECT_EQ(status.result.at("timeouts").at("udp_s"), 20);
  EXPECT_EQ(machine_.state.store.current()
                ->settings.timeout_ticks[static_cast<size_t>(dataplane::ConnState::udp)],
            20 * dataplane::ticks_per_second);
  EXPECT_EQ(run("timeouts set", R"({"tcp_s": 20})").code, Code::refused);
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

TEST_F(CommandsTest, KernelChangesBecomeASnapshotOfTheirOwn) {
  KernelState kernel;
  kernel.interfaces = {{"wan", 1, {{2, 0, 0, 0, 0, 1}}, 1500, true}};
  kernel.addresses = {{0, net::parse_prefix("10.0.0.254/24").value(), false, false}};
  kernel.routes = {
      {net::parse_prefix("10.0.0.0/24").value(), KernelRouteKind::unicast, 0, 0, {}, {{0, {}, 1}}}};
  kernel.neighbours = {{0, ip("10.0.0.1"), {{2, 0, 0, 0, 0, 9}}}};
  uint32_t commits = 0;
  changes_.on_commit([&] { ++commits; });
  changes_.kernel_changed(kernel, {.links = true, .routes = true, .neighbours = true});
  const auto until = std::chrono::steady_clock::now() + 5s;
  while (machine_.state.store.generation() < 2 && std::chrono::steady_clock::now() < until) {
    loop_.run_one_for(10ms);
  }
  EXPECT_EQ(machine_.state.store.generation(), 2U);
  EXPECT_EQ(commits, 1U);
  run("show neighbours");
  ASSERT_EQ(rows_.size(), 2U);
  EXPECT_EQ(rows_[0].at("interface"), "wan");
  EXPECT_EQ(rows_[0].at("address"), "10.0.0.1");
  EXPECT_EQ(rows_[0].at("mac"), "02:00:00:00:00:09");
  EXPECT_EQ(rows_[0].at("state"), "resolved");
  EXPECT_EQ(rows_[1].at("state"), "unresolved");
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
  EXPECT_EQ(run("backend edit", R"({"service": "web", "backend": "one"})").code, Code::usage);
}

TEST_F(CommandsTest, VersionSaysWhoAnswers) {
  const Status status = run("version");
  EXPECT_EQ(status.result.at("pid"), getpid());
  EXPECT_EQ(status.result.at("protocol"), protocol::version);
}

}  // namespace
}  // namespace headgate::control
