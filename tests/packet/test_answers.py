"""What the workers answer themselves: ARP and neighbour discovery for VIPs, pings, segments and
datagrams for no service. And what they must not answer."""

import random

from judge import (ARP, ICMP, IP, UDP, UNREACHABLE, Dot1Q, Ether, IPv6, Raw, check_checksums, icmp_error,
                   packet, reset_for, tcp, to_client_l2, to_vip)
from rig import (CLIENT, CLIENT_MAC, LOCAL4, LOCAL6, OWN4, OWN6, PORT_MACS, SERVERS, VIP4, VIP6, Rig, check,
                 client, expect, expect_frame, expect_sent, main, server, server_mac, service, test,
                 two_arm_kernel, vip)
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RS,
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6ExtHdrHopByHop)

BROADCAST = "ff:ff:ff:ff:ff:ff"
CONTROL, BULK = 0, 2  # classes of frames for the twin
ID_AND_CHECKSUM = [(18, 2), (24, 2)]
ASKER = "10.1.0.77"
ASKER6 = "fd00:1::77"


def services():
    return [service(4), service(6), service(4, 81, "fullnat"), service(6, 81, "fullnat")]


# ---- ARP --------------------------------------------------------------------------------------------


def request(target, l2=None, **fields):
    fields = {"op": 1, "hwsrc": CLIENT_MAC, "psrc": ASKER, "hwdst": "00:00:00:00:00:00",
              "pdst": target} | fields
    return bytes((l2 or Ether(dst=BROADCAST, src=CLIENT_MAC)) / ARP(**fields))


def arp_answer(target, port=0, l2=None, to_ip=ASKER):
    mac = PORT_MACS[port]
    return bytes((l2 or Ether(dst=CLIENT_MAC, src=mac)) / ARP(
        op=2, hwsrc=mac, psrc=target, hwdst=CLIENT_MAC, pdst=to_ip))


@test("an ARP request for a VIP or a local address is answered on every port")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for target in (VIP4, LOCAL4):
            for port in (0, 1):
                expect_sent(rig.send(port, request(target)), (port, arp_answer(target, port)))
                rig.expect_counters(received=1, sent_arp_reply=1)


@test("an ARP probe is answered, so that nobody takes the VIP")
def _():
    with Rig() as rig:
        rig.configure(services())
        probe = request(VIP4, psrc="0.0.0.0")
        expect_sent(rig.send(CLIENT, probe), (CLIENT, arp_answer(VIP4, to_ip="0.0.0.0")))


@test("a unicast ARP request for a VIP is answered")
def _():
    with Rig() as rig:
        rig.configure(services())
        asked = request(VIP4, l2=Ether(dst=PORT_MACS[0], src=CLIENT_MAC))
        expect_sent(rig.send(CLIENT, asked), (CLIENT, arp_answer(VIP4)))


@test("padding behind an ARP request is not sent back")
def _():
    with Rig() as rig:
        rig.configure(services())
        expect_sent(rig.send(CLIENT, request(VIP4) + b"secret" * 40), (CLIENT, arp_answer(VIP4)))


@test("an ARP request on a VLAN is answered on that VLAN with its interface's MAC")
def _():
    kernel = two_arm_kernel()
    kernel["interfaces"].append({"name": "c0.7", "mac": "02:00:00:00:0d:07", "mtu": 1500})
    with Rig(interfaces=[[0, 0], [1, 0], [0, 7]]) as rig:
        rig.configure(services(), kernel)
        asked = request(VIP4, l2=Ether(dst=BROADCAST, src=CLIENT_MAC) / Dot1Q(vlan=7))
        wanted = bytes(Ether(dst=CLIENT_MAC, src="02:00:00:00:0d:07") / Dot1Q(vlan=7) / ARP(
            op=2, hwsrc="02:00:00:00:0d:07", psrc=VIP4, hwdst=CLIENT_MAC, pdst=ASKER))
        expect_sent(rig.send(CLIENT, asked), (CLIENT, wanted))


