#include "tests/race/conn_threads.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "dataplane/timer_wheel.h"
#include "tests/support/conn_fixture.h"

namespace headgate::dataplane::test {

namespace {

constexpr uint32_t backends = 2;
constexpr uint64_t never = ~uint64_t{0};

// A connection from after its publish() returned until before the unlink() that won was called: in
// between both of its keys are in the table, so of two with one key these times do not overlap.
struct Life {
  uint32_t id;
  uint32_t backend;
  uint64_t born;
  uint64_t died;
};
// A search that found nothing: no life may cover it.
struct Miss {
  uint32_t id;
  uint32_t backend;  // 0: the forward key
  uint64_t began;
  uint64_t ended;
};
struct Death {
  uint32_t serial;
  uint64_t at;
};

thread_local uint32_t yield_every = 0;
thread_local uint32_t yield_state = 1;

void yield_sometimes(faults::Step, const void*) {
  yield_state = yield_state * 1664525 + 1013904223;
  if ((yield_state >> 8) % yield_every == 0) std::this_thread::yield();
}

class Arena {
 public:
  explicit Arena(const Stress& plan)
      : plan_(plan),
        table_({.capacity4 = plan.capacity, .workers = plan.threads, .other_actors = 0}, plan.seed),
        logs_(plan.threads) {
    for (uint32_t worker = 0; worker < plan.threads; ++worker) {
      wheels_.emplace_back(*table_, worker, 0);
    }
  }

  StressResult run() {
    std::vector<std::thread> threads;
    threads.reserve(plan_.threads);
    for (uint32_t worker = 0; worker < plan_.threads; ++worker) {
      threads.emplace_back([this, worker] { work(worker); });
    }
    for (std::thread& thread : threads)
      thread.join();
    if (violation_.empty()) judge();
    if (violation_.empty()) empty_table();
    StressResult result{.violation = violation_};
    for (const Log& log : logs_) {
      result.inserted += log.lives.size();
      result.found += log.found;
      result.races += log.races;
      result.full += log.full;
      result.expired += log.expired;
    }
    return result;
  }

 private:
  struct Log {
    std::vector<Life> lives;
    std::vector<Miss> misses;
    std::vector<Death> deaths;
    uint64_t found = 0;
    uint64_t races = 0;
    uint64_t full = 0;
    uint64_t expired = 0;
  };

  void violate(std::string what) {
    const std::scoped_lock lock(mutex_);
    if (violation_.empty()) violation_ = std::move(what);
    stop_.store(true);
  }
  uint64_t tick() noexcept { return clock_.fetch_add(1); }

  void work(uint32_t worker) {
    yield_every = plan_.yield_every;
    yield_state = static_cast<uint32_t>(plan_.seed) * 77 + worker;
#if defined(HEADGATE_FAULTS)
    if (yield_every != 0) faults::step_hook = yield_sometimes;
#endif
    std::mt19937 random(static_cast<uint32_t>(plan_.seed) * 1000 + worker);
    for (uint32_t round = 0; round < plan_.rounds && !stop_.load(); ++round) {
      const auto id = static_cast<uint32_t>(random() % plan_.ids);
      const auto backend = static_cast<uint32_t>(1 + random() % backends);
      switch (random() % 8) {
        case 0:
        case 1:
          insert(worker, id, backend, round);
          break;
        case 2:
          remove(worker, id);
          break;
        default:
          look(worker, id, random() % 2 == 0 ? 0 : backend);
      }
      between_bursts(worker, round);
    }
    table_.grace().offline(worker);
#if defined(HEADGATE_FAULTS)
    faults::step_hook = nullptr;
#endif
  }

  // Serials name lives: the worker and the number of the life in its log.
  void insert(uint32_t worker, uint32_t id, uint32_t backend, Tick now) {
    Log& log = logs_[worker];
    const ConnRef ref = table_->allocate(worker, net::Family::ipv4);
    if (ref.is_none()) return;
    const auto serial = static_cast<uint32_t>(worker << 24 | log.lives.size());
    Connection4& entry = table_->v4(ref);
    fill(entry, id, backend);
    entry.common.service_id = serial;
    entry.common.touch(now);
    entry.common.set_state(entry.common.state().with(ConnFlag::embryonic));
    const PublishResult result = table_->publish(worker, ref, Keys::both);
    if (result.status != PublishStatus::inserted) {
      ++log.races;
      log.full += result.status == PublishStatus::full;
      table_->discard(worker, ref, result.seen);
      return;
    }
    log.lives.push_back({.id = id, .backend = backend, .born = tick(), .died = never});
    wheels_[worker].arm(ref, now + 16 + id);
  }

  void remove(uint32_t worker, uint32_t id) {
    const Hit hit = table_->find(key4(id));
    if (hit.is_miss()) return;
    unlink(worker, hit.ref);
    const uint32_t owner = table_->common(hit.ref).state().owner();
    if (owner != worker) wheels_[owner].request_rearm(hit.ref);
  }

  bool unlink(uint32_t worker, ConnRef ref) {
    const uint32_t serial = table_->common(ref).service_id;
    const uint64_t now = tick();
    if (!table_->unlink(worker, ref).won) return false;
    logs_[worker].deaths.push_back({serial, now});
    return true;
  }

