"""Checksums to the bit: computed incrementally by headgate, from scratch by scapy.

The odd cases are results of zero, which one's complement can write as 0x0000 and as 0xffff, a UDP
checksum that is not there, odd lengths, frames in several buffers, and checksums that were wrong
already: those stay wrong by as much, so that the receiver notices.
"""

import random

from judge import (IP, TCP, UDP, Ether, forwarded, from_server, ip_layer, packet, tcp,
                   to_client_l2, to_server_l2, to_vip, transport_layer)
from rig import (CLIENT, PORT_MACS, SERVERS, Failure, Rig, check, client, expect, expect_frame,
                 expect_sent, local, main, server, server_mac, service, test, vip)

RANDOM_PACKETS = 400  # of each family and mode
SEED = 20240611


def with_checksum(frame, value):
    """The frame with this TCP or UDP checksum written in, right or wrong."""
    parsed = Ether(frame)
    transport_layer(ip_layer(parsed)).chksum = value
    return bytes(parsed)


def checksum_of(frame):
    return transport_layer(ip_layer(Ether(bytes(frame)))).chksum


def payload_for(build, field_value):
    """A payload of four bytes with which build(payload) has this transport checksum."""
    base = checksum_of(build(b"\0\0\0\0"))
    total = (0xFFFF - field_value) - (0xFFFF - base)
    word = total % 0xFFFF
    for candidate in (word, 0xFFFF if word == 0 else word):
        payload = candidate.to_bytes(2, "big") + b"\0\0"
        if checksum_of(build(payload)) == field_value:
            return payload
    raise Failure("no payload gives checksum 0x%04x" % field_value)


def random_frame(rng, v, protocol, port):
    length = rng.choice([0, 1, 2, 3, rng.randrange(64), rng.randrange(1400)])
    payload = rng.randbytes(length)
    kind = rng.randrange(8)
    if kind == 0:
        payload = b"\0" * length
    elif kind == 1:
        payload = b"\xff" * length
    layer = UDP(sport=port, dport=80)
    if protocol == "tcp":
        layer = TCP(sport=port, dport=80, flags="PA", seq=rng.getrandbits(32),
                    ack=rng.getrandbits(32), window=rng.getrandbits(16), urgptr=rng.getrandbits(16))
    fields = {"ttl": rng.randrange(2, 256)}
    if v == 4:
        fields |= {"tos": rng.getrandbits(8), "id": rng.getrandbits(16)}
    else:
        fields |= {"tc": rng.getrandbits(8), "fl": rng.getrandbits(20)}
    return to_vip(v, layer, payload, **fields)


def random_packets(v, protocol, mode):
    rng = random.Random(SEED + v)
    with Rig() as rig:
        rig.configure([service(v, 80, mode, protocol=protocol)])
        if protocol == "tcp":
            opening = rig.send(CLIENT, to_vip(v, tcp(5000, 80, "S")))
        else:
            opening = rig.send(CLIENT, to_vip(v, UDP(sport=5000, dport=80)))
        sport = transport_layer(ip_layer(Ether(opening[0][1]))).sport
        source = local(v) if mode == "fullnat" else None
        frames = [random_frame(rng, v, protocol, 5000) for _ in range(RANDOM_PACKETS // 2)]
        sent = rig.send(CLIENT, *frames)
        wanted = [forwarded(frame, to_server_l2(), source=source,
                            sport=sport if source else None, destination=server(v), dport=8080)
                  for frame in frames]
        expect_sent(sent, *((SERVERS, frame) for frame in wanted))
        # What came out is now the servers' to answer.
        replies = []
        for frame in frames:
            ip = ip_layer(Ether(frame))
            layer = transport_layer(ip)
            layer.sport, layer.dport = 8080, sport if mode == "fullnat" else 5000
            ip.src, ip.dst = server(v), local(v) if mode == "fullnat" else client(v)
            del layer.chksum
            if isinstance(ip, IP):
                del ip.chksum
            replies.append(bytes(from_server_l2() / ip))
        wanted = [forwarded(frame, to_client_l2(), source=vip(v), sport=80, destination=client(v),
                            dport=5000) for frame in replies]
        expect_sent(rig.send(SERVERS, *replies), *((CLIENT, frame) for frame in wanted))


def from_server_l2():
    return Ether(dst=PORT_MACS[1], src=server_mac())


for family in (4, 6):
    for protocol_name in ("tcp", "udp"):
        for mode_name in ("nat", "fullnat"):
            test("scapy agrees on %d random %s packets over IPv%d through %s" % (
                RANDOM_PACKETS, protocol_name.upper(), family, mode_name.upper()),
                v=family, protocol=protocol_name, mode=mode_name)(random_packets)


@test("a UDP checksum that comes out as zero is sent as 0xffff")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v, 53, "nat", backend_port=5353, protocol="udp")])

            def behind(payload, v=v):
                return packet(client(v), server(v), UDP(sport=6000, dport=5353), payload)

            payload = payload_for(behind, 0xFFFF)
            expect(checksum_of(behind(payload)), 0xFFFF, "scapy's checksum")
            frame = to_vip(v, UDP(sport=6000, dport=53), payload)
            (_, sent), = rig.send(CLIENT, frame)
            expect(checksum_of(sent), 0xFFFF, "checksum")
            expect_frame(sent, forwarded(frame, to_server_l2(), destination=server(v), dport=5353))


