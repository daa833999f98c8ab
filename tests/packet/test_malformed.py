"""Whatever comes in: no crash, one verdict for each frame, no buffer lost. Frames of every kind cut off at
every length, every header byte changed, and noise; seeded, so that a failure comes again."""

import random

from frames import VLAN, kinds
from judge import UDP, Ether, Raw, packet, tcp
from rig import (CLIENT, CLIENT_MAC, PORT_MACS, SERVERS, VIP4, VIP6, Rig, client, expect, main, server,
                 service, test, two_arm_kernel)

SEED = 99


def rig_with_everything():
    rig = Rig(interfaces=[[0, 0], [1, 0], [0, VLAN]], capacity=8192)
    kernel = two_arm_kernel()
    kernel["interfaces"].append({"name": "c0.100", "mac": PORT_MACS[0], "mtu": 1500})
    services = []
    for v in (4, 6):
        other = 10 - v
        for protocol in ("tcp", "udp"):
            services += [service(v, 80, "nat", 2, protocol=protocol),
                         service(v, 81, "dr", 2, protocol=protocol, mid_stream="hash"),
                         service(v, 82, "fullnat", 2, protocol=protocol),
                         service(v, 83, "ipip", 2, protocol=protocol),
                         service(v, 84, "ipip", [{"address": server(other)}], protocol=protocol),
                         service(v, 85, "nat", 0, protocol=protocol),
                         service(v, 0, "nat", 2, 0, protocol=protocol, persistence={"timeout_s": 60})]
    rig.configure(services, kernel, forwarding={"routing": True})
    return rig


def offer(rig, port, frames):
    """Offers frames; each has to end in one verdict. The rig checks sums and buffers."""
    for start in range(0, len(frames), 2000):
        part = frames[start : start + 2000]
        rig.send_all(port, part)
        counted = rig.counted_since()
        expect(counted.get("received", 0), len(part), "received")
        made = counted.get("originated", 0) + counted.get("released", 0)
        verdicts = sum(n for name, n in counted.items()
                       if name.startswith(("sent_", "drop_", "twin_", "held_")))
        expect(verdicts, len(part) + made, "verdicts")


def nothing_is_left(rig):
    rig.jump(1000)
    rig.settle(300)
    rig.jump(100)
    rig.settle(10)
    table = rig.table()
    expect((table["in_use4"], table["in_use6"], table["retired"], table["held"]), (0, 0, 0, 0),
           "entries and held packets afterwards")
    for totals in rig.totals()["services"].values():
        expect((totals["active"], totals["inactive"]), (0, 0), "live connections")


def repaired(frame):
    """The IPv4 header checksum of a changed frame made right, so that the change is looked into."""
    at = 18 if frame[12:14] == b"\x81\0" else 14
    if len(frame) < at + 20 or frame[at] >> 4 != 4:
        return bytes(frame)
    length = (frame[at] & 15) * 4
    if length < 20 or len(frame) < at + length:
        return bytes(frame)
    frame = bytearray(frame)
    frame[at + 10 : at + 12] = b"\0\0"
    total = sum(int.from_bytes(frame[i : i + 2], "big") for i in range(at, at + length, 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    frame[at + 10 : at + 12] = (0xFFFF - total).to_bytes(2, "big")
    return bytes(frame)


@test("frames of every kind, cut off at every length")
def _():
    with rig_with_everything() as rig:
        rig.counted_since()
        for port, frame in kinds():
            offer(rig, port, [frame[:length] for length in range(1, len(frame) + 1)])
        nothing_is_left(rig)


@test("frames of every kind, cut off with lengths that say so")
def _():
    with rig_with_everything() as rig:
        rig.counted_since()
        for port, frame in kinds():
            at = 18 if frame[12:14] == b"\x81\0" else 14
            cut = []
            for length in range(at + 20, len(frame)):
                short = bytearray(frame[:length])
                if frame[at] >> 4 == 4:
                    short[at + 2 : at + 4] = (length - at).to_bytes(2, "big")
                elif length >= at + 40:
                    short[at + 4 : at + 6] = (length - at - 40).to_bytes(2, "big")
                cut.append(repaired(short))
            offer(rig, port, cut)
        nothing_is_left(rig)


@test("every byte of every header changed, with the IPv4 checksum made right and left wrong")
def _():
    rng = random.Random(SEED)
    with rig_with_everything() as rig:
        rig.counted_since()
        for port, frame in kinds():
            changed = []
            for at in range(min(len(frame), 80)):
                for value in (0, 0xFF, frame[at] ^ 1 << rng.randrange(8), rng.getrandbits(8)):
                    other = bytearray(frame)
                    other[at] = value
                    changed.append(repaired(other))
                    if value == 0xFF:
                        changed.append(bytes(other))
            offer(rig, port, changed)
        nothing_is_left(rig)


@test("several bytes changed at once, and the length as well")
def _():
    rng = random.Random(SEED + 1)
    frames = list(kinds())
    with rig_with_everything() as rig:
        rig.counted_since()
        for port in (CLIENT, SERVERS):
            mixed = []
            for _ in range(4000):
                other = bytearray(rng.choice(frames)[1])
                for _ in range(rng.randrange(1, 6)):
                    at = 12 + min(int(rng.expovariate(0.05)), len(other) - 13)
                    other[at] = rng.getrandbits(8)
                if rng.random() < 0.3:
                    other = other[: rng.randrange(14, len(other) + 1)]
                mixed.append(repaired(other))
            offer(rig, port, mixed)
        nothing_is_left(rig)


@test("noise, alone and behind headers that are right so far")
def _():
    rng = random.Random(SEED + 2)
    starts = [b"", bytes(Ether(dst=PORT_MACS[0], src=CLIENT_MAC))[:12]]
    starts += [frame[:length] for _, frame in list(kinds())[::5] for length in (14, 34, 54)]
    with rig_with_everything() as rig:
        rig.counted_since()
        noise = []
        for _ in range(6000):
            start = rng.choice(starts)
            noise.append(start + rng.randbytes(rng.randrange(1, 200)))
        offer(rig, CLIENT, noise[:3000])
        offer(rig, SERVERS, noise[3000:])
        nothing_is_left(rig)


@test("frames in many small buffers, headers torn apart")
def _():
    rng = random.Random(SEED + 3)
    with rig_with_everything() as rig:
        rig.counted_since()
        for port, frame in kinds():
            for _ in range(12):
                cuts = sorted({rng.randrange(1, len(frame)) for _ in range(rng.randrange(1, 6))})
                segments = [b - a for a, b in zip([0, *cuts], [*cuts, len(frame)])]
                rig.send_all(port, [frame], segments=segments)
                expect(rig.counted_since()["received"], 1, "received")
        nothing_is_left(rig)


@test("a datagram or segment too short for its header is dropped by name")
def _():
    with rig_with_everything() as rig:
        for v in (4, 6):
            for layer, least in ((tcp(1000, 80), 20), (UDP(sport=1, dport=80), 8)):
                body = bytes(layer)
                for length in range(least):
                    fields = {"proto" if v == 4 else "nh": 6 if least == 20 else 17}
                    frame = packet(client(v), VIP4 if v == 4 else VIP6, Raw(body[:length]), **fields)
                    rig.counted_since()
                    output = rig.send_all(CLIENT, [frame])
                    expect(output, {"sent": [], "twin": []}, "output")
                    rig.expect_counters(received=1, drop_truncated=1)


main()
