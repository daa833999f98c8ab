#include "tests/race/conn_scenarios.h"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>

#include <fmt/format.h>

namespace headgate::dataplane::test {

namespace {

uint32_t occupied(const Bucket& bucket) {
  return static_cast<uint32_t>(
      std::ranges::count_if(bucket.slots, [](const auto& slot) { return slot.load() != 0; }));
}

}  // namespace

TableScenario::TableScenario(Crowd crowd) : crowd_(crowd) {
  const Bucket* home = &table_->home(table_->hash(key4(1)));
  neighbour_ = 2;
  while (&table_->home(table_->hash(key4(neighbour_))) != home)
    ++neighbour_;
}

void TableScenario::begin() {
  faults::give_way_limit = 2;
  table_.reset();
  violation_.clear();
  expected_.clear();
  crowd_refs_.clear();
  const uint64_t hash = table_->hash(key4(1));
  place_crowd(table_->home(hash), crowd_.home, 1000);
  place_crowd(table_->alternate(hash), crowd_.alternate, 5000);
}

void TableScenario::place_crowd(Bucket& bucket, uint32_t keys, uint32_t first_id) {
  for (uint32_t id = first_id; occupied(bucket) < keys; ++id) {
    if (&table_->home(table_->hash(key4(id))) == &bucket) crowd_refs_.push_back(prepare(2, id));
  }
}

void TableScenario::remove_crowd() {
  for (const ConnRef ref : crowd_refs_) {
    unlink(2, ref);
    table_->retire(2, ref);
  }
  table_.reclaim_all(2);
}

PublishResult TableScenario::insert(uint32_t worker, uint32_t id, Keys keys, uint32_t backend,
                                    bool embryonic) {
  const ConnRef ref = table_->allocate(worker, net::Family::ipv4);
  if (ref.is_none()) {
    violate("no entry left");
    return {.status = PublishStatus::full};
  }
  fill(table_->v4(ref), id, backend);
  ConnCommon& entry = table_->common(ref);
  if (embryonic) entry.set_state(entry.state().with(ConnFlag::embryonic));
  const PublishResult result = table_->publish(worker, ref, keys);
  if (result.status == PublishStatus::inserted) {
    // If another actor has unlinked it meanwhile it is expected no more.
    if (!entry.state().has(ConnFlag::dying)) expect(ref, keys);
  } else {
    table_->discard(worker, ref, result.seen);
  }
  return result;
}

ConnRef TableScenario::prepare(uint32_t worker, uint32_t id, Keys keys) {
  if (insert(worker, id, keys).status != PublishStatus::inserted) {
    throw std::logic_error("the scenario cannot be set up");
  }
  return expected_.back().ref;
}

UnlinkResult TableScenario::unlink(uint32_t actor, ConnRef ref) {
  const UnlinkResult result = table_->unlink(actor, ref);
  std::erase_if(expected_, [ref](const Expected& entry) { return entry.ref == ref; });
  return result;
}

void TableScenario::expect(ConnRef ref, Keys keys) {
  const Connection4& entry = table_->v4(ref);
  if (keys != Keys::reply_only) expected_.push_back({entry.key(Direction::forward), ref});
  if (keys != Keys::forward_only) expected_.push_back({entry.key(Direction::reply), ref});
}

void TableScenario::verify(Hit hit, const FlowKey4& key) {
  if (hit.is_miss()) return;
  faults::step(faults::Step::compare_key);  // the caller uses the entry for a while
  if (table_->v4(hit.ref).key(hit.direction) != key) violate("a hit is another connection's");
}

std::string TableScenario::check_step() {
  std::array<Slot, 128> live;
  size_t count = 0;
  for (uint32_t i = 0; i < table_->bucket_count(); ++i) {
    const Bucket& bucket = table_->bucket(i);
    for (const auto& word : bucket.slots) {
      const Slot slot{word.load(std::memory_order_relaxed)};
      if (slot.state() == SlotState::live && count < live.size()) live[count++] = slot;
    }
  }
  const auto key_of = [this](Slot slot) { return table_->v4(slot.ref()).key(slot.direction()); };
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = i + 1; j < count; ++j) {
      const bool alike =
          live[i].word() >> Slot::signature_shift == live[j].word() >> Slot::signature_shift;
      if (alike && key_of(live[i]) == key_of(live[j])) return "two live slots for one key";
    }
  }
  return {};
}

std::string TableScenario::check_end() {
  if (!violation_.empty()) return violation_;
  if (std::string wrong = check_step(); !wrong.empty()) return wrong;
  if (std::string wrong = check_slots(); !wrong.empty()) return wrong;
  return check_expected();
}

