#!/usr/bin/python3
"""Sends tunnelled packets from the gate's namespace and looks at what ipip_decap's device shows.

usage: ipip_decap_packets.py TESTBED EXPECTED   (called by test_ipip_decap.sh)

Prints one line per case and writes the closing report that ipip_decap should print to EXPECTED.
"""

import ctypes
import os
import socket
import struct
import sys
from collections import Counter
from contextlib import contextmanager

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

VIP = {4: "10.1.0.80", 6: "fd00:1::80"}
CLIENT = {4: "10.1.0.50", 6: "fd00:1::50"}
DIRECTOR = {4: "10.1.0.1", 6: "fd00:1::1"}
SERVER = {4: "10.1.0.11", 6: "fd00:1::11"}
SERVER_MAC, GATE_MAC = "02:00:10:01:00:11", "02:00:10:01:00:01"
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PROTOCOL = {4: 4, 6: 41}  # of the inner version, in the outer header

DELIVERED = "delivered"
TRUNCATED = "dropped: shorter than its headers say"
WRONG_VERSION = "dropped: the inner version does not match the outer protocol"
NESTED = "dropped: a tunnel within the tunnel"
NOT_A_DIRECTOR = "dropped: not from a director"
NOT_A_VIP = "dropped: not for a VIP"
CONGESTION = "dropped: marked by a congested router, for an inner packet without ECN"
REASONS = [DELIVERED, TRUNCATED, WRONG_VERSION, NESTED, NOT_A_DIRECTOR, NOT_A_VIP, CONGESTION]

libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def namespace(name):
    """Sockets opened inside stay in that namespace."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), name)
    try:
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


def packet_socket(testbed, host, device):
    with namespace(f"{testbed}-{host}"):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        opened.bind((device, ETH_P_ALL))
    return opened


class Bench:
    def __init__(self, testbed):
        self.sender = packet_socket(testbed, "gate", "net0")
        self.inner = packet_socket(testbed, "rs1", "decap0")
        self.inner.settimeout(2)
        self.replies = {}
        for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            with namespace(f"{testbed}-client"):
                reply = socket.socket(family, socket.SOCK_DGRAM)
                reply.bind((CLIENT[version], 4000))
            reply.settimeout(2)
            self.replies[version] = reply
        self.counts = Counter()
        self.failures = 0
        self.serial = 0

    def case(self, name, passed, said=""):
        if not passed:
            self.failures += 1
            print(said)
        print(("PASS " if passed else "FAIL ") + name, flush=True)

    def send(self, outer, reason):
        self.counts[reason] += 1
        for packet in outer if isinstance(outer, list) else [outer]:
            self.sender.send(bytes(Ether(src=GATE_MAC, dst=SERVER_MAC) / packet))

    def next_inner(self):
        return self.inner.recv(70000)

    def reply(self, version):
        try:
            return self.replies[version].recv(2000)
        except TimeoutError:
            return b""

    def delivers(self, name, outer, expected):
        self.send(outer, DELIVERED)
        try:
            got = self.next_inner()
        except TimeoutError:
            got = b""
        said = f"expected {bytes(expected).hex()[:200]}\ngot      {got.hex()[:200]}"
        self.case(name, got == bytes(expected), said)

    def drops(self, name, outer, reason):
        """Nothing comes out before a sound packet that follows it."""
        self.send(outer, reason)
        self.serial += 1
        follower = udp(4, f"after {self.serial}")
        self.send(tunnel(4, follower), DELIVERED)
        try:
            got = self.next_inner()
        except TimeoutError:
            got = b""
        self.case(name, got == bytes(follower), f"came out: {got.hex()[:200]}")


def ip(version, source, destination, **fields):
    return (IP if version == 4 else IPv6)(src=source[version], dst=destination[version], **fields)


def udp(version, text, **fields):
    return ip(version, CLIENT, VIP, **fields) / UDP(sport=4000, dport=9) / Raw(text)


def tunnel(version, inner, inner_version=None, source=None, **fields):
    """The inner packet, or any bytes, in an outer header of the given version."""
    protocol = PROTOCOL[inner_version or (4 if isinstance(inner, IP) else 6)]
    fields["proto" if version == 4 else "nh"] = protocol
    outer = ip(version, source or DIRECTOR, SERVER, **fields)
    # Rebuilt from bytes, so that scapy does not bind the layers and change the protocol.
    return outer / Raw(bytes(inner))


def fragments(version, packet):
    if version == 4:
        packet.id = 77
        return fragment(packet, fragsize=1400)
    header = IPv6(src=packet.src, dst=packet.dst)
    return fragment6(header / IPv6ExtHdrFragment(nh=packet.nh, id=7) / packet.payload, 1400)


def answered_end_to_end(bench, outer, inner):
    text = f"{inner}in{outer}"
    request = ip(inner, CLIENT, VIP) / UDP(sport=4000, dport=5353) / Raw(text)
    bench.delivers(f"ipip_decap strips {text} to the byte", tunnel(outer, request), request)
    try:
        reply, peer = bench.replies[inner].recvfrom(2000)
    except TimeoutError:
        reply, peer = b"", ("nobody", 0)
    passed = reply == f"rs1 {text}".encode() and peer[0] == VIP[inner]
    bench.case(f"the server answers {text} from the VIP", passed, f"{reply} from {peer}")


def sound_packets(bench):
    for outer in (4, 6):
        for inner in (4, 6):
            answered_end_to_end(bench, outer, inner)
    for outer in (4, 6):
        large = udp(4, "x" * 3000)
        bench.delivers(f"an outer IPv{outer} packet in three fragments arrives whole",
                       fragments(outer, tunnel(outer, large)), large)
    largest = udp(4, "y" * (65535 - 20 - 20 - 8))
    bench.delivers("the largest packet that fits arrives whole",
                   fragments(4, tunnel(4, largest)), largest)
    options = udp(4, "options", options=b"\x01\x01\x01\x00")
    bench.delivers("an inner header with options arrives whole", tunnel(4, options), options)
    packet = udp(6, "outer options")
    bench.delivers("an outer header with options is stripped",
                   tunnel(4, packet, options=b"\x01\x01\x01\x00"), packet)
    for inner in (4, 6):
        packet = udp(inner, "trailed")
        bench.delivers(f"what trails an inner IPv{inner} packet is cut off",
                       tunnel(4, bytes(packet) + b"trailer", inner), packet)
    bench.delivers("an IPv6 packet without a payload arrives",
                   tunnel(6, ip(6, CLIENT, VIP, nh=59)), ip(6, CLIENT, VIP, nh=59))
    echo = ip(4, CLIENT, VIP) / ICMP(type=13, code=0)
    bench.delivers("a protocol without ports arrives", tunnel(4, echo), echo)


def unfinished_checksum(bench):
    """The field holds the pseudo header's sum: the kernel must take the packet and answer."""
    payload = b"unfinished"
    length = 8 + len(payload)
    addresses = socket.inet_aton(CLIENT[4]) + socket.inet_aton(VIP[4])
    pseudo = addresses + struct.pack("!HH", 17, length)
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    total = (total & 0xFFFF) + (total >> 16)
    request = ip(4, CLIENT, VIP) / UDP(sport=4000, dport=5353, chksum=total) / Raw(payload)
    bench.delivers("a packet with an unfinished checksum arrives", tunnel(4, request), request)
    reply = bench.reply(4)
    bench.case("the server answers a packet with an unfinished checksum",
               reply == b"rs1 unfinished", str(reply))
    bad = ip(4, CLIENT, VIP) / UDP(sport=4000, dport=5353, chksum=total ^ 1) / Raw("wrong")
    bench.delivers("a packet with a wrong checksum is left to the kernel", tunnel(4, bad), bad)
    bench.replies[4].settimeout(0.3)
    reply = bench.reply(4)
    bench.case("the server does not answer a wrong checksum", reply == b"", str(reply))


