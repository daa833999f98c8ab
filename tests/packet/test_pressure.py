"""A full table and floods of half-open connections: DR and IPIP go on by hash, NAT and FULLNAT drop by
name, established connections are never evicted, and all comes back when it is over."""

from judge import IP, UDP, Ether, forwarded, from_server, packet, stamped, tcp, to_server_l2, to_vip
from rig import (CLIENT, SERVERS, Rig, check, expect, expect_sent, main, server,
                 service, test, vip)

SMALL = 1024  # entries, the fewest that a configuration allows


def udp_flood(v, count, dport=80, first=0):
    one = to_vip(v, UDP(sport=1, dport=dport))
    return [stamped(one, spread(v, i), 1000 + i) for i in range(first, first + count)]


def syn_flood(v, count, dport=80, first=0):
    one = to_vip(v, tcp(1, dport))
    return [stamped(one, spread(v, i), 1000 + i) for i in range(first, first + count)]


def spread(v, i):
    return "198.18.%d.%d" % (i // 200, 1 + i % 200) if v == 4 else "2001:db8:77::%x" % (i + 1)


def server_of(frame):
    return int(Ether(frame).dst.split(":")[-1], 16) - 0x11


def fill(rig, v):
    """Takes every entry of the family by UDP flows through another service."""
    rig.send(CLIENT, *udp_flood(v, SMALL, dport=9))
    in_use = rig.table()["in_use%d" % v]
    check(in_use >= SMALL - 8, "only %d entries taken" % in_use)
    rig.counted_since()


def filler(v):
    return service(v, 9, "dr", protocol="udp")


NO_QUOTA = {"embryonic_percent": 100, "embryonic_pressure_percent": 100}


@test("a full table: NAT and FULLNAT drop new flows by name, and count them as refused")
def _():
    for v in (4, 6):
        for mode in ("nat", "fullnat"):
            for protocol, frames in (("tcp", syn_flood), ("udp", udp_flood)):
                with Rig(capacity=SMALL) as rig:
                    rig.configure([filler(v), service(v, 80, mode, protocol=protocol)],
                                  connections=NO_QUOTA)
                    fill(rig, v)
                    sent = rig.send(CLIENT, *frames(v, 20, first=5000))
                    expect(sent, [], "sent")
                    rig.expect_counters(received=20, drop_table_full=20)
                    key = "%s/%s" % ("192.0.2.1:80" if v == 4 else "[2001:db8:9::1]:80", protocol)
                    expect(rig.service(key)["refused"], 20, "refused")


@test("a full table: DR and IPIP go on by consistent hash, each client to one server")
def _():
    for v in (4, 6):
        for mode in ("dr", "ipip"):
            with Rig(capacity=SMALL) as rig:
                rig.configure([filler(v), service(v, 80, mode, backends=3)], connections=NO_QUOTA)
                fill(rig, v)
                flood = syn_flood(v, 60, first=5000)
                first = [server_of(f) for _, f in rig.send(CLIENT, *flood)]
                expect(len(first), 60, "sent")
                expect(sorted(set(first)), [0, 1, 2], "servers")
                rig.expect_counters(received=60, sent_stateless=60, fallback_stateless=60)
                # Their next segments, without a connection, go the same way.
                data = [packet(spread(v, i), vip(v), tcp(1000 + i, 80, "PA", seq=1001, ack=1), b"x")
                        for i in range(5000, 5060)]
                again = [server_of(f) for _, f in rig.send(CLIENT, *data)]
                expect(again, first, "servers of the data")
                rig.expect_counters(received=60, sent_stateless=60, fallback_stateless=60)


@test("what began without a connection lives on for the idle time-out, then it is reset")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([filler(4), service(4, 80, "dr", backends=3)], connections=NO_QUOTA,
                      timeouts={"udp_s": 5, "tcp_established_s": 100})
        fill(rig, 4)
        rig.send(CLIENT, packet(spread(4, 5000), vip(4), tcp(6000, 80)))
        rig.advance(6)
        expect(rig.table()["in_use4"], 0, "entries in use, the table is free again")
        rig.counted_since()
        data = packet(spread(4, 5000), vip(4), tcp(6000, 80, "A", seq=1001, ack=1))
        rig.advance(90)
        rig.send(CLIENT, data)
        rig.expect_counters(received=1, sent_stateless=1, fallback_stateless=1)
        rig.advance(6)
        rig.send(CLIENT, data)
        rig.expect_counters(received=1, drop_no_connection=1, originated=1, sent_rst=1)


@test("a full table: established connections are never evicted")
def _():
    for mode in ("nat", "dr", "fullnat"):
        with Rig(capacity=SMALL) as rig:
            rig.configure([filler(4), service(4, 80, mode, backends=2)], connections=NO_QUOTA)
            flows = [tcp(1000 + i, 80) for i in range(20)]
            opened = [f for _, f in rig.send(CLIENT, *[to_vip(4, flow) for flow in flows])]
            data = [to_vip(4, tcp(1000 + i, 80, "A", seq=1001, ack=1), b"d") for i in range(20)]
            rig.send(CLIENT, *data)
            rig.send(CLIENT, *udp_flood(4, 3 * SMALL, dport=9))
            rig.counted_since()
            sent = [f for _, f in rig.send(CLIENT, *data)]
            rig.expect_counters(received=20, **{"sent_" + mode: 20})
            expect([server_of(f) for f in sent], [server_of(f) for f in opened], "servers")


@test("a full table is as good as new when its flows have ended")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([service(4, 80, "nat", protocol="udp")], timeouts={"udp_s": 5})
        for round_number in range(5):
            rig.send(CLIENT, *udp_flood(4, SMALL, first=round_number * SMALL))
            check(rig.table()["in_use4"] >= SMALL - 8, "entries taken")
            rig.advance(6)
            expect(rig.table()["in_use4"], 0, "entries in use after the time-out")
        totals = rig.service("192.0.2.1:80/udp")
        expect((totals["active"], totals["inactive"]), (0, 0), "live connections")


@test("half-open connections have a quota: NAT drops by name beyond it, DR goes on by hash")
def _():
    for mode in ("nat", "dr"):
        with Rig(capacity=SMALL) as rig:
            rig.configure([service(4, 80, mode, backends=2)])
            rig.counted_since()
            sent = rig.send(CLIENT, *syn_flood(4, 900))
            table = rig.table()
            # A quarter of both tables; seen once a burst.
            check(512 <= table["embryonic"] <= 512 + 32, "%d half-open" % table["embryonic"])
            counted = rig.counted_since()
            over = 900 - table["embryonic"]
            if mode == "nat":
                expect((len(sent), counted["drop_embryonic_quota"]), (900 - over, over), "dropped")
            else:
                expect((len(sent), counted["sent_stateless"]), (900, over), "sent by hash")


@test("a SYN flood leaves established connections and UDP alone")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([service(4, 80, "nat"), service(4, 53, "nat", protocol="udp")])
        rig.send(CLIENT, to_vip(4, tcp(999, 80)))
        rig.send(SERVERS, from_server(4, tcp(8080, 999, "SA")))
        rig.send(CLIENT, to_vip(4, tcp(999, 80, "A", seq=1001, ack=1)))
        rig.send(CLIENT, *syn_flood(4, 900))
        rig.counted_since()
        rig.send(CLIENT, to_vip(4, tcp(999, 80, "PA", seq=1001, ack=1), b"data"))
        rig.send(SERVERS, from_server(4, tcp(8080, 999, "PA"), b"data"))
        rig.send(CLIENT, to_vip(4, UDP(sport=5, dport=53)))
        rig.expect_counters(received=3, sent_nat=2, sent_nat_reply=1, replies_local=1)


@test("under pressure half-open connections give way after ten seconds, and the quota is free again")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([service(4, 80, "nat")])
        rig.send(CLIENT, *syn_flood(4, 900))
        rig.advance(9)
        check(rig.table()["embryonic"] >= 512, "half-open connections live nine seconds")
        rig.advance(2)
        # Those that come below the pressure threshold keep their sixty seconds.
        check(rig.table()["embryonic"] < 512 * 0.75 + 32,
              "%d half-open" % rig.table()["embryonic"])
        rig.counted_since()
        rig.send(CLIENT, to_vip(4, tcp(7, 80)))
        rig.expect_counters(received=1, sent_nat=1)
        rig.advance(60)
        expect(rig.table()["embryonic"], 0, "half-open after their sixty seconds")


@test("without pressure a half-open connection lives its sixty seconds")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([service(4, 80, "nat")])
        rig.send(CLIENT, *syn_flood(4, 100))
        rig.advance(59)
        expect(rig.table()["embryonic"], 100, "half-open after 59 s")
        rig.advance(2)
        expect(rig.table()["embryonic"], 0, "half-open after 61 s")


@test("a handshake that completes leaves the quota, by either side's word")
def _():
    for mode in ("nat", "dr"):
        with Rig(capacity=SMALL) as rig:
            rig.configure([service(4, 80, mode)])
            rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80)) for i in range(50)])
            expect(rig.table()["embryonic"], 50, "half-open")
            rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80, "A", seq=1001, ack=1))
                               for i in range(50)])
            expect(rig.table()["embryonic"], 0, "half-open after the ACKs")