std::string TableScenario::check_slots() {
  std::map<const Bucket*, uint64_t> away;
  size_t live = 0;
  for (uint32_t i = 0; i < table_->bucket_count(); ++i) {
    const Bucket& bucket = table_->bucket(i);
    for (const auto& word : bucket.slots) {
      const Slot slot{word.load()};
      if (slot.state() == SlotState::empty) continue;
      if (slot.state() != SlotState::live) return "an announcement was left behind";
      ++live;
      const uint64_t hash = table_->hash(table_->v4(slot.ref()).key(slot.direction()));
      if (slot != Slot::make(hash, SlotState::live, slot.direction(), slot.ref())) {
        return "a slot does not fit its entry";
      }
      if (&bucket == &table_->home(hash)) continue;
      if (&bucket != &table_->alternate(hash)) return "a key is in a bucket of others";
      ++away[&table_->home(hash)];
    }
  }
  for (uint32_t i = 0; i < table_->bucket_count(); ++i) {
    const Bucket& bucket = table_->bucket(i);
    const auto counted = away.find(&bucket);
    if (bucket.away.load() != (counted == away.end() ? 0 : counted->second)) {
      return "a count of keys away from home is wrong";
    }
  }
  if (live > expected_.size()) return "a key is left that nobody expects";
  return {};
}

std::string TableScenario::check_expected() {
  for (const Expected& entry : expected_) {
    if (table_->find(entry.key).ref != entry.ref) return "a key is lost";
  }
  return {};
}

namespace {

// Several workers insert connection 1 at once; one of them must get it.
class SameConnection : public TableScenario {
 public:
  SameConnection(Crowd crowd, unsigned inserters, Keys keys, bool same_backend)
      : TableScenario(crowd), inserters_(inserters), keys_(keys), same_backend_(same_backend) {}

  std::vector<Program> start() override {
    begin();
    std::vector<Program> programs;
    programs.reserve(inserters_);
    results_.assign(inserters_, PublishResult{});
    for (uint32_t worker = 0; worker < inserters_; ++worker) {
      programs.emplace_back([this, worker] {
        results_[worker] = insert(worker, 1, keys_, same_backend_ ? 1 : worker + 1, true);
      });
    }
    return programs;
  }

  std::string check_end() override {
    unsigned winners = 0;
    for (const PublishResult& result : results_) {
      winners += result.status == PublishStatus::inserted;
      if (result.status == PublishStatus::contended) return "contended without contention";
      if (result.status == PublishStatus::full) return "full, but there is room";
    }
    // Workers with different backends may each hold a reply key for a moment, never a forward key:
    // the one that gets that wins.
    if (winners != 1) return fmt::format("{} inserts of one key succeeded", winners);
    if (table_->embryonic() != 1) return "embryonic connections are miscounted";
    return TableScenario::check_end();
  }

 private:
  unsigned inserters_;
  Keys keys_;
  bool same_backend_;
  std::vector<PublishResult> results_;
};

// One worker removes connection 1 while another inserts it anew, with help if it is still there.
class RemoveAndInsert : public TableScenario {
 public:
  // `room_at_home`: the old key is away, the new one fits the home bucket.
  RemoveAndInsert(Crowd crowd, Keys keys, bool room_at_home)
      : TableScenario(crowd), keys_(keys), room_at_home_(room_at_home) {}

  std::vector<Program> start() override {
    begin();
    winners_ = 0;
    old_ = prepare(0, 1, keys_);
    if (room_at_home_) remove_crowd();
    return {[this] {
              winners_ += unlink(0, old_).won;
              table_->retire(0, old_);
            },
            [this] {
              PublishResult result = insert(1, 1, keys_);
              if (result.status != PublishStatus::inserted) {
                if (result.holder.ref != old_) violate("taken by an unknown entry");
                winners_ += unlink(1, old_).won;
                result = insert(1, 1, keys_);
              }
              if (result.status != PublishStatus::inserted) violate("the key never gets free");
            }};
  }

  std::string check_end() override {
    if (winners_ != 1) return fmt::format("{} actors unlinked one entry", winners_);
    return TableScenario::check_end();
  }

 private:
  Keys keys_;
  bool room_at_home_;
  unsigned winners_ = 0;
  ConnRef old_;
};

// A connection that is in the table all the time is found whatever its neighbours do.
class FindAmongOthers : public TableScenario {
 public:
  explicit FindAmongOthers(Crowd crowd) : TableScenario(crowd) {}