def congestion_marks(bench):
    marked = {4: {"tos": 3}, 6: {"tc": 3}}
    capable = {4: {"tos": 0xBA}, 6: {"tc": 0xBA}}
    expected = {4: {"tos": 0xBB}, 6: {"tc": 0xBB}}
    for outer in (4, 6):
        for inner in (4, 6):
            bench.delivers(f"a congestion mark outside is carried inside, {inner}in{outer}",
                           tunnel(outer, udp(inner, "ecn", **capable[inner]), **marked[outer]),
                           udp(inner, "ecn", **expected[inner]))
            bench.drops(f"a congestion mark on a packet without ECN drops it, {inner}in{outer}",
                        tunnel(outer, udp(inner, "no ecn"), **marked[outer]), CONGESTION)


def refused_packets(bench):
    for inner in (4, 6):
        whole = bytes(udp(inner, "whole"))
        for length in range(len(whole)):
            bench.send(tunnel(6, whole[:length], inner), TRUNCATED)
        bench.drops(f"an inner IPv{inner} packet cut at any length is dropped",
                    tunnel(4, whole[:-1], inner), TRUNCATED)
    short_header = bytearray(bytes(udp(4, "ihl")))
    short_header[0] = 0x44
    bench.drops("an inner header length below 20 is dropped", tunnel(4, short_header, 4), TRUNCATED)
    for inner in (4, 6):
        bench.drops(f"IPv{10 - inner} under the protocol of IPv{inner} is dropped",
                    tunnel(4, bytes(udp(10 - inner, "wrong")), inner), WRONG_VERSION)
        nested = tunnel(4, udp(inner, "nested"))
        nested.dst = VIP[4]
        bench.drops(f"a tunnel to IPv{inner} within the tunnel is dropped",
                    tunnel(6, nested, 4), NESTED)
    bench.drops("a tunnel from a stranger is dropped",
                tunnel(4, udp(4, "stranger"), source={4: "10.1.0.2"}), NOT_A_DIRECTOR)
    bench.drops("a packet for another address than a VIP is dropped",
                tunnel(4, ip(4, CLIENT, SERVER) / UDP(sport=1, dport=2)), NOT_A_VIP)
    bench.drops("a packet that announces more than the tunnel brought is dropped",
                tunnel(4, bytes(ip(4, CLIENT, VIP) / TCP())[:30], 4), TRUNCATED)


def main():
    bench = Bench(sys.argv[1])
    sound_packets(bench)
    unfinished_checksum(bench)
    congestion_marks(bench)
    refused_packets(bench)
    with open(sys.argv[2], "w", encoding="ascii") as expected:
        for reason in REASONS:
            expected.write(f"{bench.counts[reason]} {reason}\n")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
