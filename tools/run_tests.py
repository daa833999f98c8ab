#!/usr/bin/python3
"""Builds, runs and counts every test. Called by tools/test.sh, which prepares the machine.

usage: run_tests.py [--full] [--only PATTERN] [GROUP ...]

Groups, in this order: lint (format, layout, shell), build, unit, packet, instructions (of a packet,
against the record), race, e2e, tidy and leftovers. unit, packet, race and e2e are the tests that
meson knows, by the first part of their name, and for e2e every tests/e2e/test_* besides. The race
tests run three times: as they are, under ThreadSanitizer and under AddressSanitizer. With --full the
packet tests run under AddressSanitizer too; their build would cost a usual run about a minute.

What is counted are cases, as the programs report them: GoogleTest's JSON, the summary of Python's
unittest, or lines `PASS name`, `FAIL name`, `SKIP name reason`. A program that ends badly without a
failed case, runs too long or reports no case at all counts as one failure.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from test_state import Leftovers

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ["lint", "build", "unit", "packet", "instructions", "race", "e2e", "tidy",
          "leftovers"]
MESON_GROUPS = ["unit", "packet", "race"]
BUILDS = {  # folder: options of meson setup
    "build": [],
    "build-tsan": ["-Dsanitizer=thread", "-Doptimization=1"],
    "build-asan": ["-Dsanitizer=address", "-Doptimization=1"],
}
SANITIZER_ENVIRONMENT = {
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:exitcode=66",
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}
E2E_SECONDS = 180  # a script may ask for another limit: `# seconds: N` in its first lines
TIDY_BUDGET_SECONDS = 480  # twice what the product takes on two cores without a cache
BUILD_SECONDS = 1800
INSTRUCTION_SECONDS = 120
FULL_FACTOR = 10  # of time limits, with --full
SANITIZER_FACTOR = 4  # likewise, for what sanitizers cost
CANNOT_START = 127  # the shell's status for the same
SHOWN_LINES = 30  # of a failed program's output

COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


@dataclass
class Outcome:
    """What one program did."""

    passed: int = 0
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failed += other.failed

    def text(self):
        parts = [f"{self.passed} passed", f"{len(self.failed)} failed"]
        if self.skipped:
            parts.append(f"{len(self.skipped)} skipped")
        return ", ".join(parts)


# ---- reading results


def read_gtest_json(path):
    """Nothing where the program wrote none, or did not live to finish it."""
    try:
        suites = json.loads(path.read_text(encoding="utf-8"))["testsuites"]
    except (OSError, ValueError, KeyError):
        return None
    outcome = Outcome()
    for suite in suites:
        for case in suite["testsuite"]:
            name = f"{suite['name']}.{case['name']}"
            if case.get("failures"):
                outcome.failed.append(name)
            elif case.get("result") == "SKIPPED":
                outcome.skipped.append(name)
            elif case.get("status") == "RUN":
                outcome.passed += 1
    return outcome


def read_gtest_text(text):
    """For a program that died: what it had done, and the case that it died in."""
    ended = set(re.findall(r"\[  (?:     OK|SKIPPED|FAILED ) ?\] ([\w/.]+)", text))
    started = re.findall(r"\[ RUN      \] ([\w/.]+)", text)
    failed = re.findall(r"\[  FAILED  \] ([\w/.]+) \(\d+ ms\)", text)
    passed = set(re.findall(r"\[       OK \] ([\w/.]+)", text))
    died = [name for name in started if name not in ended]
    return Outcome(len(passed), [], failed + [f"{name} (died in it)" for name in died])


def read_unittest(text):
    ran = re.search(r"^Ran (\d+) tests? in ", text, re.MULTILINE)
    if not ran:
        return None
    failed = re.findall(r"^(?:FAIL|ERROR): (.*)$", text, re.MULTILINE)
    skips = re.search(r"^(?:OK|FAILED) \(.*?skipped=(\d+)", text, re.MULTILINE)
    skipped = ["skipped by unittest"] * (int(skips.group(1)) if skips else 0)
    return Outcome(max(0, int(ran.group(1)) - len(failed) - len(skipped)), skipped, failed)


def read_lines(text):
    outcome = Outcome()
    for word, name in re.findall(r"^(PASS|FAIL|SKIP) (.+)$", text, re.MULTILINE):
        if word == "PASS":
            outcome.passed += 1
        else:
            (outcome.failed if word == "FAIL" else outcome.skipped).append(name)
    return outcome


def read_results(log, report):
    text = log.read_text(encoding="utf-8", errors="replace")
    outcome = read_gtest_json(report)
    if outcome is None and "[ RUN      ]" in text:
        outcome = read_gtest_text(text)
    return outcome or read_unittest(text) or read_lines(text)


# ---- running programs


def end_group(process, patience):
    """SIGTERM to the program and what it started, so that it can clean up; then SIGKILL."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    # Whatever is left of the group after its leader.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_logged(command, log, seconds, environment=None, folder=ROOT):
    """The exit status, negative for a signal, or None when time ran out."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env=os.environ | (environment or {}),
                start_new_session=True)
        except OSError as error:  # its build has failed
            output.write(f"{command[0]}: {error.strerror}\n".encode())
            return CANNOT_START
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            end_group(process, 20)
            return None
        except BaseException:
            end_group(process, 20)
            raise


def telling_lines(log):
    """What the compiler complained of, or else the end of the log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if lines and lines[-1].startswith("ninja: build stopped"):
        errors = [line for line in lines if re.search(r"error:|undefined reference|^FAILED", line)]
        shown = errors[:SHOWN_LINES]
    else:
        shown = lines[-SHOWN_LINES:]
    return "\n".join("    " + line for line in shown)


