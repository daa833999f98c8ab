"""Firewall marks: rules give packets a mark, and the service of that mark goes before one of their own
address and port. In every mode and family, with persistence, fallbacks, reloads and VRRP."""

from judge import (ARP, ICMP, UDP, UNREACHABLE, Ether, check_checksums, forwarded, icmp_error, packet,
                   reset_for, tcp, to_client_l2, to_server_l2, transport_layer, ip_layer)
from rig import (CLIENT, CLIENT_MAC, PORT_MACS, SERVERS, Rig, check, client, expect, expect_sent, local,
                 main, server, server_mac, service, test, vip)
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

FAMILY = {4: "ipv4", 6: "ipv6"}
NETWORK = {4: "203.0.113.0/24", 6: "2001:db8:99::/48"}
INSIDE = {4: "203.0.113.%d", 6: "2001:db8:99::%x"}  # addresses of the network


def by_mark(v=4, mark=7, mode="dr", backends=2, backend_port=0, first=0, **more):
    """A service of a mark, with so many servers from the first one on."""
    entry = {"firewall_mark": mark, "family": FAMILY[v], "mode": mode, "scheduler": "rr",
             "backends": [{"address": server(v, first + i), "port": backend_port}
                          for i in range(backends)], **more}
    if mode == "fullnat":
        entry["local_addresses"] = [local(v)]
    return entry


def key(v=4, mark=7):
    return "mark:%d/%s" % (mark, FAMILY[v])


def rules(*entries):
    """(mark, destination) each, with what else the rule says."""
    return [{"mark": mark, "destination": destination, **(more[0] if more else {})}
            for mark, destination, *more in entries]


def index_of(frame):
    return int(Ether(frame).dst.split(":")[-1], 16) - 0x11


def servers_of(rig, *frames, worker=0):
    return [index_of(f) for _, f in rig.send(CLIENT, *frames, worker=worker)]


def to(v, destination, transport, index=0):
    return packet(client(v, index), destination, transport)


@test("marked packets are balanced in every mode and family, keep their port, and are answered")
def _():
    for mode in ("dr", "nat", "fullnat", "ipip"):
        for v in (4, 6):
            for protocol in ("tcp", "udp"):
                every_way(mode, v, protocol)


def every_way(mode, v, protocol):
    def transport(sport, dport, flags):
        return tcp(sport, dport, flags) if protocol == "tcp" else UDP(sport=sport, dport=dport)

    with Rig() as rig:
        rig.configure([by_mark(v, mode=mode)], firewall_marks=rules((7, NETWORK[v])))
        rig.counted_since()
        there = INSIDE[v] % 5
        first = to(v, there, transport(1024, 8081, "S"))
        sent = rig.send(CLIENT, first)
        expect(len(sent), 1, "frames sent")
        out = {}
        if mode in ("nat", "fullnat"):
            out["destination"] = server(v)
        if mode == "fullnat":
            out["source"], out["sport"] = local(v), transport_layer(
                ip_layer(Ether(sent[0][1]))).sport
        if mode == "ipip":
            outer = (IP if v == 4 else IPv6)(src=("10.2.0.1" if v == 4 else "fd00:2::1"),
                                            dst=server(v))
            out["outer"] = outer
        expect_sent(sent, (SERVERS, forwarded(first, to_server_l2(), **out)))
        check_checksums(sent[0][1])
        if mode in ("nat", "fullnat"):
            back = packet(server(v), out.get("source", client(v)),
                          transport(8081, out.get("sport", 1024), "SA"),
                          l2=Ether(dst=PORT_MACS[1], src=server_mac()))
            port = {"dport": 1024} if mode == "fullnat" else {}
            expect_sent(rig.send(SERVERS, back), (CLIENT, forwarded(
                back, to_client_l2(), source=there, destination=client(v), **port)))
        totals = rig.service(key(v))
        expect((totals["connections"], totals["in_packets"]), (1, 1), "counters")
        backend = rig.backend(key(v), ("%s:0" if v == 4 else "[%s]:0") % server(v))
        expect((backend["connections"], backend["active"]), (1, 1), "the server's")


