"""VRRP as the workers see it: addresses that another router is master of, and virtual MACs. A change of
mastership is one snapshot, after which the next packet is treated by it."""

from judge import (ARP, ICMP, UDP, Dot1Q, Ether, IPv6, Raw, check_checksums, forwarded, from_server,
                   packet, tcp, to_client_l2, to_server_l2, to_vip)
from rig import (CLIENT, CLIENT_MAC, LOCAL4, LOCAL6, OWN4, OWN6, PORT_MACS, SERVERS, VIP4, VIP6, Rig, client,
                 expect, expect_sent, local, main, server, service, test, two_arm_kernel, vip)
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptSrcLLAddr, IPv6ExtHdrFragment)

BROADCAST = "ff:ff:ff:ff:ff:ff"
CONTROL, BULK = 0, 2  # classes of frames for the twin
ASKER, ASKER6 = "10.1.0.77", "fd00:1::77"
VRID = 51
VIRTUAL_MAC = {4: "00:00:5e:00:01:33", 6: "00:00:5e:00:02:33"}
BOTH = (VIP4, VIP6)


def services():
    return [service(v, port, mode) for v in (4, 6)
            for port, mode in ((80, "nat"), (81, "fullnat"), (82, "dr"), (83, "ipip"))]


def arp_request(target=VIP4, l2=None):
    return bytes((l2 or Ether(dst=BROADCAST, src=CLIENT_MAC)) / ARP(
        op=1, hwsrc=CLIENT_MAC, psrc=ASKER, hwdst="00:00:00:00:00:00", pdst=target))


def arp_answer(mac, target=VIP4, l2=None):
    return bytes((l2 or Ether(dst=CLIENT_MAC, src=mac)) / ARP(
        op=2, hwsrc=mac, psrc=target, hwdst=CLIENT_MAC, pdst=ASKER))