@test("a TCP checksum that comes out as zero is sent as 0x0000")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v)])

            def behind(payload, v=v):
                return packet(client(v), server(v), tcp(6000, 8080, "S"), payload)

            payload = payload_for(behind, 0)
            frame = to_vip(v, tcp(6000, 80, "S"), payload)
            (_, sent), = rig.send(CLIENT, frame)
            expect(checksum_of(sent), 0, "checksum")
            expect_frame(sent, forwarded(frame, to_server_l2(), destination=server(v), dport=8080))


@test("a packet whose checksum is 0xffff or 0x0000 on arrival leaves with the right one")
def _():
    for v in (4, 6):
        for protocol, layer, value in (("udp", UDP(sport=6000, dport=80), 0xFFFF),
                                       ("tcp", tcp(6000, 80, "S"), 0)):
            with Rig() as rig:
                rig.configure([service(v, protocol=protocol)])
                payload = payload_for(lambda p, v=v, layer=layer: to_vip(v, layer.copy(), p), value)
                frame = to_vip(v, layer.copy(), payload)
                expect(checksum_of(frame), value, "checksum on arrival")
                sent = rig.send(CLIENT, frame)
                expect_sent(sent, (SERVERS, forwarded(frame, to_server_l2(), destination=server(v),
                                                      dport=8080)))


def without_udp_checksum(v, mode, length, segments=()):
    """RFC 768: none. LVS gives a translated packet a computed one; others stay as they are."""
    with Rig() as rig:
        rig.configure([service(v, 53, mode, backend_port=5353, protocol="udp")])
        payload = bytes(range(256)) * 6
        frame = with_checksum(to_vip(v, UDP(sport=6001, dport=53), payload[:length]), 0)
        (_, sent), = rig.send(CLIENT, frame, segments=segments)
        layer = transport_layer(ip_layer(Ether(sent)))
        source = local(v) if mode == "fullnat" else None
        if mode == "dr":
            expect_frame(sent, forwarded(frame, to_server_l2()))
            return
        wanted = forwarded(frame, to_server_l2(), source=source,
                           sport=layer.sport if source else None, destination=server(v), dport=5353)
        check(checksum_of(wanted) != 0, "scapy computed none")
        expect_frame(sent, wanted)
        reply = from_server(v, UDP(sport=5353, dport=layer.sport), payload[: length + 1],
                            to=source or client(v))
        (_, back), = rig.send(SERVERS, with_checksum(reply, 0))
        expect_frame(back, forwarded(reply, to_client_l2(), source=vip(v), sport=53,
                                     destination=client(v), dport=6001))


@test("a UDP packet without a checksum gets one when it is translated, both ways")
def _():
    for v in (4, 6):
        for mode in ("nat", "fullnat"):
            for length in (0, 1, 2, 3, 511, 1000):
                without_udp_checksum(v, mode, length)


@test("a UDP packet without a checksum stays without one in DR")
def _():
    without_udp_checksum(4, "dr", 9)