@test("the first rule that fits counts: source, protocol, ranges of ports")
def _():
    with Rig() as rig:
        services = [by_mark(4, mark, backends=1, first=mark - 1) for mark in (1, 2, 3, 4)]
        rig.configure(services, firewall_marks=rules(
            (1, vip(4), {"source": "198.51.100.0/28"}),
            (2, vip(4), {"protocol": "udp"}),
            (3, "192.0.2.0/24", {"ports": ["8000-8099", 443]}),
            (4, vip(4), {"ports": [80]})))
        far = "198.51.100.77"
        expect(servers_of(rig, packet(client(4), vip(4), tcp(1, 80)),
                          packet(far, vip(4), UDP(sport=1, dport=80)),
                          packet(far, vip(4), tcp(1, 443)), packet(far, vip(4), tcp(1, 8000)),
                          packet(far, vip(4), tcp(1, 8099)), packet(far, vip(4), tcp(1, 80))),
               [0, 1, 2, 2, 2, 3], "servers")
        # To this address, but no rule fits and no service is there.
        last = packet(far, vip(4), tcp(1, 8100))
        expect_sent(rig.send(CLIENT, last), (CLIENT, reset_for(last)))


@test("the service of a mark goes before that of the address, packet by packet of a burst")
def _():
    with Rig() as rig:
        plain = service(4, 80, "dr", [{"address": server(4, 4)}])
        every_port = service(4, 0, "dr", [{"address": server(4, 3)}],
                             persistence={"timeout_s": 60})
        rig.configure([plain, every_port, by_mark(backends=1)],
                      firewall_marks=rules((7, vip(4), {"source": "198.51.100.10"})))
        frames = [packet(client(4, i % 2), vip(4), tcp(1000 + i, 80)) for i in range(6)]
        expect(servers_of(rig, *frames), [0, 4, 0, 4, 0, 4], "servers")
        frames = [packet(client(4, i % 2), vip(4), tcp(1000 + i, 81)) for i in range(4)]
        expect(servers_of(rig, *frames), [0, 3, 0, 3], "servers of another port")


@test("a mark without a service, or of the other family alone, is none")
def _():
    with Rig() as rig:
        plain = service(4, 80, "dr", [{"address": server(4, 4)}])
        rig.configure([plain, by_mark(6)], firewall_marks=rules((7, vip(4)), (9, "192.0.2.2")))
        expect(servers_of(rig, packet(client(4), vip(4), tcp(1, 80))), [4], "server")
        output = rig.send_all(CLIENT, [packet(client(4), "192.0.2.2", tcp(1, 80))])
        expect((output["sent"], output["twin"]), ([], []), "to an address that is nobody's")
        rig.expect_counters(received=2, sent_dr=1, drop_not_routed=1)


def arp_request(target):
    return bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=CLIENT_MAC) / ARP(
        op=1, hwsrc=CLIENT_MAC, psrc="10.1.0.77", hwdst="00:00:00:00:00:00", pdst=target))


@test("a single address is answered for like a VIP; of a network only what is marked is ours")
def _():
    for routing in (False, True):
        with Rig() as rig:
            rig.configure([by_mark(backends=1)], firewall_marks=rules(
                (7, vip(4), {"ports": [80]}), (7, NETWORK[4], {"ports": [80]})),
                forwarding={"routing": routing})
            rig.counted_since()
            rig.send(CLIENT, arp_request(vip(4)))
            ping = ICMP(type=8, id=1, seq=1)
            rig.send(CLIENT, packet(client(4), vip(4), ping))
            rig.send(CLIENT, packet(client(4), vip(4), tcp(1, 81)))
            rig.send(CLIENT, packet(client(4), vip(4), UDP(sport=1, dport=81)))
            rig.expect_counters(received=4, originated=2, sent_arp_reply=1, sent_echo_reply=1,
                                sent_rst=1, sent_icmp_error=1, drop_no_service=2)
            inside = INSIDE[4] % 9
            expect(servers_of(rig, packet(client(4), inside, tcp(1, 80))), [0], "server")
            rig.counted_since()
            others = [packet(client(4), inside, tcp(1, 81)), packet(client(4), inside, ping)]
            output = rig.send_all(CLIENT, others)
            if routing:
                expect(sorted(f for _, _, f in output["twin"]), sorted(others), "handed over")
                rig.expect_counters(received=2, twin_not_ours=2)
            else:
                rig.expect_counters(received=2, drop_not_routed=2)
            twin = rig.send_all(CLIENT, [arp_request(inside)])["twin"]
            expect(len(twin), 1, "a question that is the kernel's")


@test("an address of a rule that another router is master of is left alone")
def _():
    with Rig() as rig:
        rig.configure([by_mark(backends=1)], firewall_marks=rules((7, vip(4)), (7, NETWORK[4])))
        rig.own(inactive=[vip(4)])
        rig.counted_since()
        rig.send(CLIENT, packet(client(4), vip(4), tcp(1, 80)))
        rig.expect_counters(received=1, drop_vip_inactive=1)
        expect(servers_of(rig, packet(client(4), INSIDE[4] % 1, tcp(1, 80))), [0], "of the network")
        rig.own()
        expect(servers_of(rig, packet(client(4), vip(4), tcp(1, 80))), [0], "as master")


