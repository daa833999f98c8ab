"""What a change of the configuration does to the flows there are: weight 0, removal and its options,
re-adding, drains, other settings, services that go and come. Nothing cuts a flow without being asked."""

from judge import (IP, UDP, Ether, forwarded, from_server, ip_layer, reset_for, tcp, to_client_l2,
                   to_server_l2, to_vip)
from rig import (CLIENT, OWN4, SERVERS, Rig, check, client, expect, expect_sent, main, server,
                 service, test, vip)

MODES = ("dr", "nat", "fullnat", "ipip")
KEY = "192.0.2.1:80/tcp"


def backends(*indexes, **more):
    return [{"address": server(4, i), **more.get("b%d" % i, {})} for i in indexes]


def index_of(frame):
    return int(Ether(frame).dst.split(":")[-1], 16) - 0x11


def syn(port, v=4):
    return to_vip(v, tcp(port, 80))


def data(port, flags="PA", payload=b"data", v=4):
    return to_vip(v, tcp(port, 80, flags, seq=1001, ack=5001), payload)


def open_flow(rig, port, mode="nat"):
    """A whole handshake. Returns the server's index and, as the server sees it, the client's end."""
    (_, there), = rig.send(CLIENT, syn(port))
    seen = ip_layer(Ether(there))
    if mode in ("nat", "fullnat"):
        reply = from_server(4, tcp(8080, seen.payload.sport, "SA", seq=5000, ack=1001),
                            index=index_of(there), to=seen.src)
        check(len(rig.send(SERVERS, reply)) == 1, "the SYN-ACK does not get through")
    check(len(rig.send(CLIENT, data(port, "A", b""))) == 1, "the ACK does not get through")
    return index_of(there), (seen.src, seen.payload.sport)


def flow_lives(rig, port, index, end, mode="nat"):
    sent = rig.send(CLIENT, data(port))
    expect([(p, index_of(f)) for p, f in sent], [(SERVERS, index)], "way of the data")
    if mode in ("nat", "fullnat"):
        reply = from_server(4, tcp(8080, end[1], "PA", seq=5001, ack=1001), b"answer", index=index,
                            to=end[0])
        wanted = forwarded(reply, to_client_l2(), source=vip(4), sport=80, destination=client(4),
                           dport=port)
        expect_sent(rig.send(SERVERS, reply), (CLIENT, wanted), what="reply")


@test("weight 0 keeps the flows and gets no new ones, in every mode")
def _():
    for mode in MODES:
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends(0, 1))])
            flows = [(port, *open_flow(rig, port, mode)) for port in (1000, 1001)]
            expect([flow[1] for flow in flows], [0, 1], "servers")
            rig.configure([service(4, 80, mode, backends(0, 1, b0={"weight": 0}))])
            for port, index, end in flows:
                flow_lives(rig, port, index, end, mode)
            sent = rig.send(CLIENT, *[syn(port) for port in range(2000, 2010)])
            expect({index_of(f) for _, f in sent}, {1}, "servers of new flows")
            rig.configure([service(4, 80, mode, backends(0, 1))])
            sent = rig.send(CLIENT, *[syn(port) for port in range(3000, 3010)])
            expect({index_of(f) for _, f in sent}, {0, 1}, "servers when it has its weight back")


@test("a removed backend keeps its flows to their end, in every mode")
def _():
    for mode in MODES:
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends(0, 1))])
            flows = [(port, *open_flow(rig, port, mode)) for port in (1000, 1001)]
            rig.configure([service(4, 80, mode, backends(1))])
            rig.advance(300)
            for port, index, end in flows:
                flow_lives(rig, port, index, end, mode)
            sent = rig.send(CLIENT, *[syn(port) for port in range(2000, 2010)])
            expect({index_of(f) for _, f in sent}, {1}, "servers of new flows")
            rig.advance(901)
            expect(rig.connections(), [], "connections at the end")


@test("a SYN on a flow of a removed backend begins a new one elsewhere")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", backends(0, 1))])
        index, _ = open_flow(rig, 1000)
        expect(index, 0, "server")
        rig.configure([service(4, 80, "nat", backends(1))])
        sent = rig.send(CLIENT, syn(1000))
        expect([index_of(f) for _, f in sent], [1], "servers")
        expect(len(rig.connections()), 1, "connections")


@test("a removed service keeps its flows, and its VIP stays ours until they have ended")
def _():
    for mode in MODES:
        with Rig() as rig:
            rig.configure([service(4, 80, mode)])
            index, end = open_flow(rig, 1000, mode)
            rig.configure([])
            flow_lives(rig, 1000, index, end, mode)
            stray = syn(1001)
            expect_sent(rig.send(CLIENT, stray), (CLIENT, reset_for(stray)), what="new flow")
            rig.advance(902)
            rig.reclaim()
            rig.counted_since()
            expect_sent(rig.send(CLIENT, stray))
            rig.expect_counters(received=1, drop_not_routed=1)