def goes_to_twin(rig, port, frame, kind, verdict):
    rig.counted_since()
    expect(rig.send_all(port, [frame]), {"sent": [], "twin": [(port, kind, bytes(frame))]}, "output")
    rig.expect_counters(received=1, **{verdict: 1})


@test("ARP that is not a question about a VIP is the kernel's")
def _():
    frames = [
        request(OWN4[0]), request("10.1.0.200"), request(server(4)),
        request(VIP4, op=2, hwdst=PORT_MACS[0]),  # a reply
        request(VIP4, psrc=VIP4),  # an announcement of somebody who has it as well
        request(VIP4, hwtype=6), request(VIP4, ptype=0x86DD), request(VIP4, hwlen=8),
        request(VIP4, plen=16), request(VIP4, op=3), request(VIP4, hwsrc="01:00:5e:00:00:01"),
    ]
    with Rig() as rig:
        rig.configure(services())
        for frame in frames:
            goes_to_twin(rig, CLIENT, frame, CONTROL, "twin_control")


@test("ARP for another station's MAC is not for us")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        asked = request(VIP4, l2=Ether(dst="02:00:00:00:0d:77", src=CLIENT_MAC))
        expect(rig.send_all(CLIENT, [asked]), {"sent": [], "twin": []}, "output")
        rig.expect_counters(received=1, drop_not_for_us=1)


@test("a VIP that the twin holds is answered for once: ARP and ND here, pings by the kernel")
def _():
    kernel = two_arm_kernel()
    kernel["addresses"] += [{"interface": 0, "prefix": VIP4 + "/32"},
                            {"interface": 0, "prefix": VIP6 + "/128"}]
    with Rig() as rig:
        rig.configure(services(), kernel)
        for asked, answer in ((request(VIP4), arp_answer(VIP4)),
                              (solicitation(VIP6), advertisement(VIP6))):
            expect(rig.send_all(CLIENT, [asked]), {"sent": [(CLIENT, answer)], "twin": []}, "answer")
        for v in (4, 6):
            goes_to_twin(rig, CLIENT, ping(v), BULK, "twin_not_ours")
            goes_to_twin(rig, CLIENT, to_vip(v, tcp(1, 9999)), BULK, "twin_not_ours")
            # Its services are headgate's all the same.
            expect([p for p, _ in rig.send(CLIENT, to_vip(v, tcp(1, 80)))], [SERVERS], "ports")


# ---- neighbour discovery ------------------------------------------------------------------------------


def solicited_node(address):
    low = address.split("::")[1].rjust(6, "0")
    return "ff02::1:ff00:%s" % low[-4:].lstrip("0")


def solicitation(target, source=ASKER6, options=True, l2=None, destination=None, hlim=255, **fields):
    destination = destination or solicited_node(target)
    body = IPv6(src=source, dst=destination, hlim=hlim) / ICMPv6ND_NS(tgt=target, **fields)
    if options:
        body = body / ICMPv6NDOptSrcLLAddr(lladdr=CLIENT_MAC)
    return bytes((l2 or Ether(dst="33:33:ff:00:00:01", src=CLIENT_MAC)) / body)


def advertisement(target, port=0, to=ASKER6, mac=CLIENT_MAC, solicited=1):
    return bytes(Ether(dst=mac, src=PORT_MACS[port]) / IPv6(src=target, dst=to, hlim=255) / ICMPv6ND_NA(
        tgt=target, R=0, S=solicited, O=1) / ICMPv6NDOptDstLLAddr(lladdr=PORT_MACS[port]))


@test("a neighbour solicitation for a VIP or a local address is answered on every port")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for target in (VIP6, LOCAL6):
            for port in (0, 1):
                for options in (True, False):
                    asked = solicitation(target, options=options)
                    expect_sent(rig.send(port, asked), (port, advertisement(target, port)))
                    rig.expect_counters(received=1, sent_nd_reply=1)


