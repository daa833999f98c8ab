"""What tests must not leave on the machine: namespaces, mounts, devices, processes, files."""

import os
import subprocess
import time
from pathlib import Path

# Set by test.sh when it runs in namespaces of its own: then every process is one of ours.
ISOLATED = bool(os.environ.get("HEADGATE_TEST_ISOLATED"))
MARK = f"HEADGATE_TEST_RUN={os.environ.get('HEADGATE_TEST_RUN', 'none')}".encode()
SECONDS_TO_GO = 2  # for what is just ending
FOLDERS = ["/run/netns", "/run/headgate", "/run/dpdk", "/dev/hugepages"]


def ancestors(process_id):
    found = set()
    while process_id > 0:
        found.add(process_id)
        try:
            stat = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        process_id = int(stat.rpartition(")")[2].split()[1])
    return found


def processes():
    """Ours, but for this one and those that called it."""
    own = ancestors(os.getpid())
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in own:
            continue
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            marked = ISOLATED or MARK in Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if command and marked:  # a zombie has none
            found.add(f"process {name}: {command.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return {f"mount {fields[4]} ({fields[3]})" for fields in (line.split() for line in lines)}


def devices():
    listing = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=False)
    return {f"device {line.split(': ')[1]}" for line in listing.stdout.splitlines()}


def files():
    folders = FOLDERS + [os.environ["TMPDIR"]] if "TMPDIR" in os.environ else FOLDERS
    found = {f"file {folder}/{name}" for folder in folders if os.path.isdir(folder)
             for name in os.listdir(folder)}
    return found | {f"file /dev/shm/{name}" for name in os.listdir("/dev/shm")
                    if name.startswith(("headgate", "hg"))}


def state():
    return processes() | mounts() | devices() | files()


class Leftovers:
    """Compares with the state at its making; what is found is told once, with who left it."""

    def __init__(self):
        self.known = state()
        self.found = []

    def look(self, who):
        deadline = time.monotonic() + SECONDS_TO_GO
        while (new := state() - self.known) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.found += [f"{who} left {what}" for what in sorted(new)]
        self.known |= new
