"""What a NIC with receive offloads says of a frame changes nothing but the work: each run here has a twin
without a NIC's word, where the path sums every header itself."""

import random

from frames import VLAN, kinds
from judge import UDP, forwarded, tcp, to_server_l2, to_vip
from rig import (CLIENT, SERVERS, Rig, check, expect, expect_sent, main, server, service, test,
                 two_arm_kernel)

# RTE_MBUF_F_RX_*: bits of ol_flags, part of DPDK's ABI.
UNKNOWN = 0
BAD = 1 << 4
OUTER_BAD = 1 << 5
GOOD = 1 << 7
L4_GOOD = 1 << 8
L4_BAD = 1 << 3
SEED = 7


def nic_says(frame):
    """Of the IPv4 header's checksum, from the frame alone: as a NIC reads it."""
    at = 18 if frame[12:14] == b"\x81\0" else 14
    if frame[at - 2 : at] != b"\x08\0" or len(frame) < at + 20 or frame[at] >> 4 != 4:
        return UNKNOWN
    header = frame[at : at + (frame[at] & 15) * 4]
    if len(header) < 20 or len(header) != (frame[at] & 15) * 4:
        return UNKNOWN
    total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header), 2))
    return GOOD if total % 0xFFFF == 0 and total != 0 else BAD


def changed_frames(rng):
    """Frames of every kind, and each with a byte of its headers changed here and there."""
    for port, frame in kinds():
        yield port, frame
        for _ in range(40):
            other = bytearray(frame)
            other[12 + rng.randrange(min(len(frame) - 12, 40))] = rng.getrandbits(8)
            yield port, bytes(other)


def run(flags_of):
    """What becomes of them when the NIC says flags_of(frame) of each."""
    rng = random.Random(SEED)
    outputs = []
    with Rig(interfaces=[[0, 0], [1, 0], [0, VLAN]]) as rig:
        kernel = two_arm_kernel()
        kernel["interfaces"].append({"name": "c0.100", "mac": "02:00:0a:01:00:01", "mtu": 1500})
        services = [service(v, 80 + i, mode, 2, protocol=protocol) for v in (4, 6)
                    for i, mode in enumerate(("nat", "dr", "fullnat", "ipip"))
                    for protocol in ("tcp", "udp")]
        rig.configure(services, kernel)
        rig.counted_since()
        for port, frame in changed_frames(rng):
            flags = [flags_of(frame)]
            outputs.append((rig.send_all(port, [frame], flags=flags), rig.counted_since()))
    return outputs


@test("with a NIC that verifies headers every frame fares as without")
def _():
    said = {nic_says(frame) for _, frame in changed_frames(random.Random(SEED))}
    expect(said, {UNKNOWN, GOOD, BAD}, "what the NIC says")
    without = run(lambda frame: UNKNOWN)
    check(any("drop_ip_checksum" in counted for _, counted in without), "a wrong header is among them")
    expect(run(nic_says), without, "what became of the frames")


@test("what the NIC says of TCP's and UDP's checksums is not looked at")
def _():
    with Rig() as rig:
        rig.configure([service(v, protocol=protocol) for v in (4, 6) for protocol in ("tcp", "udp")])
        for v in (4, 6):
            for layer in (tcp(7000, 80, "S"), UDP(sport=7000, dport=80)):
                frame = to_vip(v, layer, b"payload")
                for flags in (L4_GOOD, L4_BAD, L4_GOOD | L4_BAD):
                    sent = rig.send_all(CLIENT, [frame], flags=[flags])["sent"]
                    expect_sent(sent, (SERVERS, forwarded(frame, to_server_l2(),
                                                          destination=server(v), dport=8080)))


@test("a NIC that finds fault with a tunnel's inner header does not cost the frame its way")
def _():
    with Rig() as rig:
        rig.configure([service(protocol="udp")])
        frame = to_vip(4, UDP(sport=7001, dport=80), b"a tunnel")
        sent = rig.send_all(CLIENT, [frame], flags=[BAD])["sent"]
        expect_sent(sent, (SERVERS, forwarded(frame, to_server_l2(), destination=server(4), dport=8080)))


@test("a NIC that finds a tunnel's inner header right does not vouch for the outer one")
def _():
    with Rig() as rig:
        rig.configure([service(protocol="udp")])
        frame = bytearray(to_vip(4, UDP(sport=7001, dport=80), b"a tunnel"))
        frame[25] ^= 1
        for flags in (GOOD | OUTER_BAD, GOOD | BAD, OUTER_BAD):
            rig.counted_since()
            expect_sent(rig.send_all(CLIENT, [bytes(frame)], flags=[flags])["sent"])
            rig.expect_counters(received=1, drop_ip_checksum=1)


main()
