#include "dataplane/tournament_tree.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

// Players with points; 0 points: does not play.
struct Points {
  const std::vector<uint32_t>& points;
  mutable uint32_t matches = 0;
  [[nodiscard]] bool plays(uint16_t p) const { return points[p] != 0; }
  [[nodiscard]] bool beats(uint16_t b, uint16_t a) const {
    ++matches;
    return points[b] > points[a];
  }
};

struct Tournament {
  // Not inlined: with the vector's size known, GCC 12 imagines players that are not there.
  [[gnu::noinline]] explicit Tournament(std::vector<uint32_t> p)
      : points(std::move(p)),
        nodes(TournamentTree::bytes_needed(static_cast<uint32_t>(points.size())) / 2, 0xa5a5),
        tree(nodes.data(), static_cast<uint32_t>(points.size())) {
    tree.build(rules);
  }
  void set(uint32_t player, uint32_t value) {
    points[player] = value;
    tree.replay(player, rules);
  }
  [[nodiscard]] uint16_t first_above(uint32_t from, uint32_t bar) const {
    return tree.first_from(from, rules, [&](uint16_t p) { return points[p] > bar; });
  }

  std::vector<uint32_t> points;
  std::vector<uint16_t> nodes;
  TournamentTree tree;
  Points rules{points};
};

uint16_t best_of(const std::vector<uint32_t>& points) {
  uint16_t best = TournamentTree::nobody;
  for (size_t i = 0; i < points.size(); ++i) {
    if (points[i] == 0) continue;
    if (best == TournamentTree::nobody || points[i] > points[best]) {
      best = static_cast<uint16_t>(i);
    }
  }
  return best;
}

uint16_t first_above(const std::vector<uint32_t>& points, uint32_t from, uint32_t bar) {
  for (uint32_t i = from; i < points.size(); ++i) {
    if (points[i] > bar) return static_cast<uint16_t>(i);
  }
  return TournamentTree::nobody;
}

TEST(TournamentTree, LeftOneWinsBetweenEquals) {
  EXPECT_EQ(Tournament({1, 3, 3, 2}).tree.winner(), 1);
  EXPECT_EQ(Tournament({2, 2, 2, 2, 2}).tree.winner(), 0);
}

TEST(TournamentTree, NobodyWinsWhenNobodyPlays) {
  EXPECT_EQ(Tournament({0, 0, 0}).tree.winner(), TournamentTree::nobody);
  EXPECT_EQ(Tournament({0}).tree.winner(), TournamentTree::nobody);
  EXPECT_EQ(Tournament({0, 0, 0}).first_above(0, 0), TournamentTree::nobody);
}

TEST(TournamentTree, AgreesWithALinearSearchThroughRandomChanges) {
  std::mt19937 random(1);
  for (const uint32_t players : {1U, 2U, 3U, 7U, 8U, 9U, 100U}) {
    Tournament tournament(std::vector<uint32_t>(players, 1));
    for (int round = 0; round < 2000; ++round) {
      tournament.set(random() % players, random() % 4);
      ASSERT_EQ(tournament.tree.winner(), best_of(tournament.points));
      const uint32_t from = random() % (players + 1);
      const uint32_t bar = random() % 4;
      ASSERT_EQ(tournament.first_above(from, bar), first_above(tournament.points, from, bar))
          << players << " players from " << from << " above " << bar;
    }
  }
}

TEST(TournamentTree, ChangeAndSearchLookAtFewOf10000) {
  std::mt19937 random(2);
  Tournament tournament(std::vector<uint32_t>(10000, 5));
  EXPECT_LE(tournament.rules.matches, 10000);
  tournament.rules.matches = 0;
  tournament.set(1234, 4);
  EXPECT_LE(tournament.rules.matches, 14);
  uint32_t looks = 0;
  tournament.set(9999, 9);
  (void)tournament.tree.first_from(0, tournament.rules, [&](uint16_t p) {
    ++looks;
    return tournament.points[p] > 8;
  });
  EXPECT_LE(looks, 2 * 14 + 2);
}

TEST(TournamentTree, TakesTwoBytesAPlayerRoundedUpToAPowerOfTwo) {
  EXPECT_EQ(TournamentTree::bytes_needed(10000), 32768);
  EXPECT_EQ(TournamentTree::bytes_needed(TournamentTree::max_players), 131072);
}

TEST(TournamentTree, HoldsTheMostPlayersThatFit) {
  std::vector<uint32_t> points(TournamentTree::max_players, 1);
  points.back() = 2;
  EXPECT_EQ(Tournament(points).tree.winner(), TournamentTree::max_players - 1);
}

}  // namespace
}  // namespace headgate::dataplane
