"""Persistence: a client, or a network of them, stays with one server, through services of all ports,
weight 0 and removals, for as long as it is remembered."""

from judge import UDP, Ether, from_server, packet, tcp
from rig import CLIENT, SERVERS, Rig, expect, main, server, service, test, vip


def index_of(frame):
    return int(Ether(frame).dst.split(":")[-1], 16) - 0x11


def syn(source, port=1000, dport=80):
    return packet(source, vip(6 if ":" in source else 4), tcp(port, dport))


def persistent(v=4, port=80, mode="nat", backends=3, timeout=300, netmask=None, leave=False, **more):
    section = {"timeout_s": timeout, "leave_quiescent": leave}
    if netmask is not None:
        section["netmask"] = netmask
    return service(v, port, mode, backends, persistence=section, **more)


def servers_of(rig, *frames, worker=0):
    return [index_of(f) for _, f in rig.send(CLIENT, *frames, worker=worker)]


def templates(rig):
    return sorted((c["client"], c["backend"]) for c in rig.connections() if c["template"])


@test("a client stays with its server in every mode and family, others are scheduled")
def _():
    for v, clients in ((4, ("198.51.100.1", "198.51.100.2", "198.51.100.3")),
                       (6, ("2001:db8:c::1", "2001:db8:c::2", "2001:db8:c::3"))):
        for mode in ("dr", "nat", "fullnat", "ipip"):
            with Rig() as rig:
                rig.configure([persistent(v, mode=mode)])
                frames = [syn(c, 1000 + i) for i in range(4) for c in clients]
                expect(servers_of(rig, *frames), [0, 1, 2] * 4, "servers")
                expect(len(templates(rig)), 3, "templates")


@test("a netmask makes one client of a network")
def _():
    with Rig() as rig:
        rig.configure([persistent(netmask=24), persistent(6, netmask=64)])
        expect(servers_of(rig, syn("198.51.100.1"), syn("198.51.100.200"), syn("198.51.101.1"),
                          syn("198.51.100.77", 5)), [0, 0, 1, 0], "servers")
        expect(servers_of(rig, syn("2001:db8:c:1::1"), syn("2001:db8:c:1:ffff::9"),
                          syn("2001:db8:c:2::1")), [0, 0, 1], "servers")
        expect([t[0] for t in templates(rig)], ["198.51.100.0:0", "198.51.101.0:0",
                                                "[2001:db8:c:1::]:0", "[2001:db8:c:2::]:0"],
               "templates")


@test("a service of all ports keeps a client's ports together; one of its own port wins")
def _():
    with Rig() as rig:
        rig.configure([persistent(4, 0, backend_port=0), service(4, 443, "nat", [
            {"address": server(4, 4)}], backend_port=8443)])
        frames = [syn("198.51.100.1", 1000 + i, dport) for i, dport in enumerate((80, 22, 9999, 443))]
        expect(servers_of(rig, *frames), [0, 0, 0, 4], "servers")
        expect(servers_of(rig, syn("198.51.100.2", 1, 22)), [1], "another client")
        sent = rig.send(CLIENT, syn("198.51.100.1", 2000, 65535))
        expect(Ether(sent[0][1]).payload.payload.dport, 65535, "port at the server")


@test("TCP and UDP, and two services of one VIP, remember apart")
def _():
    with Rig() as rig:
        rig.configure([persistent(4, 80), persistent(4, 81), persistent(4, 80, protocol="udp")])
        source = "198.51.100.1"
        servers_of(rig, syn("198.51.100.9"))
        expect(servers_of(rig, syn(source), syn(source, dport=81),
                          packet(source, vip(4), UDP(sport=5, dport=80))), [1, 0, 0], "servers")


@test("a source port of zero is a flow, not a template")
def _():
    with Rig() as rig:
        rig.configure([persistent()])
        expect(servers_of(rig, syn("198.51.100.1", 0), syn("198.51.100.1", 1)), [0, 0], "servers")
        expect(sorted(c["template"] for c in rig.connections()), [False, False, True], "entries")


@test("a client is forgotten when its time is over and no connection of it lives")
def _():
    with Rig() as rig:
        rig.configure([persistent(timeout=100)], timeouts={"tcp_syn_recv_s": 20})
        source = "198.51.100.1"
        expect(servers_of(rig, syn(source)), [0], "server")
        rig.advance(90)
        expect(servers_of(rig, syn(source, 1001)), [0], "server within the time")
        rig.advance(121)
        expect(rig.connections(), [], "entries when it is over")
        expect(servers_of(rig, syn(source, 1002)), [1], "server after")


