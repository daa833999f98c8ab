#include "dataplane/conn_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/conn_fixture.h"

namespace headgate::dataplane {
namespace {

using test::fill;
using test::key4;
using test::key6;
using test::Made;
using test::make4;
using test::make6;
using test::TestTable;

constexpr ConnTableLimits small{
    .capacity4 = 1000, .capacity6 = 1000, .workers = 2, .other_actors = 1};

TEST(ConnTableMemory, TakesAtMost96BytesForAnIpv4Connection) {
  for (const uint32_t capacity : {10'000U, 100'000U, 1'000'001U, 16'000'000U}) {
    const size_t bytes =
        ConnTable::bytes_needed({.capacity4 = capacity, .workers = 8, .other_actors = 4});
    const double each = static_cast<double>(bytes) / capacity;
    std::printf("%u IPv4 connections: %zu bytes, %.3f each, everything included\n", capacity, bytes,
                each);
    EXPECT_LE(each, 96.0);
    EXPECT_GT(each, 95.0);
    EXPECT_LE(ConnTable::bytes_needed(
                  {.capacity4 = capacity, .capacity6 = capacity, .workers = 8, .other_actors = 4}),
              size_t{capacity} * (96 + 160));
  }
}

TEST(ConnTableMemory, CreateRefusesWhatItCannotDoAndSaysWhy) {
  GracePeriod grace(4);
  alignas(64) static std::byte memory[1 << 16];
  const ConnTableLimits good{.capacity4 = 100, .workers = 1, .other_actors = 0};
  const auto error_of = [&](const ConnTableLimits& limits, std::span<std::byte> bytes) {
    auto made = ConnTable::create(bytes, limits, HashSeed{}, grace);
    return made ? std::string("made") : made.error();
  };
  ConnTableLimits bad = good;
  bad.workers = 0;
  EXPECT_NE(error_of(bad, memory).find("0 workers"), std::string::npos);
  bad = good;
  bad.workers = 5;
  EXPECT_NE(error_of(bad, memory).find("knows 4 readers"), std::string::npos);
  bad = good;
  bad.capacity4 = 0;
  EXPECT_NE(error_of(bad, memory).find("no connection at all"), std::string::npos);
  bad.capacity4 = max_pool_entries + 1;
  EXPECT_NE(error_of(bad, memory).find("at most"), std::string::npos);
  EXPECT_NE(error_of(good, std::span(memory).first(4096)).find("are needed"), std::string::npos);
  EXPECT_NE(error_of(good, std::span(memory).subspan(1)).find("aligned"), std::string::npos);
}

TEST(ConnTableMemory, AttachFindsWhatCreateMadeAndRefusesAnythingElse) {
  TestTable table(small);
  const ConnRef ref = make4(*table, 0, 1).ref;
  auto other = ConnTable::attach(table.memory(), table.grace());
  ASSERT_TRUE(other) << other.error();
  EXPECT_EQ(other->find(key4(1)).ref, ref);

  const auto refused = [&](auto change) {
    auto* header = reinterpret_cast<TableHeader*>(table.memory().data());
    const uint64_t magic = header->magic;
    const uint32_t version = header->version;
    const uint64_t total = header->total_bytes;
    const uint64_t offset = header->entries6_offset;
    change(*header);
    const bool attached = ConnTable::attach(table.memory(), table.grace()).has_value();
    header->magic = magic;
    header->version = version;
    header->total_bytes = total;
    header->entries6_offset = offset;
    return !attached;
  };
  EXPECT_TRUE(refused([](TableHeader& header) { header.magic ^= 1; }));
  EXPECT_TRUE(refused([](TableHeader& header) { ++header.version; }));
  EXPECT_TRUE(refused([](TableHeader& header) { header.total_bytes += 64; }));
  EXPECT_TRUE(refused([](TableHeader& header) { header.entries6_offset -= 64; }));
  EXPECT_FALSE(ConnTable::attach(table.memory().first(64), table.grace()));
  EXPECT_FALSE(ConnTable::attach(table.memory().first(table.memory().size() / 2), table.grace()));
}

TEST(ConnTable, FindsBothKeysOfAConnection) {
  TestTable table(small);
  const ConnRef four = make4(*table, 0, 1).ref;
  const ConnRef six = make6(*table, 1, 1).ref;
  EXPECT_EQ(table->find(key4(1)).ref, four);
  EXPECT_EQ(table->find(key4(1)).direction, Direction::forward);
  EXPECT_EQ(table->find(key4(1, Direction::reply)).ref, four);
  EXPECT_EQ(table->find(key4(1, Direction::reply)).direction, Direction::reply);
  EXPECT_EQ(table->find(key6(1)).ref, six);
  EXPECT_EQ(table->find(key6(1, Direction::reply)).ref, six);
  EXPECT_EQ(table->find(key6(1, Direction::reply)).direction, Direction::reply);
  EXPECT_TRUE(table->find(key4(2)).is_miss());
  EXPECT_TRUE(table->common(four).state().is_settled());
  EXPECT_EQ(table->common(six).state().owner(), 1U);
}

TEST(ConnTable, StagedLookupAgreesWithFind) {
  TestTable table(small);
  for (uint32_t id = 0; id < 800; ++id) {
    make4(*table, 0, id);
    make6(*table, 0, id);
  }
  const auto staged = [&](const auto& key) {
    const uint64_t hash = table->hash(key);
    table->prefetch_bucket(hash);
    const Slot candidate = table->probe<std::decay_t<decltype(key)>>(hash);
    table->prefetch_entry(candidate);
    return table->confirm(hash, key, candidate).ref;
  };
  for (uint32_t id = 0; id < 1000; ++id) {
    for (const Direction direction : {Direction::forward, Direction::reply}) {
      EXPECT_EQ(staged(key4(id, direction)), table->find(key4(id, direction)).ref);
      EXPECT_EQ(staged(key6(id, direction)), table->find(key6(id, direction)).ref);
      EXPECT_EQ(staged(key4(id, direction)).is_none(), id >= 800);
    }
  }
}

TEST(ConnTable, ProbesOfBothBucketsLeadToEveryKey) {
  TestTable table(small);
  uint32_t there = 0;
  uint32_t away = 0;
  for (uint32_t id = 0; id < 1000; ++id) {
    if (make4(*table, 0, id).result.status != PublishStatus::inserted) continue;
    ++there;
    const FlowKey4 key = key4(id);
    const uint64_t hash = table->hash(key);
    if (table->is_at(table->probe<FlowKey4>(hash), key)) continue;
    ++away;
    EXPECT_TRUE(table->prefetch_alternate(hash)) << id;
    EXPECT_TRUE(table->is_at(table->probe_alternate<FlowKey4>(hash), key)) << id;
  }
  EXPECT_GT(there, 500U);
  EXPECT_GT(away, 0U) << "nothing is away from its home: the table is not full enough";
}

// Each slot is named whose word could be the key's, and at most that.
TEST(ConnTable, AllSlotsOfABucketAreComparedAtOnceAsOneByOne) {
  std::mt19937_64 random(5);  // NOLINT(cert-msc51-cpp): the same each time
  constexpr std::array states{SlotState::empty, SlotState::tentative, SlotState::live};
  uint32_t named = 0;
  for (uint32_t round = 0; round < 20'000; ++round) {
    const uint64_t hash = random();
    const bool v6 = random() % 2 != 0;
    const auto word = [&] {
      const auto index = static_cast<uint32_t>(random() % 0x7fffffff);
      return Slot::make(random() % 2 != 0 ? hash : random(), states[random() % states.size()],
                        static_cast<Direction>(random() % 2),
                        ConnRef::make(random() % 4 == 0 ? !v6 : v6, index))
          .word();
    };
    Bucket bucket{};
    bucket.away.store(word());  // never named, whatever it is
    for (auto& slot : bucket.slots)
      slot.store(word());
    const uint64_t pattern = Slot::pattern(hash, SlotState::live, v6);
    const uint32_t similar = similar_slots(bucket, pattern);
    ASSERT_LT(similar, 1U << slots_per_bucket);
    for (uint32_t i = 0; i < slots_per_bucket; ++i) {
      const bool matches = Slot{bucket.slots[i].load()}.matches(hash, SlotState::live, v6);
      ASSERT_TRUE(!matches || (similar >> i & 1) != 0) << "round " << round << ", slot " << i;
#if defined(__AVX2__) && !defined(HEADGATE_TSAN)
      ASSERT_EQ(matches, (similar >> i & 1) != 0) << "round " << round << ", slot " << i;
#endif
      named += matches;
    }
  }
  EXPECT_GT(named, 1000U);
}

TEST(ConnTable, ConfirmFindsWhatCameAfterTheProbe) {
  TestTable table(small);
  const uint64_t hash = table->hash(key4(1));
  const Slot candidate = table->probe<FlowKey4>(hash);
  EXPECT_TRUE(candidate.is_none());
  const ConnRef ref = make4(*table, 0, 1).ref;
  EXPECT_EQ(table->confirm(hash, key4(1), candidate).ref, ref);
}

TEST(ConnTable, ForwardOnlyEntriesHaveNoReplyKey) {
  TestTable table(small);
  const ConnRef ref = make4(*table, 0, 1, Keys::forward_only).ref;
  EXPECT_EQ(table->find(key4(1)).ref, ref);
  EXPECT_TRUE(table->find(key4(1, Direction::reply)).is_miss());
}

TEST(ConnTable, AReplyKeyAloneIsFoundByRepliesAndGoesLikeAnyOther) {
  TestTable table(small);
  const ConnRef ref = make4(*table, 0, 1, Keys::reply_only).ref;
  EXPECT_EQ(table->find(key4(1, Direction::reply)).ref, ref);
  EXPECT_EQ(table->find(key4(1, Direction::reply)).direction, Direction::reply);
  EXPECT_TRUE(table->find(key4(1)).is_miss());
  EXPECT_EQ(make4(*table, 0, 1, Keys::reply_only).result.status, PublishStatus::reply_taken);
  // Its forward key is free for a connection with another reply key.
  EXPECT_EQ(make4(*table, 0, 1, Keys::both, 2).result.status, PublishStatus::inserted);
  table->recover();
  EXPECT_EQ(table->find(key4(1, Direction::reply)).ref, ref) << "after a recovery";
  EXPECT_TRUE(table->unlink(0, ref).won);
  EXPECT_TRUE(table->find(key4(1, Direction::reply)).is_miss());
  EXPECT_FALSE(table->find(key4(1)).is_miss()) << "the other one's";
}

TEST(ConnTable, SecondInsertOfAKeyIsToldWhoHoldsIt) {
  TestTable table(small);
  const ConnRef first = make4(*table, 0, 1).ref;
  // Another backend: the reply key is free, the forward key is not.
  const PublishResult second = make4(*table, 1, 1, Keys::both, 2).result;
  EXPECT_EQ(second.status, PublishStatus::exists);
  EXPECT_EQ(second.holder.ref, first);
  EXPECT_EQ(second.holder.direction, Direction::forward);
  EXPECT_TRUE(second.seen);  // its reply key was live for a moment
  EXPECT_TRUE(table->find(key4(1, Direction::reply, 2)).is_miss()) << "not rolled back";
  EXPECT_EQ(table->find(key4(1)).ref, first);
}

TEST(ConnTable, TakenReplyKeyLeavesTheEntryPrivate) {
  TestTable table(small);
  const ConnRef first = make4(*table, 0, 1).ref;
  const ConnRef ref = table->allocate(1, net::Family::ipv4);
  Connection4& entry = table->v4(ref);
  fill(entry, 1);
  entry.client_port = net::be16::from_host(7);  // another forward key, the same reply key
  const PublishResult taken = table->publish(1, ref, Keys::both);
  EXPECT_EQ(taken.status, PublishStatus::reply_taken);
  EXPECT_EQ(taken.holder.ref, first);
  EXPECT_EQ(taken.holder.direction, Direction::reply);
  EXPECT_FALSE(taken.seen);
  entry.local_port = net::be16::from_host(5000);
  EXPECT_EQ(table->publish(1, ref, Keys::both).status, PublishStatus::inserted);
  EXPECT_EQ(table->find(entry.key(Direction::reply)).ref, ref);
  EXPECT_EQ(table->counters().reply_taken, 1U);
}

TEST(ConnTable, UnlinkRemovesBothKeysOnceAndOneCallerWins) {
  TestTable table(small);
  const ConnRef ref = make4(*table, 0, 1).ref;
  const UnlinkResult first = table->unlink(2, ref);
  EXPECT_TRUE(first.won);
  EXPECT_TRUE(first.before.has(ConnFlag::published));
  EXPECT_FALSE(table->unlink(0, ref).won);
  EXPECT_TRUE(table->find(key4(1)).is_miss());
  EXPECT_TRUE(table->find(key4(1, Direction::reply)).is_miss());
  EXPECT_TRUE(table->common(ref).state().has(ConnFlag::dying));
  // The key is free for another connection while the entry still waits.
  EXPECT_EQ(make4(*table, 0, 1).result.status, PublishStatus::inserted);
}

TEST(ConnTable, EntryIsReusedAfterAGracePeriodOnly) {
  TestTable table({.capacity4 = 1, .workers = 1, .other_actors = 1});
  const ConnRef ref = make4(*table, 0, 1).ref;
  table->unlink(0, ref);
  table->retire(0, ref);
  for (int i = 0; i < 10; ++i) {
    table->reclaim(0);
    table.grace().quiescent(0);
  }
  EXPECT_EQ(table->counters().retired, 1U);
  EXPECT_TRUE(table->allocate(0, net::Family::ipv4).is_none()) << "actor 1 may still look at it";
  table.grace().quiescent(1);
  table->reclaim(0);
  EXPECT_EQ(table->counters().retired, 0U);
  EXPECT_EQ(table->allocate(0, net::Family::ipv4), ref);
  EXPECT_EQ(table->counters().no_entry, 1U);
}

TEST(ConnTable, AllocatedEntryIsBlank) {
  TestTable table({.capacity4 = 1, .workers = 1, .other_actors = 0});
  const ConnRef ref = make4(*table, 0, 77).ref;
  table->v4(ref).common.touch(9);
  table->unlink(0, ref);
  table->retire(0, ref);
  table.reclaim_all();
  ASSERT_EQ(table->allocate(0, net::Family::ipv4), ref);
  Connection4 blank{};
  EXPECT_EQ(table->v4(ref).key(Direction::forward), blank.key(Direction::forward));
  EXPECT_EQ(table->v4(ref).key(Direction::reply), blank.key(Direction::reply));
  EXPECT_EQ(table->common(ref).last_seen.load(), 0U);
  EXPECT_EQ(table->common(ref).backend_id.load(), 0U);
  EXPECT_EQ(table->common(ref).state(), StateWord::of_owner(0));
  EXPECT_EQ(table->common(ref).timer_prev, no_conn.value);
}

TEST(ConnTable, WorkerGetsWhatAnotherWorkerGaveBack) {
  TestTable table({.capacity4 = 1000, .workers = 2, .other_actors = 0});
  std::vector<ConnRef> refs;
  refs.reserve(1000);
  for (uint32_t id = 0; id < 1000; ++id) {
    refs.push_back(make4(*table, 0, id, Keys::forward_only).ref);
  }
  ASSERT_EQ(table->counters().in_use4, 1000U);
  EXPECT_TRUE(make4(*table, 1, 5000).ref.is_none());
  for (const ConnRef ref : refs) {
    table->unlink(0, ref);
    table->retire(0, ref);
    if (ref.index() % 20 == 19) table.reclaim_all();
  }
  table.reclaim_all();
  uint32_t got = 0;
  while (!make4(*table, 1, 5000 + got, Keys::forward_only).ref.is_none())
    ++got;
  EXPECT_GT(got, 850U) << "a worker keeps little more than two chunks";
  // And nothing is handed out twice.
  uint32_t rest = 0;
  while (!make4(*table, 0, 9000 + rest, Keys::forward_only).ref.is_none())
    ++rest;
  EXPECT_EQ(got + rest, 1000U);
}

TEST(ConnTable, FullPoolIsCountedAndWorksAgainWhenEntriesReturn) {
  TestTable table({.capacity4 = 10, .capacity6 = 10, .workers = 1, .other_actors = 0});
  std::vector<ConnRef> refs;
  refs.reserve(10);
  for (uint32_t id = 0; id < 10; ++id)
    refs.push_back(make4(*table, 0, id).ref);
  for (const ConnRef ref : refs)
    EXPECT_FALSE(ref.is_none());
  EXPECT_TRUE(table->allocate(0, net::Family::ipv4).is_none());
  EXPECT_FALSE(make6(*table, 0, 1).ref.is_none()) << "the pools are separate";
  EXPECT_EQ(table->counters().no_entry, 1U);
  EXPECT_EQ(table->counters().in_use4, 10U);
  EXPECT_EQ(table->counters().in_use6, 1U);
  table->unlink(0, refs[4]);
  table->retire(0, refs[4]);
  EXPECT_EQ(table->counters().in_use4, 9U);
  table.reclaim_all();
  EXPECT_EQ(make4(*table, 0, 11).ref, refs[4]);
  EXPECT_EQ(table->find(key4(3)).ref, refs[3]) << "established flows stay";
}

// Every entry of the pool can be used although a key has but fourteen slots to go to.
TEST(ConnTable, FillsToTheLastEntryWithTwoKeysEach) {
  constexpr uint32_t capacity = 50'000;
  TestTable table({.capacity4 = capacity, .workers = 1, .other_actors = 0});
  for (uint32_t id = 0; id < capacity; ++id) {
    ASSERT_FALSE(make4(*table, 0, id).ref.is_none()) << id;
  }
  EXPECT_TRUE(make4(*table, 0, capacity).ref.is_none());
  EXPECT_EQ(table->counters().bucket_full, 0U);
  EXPECT_EQ(table->counters().no_entry, 1U);
  for (uint32_t id = 0; id < capacity; ++id) {
    ASSERT_FALSE(table->find(key4(id)).is_miss());
    ASSERT_FALSE(table->find(key4(id, Direction::reply)).is_miss());
  }
}

TEST(ConnTable, EmbryonicCountFollowsTheFlag) {
  TestTable table(small);
  const auto make_embryonic = [&](uint32_t worker, uint32_t id, uint32_t backend) {
    const ConnRef ref = table->allocate(worker, net::Family::ipv4);
    fill(table->v4(ref), id, backend);
    ConnCommon& entry = table->common(ref);
    entry.set_state(entry.state().with(ConnFlag::embryonic).with_state(ConnState::syn_recv));
    const PublishResult result = table->publish(worker, ref, Keys::both);
    if (result.status == PublishStatus::inserted) return ref;
    table->discard(worker, ref, result.seen);
    return no_conn;
  };
  const ConnRef first = make_embryonic(0, 1, 1);
  const ConnRef second = make_embryonic(0, 2, 1);
  EXPECT_EQ(table->embryonic(), 2U);
  EXPECT_TRUE(make_embryonic(1, 1, 2).is_none());
  EXPECT_EQ(table->embryonic(), 2U) << "a loser does not count";
  // Another worker sees the handshake end.
  StateWord word = table->common(first).state();
  EXPECT_TRUE(table->transition(
      1, first, word, word.without(ConnFlag::embryonic).with_state(ConnState::established)));
  EXPECT_EQ(table->embryonic(), 1U);
  const StateWord stale = word;
  EXPECT_FALSE(table->transition(1, first, word, word.with_state(ConnState::close)));
  EXPECT_NE(word, stale) << "the word found is handed back";
  EXPECT_EQ(word.state(), ConnState::established);
  EXPECT_TRUE(table->unlink(2, second).before.has(ConnFlag::embryonic));
  EXPECT_EQ(table->embryonic(), 0U);
  table->unlink(0, second);
  table->unlink(0, first);
  EXPECT_EQ(table->embryonic(), 0U);
}

TEST(ConnTable, UnlinkHandsTheBackendCountsToTheWinner) {
  TestTable table(small);
  const ConnRef ref = make4(*table, 0, 1).ref;
  StateWord word = table->common(ref).state();
  ASSERT_TRUE(table->transition(0, ref, word, word.with(ConnFlag::counted_active)));
  EXPECT_TRUE(table->unlink(0, ref).before.has(ConnFlag::counted_active));
  EXPECT_FALSE(table->common(ref).state().has(ConnFlag::counted_active));
}

TEST(ConnTable, ForEachVisitsPublishedEntriesInBoundedSteps) {
  TestTable table(small);
  std::vector<ConnRef> expected;
  for (uint32_t id = 0; id < 300; ++id) {
    const ConnRef four = make4(*table, id % 2, id).ref;
    const ConnRef six = make6(*table, id % 2, id).ref;
    if (id % 3 == 0) {
      table->unlink(0, four);
    } else {
      expected.push_back(four);
    }
    expected.push_back(six);
  }
  static_cast<void>(table->allocate(0, net::Family::ipv4));  // filled by nobody yet
  std::vector<ConnRef> visited;
  uint64_t cursor = 0;
  int steps = 0;
  while (cursor != ConnTable::scan_end) {
    uint32_t in_step = 0;
    cursor = table->for_each(cursor, 64, [&](ConnRef ref, const ConnCommon& entry) {
      EXPECT_EQ(entry.protocol, net::protocol_tcp);
      visited.push_back(ref);
      ++in_step;
    });
    EXPECT_LE(in_step, 64U);
    ++steps;
  }
  EXPECT_EQ(steps, (2000 + 63) / 64);
  const auto by_value = [](ConnRef a, ConnRef b) { return a.value < b.value; };
  std::ranges::sort(visited, by_value);
  std::ranges::sort(expected, by_value);
  EXPECT_EQ(visited, expected);
}

// The process died while its workers were anywhere: what was published and not unlinked lives on.
TEST(ConnTable, RecoversConnectionsAndEveryOtherEntryAfterACrash) {
  TestTable table({.capacity4 = 500, .capacity6 = 100, .workers = 2, .other_actors = 0});
  constexpr uint32_t living = 300;
  for (uint32_t id = 0; id < living; ++id)
    make4(*table, id % 2, id);
  const ConnRef six = make6(*table, 1, 1).ref;
  for (uint32_t id = living; id < living + 40; ++id) {
    const ConnRef ref = make4(*table, id % 2, id).ref;
    if (id % 4 == 0) continue;  // these live as well
    table->unlink(0, ref);
    if (id % 4 != 1) table->retire(id % 2, ref);
    if (id % 4 == 3) table.reclaim_all(id % 2);
  }
  const ConnRef half_made = table->allocate(0, net::Family::ipv4);
  fill(table->v4(half_made), 900);
  const uint64_t hash = table->hash(key4(900));
  Bucket& bucket = table->home(hash);
  for (auto& slot : bucket.slots) {
    if (slot.load() != 0) continue;
    slot.store(Slot::make(hash, SlotState::tentative, Direction::forward, half_made).word());
    break;
  }
  bucket.away.fetch_add(3);

  auto again = ConnTable::attach(table.memory(), table.grace());
  ASSERT_TRUE(again) << again.error();
  again->recover();
  for (uint32_t id = 0; id < living + 40; ++id) {
    const bool lives = id < living || id % 4 == 0;
    for (const Direction direction : {Direction::forward, Direction::reply}) {
      ASSERT_EQ(again->find(key4(id, direction)).is_miss(), !lives) << id;
    }
  }
  EXPECT_EQ(again->find(key6(1, Direction::reply)).ref, six);
  EXPECT_EQ(again->counters().in_use4, living + 10);
  EXPECT_EQ(again->counters().in_use6, 1U);
  EXPECT_EQ(again->counters().retired, 0U);
  // Every other entry can be used, once.
  uint32_t made = 0;
  for (const uint32_t worker : {0U, 1U}) {
    while (!make4(*again, worker, 1000 + made).ref.is_none())
      ++made;
  }
  EXPECT_EQ(made + living + 10, 500U);
  for (uint32_t i = 0; i < again->bucket_count(); ++i) {
    for (const auto& slot : again->bucket(i).slots) {
      EXPECT_NE(Slot{slot.load()}.state(), SlotState::tentative);
    }
  }
  // Removing all of them brings every count of keys away from home back to zero.
  uint64_t cursor = 0;
  while (cursor != ConnTable::scan_end) {
    cursor = again->for_each(cursor, 100, [&](ConnRef ref, ConnCommon&) { again->unlink(0, ref); });
  }
  for (uint32_t i = 0; i < again->bucket_count(); ++i) {
    EXPECT_EQ(again->bucket(i).away.load(), 0U);
  }
}

struct KeyHash {
  size_t operator()(const FlowKey4& key) const { return hash_key(key, test::seed_of(99)); }
};

// A small table with few keys: collisions, full buckets and alternates all the time.
TEST(ConnTable, AgreesWithAStandardMapUnderRandomOperations) {
  for (const uint64_t seed : {1U, 2U, 3U, 4U}) {
    constexpr uint32_t ids = 300;
    TestTable table({.capacity4 = 200, .workers = 2, .other_actors = 0}, seed);
    std::unordered_map<FlowKey4, ConnRef, KeyHash> model;
    std::unordered_map<uint32_t, uint32_t> backend_of;  // id -> backend
    std::mt19937_64 random(seed);
    for (int round = 0; round < 30'000; ++round) {
      const auto id = static_cast<uint32_t>(random() % ids);
      const auto backend = static_cast<uint32_t>(1 + random() % 3);
      const auto worker = static_cast<uint32_t>(random() % 2);
      if (random() % 2 == 0) {
        const Made made = make4(*table, worker, id, Keys::both, backend);
        const bool taken = model.contains(key4(id));
        if (!made.ref.is_none()) {
          ASSERT_FALSE(taken);
          model[key4(id)] = model[key4(id, Direction::reply, backend)] = made.ref;
          backend_of[id] = backend;
        } else if (made.result.status == PublishStatus::exists) {
          ASSERT_TRUE(taken);
          ASSERT_EQ(made.result.holder.ref, model[key4(id)]);
        } else if (made.result.status == PublishStatus::reply_taken) {
          ASSERT_EQ(made.result.holder.ref, model.at(key4(id, Direction::reply, backend)));
        } else {
          ASSERT_EQ(made.result.status, PublishStatus::full);
        }
      } else if (const auto held = model.find(key4(id)); held != model.end()) {
        const ConnRef ref = held->second;
        ASSERT_TRUE(table->unlink(worker, ref).won);
        table->retire(table->common(ref).state().owner(), ref);
        model.erase(key4(id, Direction::reply, backend_of[id]));
        model.erase(key4(id));
      }
      for (const uint32_t checked : {id, static_cast<uint32_t>(random() % ids)}) {
        for (uint32_t side = 0; side <= 3; ++side) {
          const FlowKey4 key = side == 0 ? key4(checked) : key4(checked, Direction::reply, side);
          const auto expected = model.find(key);
          ASSERT_EQ(table->find(key).ref, expected == model.end() ? no_conn : expected->second);
        }
      }
      if (round % 16 == 0) {
        table.reclaim_all(0);
        table.reclaim_all(1);
      }
      ASSERT_EQ(table->counters().in_use4, model.size() / 2);
    }
    // Empty again: every slot is free, no key counts as away.
    for (auto& [key, ref] : model) {
      if (table->unlink(0, ref).won) table->retire(table->common(ref).state().owner(), ref);
    }
    for (uint32_t id = 0; id < ids; ++id) {
      const Bucket& bucket = table->home(table->hash(key4(id)));
      EXPECT_EQ(bucket.away.load(), 0U);
      for (const auto& slot : bucket.slots)
        EXPECT_EQ(slot.load(), 0U);
    }
  }
}

}  // namespace
}  // namespace headgate::dataplane
