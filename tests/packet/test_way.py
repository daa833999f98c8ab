"""What a router looks at before it sends a packet on: TTL, a way, the size. And what it answers."""

from judge import (IP, UNREACHABLE, Ether, IPv6, forwarded, from_server, icmp_error, ip_layer, packet,
                   tcp, to_client_l2, to_server_l2, to_vip)
from rig import (CLIENT, CLIENT_MAC, OWN4, OWN6, PORT_MACS, SERVERS, Rig, client, expect, expect_frame,
                 expect_sent, local, main, server, server_mac, service, test, two_arm_kernel, vip)

MODES = ("dr", "nat", "fullnat", "ipip")
OWN = {4: OWN4[1], 6: OWN6[1]}
ID_AND_CHECKSUM = [(18, 2), (24, 2)]  # of IPv4: the id is ours to choose


def v4_mask(v):
    return ID_AND_CHECKSUM if v == 4 else []


def error_to_client(frame, what, v, **more):
    return icmp_error(frame, UNREACHABLE[what][v], vip(v), **more)


def server_l2():
    return Ether(src=PORT_MACS[1], dst=server_mac())


def expect_error(rig, port, frame, wanted, v, **counters):
    """One answer, and these counters alone."""
    rig.counted_since()
    sent = rig.send(port, frame)
    expect([p for p, _ in sent], [port], "ports of the answer")
    expect_frame(sent[0][1], wanted, "error", v4_mask(v))
    rig.expect_counters(received=1, originated=1, sent_icmp_error=1, **counters)


@test("a packet of TTL 1 is answered with time exceeded from the VIP, in every mode")
def _():
    for v in (4, 6):
        for mode in MODES:
            with Rig() as rig:
                rig.configure([service(v, 80, mode)])
                for ttl in (0, 1):
                    rig.send(CLIENT, to_vip(v, tcp(1000, 80)))
                    frame = to_vip(v, tcp(1000, 80, "A", ack=1), b"data", ttl=ttl)
                    expect_error(rig, CLIENT, frame, error_to_client(frame, "ttl", v), v,
                                 drop_ttl_exceeded=1)


@test("a first packet of TTL 1 makes its connection all the same")
def _():
    with Rig() as rig:
        rig.configure([service()])
        frame = to_vip(4, tcp(1000, 80), ttl=1)
        expect_error(rig, CLIENT, frame, error_to_client(frame, "ttl", 4), 4, drop_ttl_exceeded=1)
        expect([c["state"] for c in rig.connections()], ["SYN_RECV"], "connections")


@test("a reply of TTL 1 is answered from the interface's address and moves nothing")
def _():
    for v in (4, 6):
        for mode in ("nat", "fullnat"):
            with Rig() as rig:
                rig.configure([service(v, 80, mode)])
                (_, there), = rig.send(CLIENT, to_vip(v, tcp(1000, 80)))
                there = ip_layer(Ether(there))
                reply = from_server(v, tcp(8080, there.payload.sport, "RA"), to=there.src, ttl=1)
                expect_error(rig, SERVERS, reply,
                             icmp_error(reply, UNREACHABLE["ttl"][v], OWN[v], l2=server_l2()), v,
                             drop_ttl_exceeded=1, replies_local=1)
                expect([c["state"] for c in rig.connections()], ["SYN_RECV"], "states")


def overhead(mode, v, backend_v):
    return 0 if mode != "ipip" else 20 if backend_v == 4 else 40


