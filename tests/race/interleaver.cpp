#include "tests/race/interleaver.h"

#include <bit>
#include <memory>
#include <sstream>
#include <ucontext.h>
#include <unordered_set>
#include <utility>

#if defined(HEADGATE_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(HEADGATE_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

namespace headgate::dataplane::test {

namespace {

using faults::Step;

constexpr size_t stack_bytes = size_t{256} * 1024;
constexpr size_t max_programs = 3;
constexpr size_t max_decisions = 20'000;
constexpr uint8_t none = 0xff;

// Slots that are scheduling points when they are read, because some run wrote to them or tried to.
// Fixed while a scenario is explored; what is written besides is for the next round.
std::unordered_set<const void*> hot_slots;
std::unordered_set<const void*> written_slots;
bool every_slot_is_hot = true;

// A context with what the sanitizers want to know of it.
struct Context {
  ucontext_t machine{};
#if defined(HEADGATE_TSAN)
  void* tsan_fiber = nullptr;
#endif
#if defined(HEADGATE_ASAN)
  void* fake_stack = nullptr;
  const void* stack_bottom = nullptr;
  size_t stack_size = 0;
#endif
};

class Runner;

// The fibers live as long as the process (a fiber is dear to make under ThreadSanitizer): each runs
// its program of one run after another.
struct Fibers {
  Fibers();
  Context main;
  Context programs[max_programs];
  std::unique_ptr<std::byte[]> stacks;
  Runner* runner = nullptr;  // of the present run
};

Fibers& fibers() {
  static Fibers all;
  return all;
}

void switch_to(Context& from, Context& to) {
#if defined(HEADGATE_TSAN)
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
#if defined(HEADGATE_ASAN)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack_bottom, to.stack_size);
#endif
  swapcontext(&from.machine, &to.machine);
#if defined(HEADGATE_ASAN)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

class Runner {
 public:
  Runner(Scenario& scenario, const Chooser& choose) : scenario_(scenario), choose_(choose) {}

  RunResult run() {
    programs_ = scenario_.start();
    fibers().runner = this;
    faults::step_hook = [](Step step, const void* where) { fibers().runner->on_step(step, where); };
    enabled_ = static_cast<uint8_t>((1U << programs_.size()) - 1);
    while (enabled_ != 0) {  // at the start, and when a program ended
      decide(none, Step::load_slot);
      switch_to(fibers().main, fibers().programs[running_]);
    }
    faults::step_hook = nullptr;
    fibers().runner = nullptr;
    if (result_.violation.empty()) result_.violation = scenario_.check_end();
    return std::move(result_);
  }

  // On the fiber `own`.
  void run_program(size_t own) {
    programs_[own]();
    enabled_ &= static_cast<uint8_t>(~(1U << own));
  }

 private:
  void on_step(Step step, const void* where) {
    const bool writes = step == Step::commit || step == Step::retract || step == Step::kill_rival ||
                        step == Step::clear_slot;
    if (writes) written_slots.insert(where);
    const bool reads = step == Step::load_slot || step == Step::announce;
    if (reads && !every_slot_is_hot && !hot_slots.contains(where)) return;
    if (result_.violation.empty()) result_.violation = scenario_.check_step();
    const uint8_t self = running_;
    decide(self, step);
    if (running_ != self) switch_to(fibers().programs[self], fibers().programs[running_]);
  }

  void decide(uint8_t current, Step step) {
    uint8_t next = none;
    if (result_.trace.size() < max_decisions) {
      next = choose_(result_.trace.size(), current, enabled_);
    } else {
      if (result_.violation.empty()) result_.violation = "no progress";
      // Round robin, so that whatever waits for another program gets what it waits for.
      next = static_cast<uint8_t>(std::countr_zero(enabled_));
    }
    result_.trace.push_back({step, next, enabled_, current});
    running_ = next;
  }

  Scenario& scenario_;
  const Chooser& choose_;
  std::vector<Program> programs_;
  uint8_t running_ = 0;
  uint8_t enabled_ = 0;
  RunResult result_;
};

void enter(int own) {
  Fibers& all = fibers();
#if defined(HEADGATE_ASAN)
  // The first fiber to run is entered from the thread's own stack.
  const bool first = all.main.stack_bottom == nullptr;
  __sanitizer_finish_switch_fiber(nullptr, first ? &all.main.stack_bottom : nullptr,
                                  first ? &all.main.stack_size : nullptr);
#endif
  while (true) {
    all.runner->run_program(static_cast<size_t>(own));
    switch_to(all.programs[own], all.main);
  }
}

// In a function of its own: what may return twice leaves no variable of a loop unsafe.
void prepare(Context& fiber, std::byte* stack, int own) {
  getcontext(&fiber.machine);
  fiber.machine.uc_stack.ss_sp = stack;
  fiber.machine.uc_stack.ss_size = stack_bytes;
  fiber.machine.uc_link = nullptr;
  // makecontext passes ints to a function that it calls without knowing its type.
  makecontext(&fiber.machine, reinterpret_cast<void (*)()>(&enter), 1, own);
#if defined(HEADGATE_TSAN)
  fiber.tsan_fiber = __tsan_create_fiber(0);
#endif
#if defined(HEADGATE_ASAN)
  fiber.stack_bottom = stack;
  fiber.stack_size = stack_bytes;
#endif
}

Fibers::Fibers() : stacks(std::make_unique<std::byte[]>(max_programs * stack_bytes)) {
#if defined(HEADGATE_TSAN)
  main.tsan_fiber = __tsan_get_current_fiber();
#endif
  for (size_t i = 0; i < max_programs; ++i) {
    prepare(programs[i], stacks.get() + i * stack_bytes, static_cast<int>(i));
  }
}

uint8_t go_on(uint8_t current, uint8_t enabled) {
  return current != none ? current : static_cast<uint8_t>(std::countr_zero(enabled));
}

std::string describe(const std::vector<StepSeen>& trace) {
  std::ostringstream text;
  uint8_t last = none;
  for (size_t i = 0; i < trace.size(); ++i) {
    if (trace[i].chosen == last) continue;
    last = trace[i].chosen;
    text << (text.tellp() == 0 ? " [schedule " : " ") << i << ':' << int{last};
  }
  text << ']';
  return text.str();
}

// One schedule begins with `choices` and then switches only when a program ends.
Exploration explore_once(Scenario& scenario, unsigned preemptions, uint64_t max_runs) {
  Exploration result;
  std::vector<std::vector<uint8_t>> pending(1);
  while (!pending.empty()) {
    if (result.runs == max_runs) {
      result.complete = false;
      return result;
    }
    const std::vector<uint8_t> choices = std::move(pending.back());
    pending.pop_back();
    const RunResult ran = run(scenario, [&](size_t decision, uint8_t current, uint8_t enabled) {
      return decision < choices.size() ? choices[decision] : go_on(current, enabled);
    });
    ++result.runs;
    if (!ran.violation.empty()) {
      result.violation = ran.violation + describe(ran.trace);
      return result;
    }
    unsigned used = 0;
    std::vector<uint8_t> prefix;
    for (size_t i = 0; i < ran.trace.size(); ++i) {
      const StepSeen& seen = ran.trace[i];
      const bool free = seen.current == none;
      for (uint8_t other = 0; i >= choices.size() && other < max_programs; ++other) {
        if (other == seen.chosen || (seen.enabled >> other & 1) == 0) continue;
        if (used + (free ? 0 : 1) > preemptions) continue;
        pending.push_back(prefix);
        pending.back().push_back(other);
      }
      prefix.push_back(seen.chosen);
      used += !free && seen.chosen != seen.current;
    }
  }
  return result;
}

}  // namespace

RunResult run(Scenario& scenario, const Chooser& choose) {
  return Runner(scenario, choose).run();
}

Exploration explore(Scenario& scenario, unsigned preemptions, uint64_t max_runs) {
  hot_slots.clear();
  written_slots.clear();
  every_slot_is_hot = false;
  uint64_t runs = 0;
  while (true) {
    Exploration result = explore_once(scenario, preemptions, max_runs);
    runs += result.runs;
    if (!result.violation.empty() || !result.complete || written_slots == hot_slots) {
      result.runs = runs;
      every_slot_is_hot = true;
      return result;
    }
    hot_slots = written_slots;
  }
}

}  // namespace headgate::dataplane::test