@test("persistence of a mark is for all its addresses and ports, TCP and UDP, by client and network")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([by_mark(v, backends=3, persistence={"timeout_s": 100})],
                          firewall_marks=rules((7, NETWORK[v]), (7, vip(v))))
            frames = [to(v, INSIDE[v] % 1, tcp(1000, 80)), to(v, INSIDE[v] % 1, tcp(1001, 80), 1),
                      to(v, INSIDE[v] % 2, tcp(1002, 443)), to(v, vip(v), UDP(sport=5, dport=53)),
                      to(v, vip(v), tcp(1003, 80), 1), to(v, vip(v), tcp(1004, 80), 2)]
            expect(servers_of(rig, *frames), [0, 1, 0, 0, 1, 2], "servers")
            templates = [c for c in rig.connections() if c["template"]]
            expect(len(templates), 3, "templates")
            text = "0.0.0.7:0" if v == 4 else "[::7]:0"
            expect({(c["virtual"], c["protocol"]) for c in templates}, {(text, 0)}, "their key")
    with Rig() as rig:
        rig.configure([by_mark(4, backends=3, persistence={"timeout_s": 100, "netmask": 24})],
                      firewall_marks=rules((7, NETWORK[4])))
        frames = [packet("198.51.%d.%d" % (100 + i % 2, i), INSIDE[4] % i, tcp(1, 80))
                  for i in range(6)]
        expect(servers_of(rig, *frames), [0, 1, 0, 1, 0, 1], "servers")


@test("a mark's template lives as long as a connection of it, and no longer")
def _():
    with Rig() as rig:
        rig.configure([by_mark(backends=3, persistence={"timeout_s": 10})],
                      firewall_marks=rules((7, NETWORK[4])))
        here, there = INSIDE[4] % 1, INSIDE[4] % 2
        rig.send(CLIENT, packet(client(4), here, tcp(1, 80)))
        rig.send(CLIENT, packet(client(4), here, tcp(1, 80, "A", seq=1001)))
        rig.advance(200)
        expect(servers_of(rig, packet(client(4), there, tcp(2, 80))), [0], "after 200 s of 10")
        rig.advance(930)
        expect(rig.connections(), [], "entries when all is over")
        expect(servers_of(rig, packet(client(4), there, tcp(3, 80))), [1], "a new choice")


@test("a template of a mark and one of a service do not mix, though the client is the same")
def _():
    with Rig() as rig:
        plain = service(4, 80, "dr", [{"address": server(4, 3)}, {"address": server(4, 4)}],
                        persistence={"timeout_s": 100})
        rig.configure([plain, by_mark(persistence={"timeout_s": 100})],
                      firewall_marks=rules((7, vip(4), {"ports": [81]})))
        frames = [packet(client(4), vip(4), tcp(1 + i, 80 + i % 2)) for i in range(6)]
        expect(servers_of(rig, *frames), [3, 0, 3, 0, 3, 0], "servers")


@test("a reload that changes rules moves new flows alone; an address without rules is no VIP")
def _():
    with Rig() as rig:
        services = [by_mark(4, 7, backends=1), by_mark(4, 8, backends=1, first=1)]
        rig.configure(services, firewall_marks=rules((7, vip(4))))
        old = packet(client(4), vip(4), tcp(1, 80))
        more = packet(client(4), vip(4), tcp(1, 80, "A", seq=1001))
        expect(servers_of(rig, old), [0], "server")
        rig.configure(services, firewall_marks=rules((8, vip(4))))
        expect(servers_of(rig, more, packet(client(4), vip(4), tcp(2, 80))), [0, 1], "after that")
        rig.configure(services)
        rig.counted_since()
        expect(servers_of(rig, more), [0], "a connection without rules")
        rig.send(CLIENT, packet(client(4), vip(4), tcp(3, 80)))
        rig.send(CLIENT, arp_request(vip(4)))
        rig.expect_counters(received=3, sent_dr=1, drop_not_routed=1, twin_control=1)


@test("a mark's service without a backend refuses as any other, from the address that was asked")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([by_mark(v, backends=0)], firewall_marks=rules((7, NETWORK[v])))
            frame = to(v, INSIDE[v] % 3, tcp(1, 80))
            rig.counted_since()
            expect_sent(rig.send(CLIENT, frame), (CLIENT, icmp_error(
                frame, UNREACHABLE["port"][v], INSIDE[v] % 3)))
            rig.expect_counters(received=1, originated=1, sent_icmp_error=1, drop_no_backend=1)
            expect(rig.service(key(v))["refused"], 1, "refused")


