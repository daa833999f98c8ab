#!/usr/bin/python3
"""The ipvsadm commands of the recordings of Linux IPVS, and what was listed before any packet came:
headgate-ipvsadm has to say and list the same, byte by byte (trailing blanks were not recorded).

usage: ipvsadm_vectors.py IPVSADM VECTORS

Prints a case a vector. A sized table is called (size=N) in both.
"""

import json
import re
import shlex
import subprocess
import sys

# What headgate has not is refused with these words, and is in no listing.
REFUSALS = [
    (r"--sctp-service", "headgate balances TCP and UDP, not SCTP: leave its services to IPVS"),
    (r"--tun-type (gue|gre)",
     "headgate tunnels with IPIP alone: leave out --tun-type, or say ipip"),
    (r"-w 70000000", "headgate's weights end at 65535: give a smaller one than 70000000"),
]


def run(program, words):
    result = subprocess.run([program, *words], capture_output=True, text=True, timeout=60,
                            check=False)
    return result.returncode, result.stdout, result.stderr


def stripped(text):
    text = re.sub(r"\(size=\d+\)", "(size=N)", text)
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")


def words_of(command):
    words = shlex.split(command)
    return words[1:] if words[0] == "ipvsadm" else words


def refusal_of(command):
    return next((text for pattern, text in REFUSALS if re.search(pattern, command)), None)


def expect(got, wanted, what):
    if got != wanted:
        raise AssertionError("%s\n  got:    %r\n  wanted: %r" % (what, got, wanted))


# The recorded text as headgate has it.
def wanted_listing(command, text, commands):
    lines = [line for line in text.splitlines()
             if not line.startswith("SCTP") and "--sctp-service" not in line]
    if command == "ipvsadm -Sn":
        # headgate saves thresholds, too.
        for line in commands:
            found = re.match(r"(-a .* -r \S+) .*-x (\d+) -y (\d+)", line)
            if found:
                lines = [saved + " -x %s -y %s" % found.groups()[1:]
                         if saved.startswith(found.group(1)) else saved for saved in lines]
    return stripped("\n".join(lines))


def play_command(program, command, recorded):
    status, _, said = run(program, words_of(command))
    refusal = refusal_of(command)
    if refusal is not None:
        expect((status, said), (255, refusal + "\n"), command)
        return False
    got = "rc=%d %s" % (status, said.rstrip("\n")) if status else ""
    expect(got, recorded, command)
    return True


def play(program, vector):
    """The number of listings that were compared."""
    compared = 0
    config = vector["config"]
    run(program, ["-C"])
    run(program, ["--set", "900", "120", "300"])
    said = list(config.get("said") or [])
    whole = True
    for command in config["ipvsadm"]:
        status, _, error = run(program, words_of(command))
        refusal = refusal_of(command)
        if refusal is not None:
            expect((status, error), (255, refusal + "\n"), command)
            whole = whole and "--sctp" in command
        elif status:
            expect("rc=%d %s" % (status, error.rstrip("\n")), said.pop(0) if said else "", command)
    expect(said, [], "refusals that were recorded")
    for step in vector["steps"]:
        if "in" in step or "seq" in step or "sleep" in step or not whole:
            break
        if "run" in step:
            if step["run"].startswith("ipvsadm"):
                play_command(program, step["run"], step.get("text", ""))
        elif not (step.get("unstable") or "--nosort" in step["show"]):
            status, listed, error = run(program, words_of(step["show"]))
            expect((status, error), (0, ""), step["show"])
            expect(stripped(listed),
                   wanted_listing(step["show"], step["text"], config["ipvsadm"]), step["show"])
            compared += 1
    return compared


def fresh_listing(program, vector):
    """What a vector lists after its traffic, but for the counts: what was set up is in it."""
    for step in vector["steps"]:
        if step.get("show") in ("ipvsadm -Ln", "ipvsadm -Ln --sort"):
            _, listed, _ = run(program, words_of(step["show"]))
            counts = re.compile(r"(  -> \S+ +\S+ +\d+) .*")
            expect(counts.sub(r"\1", stripped(listed)), counts.sub(r"\1", stripped(step["text"])),
                   step["show"] + " without counts")
            return 1
        if "run" in step or any(event[0] == "cmd" for event in step.get("seq", [])):
            return 0
    return 0


def main():
    program, path = sys.argv[1:]
    with open(path, encoding="utf-8") as source:
        vectors = json.load(source)["vectors"]
    listings = 0
    for vector in vectors:
        name = "recorded %s" % vector["id"]
        try:
            compared = play(program, vector)
            if compared == 0 and not any(refusal_of(c) for c in vector["config"]["ipvsadm"]):
                compared = fresh_listing(program, vector)
            listings += compared
            print("PASS " + name)
        except AssertionError as failure:
            print("%s\nFAIL %s" % (failure, name))
    print("%s at least 50 listings were compared" % ("PASS" if listings >= 50 else
                                                     "%d were\nFAIL" % listings))
    run(program, ["-C"])


if __name__ == "__main__":
    main()