@test("a checksum is computed over what a UDP datagram says is its length")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v, 53, "nat", backend_port=5353, protocol="udp")])
            datagram, beyond = b"datagram, odd", b"and more in the IP packet"
            layer = UDP(sport=6002, dport=53, len=8 + len(datagram))
            frame = with_checksum(to_vip(v, layer, datagram + beyond), 0)
            (_, sent), = rig.send(CLIENT, frame)
            behind = packet(client(v), server(v), UDP(sport=6002, dport=5353), datagram)
            expect(checksum_of(sent), checksum_of(behind), "checksum")
            check(bytes(sent).endswith(datagram + beyond), "the payload is not what it was")


@test("a checksum is computed over frames that lie in several buffers of odd lengths")
def _():
    for v in (4, 6):
        headers = 14 + (20 if v == 4 else 40) + 8
        for length, parts in ((400, (101, 99, 200)), (401, (1, 1, 399)), (255, (255, 0)),
                              (3, (1, 1, 1)), (1000, (333, 333, 334))):
            without_udp_checksum(v, "nat", length, [headers, *parts])


@test("a wrong checksum stays wrong by as much, and the packet is forwarded")
def _():
    for v in (4, 6):
        for protocol, layer in (("tcp", tcp(7000, 80, "S")), ("udp", UDP(sport=7000, dport=80))):
            with Rig() as rig:
                rig.configure([service(v, protocol=protocol)])
                right = to_vip(v, layer, b"payload")
                for wrong_by in (1, 0x1234, 0xFF00, 0xFFFE):
                    bad = (checksum_of(right) + wrong_by) % 0xFFFF or 0xFFFF
                    (_, sent), = rig.send(CLIENT, with_checksum(right, bad))
                    wanted = forwarded(right, to_server_l2(), destination=server(v), dport=8080)
                    expect((checksum_of(sent) - checksum_of(wanted)) % 0xFFFF, wrong_by % 0xFFFF,
                           "by how much it is wrong")


@test("a wrong IPv4 header checksum ends the packet")
def _():
    with Rig() as rig:
        rig.configure([service()])
        frame = bytearray(to_vip(4, tcp(7001, 80)))
        frame[25] ^= 1
        expect_sent(rig.send(CLIENT, frame))
        rig.expect_counters(received=1, drop_ip_checksum=1)


@test("the IPv4 header checksum is right whatever the TTL and the addresses do to it")
def _():
    rng = random.Random(SEED)
    with Rig() as rig:
        rig.configure([service(4, 80, "dr"), service(4, 81, "ipip")])
        frames = [to_vip(4, tcp(20000 + i, 80 + i % 2, "S"), ttl=rng.randrange(2, 256),
                         id=rng.choice([0, 0xFFFF, rng.getrandbits(16)]), tos=rng.getrandbits(8))
                  for i in range(600)]
        sent = rig.send(CLIENT, *frames)
        for frame, (_, out) in zip(frames, sent, strict=True):
            outer = None
            if IP in Ether(out) and Ether(out)[IP].proto == 4:
                outer = IP(src="10.2.0.1", dst=server(4))
            expect_frame(out, forwarded(frame, to_server_l2(), outer=outer))


@test("results that pass through zero on the way agree with scapy")
def _():
    # Every value of one word of the payload: the sums take every value as well.
    with Rig() as rig:
        rig.configure([service(4, 53, "nat", backend_port=5353, protocol="udp")])
        base = to_vip(4, UDP(sport=6002, dport=53), b"\0\0")
        base_out = forwarded(base, to_server_l2(), destination=server(4), dport=5353)
        total_in = 0xFFFF - checksum_of(base)
        total_out = 0xFFFF - checksum_of(base_out)
        frames, wanted = [], []
        for word in range(0, 0x10000, 7):
            for frame_list, frame, total in ((frames, base, total_in), (wanted, base_out, total_out)):
                value = total + word
                value = 0xFFFF - ((value & 0xFFFF) + (value >> 16))
                changed = bytearray(frame)
                changed[-2:] = word.to_bytes(2, "big")
                changed[40:42] = (value or 0xFFFF).to_bytes(2, "big")
                frame_list.append(bytes(changed))
        for start in range(0, len(frames), 1000):
            sent = rig.send(CLIENT, *frames[start : start + 1000])
            expect_sent(sent, *((SERVERS, frame) for frame in wanted[start : start + 1000]))


main()
