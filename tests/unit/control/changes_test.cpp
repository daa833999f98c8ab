// The control thread's way of changing who is master, beside edits and reloads.
#include <atomic>
#include <future>

#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

class ChangesTest : public CommandsTest {
 protected:
  using Answer = std::optional<std::expected<uint64_t, Error>>;

  void spawn_ownership(std::vector<net::IpAddress> inactive, Answer& answer) {
    asio::co_spawn(loop_, changes_.set_ownership({std::move(inactive), {}}),
                   [&answer](const std::exception_ptr&, std::expected<uint64_t, Error> generation) {
                     answer = std::move(generation);
                   });
  }
  void run_until(const Answer& answer) {
    while (!answer)
      loop_.run_one();
  }
  [[nodiscard]] uint64_t generation() const { return machine_.state.store.generation(); }
  [[nodiscard]] bool inactive(const char* address) const {
    return dataplane::is_inactive(machine_.state.region, *machine_.state.store.current(),
                                  ip(address));
  }
};

TEST_F(ChangesTest, OwnershipGoesBeforeAReloadThatIsBeingPrepared) {
  std::promise<void> begun;
  std::promise<void> go_on;
  std::optional<std::expected<ChangeOutcome, Error>> edited;
  asio::co_spawn(loop_, changes_.submit([&](config::Config& config) {
    begun.set_value();
    go_on.get_future().wait();
    config.services[0].backends[0].weight = 77;
    return std::expected<EditScope, Error>(EditScope{.services = {key_of(config.services[0])}});
  }),
                 [&](const std::exception_ptr&, std::expected<ChangeOutcome, Error> outcome) {
                   edited = std::move(outcome);
                 });
  auto began = begun.get_future();
  while (began.wait_for(0s) != std::future_status::ready)
    loop_.poll();
  Answer answer;
  spawn_ownership({ip("192.0.2.1")}, answer);
  run_until(answer);
  ASSERT_TRUE(answer->has_value());
  EXPECT_FALSE(edited.has_value()) << "still prepared";
  EXPECT_TRUE(inactive("192.0.2.1"));
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{5, 1}));
  go_on.set_value();
  while (!edited)
    loop_.run_one();
  ASSERT_TRUE(edited->has_value());
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{77, 1}));
  EXPECT_TRUE(inactive("192.0.2.1")) << "the reload keeps it";
}

TEST_F(ChangesTest, OfOwnershipsThatComeTogetherTheNewestIsPublishedOnce) {
  const uint64_t before = generation();
  std::array<Answer, 3> answers;
  spawn_ownership({ip("192.0.2.1")}, answers[0]);
  spawn_ownership({ip("192.0.2.2")}, answers[1]);
  spawn_ownership({ip("192.0.2.3")}, answers[2]);
  for (const Answer& answer : answers) {
    run_until(answer);
    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ(answer->value(), before + 1);
  }
  EXPECT_EQ(generation(), before + 1);
  EXPECT_FALSE(inactive("192.0.2.1"));
  EXPECT_TRUE(inactive("192.0.2.3"));
}

TEST_F(ChangesTest, OwnershipIsAnsweredWhenTheWorkersHaveIt) {
  machine_.grace.online(0);
  Answer answer;
  spawn_ownership({ip("192.0.2.1")}, answer);
  while (!inactive("192.0.2.1"))
    loop_.run_one();
  EXPECT_FALSE(answer.has_value());
  machine_.grace.quiescent(0);
  run_until(answer);
  EXPECT_TRUE(answer->has_value());

  answer.reset();
  spawn_ownership({}, answer);
  run_until(answer);
  ASSERT_FALSE(answer->has_value()) << "worker 0 hangs";
  EXPECT_NE(answer->error().text.find("show workers"), std::string::npos) << answer->error().text;
  EXPECT_FALSE(inactive("192.0.2.1"));
  machine_.grace.offline(0);
}

TEST_F(ChangesTest, AfterTheEndOwnershipIsRefused) {
  while (!changes_.stop())
    loop_.run_one();
  Answer answer;
  spawn_ownership({ip("192.0.2.1")}, answer);
  loop_.restart();
  run_until(answer);
  EXPECT_FALSE(answer->has_value());
  EXPECT_FALSE(inactive("192.0.2.1"));
}

}  // namespace
}  // namespace headgate::control
