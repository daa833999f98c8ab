"""Frames of every kind that the packet path tells apart: tests change them, and the fuzzer begins
with them."""

from judge import (ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, from_server, packet, tcp,
                   to_vip)
from rig import (CLIENT, CLIENT_MAC, PORT_MACS, SERVERS, VIP4, VIP6, client, local, server_mac)
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop)

VLAN = 100


def kinds():
    """A frame of each kind, with the port that it comes through."""
    vlan = Ether(dst=PORT_MACS[0], src=CLIENT_MAC) / Dot1Q(vlan=VLAN)
    for v in (4, 6):
        for port in (80, 81, 82, 83, 84, 85, 99):
            yield CLIENT, to_vip(v, tcp(1000, port), b"data")
            yield CLIENT, to_vip(v, tcp(1000, port, "PA", seq=1001, ack=1), b"data")
            yield CLIENT, to_vip(v, UDP(sport=1000, dport=port), b"datagram")
        yield CLIENT, to_vip(v, tcp(1000, 80), b"data", l2=vlan)
        yield SERVERS, from_server(v, tcp(8080, 1000, "SA"))
        yield SERVERS, from_server(v, UDP(sport=8080, dport=1000), b"answer")
        yield SERVERS, from_server(v, tcp(8080, 1000, "SA"), to=local(v))
    yield CLIENT, to_vip(4, UDP(sport=5, dport=84), b"z" * 100, flags=0)
    yield CLIENT, packet(client(4), VIP4, ICMP(type=8, id=1, seq=1), b"ping")
    yield CLIENT, packet(client(6), VIP6, ICMPv6EchoRequest(id=1, seq=1), b"ping")
    yield CLIENT, packet(client(4), VIP4, ICMP(type=3, code=1), bytes(IP(to_vip(4, tcp(1, 2))[14:])))
    yield CLIENT, packet(client(4), VIP4, Raw(b"gre" * 9), proto=47)
    yield CLIENT, packet(client(6), VIP6, Raw(b"gre" * 9), nh=47)
    yield CLIENT, packet(client(4), VIP4, TCP(sport=1, dport=80, options=[("MSS", 1460)]))
    yield CLIENT, packet(client(4), VIP4, UDP(sport=1, dport=80), b"f" * 32, flags="MF")
    yield CLIENT, packet(client(6), VIP6, IPv6ExtHdrFragment(nh=17, m=1) / UDP(sport=1, dport=80), b"f")
    chain = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt()
    yield CLIENT, packet(client(6), VIP6, chain / tcp(1000, 80), b"data")
    yield CLIENT, packet(client(6), VIP6, chain / UDP(sport=1, dport=82), b"data")
    yield CLIENT, bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=CLIENT_MAC) / ARP(
        op=1, hwsrc=CLIENT_MAC, psrc="10.1.0.9", pdst=VIP4))
    yield CLIENT, bytes(Ether(dst="33:33:ff:00:00:01", src=CLIENT_MAC) / IPv6(
        src="fd00:1::9", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=VIP6) / ICMPv6NDOptSrcLLAddr(
            lladdr=CLIENT_MAC))
    yield SERVERS, bytes(Ether(dst=PORT_MACS[1], src=server_mac()) / Raw(b"\x88\xb5" + b"?" * 40))