@test("what just fits the way goes, and one byte more gets the right MTU")
def _():
    for v, mode, backend_v in [(v, mode, v) for v in (4, 6) for mode in MODES] + [
            (4, "ipip", 6), (6, "ipip", 4)]:
        for mtu in (1500, 1400):
            with Rig() as rig:
                rig.configure([service(v, 80, mode, [{"address": server(backend_v)}])],
                              two_arm_kernel((9000, mtu)))
                rig.send(CLIENT, to_vip(v, tcp(1000, 80)))
                limit = mtu - overhead(mode, v, backend_v)
                payload = limit - (20 if v == 4 else 40) - 20
                fits = to_vip(v, tcp(1000, 80, "A", ack=1), b"x" * payload)
                (port, sent), = rig.send(CLIENT, fits)
                expect((port, len(sent) - 14), (SERVERS, mtu), "port and length sent")
                large = to_vip(v, tcp(1000, 80, "A", ack=1), b"x" * (payload + 1))
                expect_error(rig, CLIENT, large, error_to_client(large, "too big", v, rest=limit), v,
                             drop_too_big=1)


@test("a reply that is too large for the clients' side is answered from the interface's address")
def _():
    for v in (4, 6):
        for mode in ("nat", "fullnat"):
            with Rig() as rig:
                rig.configure([service(v, 80, mode)], two_arm_kernel((1300, 1500)))
                (_, there), = rig.send(CLIENT, to_vip(v, tcp(1000, 80)))
                there = ip_layer(Ether(there))
                reply = from_server(v, tcp(8080, there.payload.sport, "A", ack=1), b"y" * 1281,
                                    to=there.src)
                expect_error(rig, SERVERS, reply,
                             icmp_error(reply, UNREACHABLE["too big"][v], OWN[v], rest=1300,
                                        l2=server_l2()), v, drop_too_big=1, replies_local=1)


@test("what is too large and may be fragmented is dropped by name without an answer")
def _():
    for mode in MODES:
        with Rig() as rig:
            rig.configure([service(4, 80, mode)], two_arm_kernel((1500, 1400)))
            rig.counted_since()
            expect_sent(rig.send(CLIENT, to_vip(4, tcp(1000, 80), b"x" * 1400, flags=0)))
            counted = rig.counted_since()
            counted.pop("fullnat_port_other", None)
            expect(counted, {"received": 1, "drop_too_big": 1}, "counters")


@test("an error quotes 548 bytes of a large IPv4 packet and 1232 of a large IPv6 one")
def _():
    for v, length in ((4, 576), (6, 1280)):
        with Rig() as rig:
            rig.configure([service(v, backends=0)])
            frame = to_vip(v, tcp(1000, 80), b"z" * 1400)
            (_, sent), = rig.send(CLIENT, frame)
            expect(len(sent) - 14, length, "length of the error")
            expect_frame(sent, error_to_client(frame, "port", v), "error", v4_mask(v))


@test("an error about a frame in several buffers quotes across them")
def _():
    with Rig() as rig:
        rig.configure([service(backends=0)])
        frame = to_vip(4, tcp(1000, 80), bytes(range(256)))
        (_, sent), = rig.send(CLIENT, frame, segments=[54, 33, 100, 123])
        expect_frame(sent, error_to_client(frame, "port", 4), "error", ID_AND_CHECKSUM)


@test("a backend behind an unreachable, prohibited or blackhole route gets host unreachable said")
def _():
    for v in (4, 6):
        for mode in MODES:
            for kind in ("unreachable", "prohibited", "blackhole"):
                kernel = two_arm_kernel()
                prefix = server(v, 3) + ("/32" if v == 4 else "/128")
                kernel["routes"].append({"prefix": prefix, "kind": kind})
                with Rig() as rig:
                    rig.configure([service(v, 80, mode, [{"address": server(v, 3)}])], kernel)
                    frame = to_vip(v, tcp(1000, 80))
                    wanted = error_to_client(frame, "host", v)
                    sent = rig.send(CLIENT, frame)
                    expect([p for p, _ in sent], [CLIENT], "ports")
                    expect_frame(sent[0][1], wanted, "error", v4_mask(v))
                    counted = rig.counted_since()
                    counted.pop("fullnat_port_other", None)
                    expect(counted, {"received": 1, "originated": 1, "sent_icmp_error": 1,
                                     "drop_no_route": 1}, "counters")
                    expect(len(rig.connections()), 1, "connections, counted all the same")


