"""Backends that health has found down (`on_down`): connections that stay, that are reset on both sides,
that are forgotten; and where new ones go."""

from judge import (IP, TCP, UDP, Ether, IPv6, forwarded, from_server, ip_layer, reset_for, tcp,
                   to_client_l2, to_server_l2, to_vip)
from rig import CLIENT, SERVERS, Rig, check, client, expect, expect_sent, main, server, service, test, vip

MODES = ("dr", "nat", "fullnat", "ipip")
TRANSLATED = ("nat", "fullnat")


def backends(v=4, count=2):
    return [{"address": server(v, i)} for i in range(count)]


def index_of(frame):
    return int(Ether(frame).dst.split(":")[-1], 16) - 0x11


def data(port, flags="PA", payload=b"data", v=4, seq=1001, ack=5001):
    return to_vip(v, tcp(port, 80, flags, seq=seq, ack=ack), payload)


def open_flow(rig, port, mode, v=4):
    """A whole handshake with the first server. Returns the client's end as the server sees it."""
    (_, there), = rig.send(CLIENT, to_vip(v, tcp(port, 80)))
    expect(index_of(there), 0, "server")
    seen = ip_layer(Ether(there))
    if mode in TRANSLATED:
        reply = from_server(v, tcp(8080, seen.payload.sport, "SA", seq=5000, ack=1001), to=seen.src)
        check(len(rig.send(SERVERS, reply)) == 1, "the SYN-ACK does not get through")
    check(len(rig.send(CLIENT, data(port, "A", b"", v))) == 1, "the ACK does not get through")
    return seen.src, seen.payload.sport


def reset(source, destination, sport, dport, seq, ack, l2, flags="RA"):
    """A reset of headgate's own, of the whole frame."""
    segment = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=0)
    if ":" in source:
        return bytes(l2 / IPv6(src=source, dst=destination, hlim=64) / segment)
    return bytes(l2 / IP(src=source, dst=destination, ttl=64, id=0, flags="DF") / segment)


def opened(rig, mode, v=4, ports=(1000,), on_down="reset", **options):
    """Flows to the first of two servers, which then is down."""
    rig.configure([service(v, 80, mode, backends(v, 1), **options)])
    ends = [open_flow(rig, port, mode, v) for port in ports]
    rig.configure([service(v, 80, mode, backends(v), **options)], down={server(v): on_down})
    rig.counted_since()
    return ends


@test("keep: flows live to their end, a SYN is scheduled anew, and the flow is there when it is up again")
def _():
    for mode in MODES:
        with Rig() as rig:
            opened(rig, mode, ports=(1000, 1001), on_down="keep")
            rig.settle()
            expect([index_of(f) for _, f in rig.send(CLIENT, data(1000))], [0], "server of data")
            sent = rig.send(CLIENT, *[to_vip(4, tcp(port, 80)) for port in range(2000, 2004)])
            expect({index_of(f) for _, f in sent}, {1}, "servers of new flows")
            expect([index_of(f) for _, f in rig.send(CLIENT, to_vip(4, tcp(1001, 80)))], [1],
                   "server of a SYN on a flow that there was")
            rig.configure([service(4, 80, mode, backends())])
            expect([index_of(f) for _, f in rig.send(CLIENT, data(1000))], [0], "server of data")


@test("reset: data of the client resets both sides with the numbers that both wait for")
def _():
    for v in (4, 6):
        for mode in TRANSLATED:
            with Rig() as rig:
                (end,) = opened(rig, mode, v)
                late = data(1000, v=v)
                onward = reset(end[0], server(v), end[1], 8080, seq=1001, ack=5001, l2=to_server_l2())
                expect_sent(rig.send(CLIENT, late), (CLIENT, reset_for(late)), (SERVERS, onward), what=mode)
                rig.expect_counters(received=1, originated=2, sent_rst=2, drop_backend_reset=1)
                expect(rig.connections(), [], "connections")
                expect_sent(rig.send(CLIENT, late), (CLIENT, reset_for(late)), what="the next one")
                rig.expect_counters(received=1, originated=1, sent_rst=1, drop_no_connection=1)


@test("reset: data of the server resets both sides with the numbers that both wait for")
def _():
    for v in (4, 6):
        for mode in TRANSLATED:
            with Rig() as rig:
                (end,) = opened(rig, mode, v)
                late = from_server(v, tcp(8080, end[1], "PA", seq=5001, ack=1001), b"answer", to=end[0])
                onward = reset(vip(v), client(v), 80, 1000, seq=5001, ack=1001, l2=to_client_l2())
                expect_sent(rig.send(SERVERS, late), (CLIENT, onward),
                            (SERVERS, reset_for(late, to_server_l2())), what=mode)
                rig.expect_counters(received=1, originated=2, sent_rst=2, drop_backend_reset=1)
                expect(rig.connections(), [], "connections")


@test("reset: a handshake that is under way is reset for the client with the number of its SYN")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", backends(4, 1))])
        rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        rig.configure([service(4, 80, "nat", backends())], down={server(4): "reset"})
        answer = from_server(4, tcp(8080, 1000, "SA", seq=5000, ack=1001))
        expect_sent(rig.send(SERVERS, answer),
                    (CLIENT, reset(vip(4), client(4), 80, 1000, 5000, 1001, to_client_l2())),
                    (SERVERS, reset_for(answer, to_server_l2())))