  std::vector<Program> start() override {
    begin();
    one_ = prepare(2, 1);
    return {[this] {
              for (int i = 0; i < 2; ++i) {
                const Hit hit = table_->find(key4(1));
                if (hit.ref != one_) violate("a live key was not found");
                verify(hit, key4(1));
              }
            },
            [this] {
              insert(1, neighbour_of_one());
              const Hit hit = table_->find(key4(neighbour_of_one()));
              if (hit.is_miss()) {
                violate("a key that was just inserted was not found");
                return;
              }
              unlink(1, hit.ref);
              table_->retire(1, hit.ref);
            }};
  }

 private:
  ConnRef one_;
};

// A reader uses the entry that it found while the owner removes it and makes another connection.
class UseWhileReused : public TableScenario {
 public:
  UseWhileReused() : TableScenario(both_at_home) {}

  std::vector<Program> start() override {
    begin();
    one_ = prepare(1, 1);
    return {[this] {
              verify(table_->find(key4(1)), key4(1));
              table_.grace().quiescent(0);
              verify(table_->find(key4(neighbour_of_one())), key4(neighbour_of_one()));
            },
            [this] {
              unlink(1, one_);
              table_->retire(1, one_);
              for (int i = 0; i < 3; ++i) {
                table_->reclaim(1);
                table_.grace().quiescent(1);
                table_.grace().quiescent(2);
              }
              insert(1, neighbour_of_one());
            }};
  }

 private:
  ConnRef one_;
};

// Another actor finds an entry by its reply key while it is still being published, and unlinks it.
class UnlinkWhilePublished : public TableScenario {
 public:
  UnlinkWhilePublished(Crowd crowd, Keys keys) : TableScenario(crowd), keys_(keys) {}

  std::vector<Program> start() override {
    begin();
    found_ = won_ = false;
    return {[this] { result_ = insert(0, 1, keys_, 1, true); },
            [this] {
              for (int i = 0; i < 2 && !found_; ++i) {
                const Hit hit = table_->find(key4(1, Direction::reply));
                if (hit.is_miss()) continue;
                found_ = true;
                won_ = unlink(1, hit.ref).won;
              }
            }};
  }

  std::string check_end() override {
    const bool inserted = result_.status == PublishStatus::inserted;
    if (!inserted && result_.status != PublishStatus::unlinked) return "the insert failed";
    if (inserted && found_ && !won_) return "unlinked, but neither side was told";
    if (!inserted && won_) return "unlinked, and both sides were told";
    if (table_->embryonic() != (inserted && !found_ ? 1 : 0)) {
      return "embryonic connections are miscounted";
    }
    return TableScenario::check_end();
  }

 private:
  Keys keys_;
  PublishResult result_;
  bool found_ = false;
  bool won_ = false;
};

// Two actors unlink one entry: one of them is told that it did.
class TwoUnlink : public TableScenario {
 public:
  explicit TwoUnlink(Crowd crowd) : TableScenario(crowd) {}

  std::vector<Program> start() override {
    begin();
    one_ = prepare(0, 1, Keys::both);
    winners_ = 0;
    const auto remove = [this](uint32_t actor) {
      winners_ += unlink(actor, one_).won;
      if (!table_->find(key4(1)).is_miss()) violate("found after unlink returned");
      if (!table_->find(key4(1, Direction::reply)).is_miss()) violate("reply key found");
    };
    return {[remove] { remove(0); }, [remove] { remove(1); }};
  }

  std::string check_end() override {
    if (winners_ != 1) return fmt::format("{} actors unlinked one entry", winners_);
    return TableScenario::check_end();
  }

 private:
  ConnRef one_;
  unsigned winners_ = 0;
};

// What a reader sees of a connection that comes: whole entries, first the reply key and then the
// forward key, and none of them goes again.
class FindWhilePublished : public TableScenario {
 public:
  explicit FindWhilePublished(Crowd crowd) : TableScenario(crowd) {}

  std::vector<Program> start() override {
    begin();
    done_ = false;
    return {[this] {
              insert(0, 1, Keys::both);
              done_ = true;
            },
            [this] {
              const FlowKey4 reply_key = key4(1, Direction::reply);
              bool forward_seen = false;
              bool reply_seen = false;
              for (int i = 0; i < 3; ++i) {
                forward_seen |= done_;
                reply_seen |= done_;
                const Hit forward = table_->find(key4(1));
                verify(forward, key4(1));
                if (forward.is_miss() && forward_seen) violate("the forward key went again");
                forward_seen |= !forward.is_miss();
                reply_seen |= forward_seen;
                const Hit reply = table_->find(reply_key);
                verify(reply, reply_key);
                if (reply.is_miss() && reply_seen) violate("the reply key is missing");
                reply_seen |= !reply.is_miss();
              }
            }};
  }

 private:
  bool done_ = false;
};

// Two connections whose keys have the same signature and home are told apart.
class SignatureTwins : public TableScenario {
 public:
  SignatureTwins() : TableScenario(both_at_home) {}