class Run:
    def __init__(self, arguments):
        self.full = arguments.full
        self.only = arguments.only
        self.logs = Path(os.environ.get("HEADGATE_TEST_LOGS", ROOT / "build" / "test-logs"))
        self.total = Outcome()
        self.failures = []  # (group, name, log)
        self.seconds = {}
        self.leftovers = Leftovers()

    # Results

    def note(self, group, name, outcome, seconds, log):
        self.total.add(outcome)
        self.failures += [(group, case, log) for case in outcome.failed]
        mark = coloured("31", "FAIL") if outcome.failed else coloured("32", "ok  ")
        print(f"{mark} {group:<10} {name:<34} {outcome.text():<34} {seconds:6.1f} s", flush=True)
        if outcome.failed:
            for case in outcome.failed:
                print(f"    failed: {case}")
            print(telling_lines(log), flush=True)

    def program(self, group, name, command, seconds, **more):
        """Runs a program that reports cases, and counts them."""
        log = self.logs / group / f"{name}.log"
        report = log.with_suffix(".json")
        report.unlink(missing_ok=True)
        limit = seconds * (FULL_FACTOR if self.full else 1)
        environment = {"GTEST_OUTPUT": f"json:{report}"} | more.pop("environment", {})
        started = time.monotonic()
        status = run_logged(command, log, limit, environment, **more)
        outcome = read_results(log, report)
        if status is None:
            outcome.failed.append(f"{name}: stopped after {limit} s")
        elif status != 0 and not outcome.failed:
            outcome.failed.append(f"{name}: ended with status {status}")
        elif status == 0 and not (outcome.passed or outcome.skipped or outcome.failed):
            outcome.failed.append(f"{name}: reported no case")
        self.note(group, name, outcome, time.monotonic() - started, log)
        self.leftovers.look(f"{group} {name}")

    def step(self, group, name, commands, seconds):
        """A case of its own: all commands must succeed."""
        log = self.logs / group / f"{name}.log"
        started = time.monotonic()
        ok = all(run_logged(command, log, seconds) == 0 for command in commands)
        outcome = Outcome(1) if ok else Outcome(0, [], [name])
        self.note(group, name, outcome, time.monotonic() - started, log)
        return ok

    # Groups

    def lint(self):
        for name in ("format", "layout", "shell"):
            self.program("lint", name, [str(ROOT / "tools/lint.sh"), name], 120)

    def build(self, folder="build", targets=()):
        commands = []
        if not (ROOT / folder / "build.ninja").exists():
            commands.append(["meson", "setup", folder, *BUILDS[folder]])
        jobs = str(len(os.sched_getaffinity(0)))
        # As much as can be built, so that one mistake does not hide what else fails.
        commands.append(["ninja", "-C", folder, "-j", jobs, "-k", "0", *targets])
        return self.step("build", folder, commands, BUILD_SECONDS)

    def meson_tests(self, group, folder="build"):
        listing = subprocess.run(["meson", "introspect", "--tests", folder], cwd=ROOT,
                                 capture_output=True, text=True, check=False)
        tests = json.loads(listing.stdout) if listing.returncode == 0 else []
        return [test for test in tests if test["name"].split("_")[0] == group
                and (not self.only or re.search(self.only, test["name"]))]

    def run_meson_tests(self, group, folder="build", label=None, prefix=()):
        for test in self.meson_tests(group, folder):
            seconds = test["timeout"] * (SANITIZER_FACTOR if folder != "build" else 1)
            self.program(label or group, test["name"], [*prefix, *test["cmd"]], seconds,
                         environment=SANITIZER_ENVIRONMENT | test["env"],
                         folder=test["workdir"] or ROOT)

    def unit(self):
        self.run_meson_tests("unit")

    def packet(self):
        self.run_meson_tests("packet")
        if not self.full:
            return
        names = self.sanitized_targets("packet")
        if names and self.build("build-asan", names):
            self.run_meson_tests("packet", "build-asan", "packet asan")

    def instructions(self):
        name = "count_instructions"
        if self.only and not re.search(self.only, name):
            return
        self.program("instructions", name, [str(ROOT / f"tools/{name}.py")], INSTRUCTION_SECONDS)
        log = self.logs / "instructions" / f"{name}.log"
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("note: "):
                print(f"    {line[6:]}", flush=True)

    def race(self):
        self.run_meson_tests("race")
        for folder in ("build-tsan", "build-asan"):
            names = self.sanitized_targets("race")
            if not names or not self.build(folder, names):
                continue
            # GCC 12's ThreadSanitizer gives up where the kernel randomises addresses further than
            # it knows.
            prefix = ["setarch", "--addr-no-randomize"] if folder == "build-tsan" else []
            self.run_meson_tests("race", folder, f"race {folder[6:]}", prefix)

    def sanitized_targets(self, group):
        """The programs of a group's tests; all builds know the same tests."""
        build = str(ROOT / "build") + "/"
        return sorted({part.removeprefix(build) for test in self.meson_tests(group)
                       for part in [*test["cmd"], *test["env"].values()]
                       if part.startswith(build)})

    def e2e(self):
        self.run_meson_tests("e2e")
        for script in sorted((ROOT / "tests/e2e").glob("test_*")):
            if self.only and not re.search(self.only, script.stem):
                continue
            asked = re.search(r"^# seconds: (\d+)$", script.read_text()[:2000], re.MULTILINE)
            seconds = int(asked.group(1)) if asked else E2E_SECONDS
            logs = {"testbed_log_dir": str(self.logs / "e2e" / script.stem)}
            self.program("e2e", script.stem, [str(script)], seconds, environment=logs)

    def tidy(self):
        options = [] if self.full else ["--product", "--budget", str(TIDY_BUDGET_SECONDS)]
        command = [str(ROOT / "tools/lint.sh"), *options, "tidy"]
        self.program("tidy", "clang-tidy", command, TIDY_BUDGET_SECONDS + 600)

    def check_leftovers(self):
        log = self.logs / "leftovers.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join(self.leftovers.found) + "\n", encoding="utf-8")
        name = "nothing is left behind"
        outcome = Outcome(0, [], [name]) if self.leftovers.found else Outcome(1)
        self.note("leftovers", name, outcome, 0, log)

    def group(self, name):
        started = time.monotonic()
        {"leftovers": self.check_leftovers}.get(name, getattr(self, name, None))()
        self.seconds[name] = time.monotonic() - started

    def summary(self):
        print()
        for group, case, log in self.failures:
            print(f"{coloured('31', 'FAIL')} {group}: {case}   ({os.path.relpath(log)})")
        for case in self.total.skipped:
            print(f"SKIP {case}")
        times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        print(f"time: {times}; {sum(self.seconds.values()):.0f} s in all")
        print(self.total.text(), flush=True)
        return 1 if self.total.failed else 0