def solicitation(target=VIP6):
    return bytes(Ether(dst="33:33:ff:00:00:01", src=CLIENT_MAC) / IPv6(
        src=ASKER6, dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(
            lladdr=CLIENT_MAC))


def advertisement(mac, target=VIP6):
    return bytes(Ether(dst=CLIENT_MAC, src=mac) / IPv6(src=target, dst=ASKER6, hlim=255) / ICMPv6ND_NA(
        tgt=target, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac))


def ping(v, destination=None, source=None, l2=None):
    echo = ICMP(type=8, id=7, seq=3) if v == 4 else ICMPv6EchoRequest(id=7, seq=3)
    return packet(source or client(v), destination or vip(v), echo, b"ping", l2=l2)


def new_traffic(v, to):
    """What begins something: none of it belongs to a connection."""
    for port in (80, 81, 82, 83, 7):
        for flags in ("S", "A", "R", "FA"):
            yield packet(client(v), to, tcp(1000, port, flags))
        yield packet(client(v), to, UDP(sport=1000, dport=port))
    yield ping(v, to)
    more = {"proto": 47} if v == 4 else {"nh": 47}
    yield packet(client(v), to, Raw(b"gre" * 9), **more)
    yield packet(client(v), to, tcp(1000, 179))  # BGP is no exception
    if v == 4:
        yield packet(client(4), to, ICMP(type=3, code=1), b"\0" * 28)
        yield packet(client(4), to, UDP(sport=1, dport=80), b"f" * 32, flags="MF")
        yield packet(client(4), to, Raw(b"f" * 32), proto=17, frag=4)
    else:
        yield packet(client(6), to, IPv6ExtHdrFragment(nh=17, m=1) / UDP(sport=1, dport=80), b"f")


def goes_nowhere(rig, frames):
    for frame in frames:
        rig.counted_since()
        expect(rig.send_all(CLIENT, [frame]), {"sent": [], "twin": []}, "output of " + bytes(frame).hex())
        rig.expect_counters(received=1, drop_vip_inactive=1)


def goes_to_twin(rig, port, frame, kind, verdict):
    rig.counted_since()
    expect(rig.send_all(port, [frame]), {"sent": [], "twin": [(port, kind, bytes(frame))]}, "output")
    rig.expect_counters(received=1, **{verdict: 1})


# ---- addresses of another master --------------------------------------------------------------------


@test("new traffic to a VIP or local address of another master is dropped by name, unanswered")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.own([*BOTH, LOCAL4, LOCAL6])
        for v in (4, 6):
            goes_nowhere(rig, new_traffic(v, vip(v)))
            goes_nowhere(rig, new_traffic(v, local(v)))
        expect(rig.connections(), [], "connections")
        for key, totals in rig.totals()["services"].items():
            expect(totals["connections"] + totals["refused"], 0, key)


@test("nobody here answers ARP or neighbour discovery for an address of another master")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.own([*BOTH, LOCAL4, LOCAL6])
        for target in (VIP4, LOCAL4):
            goes_to_twin(rig, CLIENT, arp_request(target), CONTROL, "twin_control")
        for target in (VIP6, LOCAL6):
            goes_to_twin(rig, CLIENT, solicitation(target), CONTROL, "twin_control")


@test("only the addresses that are named are another master's")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.own([VIP6])
        expect_sent(rig.send(CLIENT, arp_request()), (CLIENT, arp_answer(PORT_MACS[0])))
        expect([p for p, _ in rig.send(CLIENT, to_vip(4, tcp(1, 80)))], [SERVERS], "ports")
        goes_nowhere(rig, [to_vip(6, tcp(1, 80))])


@test("a VIP works with the next packet once it is ours, and stops with the next once it is not")
def _():
    for workers in (1, 2):
        with Rig(workers=workers) as rig:
            rig.configure(services())
            for turn in range(3):
                rig.own(BOTH)
                for worker in range(workers):
                    for v in (4, 6):
                        expect_sent(rig.send(CLIENT, to_vip(v, tcp(1000 + turn, 80)), worker=worker))
                rig.own()
                for worker in range(workers):
                    for v in (4, 6):
                        sent = rig.send(CLIENT, to_vip(v, tcp(2000 + 10 * turn + worker, 80)),
                                        worker=worker)
                        expect([p for p, _ in sent], [SERVERS], "ports")
                        expect([p for p, _ in rig.send(CLIENT, ping(v), worker=worker)], [CLIENT], "echo")
                    expect_sent(rig.send(CLIENT, arp_request(), worker=worker),
                                (CLIENT, arp_answer(PORT_MACS[0])))


@test("a reload leaves the addresses of another master what they are")
def _():
    with Rig() as rig:
        rig.own([VIP4])  # before the first snapshot, as the daemon begins
        rig.configure(services())
        goes_nowhere(rig, [to_vip(4, tcp(1, 80))])
        rig.configure([*services(), service(4, 90)])
        goes_nowhere(rig, [to_vip(4, tcp(1, 80)), to_vip(4, tcp(1, 90))])
        rig.own()
        expect([p for p, _ in rig.send(CLIENT, to_vip(4, tcp(1, 90)))], [SERVERS], "ports")


@test("connections that are in the table are forwarded, both ways, whoever is master")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure(services())
            rig.send(CLIENT, to_vip(v, tcp(1000, 80)))
            rig.send(SERVERS, from_server(v, tcp(8080, 1000, "SA")))
            rig.send(CLIENT, to_vip(v, tcp(1000, 82)))
            (_, to_backend), = rig.send(CLIENT, to_vip(v, tcp(1000, 81)))
            port = Ether(to_backend).payload.payload.sport
            rig.own([*BOTH, LOCAL4, LOCAL6])
            rig.counted_since()
            frame = to_vip(v, tcp(1000, 80, "A"))
            wanted = forwarded(frame, to_server_l2(), destination=server(v), dport=8080)
            expect_sent(rig.send(CLIENT, frame), (SERVERS, wanted))
            answer = from_server(v, tcp(8080, 1000, "A"))
            expect_sent(rig.send(SERVERS, answer),
                        (CLIENT, forwarded(answer, to_client_l2(), source=vip(v), sport=80)))
            expect([p for p, _ in rig.send(CLIENT, to_vip(v, tcp(1000, 82, "A")))], [SERVERS], "DR")
            reply = from_server(v, tcp(8080, port, "SA"), to=local(v))
            expect([p for p, _ in rig.send(SERVERS, reply)], [CLIENT], "FULLNAT's reply")
            counted = rig.counted_since()
            expect({k: n for k, n in counted.items() if k.startswith("drop")}, {}, "drops")
            # A client that opens a connection anew is new traffic.
            rig.send(CLIENT, to_vip(v, tcp(1000, 80, "R")))
            goes_nowhere(rig, [to_vip(v, tcp(1000, 80))])


# ---- what the master itself sends -------------------------------------------------------------------


@test("the master may talk to us from the VIP: its source is an own one no longer")
def _():
    with Rig() as rig:
        rig.configure(services())
        for v, own in ((4, OWN4[0]), (6, OWN6[0])):
            frames = [(ping(v, own, vip(v)), BULK, "twin_not_ours"),
                      (packet(vip(v), own, tcp(1000, 22)), BULK, "twin_not_ours"),
                      (packet(vip(v), own, tcp(179, 1000)), CONTROL, "twin_control")]
            for frame, kind, verdict in frames:
                rig.own()
                rig.counted_since()
                expect(rig.send_all(CLIENT, [frame]), {"sent": [], "twin": []}, "while it is ours")
                rig.expect_counters(received=1, drop_own_source=1)
                rig.own([vip(v)])
                goes_to_twin(rig, CLIENT, frame, kind, verdict)


@test("the master may be a client of another VIP that is ours")
def _():
    with Rig() as rig:
        rig.configure([*services(), {**service(4), "address": "192.0.2.9"}])
        rig.own([VIP4])
        frame = packet(VIP4, "192.0.2.9", tcp(1000, 80))
        expect([p for p, _ in rig.send(CLIENT, frame)], [SERVERS], "ports")


# ---- a VIP that the twin holds as well --------------------------------------------------------------


def kernel_with_vips():
    kernel = two_arm_kernel()
    kernel["addresses"] += [{"interface": 0, "prefix": VIP4 + "/32"},
                            {"interface": 0, "prefix": VIP6 + "/128"}]
    return kernel


@test("a VIP that the twin holds: services first, all else to the twin, ARP and ND answered here")
def _():
    with Rig() as rig:
        rig.configure(services(), kernel_with_vips())
        for v in (4, 6):
            expect([p for p, _ in rig.send(CLIENT, to_vip(v, tcp(1, 80)))], [SERVERS], "service")
            for frame in (to_vip(v, tcp(1, 22)), to_vip(v, UDP(sport=1, dport=53)), ping(v)):
                goes_to_twin(rig, CLIENT, frame, BULK, "twin_not_ours")
            goes_to_twin(rig, CLIENT, to_vip(v, tcp(1, 179)), CONTROL, "twin_control")
        rig.counted_since()
        expect(rig.send_all(CLIENT, [arp_request(), solicitation()]),
               {"sent": [(CLIENT, arp_answer(PORT_MACS[0])), (CLIENT, advertisement(PORT_MACS[0]))],
                "twin": []}, "answers")
        rig.expect_counters(received=2, sent_arp_reply=1, sent_nd_reply=1)


@test("a VIP that the twin still holds while another is master gets nothing, and no answer either")
def _():
    with Rig() as rig:
        rig.configure(services(), kernel_with_vips())
        rig.own(BOTH)
        for v in (4, 6):
            goes_nowhere(rig, new_traffic(v, vip(v)))
        goes_nowhere(rig, [arp_request(), solicitation()])


@test("the present master's gratuitous ARP reaches the kernel, though the twin holds the VIP")
def _():
    with Rig() as rig:
        rig.configure(services(), kernel_with_vips())
        rig.own(BOTH)
        for op in (1, 2):
            frame = Ether(dst=BROADCAST, src=CLIENT_MAC) / ARP(
                op=op, hwsrc=CLIENT_MAC, psrc=VIP4, hwdst=BROADCAST, pdst=VIP4)
            goes_to_twin(rig, CLIENT, frame, CONTROL, "twin_control")


# ---- virtual MACs -----------------------------------------------------------------------------------


def virtual_macs(interface=0):
    return [{"interface": interface, "family": v, "vrid": VRID, "addresses": [vip(v)]} for v in (4, 6)]


def to_virtual(v, *layers, vlan=None):
    l2 = Ether(dst=VIRTUAL_MAC[v], src=CLIENT_MAC)
    return to_vip(v, *layers, l2=l2 if vlan is None else l2 / Dot1Q(vlan=vlan))


@test("frames to a virtual MAC are ours while we are its master, and another station's otherwise")
def _():
    with Rig() as rig:
        rig.configure(services())
        for v in (4, 6):
            frame = to_virtual(v, tcp(1000, 80), b"data")
            rig.own()
            rig.counted_since()
            expect_sent(rig.send(CLIENT, frame))
            rig.expect_counters(received=1, drop_not_for_us=1)
            rig.own(virtual_macs=virtual_macs())
            wanted = forwarded(frame, to_server_l2(), destination=server(v), dport=8080)
            expect_sent(rig.send(CLIENT, frame), (SERVERS, wanted))
            expect_sent(rig.send(CLIENT, to_virtual(v, tcp(1000, 80, "A"))), (SERVERS, forwarded(
                to_virtual(v, tcp(1000, 80, "A")), to_server_l2(), destination=server(v), dport=8080)))


@test("a virtual MAC counts on its interface, for its VRID and its family alone")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.own(virtual_macs=virtual_macs()[:1])  # IPv4, interface 0
        others = [(SERVERS, VIRTUAL_MAC[4]), (CLIENT, VIRTUAL_MAC[6]), (CLIENT, "00:00:5e:00:01:34"),
                  (CLIENT, "00:00:5e:00:01:73"), (CLIENT, "00:00:5e:00:00:33"),
                  (CLIENT, "00:00:5e:00:03:33"), (CLIENT, "02:00:5e:00:01:33"),
                  (CLIENT, "00:01:5e:00:01:33")]
        for port, mac in others:
            rig.counted_since()
            expect_sent(rig.send(port, to_vip(4, tcp(1, 80), l2=Ether(dst=mac, src=CLIENT_MAC))), what=mac)
            rig.expect_counters(received=1, drop_not_for_us=1)


@test("every VRID from 1 to 255 has a virtual MAC of its own")
def _():
    with Rig() as rig:
        rig.configure(services())
        for vrid in (1, 63, 64, 127, 128, 191, 192, 254, 255):
            rig.own(virtual_macs=[{"interface": 0, "family": 4, "vrid": vrid, "addresses": [VIP4]}])
            for other in (1, 63, 64, 127, 128, 191, 192, 254, 255):
                l2 = Ether(dst="00:00:5e:00:01:%02x" % other, src=CLIENT_MAC)
                sent = rig.send(CLIENT, to_vip(4, tcp(vrid, 80), l2=l2))
                expect(len(sent), int(other == vrid), "frames sent")


@test("ARP and ND are answered with and from the virtual MAC, on its interface only")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.own(virtual_macs=virtual_macs())
        for port, mac4, mac6 in ((0, VIRTUAL_MAC[4], VIRTUAL_MAC[6]), (1, PORT_MACS[1], PORT_MACS[1])):
            expect_sent(rig.send(port, arp_request()), (port, arp_answer(mac4)))
            expect_sent(rig.send(port, solicitation()), (port, advertisement(mac6)))
            check_checksums(advertisement(mac6))
        # Another VIP has the port's own, and unicast questions come to the virtual MAC.
        expect_sent(rig.send(0, arp_request(LOCAL4)), (0, arp_answer(PORT_MACS[0], LOCAL4)))
        unicast = arp_request(l2=Ether(dst=VIRTUAL_MAC[4], src=CLIENT_MAC))
        expect_sent(rig.send(0, unicast), (0, arp_answer(VIRTUAL_MAC[4])))


@test("a VIP that is inactive is not answered for, whatever its virtual MAC")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.own(BOTH, virtual_macs())
        goes_nowhere(rig, [to_virtual(v, tcp(1, 80)) for v in (4, 6)])
        goes_to_twin(rig, CLIENT, arp_request(), CONTROL, "twin_control")


@test("on a VLAN the virtual MAC is that interface's, and the port's own untagged frames have none")
def _():
    kernel = two_arm_kernel()
    kernel["interfaces"].append({"name": "c0.7", "mac": "02:00:00:00:0d:07", "mtu": 1500})
    with Rig(interfaces=[[0, 0], [1, 0], [0, 7]]) as rig:
        rig.configure(services(), kernel)
        rig.own(virtual_macs=virtual_macs(2))
        for v in (4, 6):
            expect([p for p, _ in rig.send(CLIENT, to_virtual(v, tcp(1, 80), vlan=7))], [SERVERS], "ports")
            expect_sent(rig.send(CLIENT, to_virtual(v, tcp(1, 80))))
        asked = arp_request(l2=Ether(dst=BROADCAST, src=CLIENT_MAC) / Dot1Q(vlan=7))
        wanted = arp_answer(VIRTUAL_MAC[4],
                            l2=Ether(dst=CLIENT_MAC, src=VIRTUAL_MAC[4]) / Dot1Q(vlan=7))
        expect_sent(rig.send(CLIENT, asked), (CLIENT, wanted))


@test("what the kernel gets of frames to a virtual MAC bears its own MAC, tagged or not")
def _():
    kernel = kernel_with_vips()
    kernel["interfaces"].append({"name": "c0.7", "mac": "02:00:00:00:0d:07", "mtu": 1500})
    with Rig(interfaces=[[0, 0], [1, 0], [0, 7]]) as rig:
        rig.configure(services(), kernel)
        rig.own(virtual_macs=virtual_macs() + virtual_macs(2))
        for v in (4, 6):
            for vlan, mac in ((None, PORT_MACS[0]), (7, "02:00:00:00:0d:07")):
                frames = [to_virtual(v, tcp(1, 22), vlan=vlan)]
                l2 = Ether(dst=VIRTUAL_MAC[v], src=CLIENT_MAC)
                frames.append(ping(v, l2=l2 if vlan is None else l2 / Dot1Q(vlan=vlan)))
                for frame in frames:
                    frame = bytes(frame)
                    wanted = bytes.fromhex(mac.replace(":", "")) + frame[6:]
                    rig.counted_since()
                    expect(rig.send_all(CLIENT, [frame]), {"sent": [], "twin": [(CLIENT, BULK, wanted)]},
                           "output")
                    rig.expect_counters(received=1, twin_not_ours=1)


@test("an odd frame to a virtual MAC is told apart like one to the port's own")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.own(virtual_macs=virtual_macs())
        whole = to_virtual(4, tcp(1000, 80))
        for frame, verdict in ((whole[:30], "drop_truncated"), (whole[:14], "drop_truncated"),
                               (whole[:24] + b"\xff" + whole[25:], "drop_ip_checksum")):
            rig.counted_since()
            expect_sent(rig.send(CLIENT, frame))
            rig.expect_counters(received=1, **{verdict: 1})
        expect([p for p, _ in rig.send(CLIENT, whole + b"padding")], [SERVERS], "ports")


main()