  std::vector<Program> start() override {
    if (twin_ == 0) find_twins();
    begin();
    return {[this] {
              verify(table_->find(key4(first_)), key4(first_));
              verify(table_->find(key4(twin_)), key4(twin_));
            },
            [this] {
              if (insert(1, first_).status != PublishStatus::inserted) violate("first refused");
              if (insert(1, twin_).status != PublishStatus::inserted) violate("twin refused");
            }};
  }

 private:
  void find_twins() {
    std::map<std::pair<uint64_t, const Bucket*>, uint32_t> seen;
    for (uint32_t id = 10'000; twin_ == 0; ++id) {
      const uint64_t hash = table_->hash(key4(id));
      const uint64_t word =
          Slot::make(hash, SlotState::live, Direction::forward, ConnRef{0}).word();
      const auto [place, fresh] = seen.try_emplace({word, &table_->home(hash)}, id);
      if (fresh) continue;
      first_ = place->second;
      twin_ = id;
    }
  }

  uint32_t first_ = 0;
  uint32_t twin_ = 0;
};

class Pausing : public TableScenario {
 public:
  Pausing(Crowd crowd, Keys keys) : TableScenario(crowd), keys_(keys) {}

  std::vector<Program> start() override {
    begin();
    ConnRef& held = held_ = no_conn;
    return {[this] { first_ = insert(0, 1, keys_); },
            [this, &held] {
              // Whatever the paused program holds, the key gets into the table now.
              const PublishResult result = insert(1, 1, keys_);
              if (result.status == PublishStatus::inserted) {
                held = table_->find(key4(1)).ref;
              } else if (result.status == PublishStatus::exists) {
                held = result.holder.ref;
              } else if (result.status != PublishStatus::reply_taken) {
                violate("the paused insert holds another one up");
              }
            },
            [this, &held] {
              if (!held.is_none() && table_->find(key4(1)).ref != held) {
                violate("the key is not found");
              }
            }};
  }

 private:
  Keys keys_;
  PublishResult first_;
  ConnRef held_;
};

}  // namespace

std::unique_ptr<Scenario> pausing_scenario(Crowd crowd, Keys keys) {
  return std::make_unique<Pausing>(crowd, keys);
}

std::vector<NamedScenario> all_scenarios() {
  constexpr Keys one = Keys::forward_only;
  constexpr Keys two = Keys::both;
  constexpr Keys reply = Keys::reply_only;
  std::vector<NamedScenario> all;
  const auto add = [&all](std::string name, std::unique_ptr<Scenario> scenario, unsigned bound) {
    all.push_back({std::move(name), std::move(scenario), bound});
  };
  struct Placed {
    const char* where;
    Crowd crowd;
  };
  for (const Placed& placed : {Placed{" at home", both_at_home}, Placed{" one away", one_away},
                               Placed{" away", all_away}}) {
    const Crowd crowd = placed.crowd;
    const auto named = [&](const char* name) { return std::string(name) + placed.where; };
    add(named("two inserts"), std::make_unique<SameConnection>(crowd, 2, one, true), 4);
    add(named("two NAT inserts"), std::make_unique<SameConnection>(crowd, 2, two, true), 4);
    add(named("two NAT inserts, two backends"),
        std::make_unique<SameConnection>(crowd, 2, two, false), 3);
    add(named("three inserts"), std::make_unique<SameConnection>(crowd, 3, one, true), 2);
    add(named("remove and insert"), std::make_unique<RemoveAndInsert>(crowd, one, false), 4);
    add(named("remove and insert NAT"), std::make_unique<RemoveAndInsert>(crowd, two, false), 4);
    add(named("find among others"), std::make_unique<FindAmongOthers>(crowd), 4);
    add(named("unlink while published"), std::make_unique<UnlinkWhilePublished>(crowd, two), 4);
    add(named("two reply keys alone"), std::make_unique<SameConnection>(crowd, 2, reply, true), 4);
    add(named("remove and insert reply key"),
        std::make_unique<RemoveAndInsert>(crowd, reply, false), 4);
    add(named("unlink reply key while published"),
        std::make_unique<UnlinkWhilePublished>(crowd, reply), 4);
    add(named("two unlink"), std::make_unique<TwoUnlink>(crowd), 4);
    add(named("find while published"), std::make_unique<FindWhilePublished>(crowd), 4);
  }
  add("remove away, insert at home", std::make_unique<RemoveAndInsert>(all_away, one, true), 4);
  add("use while reused", std::make_unique<UseWhileReused>(), 4);
  add("signature twins", std::make_unique<SignatureTwins>(), 4);
  return all;
}

}  // namespace headgate::dataplane::test
