// A tournament among players 0, 1, 2 …: a complete binary tree whose every node names the winner of
// the two below it. The root is the best of all; a player whose standing changed replays its way
// up. Between equals the left one wins, so ties go to the lowest number.
//
//            1: 2                nodes 1 … capacity-1 hold winners; players stand below the last
//        2: 0      3: 2          level. Here 2 beats everyone, and 3 does not play.
//      0 1 . .   2 3 . .
//
// The rules come from the caller, as an object with
//   bool plays(uint16_t player)               whether the player takes part at all
//   bool beats(uint16_t b, uint16_t a)        whether b is strictly better than a, both playing
// and must be a total preorder. The memory is the caller's too, and so is its content from one use
// to the next: two bytes for each player, rounded up to a power of two.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace headgate::dataplane {

class TournamentTree {
 public:
  static constexpr uint16_t nobody = 0xffff;
  static constexpr uint32_t max_players = 0xffff;

  [[nodiscard]] static constexpr size_t bytes_needed(uint32_t players) noexcept {
    return size_t{capacity_for(players)} * sizeof(uint16_t);
  }

  // Takes no notice of what is in `nodes`: build() it first.
  TournamentTree(uint16_t* nodes, uint32_t players) noexcept
      : nodes_(nodes), players_(players), capacity_(capacity_for(players)) {}

  [[nodiscard]] uint16_t winner() const noexcept { return nodes_[1]; }

  template <class Rules>
  void build(const Rules& rules) noexcept {
    for (uint32_t node = capacity_ - 1; node > 0; --node)
      nodes_[node] = play(node, rules);
  }

  // After the standing of `player` changed.
  template <class Rules>
  void replay(uint32_t player, const Rules& rules) noexcept {
    for (uint32_t node = (capacity_ + player) / 2; node > 0; node /= 2) {
      nodes_[node] = play(node, rules);
    }
  }

  // The first player from number `from` on that is good enough, or nobody. Whoever beats a player
  // that is good enough must be good enough as well: then a node without a good winner has no good
  // player below it.
  template <class Rules, class GoodEnough>
  [[nodiscard]] uint16_t first_from(uint32_t from, const Rules& rules,
                                    const GoodEnough& good_enough) const noexcept {
    const auto holds_one = [&](uint32_t node) noexcept {
      const uint16_t best = winner_of(node, rules);
      return best != nobody && good_enough(best);
    };
    if (from >= players_) return nobody;
    uint32_t node = capacity_ + from;
    while (!holds_one(node)) {  // to the next subtree on the right
      while (node % 2 == 1)
        node /= 2;
      if (node == 0) return nobody;  // came up along the right edge
      ++node;
    }
    while (node < capacity_)
      node = holds_one(node * 2) ? node * 2 : node * 2 + 1;
    return static_cast<uint16_t>(node - capacity_);
  }

 private:
  [[nodiscard]] static constexpr uint32_t capacity_for(uint32_t players) noexcept {
    return std::bit_ceil(players < 2 ? 2U : players);
  }

  template <class Rules>
  [[nodiscard]] uint16_t winner_of(uint32_t node, const Rules& rules) const noexcept {
    if (node < capacity_) return nodes_[node];
    const uint32_t player = node - capacity_;
    if (player >= players_ || !rules.plays(static_cast<uint16_t>(player))) return nobody;
    return static_cast<uint16_t>(player);
  }

  template <class Rules>
  [[nodiscard]] uint16_t play(uint32_t node, const Rules& rules) const noexcept {
    const uint16_t left = winner_of(node * 2, rules);
    const uint16_t right = winner_of(node * 2 + 1, rules);
    if (left == nobody) return right;
    if (right == nobody) return left;
    return rules.beats(right, left) ? right : left;
  }

  uint16_t* nodes_;
  uint32_t players_;
  uint32_t capacity_;
};

}  // namespace headgate::dataplane
