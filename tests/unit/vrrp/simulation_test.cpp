// Thousands of runs keep the promises of simulation.h; every mutant breaks one.
#include "tests/unit/vrrp/simulation.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace headgate::vrrp::simulation {
namespace {

// For as many runs as one likes: HEADGATE_SEEDS=100000 unit_vrrp_simulation.
uint64_t seed_count() {
  const char* wanted = std::getenv("HEADGATE_SEEDS");
  if (wanted != nullptr) return std::strtoull(wanted, nullptr, 10);
#if defined(HEADGATE_ASAN) || defined(HEADGATE_TSAN)
  return 300;
#else
  return 3000;
#endif
}

const uint64_t seeds = seed_count();

TEST(Simulation, KeepsItsPromisesWhateverTheTrouble) {
  std::array<uint64_t, trouble_kinds> troubles{};
  uint64_t steps = 0;
  Duration simulated{};
  std::printf("seeds 1 to %lu\n", static_cast<unsigned long>(seeds));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const Report report = simulate(seed, step);
    ASSERT_EQ(report.violation, "") << "seed " << seed;
    ASSERT_GE(report.simulated, std::chrono::seconds(60));
    for (size_t i = 0; i < trouble_kinds; ++i)
      troubles[i] += report.troubles[i];
    steps += report.steps;
    simulated += report.simulated;
  }
  std::printf("%.0f simulated hours, %lu steps\n",
              std::chrono::duration<double, std::ratio<3600>>(simulated).count(),
              static_cast<unsigned long>(steps));
  for (size_t i = 0; i < trouble_kinds; ++i) {
    std::printf("%9lu %s\n", static_cast<unsigned long>(troubles[i]),
                std::string(trouble_names[i]).c_str());
    EXPECT_GT(troubles[i], 0U) << trouble_names[i];
  }
}

TEST(Simulation, IsTheSameForTheSameSeed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Report one = simulate(seed, step);
    const Report two = simulate(seed, step);
    EXPECT_EQ(one.steps, two.steps);
    EXPECT_EQ(one.troubles, two.troubles);
    EXPECT_EQ(one.simulated, two.simulated);
  }
}

class Mutation : public testing::TestWithParam<Mutant> {};
INSTANTIATE_TEST_SUITE_P(Of, Mutation, testing::ValuesIn(mutants()),
                         [](const auto& of) { return std::string(of.param.name); });

TEST_P(Mutation, IsFound) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const Report report = simulate(seed, GetParam().step_function);
    if (report.violation.empty()) continue;
    std::printf("seed %lu, %s\n", static_cast<unsigned long>(seed), report.violation.c_str());
    return;
  }
  ADD_FAILURE() << "not found with " << seeds << " seeds";
}

}  // namespace
}  // namespace headgate::vrrp::simulation
