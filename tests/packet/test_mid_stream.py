"""Segments in mid-stream without a connection: reset as in LVS, or by hash where the service says so;
sloppy_tcp; and whose connection a 4-tuple is after its end."""

from judge import Ether, forwarded, from_server, packet, reset_for, tcp, to_server_l2, to_vip
from rig import (CLIENT, SERVERS, Rig, check, client, expect, expect_sent, main, server, service, test)

MODES = ("dr", "nat", "fullnat", "ipip")


def index_of(frame):
    return int(Ether(frame).dst.split(":")[-1], 16) - 0x11


def segment(v, port, flags="PA", payload=b"data", **more):
    return to_vip(v, tcp(port, 80, flags, seq=1001, ack=5001), payload, **more)


@test("without an option a segment in mid-stream is reset, in every mode")
def _():
    for v in (4, 6):
        for mode in MODES:
            with Rig() as rig:
                rig.configure([service(v, 80, mode)])
                rig.counted_since()
                for flags in ("A", "PA", "FA", "F", "", "PU"):
                    lost = segment(v, 1000, flags)
                    expect_sent(rig.send(CLIENT, lost), (CLIENT, reset_for(lost)), what=flags)
                    rig.expect_counters(received=1, originated=1, sent_rst=1, drop_no_connection=1)
                expect(rig.connections(), [], "connections")


@test("mid_stream: hash sends it on in DR and IPIP, each client to its server, and makes no connection")
def _():
    for v in (4, 6):
        for mode in ("dr", "ipip"):
            with Rig() as rig:
                rig.configure([service(v, 80, mode, backends=3, mid_stream="hash")])
                rig.counted_since()
                first = [index_of(f) for _, f in rig.send(
                    CLIENT, *[segment(v, 1000 + i) for i in range(60)])]
                expect(set(first), {0, 1, 2}, "servers")
                again = [index_of(f) for _, f in rig.send(
                    CLIENT, *[segment(v, 1000 + i, "FA", b"") for i in range(60)])]
                expect(again, first, "servers of the same flows")
                rig.expect_counters(received=120, sent_stateless=120, fallback_stateless=120)
                expect(rig.connections(), [], "connections")


@test("mid_stream: hash resets in NAT and FULLNAT, which need a connection")
def _():
    for mode in ("nat", "fullnat"):
        with Rig() as rig:
            rig.configure([service(4, 80, mode, mid_stream="hash")])
            lost = segment(4, 1000)
            expect_sent(rig.send(CLIENT, lost), (CLIENT, reset_for(lost)))


@test("mid_stream: hash does not send resets on")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "dr", mid_stream="hash")])
        rig.counted_since()
        expect_sent(rig.send(CLIENT, segment(4, 1000, "R", b"")))
        rig.expect_counters(received=1, drop_no_connection=1)


@test("mid_stream: hash with an mh service goes where a SYN of the client would go")
def _():
    for scheduler in ("mh", "sh"):
        with Rig() as rig:
            rig.configure([service(4, 80, "dr", backends=4, mid_stream="hash", scheduler=scheduler)])
            clients = [packet(client(4, i), "192.0.2.1", tcp(1000, 80)) for i in range(60)]
            chosen = [index_of(f) for _, f in rig.send(CLIENT, *clients)]
            middle = [packet(client(4, i), "192.0.2.1", tcp(2000, 80, "A", seq=9, ack=9))
                      for i in range(60)]
            expect([index_of(f) for _, f in rig.send(CLIENT, *middle)], chosen, scheduler)


@test("mid_stream: hash with no backend that takes flows resets")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "dr", [{"address": server(4), "weight": 0}],
                               mid_stream="hash")])
        lost = segment(4, 1000)
        expect_sent(rig.send(CLIENT, lost), (CLIENT, reset_for(lost)))


@test("mid_stream: hash obeys TTL and size like everything else")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "dr", mid_stream="hash")])
        rig.counted_since()
        rig.send(CLIENT, segment(4, 1000, ttl=1))
        rig.expect_counters(received=1, fallback_stateless=1, originated=1, sent_icmp_error=1,
                            drop_ttl_exceeded=1)
        frame = segment(4, 1000, ttl=2)
        expect_sent(rig.send(CLIENT, frame), (SERVERS, forwarded(frame, to_server_l2())))


@test("sloppy_tcp: ACK, FIN and data make connections, resets do not")
def _():
    for v in (4, 6):
        for mode in MODES:
            with Rig() as rig:
                rig.configure([service(v, 80, mode)], connections={"sloppy_tcp": True})
                for port, flags in enumerate(("A", "PA", "FA", "F", "R", "RA"), 1000):
                    rig.send(CLIENT, segment(v, port, flags))
                states = sorted(c["state"] for c in rig.connections())
                expect(states, ["CLOSE", "CLOSE", "ESTABLISHED", "ESTABLISHED"], "states")


@test("a SYN in TIME_WAIT or CLOSE is scheduled anew; with tcp_reuse off it stays")
def _():
    for reuse in (True, False):
        for ending in ("close", "reset"):
            with Rig() as rig:
                rig.configure([service(4, 80, "nat", backends=2)], connections={"tcp_reuse": reuse})
                rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
                rig.send(SERVERS, from_server(4, tcp(8080, 1000, "SA")))
                rig.send(CLIENT, segment(4, 1000, "A", b""))
                if ending == "close":
                    rig.send(CLIENT, segment(4, 1000, "FA", b""))
                    rig.send(SERVERS, from_server(4, tcp(8080, 1000, "FA", seq=1, ack=1)))
                else:
                    rig.send(CLIENT, segment(4, 1000, "R", b""))
                (_, again), = rig.send(CLIENT, to_vip(4, tcp(1000, 80, "S", seq=90000)))
                expect(index_of(again), 1 if reuse else 0, "server after %s" % ending)
                expect(len(rig.connections()), 1, "connections")
                totals = rig.service("192.0.2.1:80/tcp")
                expect((totals["connections"], totals["active"] + totals["inactive"]),
                       (2 if reuse else 1, 1), "counts")


@test("a retransmitted SYN stays with its server and its port")
def _():
    for mode in MODES:
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends=3)])
            first = rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
            rig.advance(1)
            again = rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
            expect(again, first, "frame")
            check(len(rig.connections()) == 1, "one connection")


main()
