#!/usr/bin/python3
"""Changes a running headgate at random: backends come, go, drain and change weights, services are
edited, the file is reloaded, and one server's port refuses connections now and then.

usage: random_changes.py --headgate PROGRAM --socket PATH --config FILE --pid DAEMON --netns NAME
                         --count N --seed N SERVICE=BACKEND...

Only the backend (port 80) that stands with a service is touched, so that whoever fails at another one
has found a mistake. It is a server in the namespace, whose port refuses what comes over IPv4.

Prints `exposed TIME` in seconds since the epoch when clients may begin to meet that port: as it shuts,
and when the backend comes anew meanwhile; then `flaps COUNT`, and `memory` and `snapshot`, each with
the daemon's bytes after a fifth of the changes and at the end, with the file as it was.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import time

SHUT = """table inet shut {
  chain in { type filter hook input priority -10; meta nfproto ipv4 tcp dport 80 reject with tcp reset; }
}"""


SCHEDULERS = ["rr", "wrr", "wlc", "sh", "mh"]
LONG_FLAP_S = 1.2  # long enough for checks to find out


class Changes:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.targets = [target.split("=", 1) for target in options.target]
        with open(options.config, encoding="utf-8") as file:
            self.file = self.first_file = file.read()
        self.shut_until = None
        self.flaps = 0
        self.refused = 0

    def headgate(self, *words):
        done = subprocess.run([self.options.headgate, "--socket", self.options.socket, "--timeout",
                               "20s", *words], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # 1: refused, as when it is there already
            sys.exit(f"headgate {' '.join(words)}: status {done.returncode}: {done.stderr}")
        self.refused += done.returncode
        return done.stdout

    def nft(self, *words, text=None):
        subprocess.run(["ip", "netns", "exec", self.options.netns, "nft", *words], input=text,
                       text=True, check=True)

    def flap(self):
        if self.shut_until is None:
            print(f"exposed {time.time():.3f}")
            is_long = self.random.random() < 0.1
            self.shut_until = time.time() + (LONG_FLAP_S if is_long else 0)
            self.flaps += 1
            self.nft("-f", "-", text=SHUT)
        elif time.time() >= self.shut_until:
            self.nft("delete", "table", "inet", "shut")
            self.shut_until = None

    def bring(self, *words):
        """A command by which a backend may come that no check knows yet."""
        begin = time.time()
        self.headgate(*words)
        if self.shut_until is not None:
            print(f"exposed {begin:.3f}\nexposed {time.time():.3f}")

    def write_file(self, text):
        self.file = text
        with open(self.options.config, "w", encoding="utf-8") as file:
            file.write(text)

    def edit_file(self, service):
        scheduler = self.random.choice(SCHEDULERS)
        pattern = rf"(name: {re.escape(service)}\n(?:(?!  - name).*\n)*?    scheduler: )\w+"
        text, edits = re.subn(pattern, rf"\g<1>{scheduler}", self.file)
        assert edits == 1, f"{service} is not in the file once"
        self.write_file(text)

    def one(self):
        service, backend = self.random.choice(self.targets)
        what = self.random.randrange(100)
        if what < 25:
            self.bring("backend", "add", service, backend, "--weight",
                       str(self.random.randrange(1, 20)))
        elif what < 45:
            self.headgate("backend", "delete", service, backend)
        elif what < 65:
            self.headgate("backend", "edit", service, backend, "--weight",
                          str(self.random.randrange(0, 20)))
        elif what < 75:
            self.headgate("backend", "drain", service, backend)
        elif what < 85:
            self.headgate("service", "edit", service, "--scheduler",
                          self.random.choice(SCHEDULERS))
        elif what < 90:
            self.headgate("service", "edit", service, "--slow-start",
                          self.random.choice(["0s", "1s"]))
        elif what < 94:
            self.edit_file(service)
            self.bring("reload")
        else:
            self.flap()

    def measure(self):
        """Bytes of the process and of the snapshots, with nothing changed against the first file."""
        self.write_file(self.first_file)
        self.bring("reload")
        time.sleep(1)  # workers let go of what was before
        with open(f"/proc/{self.options.pid}/status", encoding="ascii") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        stats = json.loads(self.headgate("--json", "show", "stats"))
        return resident * 1024, stats["result"]["details"]["snapshot_bytes_used"]

    def run(self):
        early = None
        for i in range(self.options.count):
            self.one()
            if i == self.options.count // 5:
                early = self.measure()
        if self.shut_until is not None:
            self.shut_until = 0
            self.flap()
        late = self.measure()
        print(f"refused {self.refused}\nflaps {self.flaps}")
        for name, before, after in zip(("memory", "snapshot"), early, late):
            print(name, before, after, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="random_changes.py")
    for name in ("headgate", "socket", "config", "netns"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("pid", "count", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("target", metavar="SERVICE=BACKEND", nargs="+")
    Changes(parser.parse_args()).run()


if __name__ == "__main__":
    main()
