#!/usr/bin/python3
"""Runs clang-tidy over every source of the compile database, as many at a time as there are cores.

usage: tidy.py [--build FOLDER] [--product] [--budget SECONDS] [--times] [FILE ...]

With --product it leaves tests/ out. What clang warns of counts as well, so that the build is free
of its warnings, too.

With a budget it takes up no new file once so many seconds are over, and says how many it skipped;
what changed last comes first, so nothing stays unseen for long.

A file that passed is not looked at again until it, anything it includes, its flags, .clang-tidy or
clang-tidy itself changes. The cache is $XDG_CACHE_HOME/headgate-tidy, by default under ~/.cache; it
can be removed at any time.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

TIDY, CLANG = "clang-tidy-19", "clang++-19"
MAX_SECONDS = 600  # of one file, on a machine that has other things to do


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "headgate-tidy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# Warnings that the build asks for and clang knows: what it warns of is a finding.
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wnon-virtual-dtor", "-Wcast-align",
            "-Wundef", "-Wvla", "-Wformat=2", "-Wimplicit-fallthrough"]


def arguments_for_clang(command):
    """What matters to the meaning of the source: precompiled headers do not."""
    arguments = list(WARNINGS)
    words = iter(shlex.split(command))
    for word in words:
        if word == "-isystem":
            arguments += [word, next(words)]
        elif word.startswith(("-I", "-D", "-U", "-std", "-isystem", "-m", "-pthread")):
            arguments.append(word)
    return arguments


class Keys:
    """What a file's verdict depends on: a hash of it and all that it includes, as ninja knows from the
    last build, and of its flags. Nothing for a file that was never built."""

    def __init__(self, build, common):
        self.build, self.common = Path(build), common
        listing = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True,
                                 check=False).stdout
        blocks = (block.splitlines() for block in listing.split("\n\n"))
        self.includes = {lines[0].split(": #deps")[0]: [line.strip() for line in lines[1:]]
                         for lines in blocks if lines and "(VALID)" in lines[0]}
        self.hashes = {}

    def content(self, name):
        if name not in self.hashes:
            self.hashes[name] = hashlib.sha256((self.build / name).read_bytes()).digest()
        return self.hashes[name]

    def of(self, entry):
        names = self.includes.get(entry["output"])
        try:
            contents = [self.content(name) for name in names or []]
        except OSError:
            return None
        flags = " ".join(entry["arguments"]).encode()
        return hashlib.sha256(b"\0".join([self.common, flags, *contents])).hexdigest() if names else None


def is_ours(output, root):
    """Whether a finding lies in our source. The analyzer follows calls into templates of libraries, and
    what it takes for a mistake there (in Asio's coroutines, in CLI11's functions) nobody here can mend."""
    findings = re.findall(r"^(\S+?):\d+:\d+: (?:error|warning): (.*)$", output, re.MULTILINE)
    return not findings or any(path.startswith((f"{root}/", ".")) or "[clang-diagnostic-" in text
                               for path, text in findings)


class Tidy:
    def __init__(self, root, build, database, budget):
        self.root, self.database = root, database
        self.deadline = time.monotonic() + budget
        self.cache = cache_folder()
        version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
        settings = [path for path in root.rglob(".clang-tidy") if "build" not in path.parts]
        self.keys = Keys(build, version + b"".join(path.read_bytes() for path in sorted(settings)))

    def examine(self, entry):
        """The file's name, what became of it, and what is wrong with it."""
        name = os.path.relpath(entry["file"], self.root)
        started = time.monotonic()
        key = self.keys.of(entry)
        if key and (self.cache / key).exists():
            os.utime(self.cache / key)
            return name, "unchanged", ""
        if started > self.deadline:
            return name, "left", ""
        command = [TIDY, "--quiet", "-p", self.database, str(self.root / name)]
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                    text=True, timeout=MAX_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return name, "stuck", f"{name}: clang-tidy took more than {MAX_SECONDS} s\n"
        output = result.stdout or result.stderr
        wrong = output if result.returncode != 0 and is_ours(output, self.root) else ""
        if not wrong and key:
            (self.cache / key).touch()
        return name, f"{time.monotonic() - started:.1f} s", wrong

    def forget_old(self):
        month_ago = time.time() - 30 * 86400
        for path in self.cache.iterdir():
            if path.stat().st_mtime < month_ago:
                path.unlink(missing_ok=True)


def entries_of(build, wanted):
    """One entry per source file, in no particular order."""
    entries = {}
    for entry in json.loads((Path(build) / "compile_commands.json").read_text(encoding="utf-8")):
        path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        if not path.endswith(".cpp") or (wanted and path not in wanted):
            continue
        arguments = [CLANG, *arguments_for_clang(entry["command"]), path]
        entries.setdefault(
            path, {"directory": entry["directory"], "file": path, "arguments": arguments,
                   "output": entry["output"]})
    missing = [path for path in wanted if path not in entries]
    if missing:
        sys.exit("tidy.py: in no build target: " + " ".join(missing))
    return list(entries.values())


def newest_first(root, entries):
    """By what git knows: changes not yet committed, then the latest commits."""
    def names(*command):
        result = subprocess.run(["git", "-C", root, *command, "--", "*.cpp"],
                                capture_output=True, text=True, check=False)
        return [str(root / name) for name in result.stdout.split()]

    order = {}
    for name in names("diff", "--name-only", "HEAD") + names("log", "--format=", "--name-only"):
        order.setdefault(name, len(order))
    return sorted(entries, key=lambda entry: order.get(entry["file"], -1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--build", default=str(root / "build"))
    parser.add_argument("--budget", type=float, default=float("inf"))
    parser.add_argument("--product", action="store_true", help="all but the tests")
    parser.add_argument("--times", action="store_true", help="print what each file took")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    wanted = {os.path.realpath(f) for f in arguments.files}
    entries = newest_first(root, entries_of(arguments.build, wanted))
    if arguments.product:
        entries = [entry for entry in entries if not entry["file"].startswith(f"{root}/tests/")]
    bad = left = 0
    with (TemporaryDirectory(prefix="headgate-tidy-") as database,
          ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool):
        (Path(database) / "compile_commands.json").write_text(json.dumps(entries))
        tidy = Tidy(root, arguments.build, database, arguments.budget)
        for name, outcome, wrong in pool.map(tidy.examine, entries):
            bad += bool(wrong)
            left += outcome == "left"
            print(wrong, end="", flush=True)
            if arguments.times:
                print(f"{outcome:>9}  {name}", flush=True)
    tidy.forget_old()
    print(f"clang-tidy: {len(entries)} files, {bad} with findings")
    if left:
        print(f"SKIP clang-tidy of {left} files: the {arguments.budget:.0f} s it may take were over")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
