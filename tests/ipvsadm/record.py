#!/usr/bin/python3
"""Records what ipvsadm 1.31 says to command lines: usage.json from command_lines.txt.

usage: record.py IPVSADM [LIBRARY_FOLDER]

IPVSADM is Debian's binary (`apt-get download ipvsadm`, `dpkg -x`), LIBRARY_FOLDER where its libpopt
is when it is not installed. It runs as root over kernel_double.c, which takes the kernel's place:
no IPVS is touched. One row for each line: the exit status, what it said on standard error, and the
request that the kernel would have got. Its name in messages is written as PROGRAM, and its help, which
is not repeated here, as HELP.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The double has the old interface only, which knows no IPv6 and no engines.
BEYOND_THE_DOUBLE = "Operation not supported with specified address family\n"


def run(program, library, words, environment):
    env = dict(os.environ, LD_PRELOAD=library, **environment)
    return subprocess.run([program, *words], input="", capture_output=True, text=True, env=env,
                          timeout=20, check=False)


def record(program, library, line, environment):
    result = run(program, library, shlex.split(line), environment)
    said = result.stderr.replace(program, "PROGRAM")
    row = {"line": line, "status": result.returncode, "said": said}
    if "Usage:\n" in result.stdout:
        row["printed"] = "HELP"
    elif result.returncode == 0 and result.stdout.startswith("["):
        row["request"] = result.stdout.strip()
    if said == BEYOND_THE_DOUBLE:
        row = {"line": line, "status": 0, "said": ""}
    return row


def main():
    program = sys.argv[1]
    environment = {"LD_LIBRARY_PATH": sys.argv[2]} if len(sys.argv) > 2 else {}
    with tempfile.TemporaryDirectory() as folder:
        library = folder + "/kernel_double.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "kernel_double.c", "-ldl"],
                       check=True)
        connections = folder + "/connections"
        Path(connections).write_text("Pro\n", encoding="ascii")
        environment["DOUBLE_CONNECTIONS"] = connections
        lines = (HERE / "command_lines.txt").read_text(encoding="utf-8").splitlines()
        rows = [record(program, library, line, environment)
                for line in lines if line and not line.startswith("#")]
    text = ",\n".join(json.dumps(row) for row in rows)
    (HERE / "usage.json").write_text("[\n" + text + "\n]\n", encoding="utf-8")
    print("%d command lines" % len(rows))


if __name__ == "__main__":
    main()