@test("a unicast solicitation, as for a reachability check, is answered")
def _():
    with Rig() as rig:
        rig.configure(services())
        asked = solicitation(VIP6, destination=VIP6, l2=Ether(dst=PORT_MACS[0], src=CLIENT_MAC))
        expect_sent(rig.send(CLIENT, asked), (CLIENT, advertisement(VIP6)))


@test("who checks for a duplicate of a VIP is told by multicast that it is taken")
def _():
    with Rig() as rig:
        rig.configure(services())
        asked = solicitation(VIP6, source="::", options=False)
        wanted = advertisement(VIP6, to="ff02::1", mac="33:33:00:00:00:01", solicited=0)
        expect_sent(rig.send(CLIENT, asked), (CLIENT, wanted))
        check_checksums(wanted)


@test("solicitations that RFC 4861 calls invalid, or that are not for a VIP, are the kernel's")
def _():
    with Rig() as rig:
        rig.configure(services())
        wrong = bytearray(solicitation(VIP6))
        wrong[56] ^= 1  # the checksum
        for frame in (solicitation(VIP6, hlim=254), solicitation(VIP6, code=1), bytes(wrong),
                      solicitation(OWN6[0]), solicitation("fd00:1::1234"),
                      bytes(Ether(dst="33:33:00:00:00:02", src=CLIENT_MAC) / IPv6(
                          src=ASKER6, dst="ff02::2", hlim=255) / ICMPv6ND_RS())):
            goes_to_twin(rig, CLIENT, frame, CONTROL, "twin_control")


@test("a solicitation that is cut off is dropped by name")
def _():
    with Rig() as rig:
        rig.configure(services())
        body = IPv6(src=ASKER6, dst=VIP6, hlim=255, nh=58) / Raw(bytes([135, 0, 0, 0]) + b"\0" * 12)
        rig.counted_since()
        expect_sent(rig.send(CLIENT, bytes(Ether(dst=PORT_MACS[0], src=CLIENT_MAC) / body)))
        rig.expect_counters(received=1, drop_truncated=1)


# ---- pings --------------------------------------------------------------------------------------------


def ping(v, payload=b"ping payload", destination=None, l2=None, **fields):
    echo = ICMP(type=8, id=77, seq=3) if v == 4 else ICMPv6EchoRequest(id=77, seq=3)
    if v == 4:
        fields.setdefault("flags", 0)
    return packet(client(v), destination or vip(v), echo, payload, l2=l2, **fields)


def pong(v, payload=b"ping payload", source=None, **fields):
    if v == 4:
        body = IP(src=source or vip(4), dst=client(4), ttl=64, id=0, flags=0, **fields) / ICMP(
            type=0, id=77, seq=3)
    else:
        body = IPv6(src=source or vip(6), dst=client(6), hlim=64, **fields) / ICMPv6EchoReply(
            id=77, seq=3)
    return bytes(to_client_l2() / body / Raw(payload)) if payload else bytes(to_client_l2() / body)