@test("a backend that comes back finds its flows, and its counters go on")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", backends(0, 1))])
        index, end = open_flow(rig, 1000)
        before = rig.backend(KEY, "10.2.0.11:8080")
        rig.configure([service(4, 80, "nat", backends(1))])
        flow_lives(rig, 1000, index, end)
        rig.configure([service(4, 80, "nat", backends(0, 1))])
        flow_lives(rig, 1000, index, end)
        after = rig.backend(KEY, "10.2.0.11:8080")
        expect((after["connections"], after["in_packets"], after["active"]),
               (before["connections"], before["in_packets"] + 2, 1), "counters")


@test("a service that comes back finds its flows")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", backends(0, 1))])
        index, end = open_flow(rig, 1000)
        rig.configure([])
        rig.configure([service(4, 80, "nat", backends(0, 1))])
        flow_lives(rig, 1000, index, end)
        expect(rig.service(KEY)["active"], 1, "live connections")


@test("drop: the client's packets end in silence, replies are translated, re-adding revives")
def _():
    for mode in ("nat", "fullnat"):
        options = {"on_backend_removed": "drop"}
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends(0, 1), **options)])
            index, end = open_flow(rig, 1000, mode)
            rig.configure([service(4, 80, mode, backends(1), **options)])
            rig.counted_since()
            for frame in (data(1000), syn(1000), data(1000, "FA", b"")):
                expect_sent(rig.send(CLIENT, frame))
                rig.expect_counters(received=1, drop_backend_removed=1)
            reply = from_server(4, tcp(8080, end[1], "PA", seq=5001, ack=1001), b"answer", to=end[0])
            expect([p for p, _ in rig.send(SERVERS, reply)], [CLIENT], "way of the reply")
            rig.configure([service(4, 80, mode, backends(0, 1), **options)])
            flow_lives(rig, 1000, index, end, mode)


@test("drop: a connection in TIME_WAIT or CLOSE gives way to a new SYN all the same")
def _():
    options = {"on_backend_removed": "drop"}
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", backends(0, 1), **options)])
        open_flow(rig, 1000)
        rig.send(CLIENT, data(1000, "R", b""))
        expect([c["state"] for c in rig.connections()], ["CLOSE"], "states")
        rig.configure([service(4, 80, "nat", backends(1), **options)])
        expect([index_of(f) for _, f in rig.send(CLIENT, syn(1000))], [1], "servers")


@test("expire: data is reset, a reply is nobody's, a SYN is scheduled anew")
def _():
    for mode in MODES:
        options = {"on_backend_removed": "expire"}
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends(0, 1), **options)])
            ends = [open_flow(rig, port, mode)[1] for port in (1000, 1001, 1002, 1003, 1004)]
            rig.configure([service(4, 80, mode, backends(1), **options)])
            rig.counted_since()
            lost = data(1000)
            expect_sent(rig.send(CLIENT, lost), (CLIENT, reset_for(lost)), what=mode)
            if mode in ("nat", "fullnat"):
                reply = from_server(4, tcp(8080, ends[2][1], "PA", seq=5001, ack=1001), b"answer",
                                    to=ends[2][0])
                rig.counted_since()
                expect_sent(rig.send(SERVERS, reply))
                rig.expect_counters(received=1, drop_reply_no_connection=1)
            expect([index_of(f) for _, f in rig.send(CLIENT, syn(1004))], [1], "servers")


@test("expire: connections of a removed backend are gone at once, without a packet of theirs")
def _():
    for mode in MODES:
        options = {"on_backend_removed": "expire"}
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends(0, 1), **options)])
            for port in range(1000, 1100):
                open_flow(rig, port, mode)
            rig.configure([service(4, 80, mode, backends(1), **options)])
            rig.settle()
            left = [c["backend"] for c in rig.connections()]
            expect((len(left), set(left)), (50, {"10.2.0.12:%d" % (8080 if "nat" in mode else 80)}),
                   "connections left")
            expect(rig.service(KEY)["active"], 50, "live connections")


@test("expire: a SYN for a backend of weight 0 is scheduled anew, data stays")
def _():
    for on_removed, wanted in (("expire", 1), ("keep", 0), ("drop", 0)):
        with Rig() as rig:
            options = {"on_backend_removed": on_removed}
            rig.configure([service(4, 80, "nat", backends(0, 1), **options)])
            open_flow(rig, 1000)
            rig.configure([service(4, 80, "nat", backends(0, 1, b0={"weight": 0}), **options)])
            expect([index_of(f) for _, f in rig.send(CLIENT, data(1000))], [0], "server of data")
            expect([index_of(f) for _, f in rig.send(CLIENT, syn(1000))], [wanted], "server of SYN")