@test("by hash a client of a DR service has the same server as its neighbours' machines would choose")
def _():
    # The same configuration on another machine, whose table hash differs by its ports alone.
    chosen = []
    for _ in range(2):
        with Rig(capacity=SMALL) as rig:
            rig.configure([filler(4), service(4, 80, "dr", backends=4)], connections=NO_QUOTA)
            fill(rig, 4)
            chosen.append([server_of(f) for _, f in rig.send(CLIENT, *syn_flood(4, 80, first=3000))])
    expect(chosen[0], chosen[1], "choices")


@test("a packet that goes by hash looks like any other of its mode")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([filler(4), service(4, 80, "dr"), service(4, 81, "ipip")],
                      connections=NO_QUOTA)
        fill(rig, 4)
        for port, outer in ((80, None), (81, IP(src="10.2.0.1", dst=server(4)))):
            frame = to_vip(4, tcp(3, port))
            expect_sent(rig.send(CLIENT, frame),
                        (SERVERS, forwarded(frame, to_server_l2(), outer=outer)))


def persistent(v, timeout=600):
    return service(v, 80, "nat", backends=2, persistence={"timeout_s": timeout})


@test("a flood of SYNs to a persistent service leaves no templates that fill the table")
def _():
    for v in (4, 6):
        with Rig(capacity=SMALL) as rig:
            rig.configure([persistent(v)], connections={"embryonic_pressure_timeout_s": 5})
            for second in range(60):
                rig.send(CLIENT, *syn_flood(v, 100, first=100 * second))
                rig.advance(1)
            table = rig.table()
            check(table["in_use%d" % v] < SMALL * 0.6, "%s entries in use" % table)
            check(table["embryonic"] < SMALL * 0.6, "%s embryonic" % table)
            # It is over: somebody connects, and is remembered.
            rig.advance(61)
            expect(len(rig.send(CLIENT, *syn_flood(v, 1, first=9000))), 1, "SYN afterwards")


