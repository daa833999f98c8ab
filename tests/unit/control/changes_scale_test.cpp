// 5,000 services with 8 backends each: how long changes take from the request to the answer, and
// for how long they hold the control thread at most (printed, not asserted: machines differ), and
// that they do what small ones do (asserted).
#include <cstdio>
#include <ctime>
#include <thread>

#include <fmt/format.h>

#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

constexpr int services = 5000;
constexpr int backends_each = 8;

std::string address_of(int base, int n) {
  return fmt::format("{}.{}.{}.{}", base, n / 62500, n / 250 % 250, n % 250 + 1);
}

std::string large_file(int weight) {
  std::string text = "ports:\n  - {name: wan, interface: eth0}\nservices:\n";
  for (int s = 0; s < services; ++s) {
    text +=
        fmt::format("  - {{name: s{}, address: {}, port: 80, mode: {}, scheduler: wlc, backends: [",
                    s, address_of(100, s), s % 2 == 0 ? "nat" : "dr");
    for (int b = 0; b < backends_each; ++b) {
      text += fmt::format("{{address: {}, weight: {}}}, ", address_of(10, s * backends_each + b),
                          b == 0 && s % 10 == 0 ? weight : 1);
    }
    text += "]}\n";
  }
  return text;
}

dataplane::RegionLimits large_limits() {
  dataplane::RegionLimits limits = Machine::small_limits();
  limits.max_services = 8192;
  limits.max_backends = 65536;
  limits.snapshot_bytes = 256U << 20;
  return limits;
}

std::string all_weights(std::string text) {
  for (size_t at = 0; (at = text.find("weight: 1}", at)) != std::string::npos; ++at)
    text[at + 8] = '9';
  return text;
}

double ms(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// Of this thread on a core: what else runs on the machine does not count.
double cpu_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

class ChangesScale : public CommandsTest {
 protected:
  ChangesScale() : CommandsTest(large_file(1), large_limits()) {}

  Status timed(const char* what, const std::string& command, const char* arguments = "{}") {
    std::optional<Status> result;
    const auto begin = std::chrono::steady_clock::now();
    spawn(command, arguments, result);
    double longest = 0;
    std::chrono::steady_clock::time_point answered = begin;
    // A little longer: what a change leaves behind is put away after the answer.
    for (int turns_after = 0; turns_after < 1000; turns_after += result ? 1 : 0) {
      const double before_ms = cpu_ms();
      const size_t done = loop_.poll_one();
      longest = std::max(longest, cpu_ms() - before_ms);
      if (result && answered == begin) answered = std::chrono::steady_clock::now();
      if (done == 0) std::this_thread::sleep_for(200us);
    }
    std::printf("    %-44s %9.1f ms, control thread held at most %6.2f ms\n", what,
                ms(answered - begin), longest);
    return std::move(*result);
  }
};

TEST_F(ChangesScale, ChangesOfALargeConfiguration) {
  ASSERT_EQ(machine_.state.config->services.size(), size_t{services});
  const char* edit = R"({"service": "s4000", "backend": "10.0.128.1", "weight": 7})";
  EXPECT_EQ(timed("plan, nothing differs", "plan").result.at("differs"), false);
  EXPECT_EQ(timed("edit of one weight", "backend edit", edit).code, Code::ok);
  EXPECT_EQ(timed("edit of one weight, again", "backend edit",
                  R"({"service": "s4000", "backend": "10.0.128.1", "weight": 8})")
                .result.at("changes")
                .as_array()
                .size(),
            1U);
  EXPECT_EQ(weights("100.0.16.1", 80)[0], 8U);
  EXPECT_EQ(timed("delete of a backend", "backend delete",
                  R"({"service": "s4001", "backend": "10.0.128.9"})")
                .code,
            Code::ok);
  EXPECT_EQ(timed("a service more", "service add",
                  R"({"service": "203.0.113.1:80", "mode": "nat", "name": "new"})")
                .code,
            Code::ok);
  EXPECT_EQ(timed("and one less", "service delete", R"({"service": "new"})").code, Code::ok);
  EXPECT_EQ(timed("timeouts set", "timeouts set", R"({"udp_s": 20})").code, Code::ok);
  write_file(large_file(3));
  const Status planned = timed("plan of 500 services", "plan");
  EXPECT_EQ(planned.result.at("services").at("changed"), 501);
  EXPECT_EQ(rows_.size(), 501U);
  EXPECT_EQ(timed("reload of 500 services", "reload").code, Code::ok);
  EXPECT_EQ(timed("reload, nothing differs", "reload").message, "nothing differs from what runs");
  EXPECT_EQ(weights("100.0.16.1", 80)[0], 3U);
  write_file(all_weights(large_file(3)));
  EXPECT_EQ(timed("plan of all backends", "plan").result.at("backends").at("changed"), 39500);
  EXPECT_EQ(timed("reload of all backends", "reload").code, Code::ok);
  EXPECT_EQ(weights("100.0.16.1", 80)[1], 9U);
  write_file(first_file);
  EXPECT_EQ(timed("reload to one service", "reload").code, Code::ok);
  write_file(large_file(1));
  EXPECT_EQ(timed("and to 5,000 again", "reload").code, Code::ok);
}

}  // namespace
}  // namespace headgate::control