@test("a template outlives its time while a connection of it lives")
def _():
    with Rig() as rig:
        rig.configure([persistent(timeout=10)])
        source = "198.51.100.1"
        rig.send(CLIENT, syn(source))
        rig.send(SERVERS, from_server(4, tcp(8080, 1000, "SA"), to=source))
        rig.send(CLIENT, packet(source, vip(4), tcp(1000, 80, "A", seq=1001, ack=1)))
        rig.advance(200)
        expect(servers_of(rig, syn(source, 1001)), [0], "server after 200 s of 10")
        rig.advance(930)
        expect(rig.connections(), [], "entries when the connections have ended")


@test("weight 0: the client stays, or leaves when the service says so")
def _():
    for leave in (False, True):
        with Rig() as rig:
            def configure(weight):
                rig.configure([persistent(backends=[{"address": server(4, 0), "weight": weight},
                                                    {"address": server(4, 1)}], leave=leave)])

            configure(1)
            source = "198.51.100.1"
            expect(servers_of(rig, syn(source)), [0], "server")
            configure(0)
            expect(servers_of(rig, syn(source, 1001), syn(source, 1002)), [1, 1] if leave else [0, 0],
                   "server at weight 0")
            configure(1)
            expect(servers_of(rig, syn(source, 1003)), [1 if leave else 0], "server afterwards")
            expect(len(templates(rig)), 1, "templates")


@test("a removed server's clients get another, one for all their connections, and keep it")
def _():
    with Rig() as rig:
        def configure(*indexes):
            rig.configure([persistent(backends=[{"address": server(4, i)} for i in indexes])])

        configure(0, 1, 2)
        source = "198.51.100.1"
        expect(servers_of(rig, syn(source)), [0], "server")
        configure(1, 2)
        again = servers_of(rig, syn(source, 1001), syn(source, 1002), syn(source, 1003))
        expect(len(set(again)), 1, "servers after the removal")
        configure(0, 1, 2)
        expect(servers_of(rig, syn(source, 1004)), again[:1], "server when the first is back")
        expect(len(templates(rig)), 1, "templates")


@test("the server that a template names may be overloaded: the client stays, as in LVS")
def _():
    with Rig() as rig:
        rig.configure([persistent(backends=[{"address": server(4, 0), "upper_threshold": 2},
                                            {"address": server(4, 1)}])])
        frames = [syn("198.51.100.1", 1000 + i) for i in range(4)]
        expect(servers_of(rig, *frames), [0, 0, 0, 0], "servers")
        expect(servers_of(rig, syn("198.51.100.2")), [1], "another client")


@test("two workers that see a client's first connections agree")
def _():
    with Rig(workers=2) as rig:
        rig.configure([persistent(backends=4)])
        for i in range(40):
            source = "198.51.100.%d" % (i + 1)
            chosen = [servers_of(rig, syn(source, 1000 + n), worker=n % 2)[0] for n in range(4)]
            expect(len(set(chosen)), 1, "servers of " + source)
        expect(len(templates(rig)), 40, "templates")
        rig.advance(600)
        expect((rig.table()["in_use4"], rig.service("192.0.2.1:80/tcp")["active"]), (0, 0),
               "entries, live connections")


@test("a change of the time-out holds for templates that are there")
def _():
    with Rig() as rig:
        rig.configure([persistent(timeout=1000)], timeouts={"tcp_syn_recv_s": 5})
        rig.send(CLIENT, syn("198.51.100.1"))
        rig.advance(20)
        expect(len(templates(rig)), 1, "templates")
        rig.configure([])
        rig.advance(1005)
        expect(rig.table()["in_use4"], 0, "entries when the service is gone")


@test("with a full table a client is scheduled each time rather than refused")
def _():
    with Rig(capacity=1024) as rig:
        rig.configure([persistent(mode="dr"), service(4, 9, "dr", protocol="udp")])
        rig.send(CLIENT, *[packet("198.18.%d.%d" % (i // 200, 1 + i % 200), vip(4), UDP(
            sport=i + 1, dport=9)) for i in range(1030)])
        rig.counted_since()
        rig.send(CLIENT, syn("198.51.100.1"), syn("198.51.100.1", 1001))
        rig.expect_counters(received=2, sent_stateless=2, fallback_stateless=2)


main()