@test("a client that completed a handshake is remembered through a flood")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([persistent(4)], connections={"embryonic_pressure_timeout_s": 5})
        source = "198.51.100.1"
        (_, first), = rig.send(CLIENT, packet(source, vip(4), tcp(1000, 80)))
        rig.send(SERVERS, from_server(4, tcp(8080, 1000, "SA"), to=source, index=server_of(first)))
        rig.send(CLIENT, packet(source, vip(4), tcp(1000, 80, "A", seq=1001, ack=1)))
        rig.send(CLIENT, packet(source, vip(4), tcp(1000, 80, "R", seq=1001)))
        for second in range(60):
            rig.send(CLIENT, *syn_flood(4, 100, first=100 * second))
            rig.advance(1)
        remembered = [c["client"] for c in rig.connections() if c["template"]]
        check("198.51.100.1:0" in remembered, "the client is forgotten")


@test("half-open connections and their templates count once each, and both go")
def _():
    with Rig(capacity=SMALL) as rig:
        rig.configure([persistent(4, 100)])
        rig.send(CLIENT, *syn_flood(4, 10))
        expect((rig.table()["in_use4"], rig.table()["embryonic"]), (20, 20), "entries, half-open")
        rig.advance(61)  # without pressure a template has its time, as in LVS
        expect((rig.table()["in_use4"], rig.table()["embryonic"]), (10, 10), "entries, half-open")
        rig.advance(101)
        expect((rig.table()["in_use4"], rig.table()["embryonic"]), (0, 0), "entries, half-open")


main()
