#!/usr/bin/python3
"""Holds the rules of the source tree that neither compiler nor formatter knows.

usage: check_layout.py [FOLDER]   (default: the repository of this script)

- Arrows: which folder may include what. Checked file by file; since every file is checked, what a
  file reaches through others is held as well.
- Length: no file over 600 lines, no line over 100 columns (110 in scripts).
- Words: nothing that only means something on the machine where it was written.
- Sources: every .cpp file belongs to a build target (where build/compile_commands.json can tell).

Prints what is wrong, one line each, and `PASS name` or `FAIL name` for each of the four.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

MAX_LINES = 600
MAX_COLUMNS = 100
MAX_SCRIPT_COLUMNS = 110

# Per folder, the longest match counts: project headers by prefix, and libraries by the first part
# of the name. The standard library, the C library and the kernel's headers are free to all.
ANY = [""]
ARROWS = {
    "dataplane/net": (["dataplane/net/"], []),
    "dataplane": (["dataplane/"], ["rte_"]),
    "config": (["config/", "dataplane/net/"], ["yaml-cpp/", "fmt/", "re2/"]),
    "vrrp": (["vrrp/", "dataplane/net/"], ["fmt/"]),
    "control": (["control/", "vrrp/", "config/", "dataplane/"], ANY),
    "tools": (["tools/", "control/protocol.h", "config/", "dataplane/net/"], ["CLI/", "boost/", "fmt/"]),
    "tests": (ANY, ANY),
}
LIBRARIES = re.compile(
    r"(rte_|boost/|yaml-cpp/|fmt/|CLI/|gtest/|gmock/|benchmark/"
    r"|re2/|netlink/|openssl/|ares|bpf/|xdp/|pcap|numa)"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')

WORDS = re.compile(
    r"(?<![\w.])/work/|/home/\w|\bissue #?\d|\bpkg\.dev\b|artifactory", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


def tracked_files(root):
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        names = [name for name in listing.stdout.split("\0") if name]
    else:  # an unpacked archive
        names = [str(path.relative_to(root)) for path in Path(root).rglob("*")]
    skipped = re.compile(r"^(build|\.git|\.cache)")
    return sorted(n for n in names if not skipped.match(n) and (Path(root) / n).is_file())


def read_lines(root, name):
    try:
        return (Path(root) / name).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []  # not text


def is_source(name):
    return name.endswith((".cpp", ".h"))


def is_code(name):
    return is_source(name) or name.endswith((".sh", ".py", "meson.build", ".ci/run"))


def folder_of(name):
    matches = [folder for folder in ARROWS if name.startswith(folder + "/")]
    return max(matches, key=len, default=None)


def check_include(name, quote, header):
    """What is wrong with the include, or nothing."""
    project, libraries = ARROWS[folder_of(name)]
    if quote == '"':
        if "/" not in header:
            return f'"{header}": include paths start at the root'
        if not header.startswith(tuple(project)):
            return f'"{header}": {folder_of(name)} may use {", ".join(project)} only'
    elif LIBRARIES.match(header) and not header.startswith(tuple(libraries)):
        return f"<{header}>: {folder_of(name)} may use {', '.join(libraries) or 'no library'} only"
    return None


def check_arrows(root, names):
    for name in filter(is_source, names):
        if folder_of(name) is None:
            yield f"{name}: no source belongs here"
            continue
        for number, line in enumerate(read_lines(root, name), 1):
            include = INCLUDE.match(line)
            wrong = include and check_include(name, *include.groups())
            if wrong:
                yield f"{name}:{number}: {wrong}"


def check_length(root, names):
    for name in filter(is_code, names):
        lines = read_lines(root, name)
        if len(lines) > MAX_LINES:
            yield f"{name}: {len(lines)} lines, at most {MAX_LINES}"
        columns = MAX_SCRIPT_COLUMNS if name.endswith((".py", ".sh")) else MAX_COLUMNS
        for number, line in enumerate(lines, 1):
            if len(line) > columns:
                yield f"{name}:{number}: {len(line)} columns, at most {columns}"


def check_words(root, names):
    own = os.path.relpath(os.path.abspath(__file__), root)
    for name in names:
        if name == own:
            continue
        for number, line in enumerate(read_lines(root, name), 1):
            found = WORDS.search(line) or (is_code(name) and UNFINISHED.search(line))
            if found:
                yield f"{name}:{number}: '{found.group()}' has no place here"


def check_sources(root, names):
    database = Path(root) / "build" / "compile_commands.json"
    if not database.exists():
        return
    # As meson knows the tree now, not as it was at the last build.
    subprocess.run(["ninja", "-C", str(database.parent), "build.ninja"], capture_output=True, check=False)
    compiled = {
        os.path.relpath(os.path.join(entry["directory"], entry["file"]), os.path.realpath(root))
        for entry in json.loads(database.read_text(encoding="utf-8"))
    }
    for name in names:
        if name.endswith(".cpp") and name not in compiled:
            yield f"{name}: in no build target"


def main():
    root = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent)
    names = tracked_files(root)
    status = 0
    for title, check in (
        ("arrows between folders", check_arrows),
        ("length of files and lines", check_length),
        ("words", check_words),
        ("sources without a target", check_sources),
    ):
        wrong = list(check(root, names))
        for line in wrong:
            print(line)
        print(("FAIL " if wrong else "PASS ") + title)
        status |= bool(wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())