def chosen_groups(names):
    """Tests need the build, and what they leave is looked at whenever something ran."""
    if not names:
        return GROUPS
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        sys.exit(f"test.sh: unknown group '{unknown[0]}': one of {', '.join(GROUPS)}")
    chosen = set(names)
    if chosen & {*MESON_GROUPS, "instructions", "e2e", "tidy"}:
        chosen.add("build")
    if chosen & {*MESON_GROUPS, "instructions", "e2e"}:
        chosen.add("leftovers")
    return [name for name in GROUPS if name in chosen]


def main():
    parser = argparse.ArgumentParser(
        prog="test.sh", description="Builds, runs and counts the tests.")
    parser.add_argument("--full", action="store_true",
                        help="the long runs too, and clang-tidy over the whole tree")
    parser.add_argument("--only", metavar="PATTERN", help="only tests whose name it matches")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    arguments = parser.parse_args()
    groups = chosen_groups(arguments.groups)
    os.environ |= {"CI": "true", "HEADGATE_BUILD": str(ROOT / "build")}
    if arguments.full:
        os.environ["HEADGATE_FULL"] = "1"
    # A request to end unwinds like ctrl-C: the running test cleans up first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = Run(arguments)
    try:
        for group in groups:
            run.group(group)
    except KeyboardInterrupt:
        run.total.failed.append("interrupted")
        run.failures.append(("test.sh", "interrupted", run.logs))
    sys.exit(run.summary())


if __name__ == "__main__":
    main()