@test("a drain's deadline ends what is left: clients are reset, idle flows go without a packet")
def _():
    for mode in MODES:
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends(0, 1), drain_deadline_s=30)])
            flows = [(port, *open_flow(rig, port, mode)) for port in range(1000, 1010)]
            rig.configure([service(4, 80, mode, backends(1), drain_deadline_s=30)])
            rig.advance(29)
            flow_lives(rig, 1000, *flows[0][1:], mode)
            rig.advance(1.5)
            rig.settle()
            left = rig.connections()
            expect(len(left), 5, "connections left, idle ones are gone as well")
            expect(rig.service(KEY)["active"], 5, "live connections")
            late = data(1000)
            expect_sent(rig.send(CLIENT, late), (CLIENT, reset_for(late)), what=mode)
            flow_lives(rig, 1001, *flows[1][1:], mode)


@test("a packet that arrives with the deadline itself is dropped by name, and the client is reset")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", backends(0, 1), drain_deadline_s=0)])
        open_flow(rig, 1000)
        late = data(1000)
        rig.configure([service(4, 80, "nat", backends(1), drain_deadline_s=0)])
        expect_sent(rig.send(CLIENT, late), (CLIENT, reset_for(late)), what="late data")


@test("a backend that is disabled drains like a removed one, and comes back in its place")
def _():
    with Rig() as rig:
        def configure(enabled):
            rig.configure([service(4, 80, "nat", backends(0, 1, b0={"enabled": enabled}),
                                   drain_deadline_s=60)])

        configure(True)
        index, end = open_flow(rig, 1000)
        configure(False)
        flow_lives(rig, 1000, index, end)
        expect({index_of(f) for _, f in rig.send(CLIENT, syn(2000), syn(2001))}, {1}, "servers")
        configure(True)
        rig.advance(70)
        flow_lives(rig, 1000, index, end)


@test("a reload that changes nothing, or only others, leaves every flow")
def _():
    with Rig() as rig:
        def services(extra):
            return [service(4, 80, "nat", backends(0, 1)), *extra]

        rig.configure(services([]))
        flows = [(port, *open_flow(rig, port)) for port in range(1000, 1020)]
        for extra in ([], [service(4, 81)], [service(6)], [service(4, 81, "dr"), service(6, 53, "nat")],
                      []):
            rig.configure(services(extra), timeouts={"udp_s": 100 + len(extra)})
            for port, index, end in flows:
                flow_lives(rig, port, index, end)
        expect(rig.service(KEY)["connections"], 20, "connections, all from the start")


@test("another scheduler, mode or weight concerns new flows alone")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", backends(0, 1))])
        index, end = open_flow(rig, 1000)
        for mode, scheduler in (("fullnat", "wlc"), ("dr", "mh"), ("ipip", "sh"), ("nat", "rr")):
            rig.configure([service(4, 80, mode, backends(0, 1), scheduler=scheduler)])
            if mode in ("nat", "fullnat"):
                flow_lives(rig, 1000, index, end)


@test("a tunnel's flow keeps its outer source when its service changes to another mode")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "ipip", backends(0))])
        open_flow(rig, 1000, "ipip")
        rig.configure([service(4, 80, "dr", backends(0))])
        frame = data(1000)
        wanted = forwarded(frame, to_server_l2(), outer=IP(src=OWN4[1], dst=server(4)))
        expect_sent(rig.send(CLIENT, frame), (SERVERS, wanted))


@test("UDP flows live through weight 0, removal and reload like TCP's")
def _():
    with Rig() as rig:
        def configure(*args, **more):
            rig.configure([service(4, 53, "nat", backends(*args, **more), protocol="udp")])

        configure(0, 1)
        first = [to_vip(4, UDP(sport=1000 + i, dport=53), b"q") for i in range(4)]
        owners = [index_of(f) for _, f in rig.send(CLIENT, *first)]
        for change in (((0, 1), {"b0": {"weight": 0}}), ((1,), {}), ((), {}), ((0, 1), {})):
            configure(*change[0], **change[1])
            expect([index_of(f) for _, f in rig.send(CLIENT, *first)], owners, "servers")


@test("ids of backends are given back when the last connection has ended, and used again")
def _():
    with Rig() as rig:
        for round_number in range(6):
            address = "10.2.0.%d" % (11 + round_number % 5)
            rig.configure([service(4, 80, "nat", [{"address": address}])])
            open_flow(rig, 1000 + round_number)
            counts = rig.backend(KEY, address + ":8080")
            expect((counts["connections"], counts["active"]), (1, 1), "counters of a new backend")
            rig.configure([service(4, 80, "nat", [])])
            rig.advance(901)
            rig.reclaim()
        expect(rig.table()["in_use4"], 0, "entries")


main()