  void look(uint32_t worker, uint32_t id, uint32_t backend) {
    Log& log = logs_[worker];
    const FlowKey4 key = backend == 0 ? key4(id) : key4(id, Direction::reply, backend);
    const uint64_t began = tick();
    const uint64_t hash = table_->hash(key);
    const Hit hit = table_->confirm(hash, key, table_->probe<FlowKey4>(hash));
    if (hit.is_miss()) {
      log.misses.push_back({id, backend, began, tick()});
      return;
    }
    ++log.found;
    const Connection4& entry = table_->v4(hit.ref);
    const uint32_t serial = entry.common.service_id;
    if (entry.key(hit.direction) != key) violate("a hit is another connection's");
    faults::step(faults::Step::compare_key);
    if (entry.key(hit.direction) != key || entry.common.service_id != serial) {
      violate("an entry changed while it was in use");
    }
    // The first packet back ends the embryonic state.
    StateWord word = table_->common(hit.ref).state();
    if (word.is_settled() && word.has(ConnFlag::embryonic)) {
      table_->transition(worker, hit.ref, word, word.without(ConnFlag::embryonic));
    }
  }

  void between_bursts(uint32_t worker, Tick now) {
#if !defined(HEADGATE_FAULTS)
    if (yield_every != 0) yield_sometimes({}, nullptr);
#endif
    table_.grace().quiescent(worker);
    logs_[worker].expired += wheels_[worker].advance(now, 8, [&](ConnRef ref) {
      unlink(worker, ref);
      table_->retire(worker, ref);
      return std::optional<Tick>();
    });
    table_->reclaim(worker);
  }

  void judge() {
    for (const Log& log : logs_) {
      for (const Death& death : log.deaths) {
        Life& life = logs_[death.serial >> 24].lives.at(death.serial & 0xffffff);
        if (life.died != never) return violate("an entry was unlinked twice");
        // Another worker may unlink it before the publisher reads the clock, and a third one make
        // the next life of its key: then nothing is known but that it lived just before it died.
        life.born = std::min(life.born, death.at);
        life.died = death.at;
      }
    }
    std::vector<Life> lives;
    for (const Log& log : logs_)
      lives.insert(lives.end(), log.lives.begin(), log.lives.end());
    judge_overlaps(lives, [](const Life& life) { return life.id; });
    judge_overlaps(lives, [](const Life& life) { return life.id * 8 + life.backend; });
    judge_misses(lives);
  }

  template <class KeyOf>
  void judge_overlaps(std::vector<Life>& lives, KeyOf key_of) {
    std::ranges::sort(lives, [&](const Life& a, const Life& b) {
      return std::pair(key_of(a), a.born) < std::pair(key_of(b), b.born);
    });
    for (size_t i = 1; i < lives.size(); ++i) {
      if (key_of(lives[i]) == key_of(lives[i - 1]) && lives[i].born < lives[i - 1].died) {
        violate(fmt::format("connection {} is in the table twice", lives[i].id));
      }
    }
  }

  // `lives` are sorted by connection, backend and birth, and do not overlap.
  void judge_misses(const std::vector<Life>& lives) {
    for (const Log& log : logs_) {
      for (const Miss& miss : log.misses) {
        for (uint32_t backend = 1; backend <= backends; ++backend) {
          if (miss.backend != 0 && miss.backend != backend) continue;
          auto after = std::ranges::upper_bound(
              lives, std::pair(miss.id * 8 + backend, miss.began), {},
              [](const Life& life) { return std::pair(life.id * 8 + life.backend, life.born); });
          if (after == lives.begin()) continue;
          const Life& life = *--after;
          if (life.id == miss.id && life.backend == backend && life.died > miss.ended) {
            violate(fmt::format("connection {} was not found while it was there", miss.id));
          }
        }
      }
    }
  }

  // Everything is removed: no slot, count or entry may be left over.
  void empty_table() {
    for (uint32_t worker = 0; worker < plan_.threads; ++worker)
      table_.grace().online(worker);
    const auto wide = Tick{plan_.rounds + 1000};
    for (uint32_t worker = 0; worker < plan_.threads; ++worker) {
      while (wheels_[worker].late_ticks(wide) > 0)
        between_bursts(worker, wide);
    }
    for (uint32_t worker = 0; worker < plan_.threads; ++worker)
      table_.reclaim_all(worker);
    for (uint32_t i = 0; i < table_->bucket_count(); ++i) {
      const Bucket& bucket = table_->bucket(i);
      if (bucket.away.load() != 0) violate("a count of keys away from home is wrong");
      for (const auto& slot : bucket.slots) {
        if (slot.load() != 0) violate("a slot is left over");
      }
    }
    const ConnTableCounters counters = table_->counters();
    if (counters.in_use4 != 0) violate("an entry is left over");
    if (counters.retired != 0) violate("a retired entry does not come back");
    if (counters.embryonic != 0) violate("embryonic connections are miscounted");
    uint32_t free = 0;
    for (uint32_t worker = 0; worker < plan_.threads; ++worker) {
      while (!table_->allocate(worker, net::Family::ipv4).is_none())
        ++free;
    }
    if (free != plan_.capacity) violate(fmt::format("{} of {} entries", free, plan_.capacity));
  }

  Stress plan_;
  TestTable table_;
  std::deque<TimerWheel> wheels_;
  std::vector<Log> logs_;
  std::atomic<uint64_t> clock_{1};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::string violation_;
};

}  // namespace

StressResult stress(const Stress& plan) {
#if defined(HEADGATE_FAULTS)
  faults::give_way_limit = max_give_way_spins;
#endif
  return Arena(plan).run();
}

}  // namespace headgate::dataplane::test
