"""Addresses that no packet may come from, and headers that need a second look: IP options, extension
headers, odd flags. IPv4 options go on as in LVS, IPv6 extension headers untouched."""

from judge import (TCP, UDP, Ether, Raw, forwarded, from_server, packet, tcp, to_client_l2, to_server_l2,
                   to_vip)
from rig import (CLIENT, LOCAL4, LOCAL6, OWN4, OWN6, SERVERS, VIP4, VIP6, Rig, client, expect, expect_sent,
                 main, server, service, test, vip)
from scapy.layers.inet6 import (IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, PadN)

MODES = ("dr", "nat", "fullnat", "ipip")


@test("sources that no packet may have are dropped by name")
def _():
    four = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "224.0.0.5", "239.255.255.255",
            "240.0.0.1", "255.255.255.255"]
    six = ["::", "::1", "ff02::1", "ff0e::1"]
    with Rig() as rig:
        rig.configure([service(4), service(6), service(4, 80, protocol="udp")])
        rig.counted_since()
        for source in four + six:
            destination = VIP6 if ":" in source else VIP4
            expect_sent(rig.send(CLIENT, packet(source, destination, tcp(1000, 80))), what=source)
            rig.expect_counters(received=1, drop_bad_source=1)
        for source in ("1.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255", "::2", "fe80::1"):
            frame = packet(source, VIP6 if ":" in source else VIP4, tcp(1000, 80))
            expect([p for p, _ in rig.send(CLIENT, frame)], [SERVERS], source)


@test("our own addresses as the source are dropped by name: VIPs, local addresses, the host's")
def _():
    with Rig() as rig:
        rig.configure([service(4), service(6), service(4, 81, "fullnat"), service(6, 81, "fullnat")])
        rig.counted_since()
        for source in (VIP4, VIP6, LOCAL4, LOCAL6, *OWN4, *OWN6):
            destination = VIP6 if ":" in source else VIP4
            for layer in (tcp(1000, 80), UDP(sport=1, dport=53), tcp(1000, 80, "A")):
                expect_sent(rig.send(CLIENT, packet(source, destination, layer)), what=source)
                rig.expect_counters(received=1, drop_own_source=1)


@test("ports at the ends of their range are ports like others")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v, 65535, "nat", backend_port=1)])
            for sport in (0, 1, 65535):
                frame = to_vip(v, tcp(sport, 65535))
                wanted = forwarded(frame, to_server_l2(), destination=server(v), dport=1)
                expect_sent(rig.send(CLIENT, frame), (SERVERS, wanted))
                answer = from_server(v, tcp(1, sport, "SA"))
                wanted = forwarded(answer, to_client_l2(), source=vip(v), sport=65535)
                expect_sent(rig.send(SERVERS, answer), (CLIENT, wanted))


@test("TCP options, urgent data and odd data offsets pass unchanged")
def _():
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 2)), ("NOP", None), ("WScale", 7)]
    for v in (4, 6):
        for mode in MODES:
            with Rig() as rig:
                rig.configure([service(v, 80, mode)])
                for i, more in enumerate(({"options": options}, {"urgptr": 7, "flags": "SU"},
                                          {"dataofs": 4}, {"dataofs": 15}, {"reserved": 7},
                                          {"window": 0}, {"flags": "SEC"})):
                    frame = to_vip(v, TCP(**{"sport": 1000 + i, "dport": 80, "flags": "S"} | more),
                                   b"12345")
                    (port, sent), = rig.send(CLIENT, frame)
                    expect((port, sent[-5:]), (SERVERS, b"12345"), "port and payload")
                    if mode in ("dr", "nat"):
                        fields = {} if mode == "dr" else {"destination": server(v), "dport": 8080}
                        if "dataofs" not in more:  # scapy cannot read those
                            wanted = forwarded(frame, to_server_l2(), **fields)
                            expect_sent([(port, sent)], (SERVERS, wanted))


