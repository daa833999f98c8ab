// The commands from request to snapshot: the real State, Changes and Commands on a region in
// memory, without ports and workers.
#pragma once

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
#include "control/commands.h"
#include "control/region_memory.h"
#include "control/reload.h"
#include "control/show_rows.h"
#include "control/snapshot_walk.h"
#include "dataplane/net/headers.h"

namespace headgate::control {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace json = boost::json;
using dataplane::Verdict;
using protocol::Code;
using protocol::Status;

inline constexpr uint32_t workers = 2;
inline constexpr uint32_t control_actor = workers;

inline constexpr const char* first_file = R"(
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

inline net::IpAddress ip(const char* text) {
  return net::parse_ip(text).value();
}

// Region, table and State as the daemon makes them.
struct Machine {
  explicit Machine(const dataplane::RegionLimits& limits = small_limits())
      : memory(RegionMemory::create(limits, RegionPages::plain).value()),
        grace(workers + 1),
        table(make_table()),
        state(memory.view(), table, grace, control_actor, {{0, 0, 1500, {}, {}, {}}}) {}

  static dataplane::ConnTableLimits table_limits() {
    return {.capacity4 = 4096, .capacity6 = 1024, .workers = workers, .other_actors = 1};
  }
  static dataplane::RegionLimits small_limits() {
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
  explicit CommandsTest(const std::string& file = first_file,
                        const dataplane::RegionLimits& limits = Machine::small_limits())
      : machine_(limits) {
    std::array<char, 40> pattern{"/tmp/headgate-commands-XXXXXX"};
    directory_ = mkdtemp(pattern.data());
    machine_.state.config_path = directory_ + "/headgate.yaml";
    write_file(file);
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
    pieces_ = 0;
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
    ++pieces_;
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
  Commands commands_{loop_, pool_, machine_.state, changes_};
  dataplane::Tick now_ = 1000;
  json::array rows_;
  size_t pieces_ = 0;  // in which the rows came
  std::string directory_;
};

}  // namespace headgate::control