@test("a backend without any route gets host unreachable said")
def _():
    kernel = two_arm_kernel()
    kernel["routes"] = [r for r in kernel["routes"] if r["prefix"] not in ("0.0.0.0/0", "::/0")]
    kernel["routes"].append({"prefix": "198.51.100.0/24", "interface": 0, "gateway": "10.1.0.254"})
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", [{"address": "10.99.0.1"}])], kernel)
        frame = to_vip(4, tcp(1000, 80))
        expect_error(rig, CLIENT, frame, error_to_client(frame, "host", 4), 4, drop_no_route=1)


@test("an answer to a client behind a blackhole or without a route is dropped by name")
def _():
    kernel = two_arm_kernel()
    kernel["routes"].append({"prefix": "198.51.100.10/32", "kind": "blackhole"})
    kernel["routes"].append({"prefix": "198.51.100.11/32", "kind": "unreachable"})
    with Rig() as rig:
        rig.configure([service(backends=0)], kernel)
        rig.counted_since()
        expect_sent(rig.send(CLIENT, to_vip(4, tcp(1000, 80))))
        rig.expect_counters(received=1, drop_no_backend=1, originated=1, drop_blackhole=1)
        expect_sent(rig.send(CLIENT, to_vip(4, tcp(1000, 80), index=1)))
        rig.expect_counters(received=1, drop_no_backend=1, originated=1, drop_no_route=1)


@test("a reply to a client without a route is answered to the server and dropped")
def _():
    kernel = two_arm_kernel()
    kernel["routes"].append({"prefix": "198.51.100.10/32", "kind": "unreachable"})
    with Rig() as rig:
        rig.configure([service()], kernel)
        rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        reply = from_server(4, tcp(8080, 1000, "SA"))
        expect_error(rig, SERVERS, reply,
                     icmp_error(reply, UNREACHABLE["host"][4], OWN[4], l2=server_l2()), 4,
                     drop_no_route=1, replies_local=1)


@test("the longest prefix decides the way back")
def _():
    kernel = two_arm_kernel()
    kernel["routes"] += [
        {"prefix": "198.51.0.0/16", "interface": 0, "gateway": "10.1.0.9"},
        {"prefix": "198.51.100.0/24", "interface": 0, "gateway": "10.1.0.8"},
        {"prefix": "198.51.100.11/32", "interface": 1, "gateway": "10.2.0.99"},
    ]
    kernel["neighbours"] += [
        {"interface": 0, "address": "10.1.0.8", "mac": "02:00:00:00:0c:08"},
        {"interface": 0, "address": "10.1.0.9", "mac": "02:00:00:00:0c:09"},
    ]
    with Rig() as rig:
        rig.configure([service()], kernel)
        for source, port, mac in (("198.51.100.10", 0, "02:00:00:00:0c:08"),
                                  ("198.51.100.11", 1, "02:00:00:00:0e:99"),
                                  ("198.51.99.1", 0, "02:00:00:00:0c:09"),
                                  ("203.0.113.1", 0, CLIENT_MAC)):
            rig.send(CLIENT, packet(source, vip(4), tcp(1000, 80)))
            reply = from_server(4, tcp(8080, 1000, "SA"), to=source)
            wanted = forwarded(reply, Ether(dst=mac, src=PORT_MACS[port]), source=vip(4), sport=80)
            expect_sent(rig.send(SERVERS, reply), (port, wanted))