@test("IPv6 extension headers pass, and the flow is found behind them")
def _():
    def chains():
        yield IPv6ExtHdrHopByHop()
        yield IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
        yield IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt()
        yield IPv6ExtHdrRouting(segleft=0)
        yield IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(segleft=0) / IPv6ExtHdrDestOpt()

    for mode in MODES:
        for protocol in ("tcp", "udp"):
            with Rig() as rig:
                rig.configure([service(6, 80, mode, protocol=protocol)])
                plain = tcp(1000, 80) if protocol == "tcp" else UDP(sport=1000, dport=80)
                rig.send(CLIENT, to_vip(6, plain.copy()))
                for chain in chains():
                    frame = packet(client(6), vip(6), chain / plain.copy(), b"behind")
                    (port, sent), = rig.send(CLIENT, frame)
                    expect(port, SERVERS, "port")
                    if mode in ("dr", "nat"):
                        fields = {} if mode == "dr" else {"destination": server(6), "dport": 8080}
                        wanted = forwarded(frame, to_server_l2(), **fields)
                        expect_sent([(port, sent)], (SERVERS, wanted), what=chain.summary())
                expect(len(rig.connections()), 1, "connections")


@test("a chain of more extension headers than anyone has reason for is malformed")
def _():
    with Rig() as rig:
        rig.configure([service(6)])
        rig.counted_since()
        for count, verdict in ((7, "sent_nat"), (9, "drop_malformed")):
            chain = tcp(1000, 80)
            for _ in range(count):
                chain = IPv6ExtHdrDestOpt() / chain
            rig.send(CLIENT, packet(client(6), vip(6), chain))
            rig.expect_counters(received=1, **{verdict: 1})


@test("fragments for a VIP are dropped by name, of all kinds")
def _():

    with Rig() as rig:
        rig.configure([service(4, 80, protocol="udp"), service(6, 80, protocol="udp")])
        rig.counted_since()
        frames = [packet(client(4), VIP4, UDP(sport=1, dport=80), b"x" * 64, flags="MF", frag=0),
                  packet(client(4), VIP4, Raw(b"x" * 64), proto=17, flags=0, frag=8),
                  packet(client(6), VIP6, IPv6ExtHdrFragment(nh=17, m=1, id=7) / UDP(
                      sport=1, dport=80), b"x" * 64),
                  packet(client(6), VIP6, IPv6ExtHdrFragment(nh=17, offset=9, id=7) / Raw(b"x" * 64))]
        for frame in frames:
            expect_sent(rig.send(CLIENT, frame))
            rig.expect_counters(received=1, drop_fragment=1)


@test("fragments for the host are the kernel's")
def _():
    with Rig() as rig:
        rig.configure([service()])
        frame = packet(client(4), OWN4[0], Raw(b"x" * 64), proto=17, flags=0, frag=8)
        expect(rig.send_all(CLIENT, [frame]), {"sent": [], "twin": [(CLIENT, 2, frame)]}, "output")


@test("Ethernet: foreign stations, broadcast and multicast never reach a connection")
def _():
    with Rig() as rig:
        rig.configure([service()])
        rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        rig.counted_since()
        for mac, verdict in (("02:00:00:00:0d:77", "drop_not_for_us"), ("ff:ff:ff:ff:ff:ff", "twin_not_ours"),
                             ("01:00:5e:00:00:01", "twin_not_ours"),
                             ("02:00:00:00:0d:02", "drop_not_for_us")):
            frame = to_vip(4, tcp(1000, 80, "A", ack=1), l2=Ether(dst=mac, src="02:00:00:00:0c:01"))
            expect(rig.send_all(CLIENT, [frame])["sent"], [], mac)
            rig.expect_counters(received=1, **{verdict: 1})


@test("what follows the IP packet in its frame is cut off")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v)])
            frame = to_vip(v, tcp(1000, 80), b"payload")
            wanted = forwarded(frame, to_server_l2(), destination=server(v), dport=8080)
            for padding in (1, 7, 400):
                expect_sent(rig.send(CLIENT, frame + b"\x5a" * padding), (SERVERS, wanted))


main()
