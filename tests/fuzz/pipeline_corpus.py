#!/usr/bin/python3
"""Writes the seeds of pipeline_fuzz: frames of every kind, and flows from their first packet to their last.

usage: pipeline_corpus.py [FOLDER]   (tests/fuzz/corpus/pipeline when none is given)
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/packet"))

from frames import kinds  # noqa: E402
from judge import TCP, UDP, tcp, to_vip  # noqa: E402
from rig import CLIENT, SERVERS  # noqa: E402

FROM_TWIN, REPAIR, CUT = 4, 8, 0x80
SECOND_WORKER = 2
PAUSES = {0: 0, 0.25: 3, 3: 4, 11: 5, 61: 6, 301: 7}  # seconds: number


def record(port, frame, pause=0, flags=REPAIR, piece=0):
    frame = bytes(frame)
    what = port | flags | PAUSES[pause] << 4 | (CUT if piece else 0)
    return bytes([what, piece]) + len(frame).to_bytes(2, "little") + frame


def answer(flags="SA", pause=0):
    """To whatever was sent last: from the server, whichever it was."""
    return bytes([SERVERS | REPAIR | PAUSES[pause] << 4, int(TCP(flags=flags).flags), 0, 0])


def tcp_flow(v, port, answered):
    """From SYN to FIN, with answers where they pass here."""
    yield record(CLIENT, to_vip(v, tcp(1000, port)))
    if answered:
        yield answer("SA")
    for flags in ("A", "PA", "FA"):
        yield record(CLIENT, to_vip(v, tcp(1000, port, flags, seq=1001, ack=1), b"data"), 0.25)
        if answered:
            yield answer("FA" if flags == "FA" else "A")
    yield record(CLIENT, to_vip(v, tcp(1000, port)), 11)
    yield record(CLIENT, to_vip(v, tcp(1000, port, "R")), 61, REPAIR | SECOND_WORKER)


def udp_flow(v, port, answered):
    for pause in (0, 3, 301):
        yield record(CLIENT, to_vip(v, UDP(sport=1000, dport=port), b"question"), pause)
        if answered:
            yield answer(pause=pause)


def torn_flows(v, port):
    """Packets of several buffers to both servers, also to the one that they have to wait for."""
    for i in range(4):
        frame = to_vip(v, UDP(sport=1000 + i, dport=port), b"q" * 100)
        yield record(CLIENT, frame, 0.25, piece=80)


def flood(v, port):
    """More clients than the table has room for."""
    for i in range(80):
        yield record(CLIENT, to_vip(v, tcp(2000 + i, port)))


def seeds():
    frames = list(kinds())
    for i in range(0, len(frames), 4):
        yield "kinds_%02d" % (i // 4), [record(*frame) for frame in frames[i : i + 4]]
    yield "torn", [record(*frame, piece=31 + i) for i, frame in enumerate(frames[::5])]
    yield "from_twin", [record(*frame, flags=FROM_TWIN) for frame in frames[::9]]
    for v in (4, 6):
        for port, name in ((80, "nat"), (81, "dr"), (82, "fullnat"), (83, "ipip"), (84, "ipip_other"),
                           (86, "fullnat_persistent"), (99, "nat_persistent")):
            yield "tcp%d_%s" % (v, name), tcp_flow(v, port, "nat" in name)
            yield "udp%d_%s" % (v, name), udp_flow(v, port, "nat" in name)
        yield "torn%d_dr" % v, torn_flows(v, 81)
        yield "torn%d_nat" % v, torn_flows(v, 80)
        yield "flood%d" % v, flood(v, 81)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests/fuzz/corpus/pipeline")
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in seeds():
        (folder / name).write_bytes(b"".join(records))


main()
