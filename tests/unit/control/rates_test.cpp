// Rates over a second, from counters that workers write.
#include "control/rates.h"

#include <gtest/gtest.h>

#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

class RatesTest : public CommandsTest {
 protected:
  // Ten looks, 100 ms apart: everything was looked at once.
  void a_second(std::chrono::milliseconds step = 100ms) {
    for (uint32_t i = 0; i < RateBook::looks_per_second; ++i) {
      rates_.sample(machine_.state.region, *machine_.state.store.current(), machine_.state.counters,
                    now_at_);
      now_at_ += step;
    }
  }
  [[nodiscard]] uint32_t service_id() const {
    return find_block(machine_.state, config::key_of(machine_.state.config->services[0]))->id;
  }
  [[nodiscard]] uint32_t backend_index() const {
    const auto* block =
        find_block(machine_.state, config::key_of(machine_.state.config->services[0]));
    return dataplane::backend_index(elements(machine_.state.region, block->backends)[0].backend_id);
  }
  void traffic(uint64_t packets) {
    for (uint32_t worker = 0; worker < workers; ++worker) {
      const dataplane::CounterRows rows = dataplane::counter_rows(machine_.state.region, worker);
      for (auto* row : {&rows.services[service_id()], &rows.backends[backend_index()]}) {
        row->connections.add(packets / 10);
        row->in_packets.add(packets);
        row->out_packets.add(2 * packets);
        row->in_bytes.add(100 * packets);
        row->out_bytes.add(1000 * packets);
      }
    }
  }

  RateBook rates_;
  RateBook::Time now_at_{std::chrono::hours(1)};
};

TEST_F(RatesTest, AreWhatTheLastSecondBroughtOfAllWorkers) {
  traffic(7000);
  a_second();
  EXPECT_EQ(rates_.service(service_id()), TrafficRate{}) << "one look knows no rate";
  traffic(50);
  a_second();
  const TrafficRate expected{10, 100, 200, 10000, 100000};
  EXPECT_EQ(rates_.service(service_id()), expected);
  EXPECT_EQ(rates_.backend(backend_index()), expected);
  a_second();
  EXPECT_EQ(rates_.service(service_id()), TrafficRate{}) << "nothing came in that second";
}

TEST_F(RatesTest, AreBySecondsWhateverTheTimeBetweenLooks) {
  a_second();
  traffic(50);
  a_second(200ms);
  traffic(150);
  a_second(50ms);
  // The first look of this round came 2 s after that of the round before, the last one sooner.
  const uint64_t packets = rates_.backend(backend_index()).in_packets;
  EXPECT_GT(packets, 150U);
  EXPECT_LT(packets, 600U);
}

TEST_F(RatesTest, ZeroingCountersAndNewBackendsMakeNoRate) {
  a_second();
  traffic(50);
  machine_.state.counters.zero_service(service_id());
  a_second();
  EXPECT_EQ(rates_.service(service_id()).in_packets, 100U);
  ASSERT_EQ(run("backend add", R"({"service": "web", "backend": "10.0.0.3:80"})").code, Code::ok);
  a_second();
  EXPECT_EQ(rates_.backend(1000), TrafficRate{}) << "never seen";
}

TEST_F(RatesTest, ShowHasThem) {
  traffic(50);
  const Status services = run("show services");
  ASSERT_EQ(rows_.size(), 1U);
  for (const char* key : {"connections_per_s", "in_packets_per_s", "out_packets_per_s",
                          "in_bytes_per_s", "out_bytes_per_s"}) {
    EXPECT_EQ(rows_[0].at(key), 0U) << key;
  }
  // The housekeeping of the loop samples by itself.
  const auto has_a_rate = [&] {
    traffic(50);
    run("show backends");
    return rows_[0].at("in_packets_per_s").to_number<uint64_t>() > 0;
  };
  const auto end = std::chrono::steady_clock::now() + 10s;
  bool seen = false;
  while (!(seen = has_a_rate()) && std::chrono::steady_clock::now() < end)
    loop_.run_one_for(20ms);
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace headgate::control