@test("a ping of a VIP or a local address is answered, whatever its length")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for v, local in ((4, LOCAL4), (6, LOCAL6)):
            for destination in (vip(v), local):
                for length in (0, 1, 2, 55, 1400):
                    payload = bytes(range(256))[:length] * (1 + length // 256)
                    (port, sent), = rig.send(CLIENT, ping(v, payload, destination))
                    expect(port, CLIENT, "port")
                    expect_frame(sent, pong(v, payload, destination), "answer",
                                 ID_AND_CHECKSUM if v == 4 else [])
                    check_checksums(sent)
                    rig.expect_counters(received=1, sent_echo_reply=1)


@test("the checksum of a ping's answer is right for every pattern")
def _():
    rng = random.Random(5)
    with Rig() as rig:
        rig.configure(services())
        for v in (4, 6):
            frames = [ping(v, rng.randbytes(rng.randrange(2, 40))) for _ in range(150)]
            frames += [ping(v, word.to_bytes(2, "big")) for word in range(0xF700, 0xF7FF, 3)]
            for frame, (_, sent) in zip(frames, rig.send(CLIENT, *frames), strict=True):
                payload = bytes(Ether(frame)[Raw].load) if v == 4 else Ether(frame).data
                expect_frame(sent, pong(v, payload), "answer", ID_AND_CHECKSUM if v == 4 else [])


@test("a ping with a wrong checksum is dropped by name")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for v in (4, 6):
            frame = bytearray(ping(v))
            frame[-1] ^= 0x40
            expect_sent(rig.send(CLIENT, frame))
            rig.expect_counters(received=1, drop_icmp_checksum=1)


@test("other ICMP to a VIP is nobody's business, and errors are dropped by name")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for kind, verdict in ((0, "drop_no_service"), (13, "drop_no_service"), (17, "drop_no_service"),
                              (3, "drop_icmp_error"), (11, "drop_icmp_error"), (5, "drop_icmp_error")):
            expect_sent(rig.send(CLIENT, packet(client(4), VIP4, ICMP(type=kind), b"\0" * 28)))
            rig.expect_counters(received=1, **{verdict: 1})
        for kind, verdict in ((129, "drop_no_service"), (1, "drop_icmp_error"), (3, "drop_icmp_error")):
            body = icmp_error(to_vip(6, tcp(1, 2)), (kind, 0), VIP6, l2=Ether(
                dst=PORT_MACS[0], src=CLIENT_MAC))
            frame = Ether(body)
            frame[IPv6].src, frame[IPv6].dst = client(6), VIP6
            if "cksum" in frame[IPv6].payload.fields:
                del frame[IPv6].payload.cksum
            expect_sent(rig.send(CLIENT, frame))
            rig.expect_counters(received=1, **{verdict: 1})


@test("ICMP to the host's own addresses is the kernel's")
def _():
    with Rig() as rig:
        rig.configure(services())
        for v, own in ((4, OWN4[0]), (6, OWN6[0])):
            goes_to_twin(rig, CLIENT, ping(v, destination=own), BULK, "twin_not_ours")
            from_backend = packet(server(v), own, ICMP(type=8) if v == 4 else ICMPv6EchoRequest(),
                                  b"x", l2=Ether(dst=PORT_MACS[1], src=server_mac()))
            goes_to_twin(rig, SERVERS, from_backend, 1, "twin_backend")


# ---- no service ---------------------------------------------------------------------------------------


@test("a segment to a VIP's port without a service is reset as RFC 9293 says")
def _():
    with Rig() as rig:
        rig.configure(services())
        for v in (4, 6):
            for flags, payload in (("S", b""), ("A", b""), ("FA", b""), ("PA", b"12345"), ("", b""),
                                   ("S", b"data"), ("FPU", b"x"), ("SF", b""), ("SA", b""), ("F", b"")):
                fields = {"tos": 0x14} if v == 4 else {"tc": 0x14}
                segment = to_vip(v, tcp(1000, 7, flags, seq=2**32 - 2, ack=77), payload,
                                 **fields)
                rig.counted_since()
                expect_sent(rig.send(CLIENT, segment), (CLIENT, reset_for(segment)), what=flags)
                rig.expect_counters(received=1, originated=1, sent_rst=1, drop_no_service=1)


@test("a reset gets no answer")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for v in (4, 6):
            for flags in ("R", "RA", "SR"):
                for port, verdict in ((7, "drop_no_service"), (80, "drop_no_connection")):
                    expect_sent(rig.send(CLIENT, to_vip(v, tcp(1000, port, flags))))
                    rig.expect_counters(received=1, **{verdict: 1})


def answered_by_error(rig, v, frame, what, **more):
    rig.counted_since()
    (port, sent), = rig.send(CLIENT, frame)
    expect(port, CLIENT, "port")
    expect_frame(sent, icmp_error(frame, UNREACHABLE[what][v], vip(v), **more), "error",
                 ID_AND_CHECKSUM if v == 4 else [])
    rig.expect_counters(received=1, originated=1, sent_icmp_error=1, drop_no_service=1)


@test("a datagram to a VIP's port without a service gets port unreachable")
def _():
    with Rig() as rig:
        rig.configure(services())
        for v in (4, 6):
            answered_by_error(rig, v, to_vip(v, UDP(sport=5, dport=80), b"only TCP here"), "port")


@test("another protocol to a VIP gets protocol unreachable, for IPv6 with the place of its number")
def _():
    with Rig() as rig:
        rig.configure(services())
        answered_by_error(rig, 4, packet(client(4), VIP4, Raw(b"gre?" * 4), proto=47), "protocol")
        answered_by_error(rig, 6, packet(client(6), VIP6, Raw(b"gre?" * 4), nh=47), "protocol", rest=6)
        behind = IPv6ExtHdrHopByHop(nh=47) / Raw(b"gre?" * 4)
        answered_by_error(rig, 6, packet(client(6), VIP6, behind), "protocol", rest=40)


@test("SCTP and an IPv6 packet without contents get no answer")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for frame in (packet(client(4), VIP4, Raw(b"\0" * 16), proto=132),
                      packet(client(6), VIP6, Raw(b"\0" * 16), nh=132),
                      packet(client(6), VIP6, Raw(b""), nh=59)):
            expect(rig.send_all(CLIENT, [frame]), {"sent": [], "twin": []}, "output")
            rig.expect_counters(received=1, drop_no_service=1)


@test("to a local address without a connection: dropped by name, unanswered")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for v, local in ((4, LOCAL4), (6, LOCAL6)):
            for layer in (tcp(8080, 2000, "SA"), UDP(sport=53, dport=2000)):
                frame = packet(server(v), local, layer, l2=Ether(dst=PORT_MACS[1], src=server_mac()))
                expect_sent(rig.send(SERVERS, frame))
                rig.expect_counters(received=1, drop_reply_no_connection=1)


@test("without routing, what is for nobody here is dropped; from a backend under another name")
def _():
    with Rig() as rig:
        rig.configure(services())
        for routing in (False, True):
            rig.configure(forwarding={"routing": routing})
            rig.counted_since()
            for v in (4, 6):
                through = packet(client(v), server(v, 2), tcp(1, 2))
                back = packet(server(v, 0), client(v), tcp(8080, 9, "A"),
                              l2=Ether(dst=PORT_MACS[1], src=server_mac()))
                if routing:
                    goes_to_twin(rig, CLIENT, through, BULK, "twin_not_ours")
                    goes_to_twin(rig, SERVERS, back, 1, "twin_backend")
                else:
                    expect(rig.send_all(CLIENT, [through]), {"sent": [], "twin": []}, "through")
                    rig.expect_counters(received=1, drop_not_routed=1)
                    expect(rig.send_all(SERVERS, [back]), {"sent": [], "twin": []}, "back")
                    rig.expect_counters(received=1, drop_reply_no_connection=1)


# ---- rates --------------------------------------------------------------------------------------------


def answers_in(rig, seconds, frame, per_second):
    """How many answers `frame` gets, offered ten times as often as they are allowed."""
    count = len(rig.send(CLIENT, *[frame] * (per_second // 2)))
    for _ in range(int(seconds * 50)):
        rig.advance(0.02)
        count += len(rig.send(CLIENT, *[frame] * (per_second * 10 // 50)))
    return count


@test("answers keep to their rates, each kind to its own, and what is withheld has a name")
def _():
    rates = {"rst_per_s": 100, "icmp_per_s": 200, "icmp_echo_per_s": 60, "arp_per_s": 40}
    kinds = [
        (to_vip(4, tcp(1, 7)), 100, "sent_rst", None),
        (to_vip(6, UDP(sport=1, dport=7)), 200, "sent_icmp_error", None),
        (ping(4), 60, "sent_echo_reply", "drop_rate_limited"),
        (request(VIP4), 40, "sent_arp_reply", "drop_rate_limited"),
        (solicitation(VIP6), 40, "sent_nd_reply", "drop_rate_limited"),
    ]
    for frame, rate, sent, withheld in kinds:
        with Rig() as rig:
            rig.configure(services(), rates=rates)
            rig.counted_since()
            count = answers_in(rig, 4, frame, rate)
            check(abs(count - 4 * rate) <= rate * 0.2 + 1, "%s: %d in 4 s of %d/s" % (sent, count, rate))
            counted = rig.counted_since()
            expect(counted[sent], count, "answers counted")
            if withheld:
                expect(counted[withheld], counted["received"] - count, "withheld")
            # The others have lost nothing by it.
            other = ping(6) if sent != "sent_echo_reply" else request(VIP4)
            expect(len(rig.send(CLIENT, other)), 1, "answer of another kind")


@test("a rate of zero sends nothing")
def _():
    with Rig() as rig:
        rig.configure(services(), rates={"rst_per_s": 0, "icmp_per_s": 0, "icmp_echo_per_s": 0,
                                         "arp_per_s": 0})
        for frame in (to_vip(4, tcp(1, 7)), to_vip(4, UDP(sport=1, dport=7)), ping(4), request(VIP4),
                      solicitation(VIP6)):
            expect_sent(rig.send(CLIENT, frame))


@test("without a buffer of our own there is no error and no reset, and nothing is lost")
def _():
    with Rig(own_mbufs=3, tx_frames=64) as rig:
        rig.configure(services())
        rig.counted_since()
        sent = rig.send(CLIENT, *[to_vip(4, tcp(i, 7)) for i in range(1, 11)])
        expect(len(sent), 3, "resets in one burst from three buffers")
        rig.expect_counters(received=10, originated=3, sent_rst=3, drop_no_service=10)


# ---- the kernel's ---------------------------------------------------------------------------------------


@test("what keeps links, routes and neighbours alive goes to the kernel before everything else")
def _():
    def multicast(v, group, protocol, mac):
        ip = IP(src="10.1.0.9", dst=group, proto=protocol, ttl=255) if v == 4 else IPv6(
            src="fe80::9", dst=group, nh=protocol, hlim=255)
        return bytes(Ether(dst=mac, src=CLIENT_MAC) / ip / Raw(b"\0" * 24))

    bgp = packet(ASKER, OWN4[0], tcp(40000, 179))
    bfd = packet(ASKER, OWN4[0], UDP(sport=49152, dport=3784), b"\0" * 24)
    control = [
        multicast(4, "224.0.0.18", 112, "01:00:5e:00:00:12"), bgp, bfd,
        multicast(4, "224.0.0.5", 89, "01:00:5e:00:00:05"),
        multicast(4, "224.0.0.22", 2, "01:00:5e:00:00:16"),
        multicast(6, "ff02::12", 112, "33:33:00:00:00:12"),
        multicast(6, "ff02::1", 58, "33:33:00:00:00:01"),
        multicast(6, "ff02::16", 0, "33:33:00:00:00:16"),
        packet("10.1.0.9", OWN4[0], Raw(b"\0" * 20), proto=112),
        bytes(Ether(dst="01:80:c2:00:00:0e", src=CLIENT_MAC, type=0x88CC) / Raw(b"lldp")),
        bytes(Ether(dst="01:80:c2:00:00:02", src=CLIENT_MAC, type=0x8809) / Raw(b"lacp")),
        bytes.fromhex("0180c2000000" "020000000c01") + b"\0\x26" + b"\x42\x42\x03stp",
    ]
    bulk = [
        multicast(4, "239.1.2.3", 17, "01:00:5e:01:02:03"),
        multicast(6, "ff02::fb", 17, "33:33:00:00:00:fb"),
        bytes(Ether(dst=BROADCAST, src=CLIENT_MAC) / IP(src=ASKER, dst="255.255.255.255") / UDP(
            sport=68, dport=67)),
        bytes(Ether(dst=BROADCAST, src=CLIENT_MAC) / IP(src=ASKER, dst="10.1.0.255") / UDP(
            sport=137, dport=137)),
        bytes(Ether(dst=PORT_MACS[0], src=CLIENT_MAC, type=0x88B5) / Raw(b"an experiment")),
        to_vip(4, tcp(1, 80), l2=Ether(dst=PORT_MACS[0], src=CLIENT_MAC) / Dot1Q(vlan=5)),
        to_vip(4, tcp(1, 80), l2=Ether(dst=BROADCAST, src=CLIENT_MAC)),
        packet(ASKER, OWN4[0], tcp(1, 22)),
    ]
    with Rig() as rig:
        rig.configure(services())
        for frame in control:
            goes_to_twin(rig, CLIENT, frame, CONTROL, "twin_control")
        for frame in bulk:
            goes_to_twin(rig, CLIENT, frame, BULK, "twin_not_ours")


@test("what a backend sends to the host has a class of its own: health checks")
def _():
    with Rig() as rig:
        rig.configure(services())
        for v, own in ((4, OWN4[1]), (6, OWN6[1])):
            frame = packet(server(v), own, tcp(80, 40000, "SA"),
                           l2=Ether(dst=PORT_MACS[1], src=server_mac()))
            goes_to_twin(rig, SERVERS, frame, 1, "twin_backend")


@test("frames of the kernel leave through their port as they are")
def _():
    with Rig() as rig:
        rig.configure(services())
        rig.counted_since()
        for port, frame in ((0, request(ASKER)), (1, b"\1" * 60), (0, ping(4))):
            expect(rig.from_twin(port, frame), [(port, bytes(frame))], "sent")
            rig.expect_counters(from_twin=1, sent_from_twin=1)


@test("a port without a twin, and a full ring towards it, have names")
def _():
    with Rig(twins=[False, True], twin_frames=8) as rig:
        rig.configure(services())
        rig.counted_since()
        expect(rig.send_all(CLIENT, [request(OWN4[0])]), {"sent": [], "twin": []}, "output")
        rig.expect_counters(received=1, drop_twin_none=1)
        output = rig.send_all(SERVERS, [request(OWN4[1])] * 20)
        expect(len(output["twin"]), 8, "frames in the ring")
        rig.expect_counters(received=20, twin_control=8, drop_twin_ring_full=12)


@test("a full transmit queue drops by name")
def _():
    with Rig(tx_frames=8) as rig:
        rig.configure([service(4, 80, "dr")])
        rig.counted_since()
        sent = rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80)) for i in range(30)])
        expect(len(sent), 8, "frames that fit")
        rig.expect_counters(received=30, sent_dr=8, drop_tx_full=22)



@test("a flood of what looks like BGP does not take all of the first way to the kernel")
def _():
    with Rig() as rig:
        rig.configure([service()])
        rig.counted_since()
        for host, source in ((OWN4[0], "198.51.100.66"), (OWN6[0], "2001:db8:c::66")):
            flood = [packet(source, host, tcp(179, 1024 + i)) for i in range(1500)]
            classes = [kind for _, kind, _ in rig.send_all(CLIENT, flood)["twin"]]
            expect((classes.count(0), classes.count(2)), (1000, 500), "first and last class")
            rig.expect_counters(received=1500, twin_control=1000, twin_not_ours=500)
            rig.advance(1)


@test("a fragment for the host has no ports: it is not taken for BGP after a packet that was")
def _():
    with Rig() as rig:
        rig.configure([service()])
        bgp = packet("198.51.100.66", OWN4[0], tcp(40000, 179))
        later = packet("198.51.100.66", OWN4[0], Raw(b"x" * 64), proto=6, frag=2, flags=0)
        rig.send(CLIENT, *[bgp] * 32)  # wherever a worker keeps a packet, there was one of BGP
        flows = [to_vip(4, tcp(1000 + i, 80)) for i in range(20)]
        (_, kind, _), = rig.send_all(CLIENT, [*flows, later])["twin"]
        expect(kind, 2, "class")


main()