@test("one arm: packets leave through the port that they came from")
def _():
    kernel = two_arm_kernel()
    for part in ("addresses", "routes", "neighbours"):
        for entry in kernel[part]:
            entry["interface"] = 0
    with Rig() as rig:
        for v in (4, 6):
            for port, mode in enumerate(MODES, 80):
                rig.configure([service(v, port, mode)], kernel)
                outer = None
                if mode == "ipip":
                    outer = IP(src=OWN4[0], dst=server(4)) if v == 4 else IPv6(
                        src=OWN6[0], dst=server(6))
                frame = to_vip(v, tcp(1000, port))
                (side, sent), = rig.send(CLIENT, frame)
                there = ip_layer(Ether(sent))
                fields = {}
                if mode in ("nat", "fullnat"):
                    fields = {"destination": server(v), "dport": 8080}
                if mode == "fullnat":
                    fields |= {"source": local(v), "sport": there.payload.sport}
                if mode == "ipip":
                    outer.src = there.src  # two addresses lie on the interface now
                wanted = forwarded(frame, Ether(dst=server_mac(), src=PORT_MACS[0]), outer=outer,
                                   **fields)
                expect_sent([(side, sent)], (CLIENT, wanted), what=mode)
                if mode in ("nat", "fullnat"):
                    reply = from_server(v, tcp(8080, there.payload.sport, "SA"), to=there.src,
                                        l2=Ether(dst=PORT_MACS[0], src=server_mac()))
                    wanted = forwarded(reply, to_client_l2(), source=vip(v), sport=port,
                                       destination=client(v), dport=1000)
                    expect_sent(rig.send(CLIENT, reply), (CLIENT, wanted), what=mode + " back")


@test("a backend that is this host gets DR and IPIP packets through the twin as they came")
def _():
    for v, own in ((4, OWN4[1]), (6, OWN6[1])):
        for mode in ("dr", "ipip"):
            with Rig() as rig:
                rig.configure([service(v, 80, mode, [{"address": own}])])
                frame = to_vip(v, tcp(1000, 80), b"for us")
                output = rig.send_all(CLIENT, [frame])
                expect(output, {"sent": [], "twin": [(CLIENT, 2, frame)]}, "output")
                rig.expect_counters(received=1, twin_not_ours=1)


@test("a backend that is this host gets NAT packets through the twin, translated")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "nat", [{"address": OWN4[1]}])])
        frame = to_vip(4, tcp(1000, 80))
        output = rig.send_all(CLIENT, [frame])
        wanted = forwarded(frame, Ether(frame[:14]), destination=OWN4[1], dport=8080)
        expect(output, {"sent": [], "twin": [(CLIENT, 2, wanted)]}, "output")


@test("an interface without an address sends no errors")
def _():
    kernel = two_arm_kernel()
    kernel["addresses"] = [a for a in kernel["addresses"] if a["interface"] == 0]
    with Rig() as rig:
        rig.configure([service()], kernel)
        rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        rig.counted_since()
        expect_sent(rig.send(SERVERS, from_server(4, tcp(8080, 1000, "SA"), ttl=1)))
        rig.expect_counters(received=1, replies_local=1, drop_ttl_exceeded=1)


@test("TOS and flow label pass unchanged through NAT, and the outer header of a tunnel copies TOS")
def _():
    for v in (4, 6):
        for mode in MODES:
            with Rig() as rig:
                rig.configure([service(v, 80, mode)])
                for tos in (0x02, 0x03, 0xB8, 0xBB, 0xFF):
                    fields = {"tos": tos} if v == 4 else {"tc": tos, "fl": 0xABCDE}
                    frame = to_vip(v, tcp(1000, 80), **fields)
                    (_, sent), = rig.send(CLIENT, frame)
                    there = ip_layer(Ether(sent))
                    expect(there.tos if v == 4 else there.tc,
                           (tos & ~3 | 2) if mode == "ipip" and tos & 3 == 3 else tos, "TOS")
                    if mode in ("dr", "nat"):
                        fields = {} if mode == "dr" else {"destination": server(v), "dport": 8080}
                        expect_frame(sent, forwarded(frame, to_server_l2(), **fields))
                    elif v == 6:
                        inner = there.payload if mode == "ipip" else there
                        expect((inner.tc, inner.fl), (tos, 0xABCDE), "class and label")


main()