@test("a full table sends a mark's DR flows by hash, and a segment in mid-stream is reset")
def _():
    with Rig(capacity=1024) as rig:
        rig.configure([by_mark(backends=3), service(4, 9, "dr", protocol="udp")],
                      firewall_marks=rules((7, NETWORK[4])))
        rig.send(CLIENT, *[packet("198.18.%d.%d" % (i // 200, 1 + i % 200), vip(4), UDP(
            sport=i + 1, dport=9)) for i in range(1030)])
        rig.counted_since()
        frames = [packet("198.51.100.%d" % i, INSIDE[4] % i, tcp(i, 80)) for i in range(1, 13)]
        first = servers_of(rig, *frames)
        check(len(set(first)) > 1, "all to one server: %s" % first)
        expect(servers_of(rig, *frames), first, "the same packets once more")
        rig.expect_counters(received=24, sent_stateless=24, fallback_stateless=24)
    with Rig() as rig:
        rig.configure([by_mark()], firewall_marks=rules((7, NETWORK[4])))
        stray = packet(client(4), INSIDE[4] % 1, tcp(1, 80, "A", seq=5, ack=9))
        expect_sent(rig.send(CLIENT, stray), (CLIENT, reset_for(stray)))


@test("a local address inside of a marked network gets no flows: answers of backends come there")
def _():
    with Rig() as rig:
        rig.configure([by_mark(mode="fullnat")], firewall_marks=rules((7, "0.0.0.0/0")))
        rig.counted_since()
        stray = packet(server(4), local(4), tcp(80, 1234, "SA"),
                       l2=Ether(dst=PORT_MACS[1], src=server_mac()))
        expect_sent(rig.send(SERVERS, stray))
        rig.expect_counters(received=1, drop_reply_no_connection=1)


def cluster(kind, weights, v=4, **more):
    """Caches behind a marked network, by destination."""
    backends = [{"address": server(v, i), "weight": weight} for i, weight in enumerate(weights)]
    return by_mark(v, mode="dr", scheduler=kind) | {"backends": backends, **more}


@test("lblc and lblcr: a destination stays with its cache, on every worker and through changes of weights")
def _():
    for kind in ("lblc", "lblcr"):
        for v in (4, 6):
            with Rig(workers=2) as rig:
                marks = rules((7, NETWORK[v], {"protocol": "tcp"}))
                rig.configure([cluster(kind, [50, 50, 50], v)], firewall_marks=marks)
                first = [servers_of(rig, to(v, INSIDE[v] % n, tcp(1, 80)), worker=n % 2)[0]
                         for n in range(1, 13)]
                expect(sorted(first), [0] * 4 + [1] * 4 + [2] * 4, "caches")
                for weights in ([50, 50, 50], [9, 60, 90], [50, 51, 52]):
                    rig.configure([cluster(kind, weights, v)], firewall_marks=marks)
                    for worker in range(2):
                        again = servers_of(rig, *(to(v, INSIDE[v] % n, tcp(9 + worker, 80), 1)
                                                  for n in range(1, 13)), worker=worker)
                        expect(again, first, "caches with weights %s" % weights)
                gone = first[0]
                rig.configure([cluster(kind, [0 if i == gone else 50 for i in range(3)], v)],
                              firewall_marks=marks)
                again = servers_of(rig, *(to(v, INSIDE[v] % n, tcp(3, 80)) for n in range(1, 13)))
                check(gone not in again, "one without weight is chosen")
                expect([a for a, b in zip(again, first) if b != gone],
                       [b for b in first if b != gone], "those of the other caches")


@test("ovf: what the heaviest cannot take goes to the next, and beyond the last it is refused")
def _():
    with Rig(workers=2) as rig:
        rig.configure([cluster("ovf", [1, 3])], firewall_marks=rules((7, NETWORK[4])))
        chosen = [servers_of(rig, to(4, INSIDE[4] % 1, tcp(1 + i, 80)), worker=i % 2)
                  for i in range(7)]
        expect([c[0] for c in chosen[:6]], [1, 1, 1, 1, 0, 0], "servers")
        counted = rig.counted_since()
        expect((counted["drop_no_backend"], counted["sent_icmp_error"]), (1, 1), "the last one")


@test("two workers agree on a mark's client")
def _():
    with Rig(workers=2) as rig:
        rig.configure([by_mark(backends=3, persistence={"timeout_s": 60})],
                      firewall_marks=rules((7, NETWORK[4])))
        for i in range(8):
            first, *rest = [servers_of(rig, packet(client(4, i), INSIDE[4] % n, tcp(n, 80)),
                                       worker=n % 2)[0] for n in range(1, 5)]
            expect(rest, [first] * 3, "servers of client %d" % i)


main()