@test("reset: DR and IPIP answer the client alone")
def _():
    for v in (4, 6):
        for mode in ("dr", "ipip"):
            with Rig() as rig:
                opened(rig, mode, v)
                late = data(1000, v=v)
                expect_sent(rig.send(CLIENT, late), (CLIENT, reset_for(late)), what=mode)
                rig.expect_counters(received=1, originated=1, sent_rst=1, drop_backend_reset=1)
                expect(rig.connections(), [], "connections")


@test("reset: a reset of the client goes on to the server, and gets no answer")
def _():
    for mode in TRANSLATED:
        with Rig() as rig:
            (end,) = opened(rig, mode)
            late = data(1000, "RA", b"")
            expect_sent(rig.send(CLIENT, late),
                        (SERVERS, reset(end[0], server(4), end[1], 8080, 1001, 5001, to_server_l2())))
            rig.expect_counters(received=1, originated=1, sent_rst=1, drop_backend_reset=1)


@test("reset: a SYN is scheduled anew, not reset")
def _():
    for mode in MODES:
        with Rig() as rig:
            opened(rig, mode)
            expect([index_of(f) for _, f in rig.send(CLIENT, to_vip(4, tcp(1000, 80)))], [1], "server")
            rig.expect_counters(received=1, **{"sent_" + mode: 1},
                                **({"fullnat_port_other": 1} if mode == "fullnat" else {}))
            expect(len(rig.connections()), 1, "connections")


@test("reset: flows of which nothing is heard stay until they are heard of, whatever was looked through")
def _():
    with Rig() as rig:
        (end,) = opened(rig, "nat")
        rig.settle()
        rig.advance(60)
        late = data(1000)
        onward = reset(end[0], server(4), end[1], 8080, 1001, 5001, to_server_l2())
        expect_sent(rig.send(CLIENT, late), (CLIENT, reset_for(late)), (SERVERS, onward))


@test("reset: a flow that was silent all the while goes on when its backend is up again")
def _():
    with Rig() as rig:
        opened(rig, "nat")
        rig.settle()
        rig.configure([service(4, 80, "nat", backends())])
        late = data(1000)
        wanted = forwarded(late, to_server_l2(), destination=server(4), dport=8080)
        expect_sent(rig.send(CLIENT, late), (SERVERS, wanted))


@test("reset: both resets keep to the rate")
def _():
    for rate, wanted in ((0, 0), (1, 1), (100, 2)):
        with Rig() as rig:
            opened(rig, "nat")
            rig.configure(rig.services, down={server(4): "reset"}, rates={"rst_per_s": rate})
            rig.advance(5)
            rig.counted_since()
            expect(len(rig.send(CLIENT, data(1000))), wanted, "resets")
            more = {"originated": wanted, "sent_rst": wanted} if wanted else {}
            rig.expect_counters(received=1, drop_backend_reset=1, **more)
            expect(rig.connections(), [], "connections")


@test("reset and reschedule: UDP flows begin anew at their next datagram, and silent ones are gone")
def _():
    for on_down in ("reset", "reschedule"):
        with Rig() as rig:
            rig.configure([service(4, 53, "nat", backends(4, 1), protocol="udp")])
            queries = [to_vip(4, UDP(sport=1000 + i, dport=53), b"q") for i in range(4)]
            rig.send(CLIENT, *queries)
            rig.configure([service(4, 53, "nat", backends(), protocol="udp")], down={server(4): on_down})
            expect([index_of(f) for _, f in rig.send(CLIENT, queries[0])], [1], "server")
            rig.settle()
            expect([c["backend"] for c in rig.connections()], ["10.2.0.12:8080"], "connections left")


@test("reschedule: TCP flows are forgotten, silent ones at once")
def _():
    for mode in MODES:
        with Rig() as rig:
            opened(rig, mode, ports=(1000, 1001), on_down="reschedule")
            late = data(1000)
            expect_sent(rig.send(CLIENT, late), (CLIENT, reset_for(late)), what=mode)
            rig.expect_counters(received=1, originated=1, sent_rst=1, drop_no_connection=1)
            rig.settle()
            expect(rig.connections(), [], "connections")


@test("a persistent client goes to another backend whatever becomes of its flows, and stays there")
def _():
    for on_down in ("keep", "reset", "reschedule"):
        with Rig() as rig:
            opened(rig, "nat", on_down=on_down, persistence={"timeout_s": 300})
            sent = rig.send(CLIENT, to_vip(4, tcp(2000, 80)))
            expect([index_of(f) for _, f in sent], [1], "server of a new flow, " + on_down)
            rig.configure(rig.services)
            sent = rig.send(CLIENT, to_vip(4, tcp(2001, 80)))
            expect([index_of(f) for _, f in sent], [1], "server when it is up again, " + on_down)


@test("a drain's deadline is not of those that are down, but of those that are then removed")
def _():
    with Rig() as rig:
        opened(rig, "nat", on_down="keep", drain_deadline_s=30)
        rig.advance(60)
        expect([index_of(f) for _, f in rig.send(CLIENT, data(1000))], [0], "server")
        rig.configure([service(4, 80, "nat", backends(4)[1:], drain_deadline_s=30)])
        rig.advance(31)
        rig.settle()
        expect(rig.connections(), [], "connections of a backend that was down and then removed")


main()
