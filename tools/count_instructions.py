#!/usr/bin/python3
"""Counts the instructions that headgate spends on a packet, and compares them with the record.

usage: count_instructions.py [--record | --only-count] [--json FILE] [--keep FOLDER]
                             [--bench PROGRAM]

Times differ from run to run and from machine to machine; instructions repeat. headgate_bench runs a
few cases in virtual time under callgrind (valgrind); what its worker executes is counted without the
generator's part: the receive and transmit functions of its port, and all that they call.

A case fails when it is more than 3 % above tests/bench/instructions.json. What is more than 3 % below
is told, for the record to follow: --record writes it anew, for a commit that says why it changed.
The record is one compiler's; with another nothing is compared, nor with --only-count. --keep leaves
callgrind's files, one a case, for callgrind_annotate.

Prints a line `PASS`, `FAIL` or `SKIP` for each case, as tools/run_tests.py reads them.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "bench" / "instructions.json"
TOLERANCE = 0.03
VALGRIND_SECONDS = 300

COUNTED = "headgate::bench::counted_turns*"
ENDS_CASE = "headgate::bench::counted_case*"
GENERATOR = re.compile(r"^headgate::bench::(Source::receive|Sink::send)\(")


def fail(text):
    sys.exit(f"count_instructions.py: {text}")


# ---- callgrind's files


def instructions(profile):
    """What a profile counted, without calls into the generator.

    Lines: `fn=(id) name` begins a function's own costs, `cfn=(id) name` and `calls=` announce a
    line that has the cost of these calls with all below them. A name is spelled out once.
    """
    names = {}
    total = 0
    generator = 0
    callee = None
    is_call = False
    for line in profile.read_text(encoding="utf-8", errors="replace").splitlines():
        named = re.match(r"(c?fn)=\((\d+)\)(?: (.*))?$", line)
        if named:
            if named[3]:
                names[named[2]] = named[3]
            if named[1] == "cfn":
                callee = names[named[2]]
        elif line.startswith("calls="):
            is_call = True
        elif line.startswith("totals:"):
            total = int(line.split()[1])
        elif is_call:
            is_call = False
            if GENERATOR.match(callee):
                generator += int(line.split()[1])
    if not 0 < generator < total:
        fail(f"{profile}: {generator} instructions of the generator out of {total}: no count")
    return total - generator


def run_callgrind(bench, folder):
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/profile",
               f"--toggle-collect={COUNTED}", f"--dump-after={ENDS_CASE}",
               bench, "--count", "--plain-pages"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=VALGRIND_SECONDS,
                              check=False)
    except subprocess.TimeoutExpired:
        fail(f"valgrind did not end within {VALGRIND_SECONDS} s")
    if done.returncode != 0:
        fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def count(bench, folder):
    """The compiler, and instructions per packet by case."""
    output = run_callgrind(bench, folder)
    built_with = re.search(r"^built with (.*)$", output, re.MULTILINE)
    cases = re.findall(r"^counted (\d+) (.*)$", output, re.MULTILINE)
    if not built_with or not cases:
        fail(f"{bench} --count named no case:\n{output}")
    figures = {}
    for number, (packets, name) in enumerate(cases, 1):
        profile = folder / f"profile.{number}"
        if not profile.exists():
            fail(f"callgrind wrote no {profile.name} for {name}: is {COUNTED} in the program?")
        figures[name] = round(instructions(profile) / int(packets), 1)
    return built_with[1], figures


# ---- the record


def compare(figures, recorded):
    """Prints a line for each case; how many failed."""
    failed = 0
    for name in sorted(figures.keys() | recorded.keys(), key=list(figures | recorded).index):
        if name not in figures:
            print(f"FAIL {name}: on record, but not counted")
            failed += 1
        elif name not in recorded:
            print(f"FAIL {name}: {figures[name]} a packet, not on record: --record adds it")
            failed += 1
        else:
            change = figures[name] / recorded[name] - 1
            text = f"{name}: {figures[name]} instructions a packet"
            against = f"{change:+.1%} against the record of {recorded[name]}"
            if change > TOLERANCE:
                print(f"FAIL {text}, {against}")
                failed += 1
            else:
                print(f"PASS {text}")
                if change < -TOLERANCE:
                    print(f"note: {name}: {against}: lower it (--record)")
    return failed


def write_record(built_with, figures):
    record = {"built_with": built_with, "instructions_per_packet": figures}
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"recorded in {RECORD.relative_to(ROOT)}")


def judge(built_with, figures):
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{RECORD}: {error.strerror}: --record writes it")
    if record["built_with"] != built_with:
        for name, figure in figures.items():
            print(f"SKIP {name}: {figure} instructions a packet; the record is of "
                  f"{record['built_with']}, this is {built_with}")
        return 0
    return compare(figures, record["instructions_per_packet"])


def main():
    parser = argparse.ArgumentParser(
        description="Counts instructions per packet and compares them with the record.")
    parser.add_argument("--record", action="store_true", help="write what is counted to the record")
    parser.add_argument("--only-count", action="store_true", help="compare nothing")
    parser.add_argument("--json", metavar="FILE", help="write what is counted to this file as well")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="leave callgrind's files there")
    parser.add_argument("--bench", metavar="PROGRAM",
                        default=Path(os.environ.get("HEADGATE_BUILD", ROOT / "build"))
                        / "tests" / "headgate_bench")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("SKIP instructions per packet: valgrind is not installed (tools/packages.sh test)")
        return 0
    with tempfile.TemporaryDirectory(prefix="headgate-count-") as name:
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
        built_with, figures = count(arguments.bench, arguments.keep or Path(name))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if arguments.record:
        write_record(built_with, figures)
        return 0
    if arguments.only_count:
        return 0
    return 1 if judge(built_with, figures) else 0


if __name__ == "__main__":
    sys.exit(main())
