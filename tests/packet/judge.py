"""The independent judge: what a frame has to look like after headgate, worked out by scapy.

scapy parses the frame that went in, sets the fields that the mode changes, and computes lengths and
checksums from scratch. Nothing here knows how headgate does it.
"""

import logging
import socket

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.config import conf  # noqa: E402
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, in6_chksum)
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: E402
from scapy.packet import Packet, Raw  # noqa: E402
from scapy.utils import checksum as scapy_checksum  # noqa: E402

from rig import CLIENT_MAC, PORT_MACS, check, client, server, server_mac, vip  # noqa: E402

conf.ipv6_enabled = True
# Payload is payload: port 53 does not make it DNS, which scapy would write anew.
TCP.payload_guess = []
UDP.payload_guess = []

PROTOCOLS = {"tcp": TCP, "udp": UDP}


def ip_layer(packet):
    return packet[IP] if IP in packet else packet[IPv6]


def ether(to_port=0, vlan=None, priority=0):
    """The Ethernet header of a frame that a neighbour sends to us through a port."""
    source = CLIENT_MAC if to_port == 0 else server_mac(0)
    layer = Ether(dst=PORT_MACS[to_port], src=source)
    return layer if vlan is None else layer / Dot1Q(vlan=vlan, prio=priority)


def packet(source, destination, transport, payload=b"", ttl=64, l2=None, **ip_fields):
    """A whole frame, everything computed."""
    if ":" in destination:
        ip = IPv6(src=source, dst=destination, hlim=ttl, **ip_fields)
    else:
        ip_fields.setdefault("flags", "DF")
        ip_fields.setdefault("id", 0x1000)
        ip = IP(src=source, dst=destination, ttl=ttl, **ip_fields)
    body = ip / transport
    if payload:
        body = body / Raw(payload)
    return bytes((l2 or ether(0)) / body)


def tcp(sport, dport, flags="S", seq=1000, ack=0, **fields):
    return TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, **fields)


def to_vip(v, transport, payload=b"", index=0, **more):
    """From a client to the VIP."""
    return packet(client(v, index), vip(v), transport, payload, **more)


def from_server(v, transport, payload=b"", index=0, to=None, **more):
    more.setdefault("l2", Ether(dst=PORT_MACS[1], src=server_mac(index)))
    return packet(server(v, index), to or client(v), transport, payload, **more)


def adjusted(checksum, before, after):
    """A checksum for data that has become other data, RFC 1624 in the plainest of ways."""
    total = 0xFFFF - int.from_bytes(checksum, "big")
    for data, sign in ((before, -1), (after, 1)):
        data = data + b"\0" * (len(data) % 2)
        total += sign * sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    return (0xFFFF - total % 0xFFFF).to_bytes(2, "big")


def stamped(frame, source=None, sport=None):
    """The TCP or UDP frame from another source: for floods, where scapy takes too long."""
    frame = bytearray(frame)
    v4 = frame[14] >> 4 == 4
    at, length = (26, 4) if v4 else (22, 16)
    l4 = 34 if v4 else 54
    checksum = l4 + (16 if frame[23 if v4 else 20] == 6 else 6)
    before = bytes(frame[at : at + length])
    after = socket.inet_pton(socket.AF_INET if v4 else socket.AF_INET6, source) if source else before
    frame[at : at + length] = after
    if v4:
        frame[24:26] = adjusted(frame[24:26], before, after)
    ports = bytes(frame[l4 : l4 + 2])
    new_ports = ports if sport is None else sport.to_bytes(2, "big")
    frame[l4 : l4 + 2] = new_ports
    frame[checksum : checksum + 2] = adjusted(frame[checksum : checksum + 2], before + ports,
                                              after + new_ports)
    return bytes(frame)


def transport_layer(ip):
    layer = ip.payload
    while layer and not isinstance(layer, (TCP, UDP)):
        layer = layer.payload
    return layer


def forwarded(frame, l2, source=None, sport=None, destination=None, dport=None, outer=None):
    """The frame as headgate has to send it: TTL one less, these fields replaced, wrapped in `outer`
    (an IP or IPv6 layer with source and destination) when there is one, behind `l2`."""
    ip = ip_layer(Ether(bytes(frame))).copy()
    if IP in ip and isinstance(ip, IP):
        ip.ttl -= 1
        del ip.chksum
    else:
        ip.hlim -= 1
    translated = any(field is not None for field in (source, sport, destination, dport))
    if source is not None:
        ip.src = source
    if destination is not None:
        ip.dst = destination
    if translated:
        layer = transport_layer(ip)
        if sport is not None:
            layer.sport = sport
        if dport is not None:
            layer.dport = dport
        del layer.chksum
    if outer is not None:
        ip = wrapped(ip, outer)
    return bytes(l2 / ip)


def wrapped(inner, outer):
    """RFC 2003 and 2473 with what LVS does: TOS copied but for CE, DF copied, TTL of the inner."""
    outer = outer.copy()
    inner_is_v4 = isinstance(inner, IP)
    tos = inner.tos if inner_is_v4 else inner.tc
    tos = (tos & ~3) | 2 if tos & 3 == 3 else tos
    ttl = inner.ttl if inner_is_v4 else inner.hlim
    if isinstance(outer, IP):
        outer.tos, outer.ttl = tos, ttl
        outer.flags = "DF" if inner_is_v4 and "DF" in inner.flags else 0
        if outer.flags == "DF":
            outer.id = 0
        outer.proto = 4 if inner_is_v4 else 41
    else:
        outer.tc, outer.hlim, outer.nh = tos, ttl, 4 if inner_is_v4 else 41
    return outer / inner


def to_server_l2(index=0, vlan=None):
    layer = Ether(dst=server_mac(index), src=PORT_MACS[1])
    return layer if vlan is None else layer / Dot1Q(vlan=vlan)


def to_client_l2(vlan=None):
    layer = Ether(dst=CLIENT_MAC, src=PORT_MACS[0])
    return layer if vlan is None else layer / Dot1Q(vlan=vlan)


def icmp_error(about, type_code, source, limit=None, rest=0, identification=0, l2=None):
    """An ICMP error about the IP packet in the frame `about`, from `source` to its sender."""
    parsed = Ether(bytes(about))
    ip = ip_layer(parsed)
    quoted = bytes(ip)
    kind, code = type_code
    if isinstance(ip, IP):
        quoted = quoted[: (limit or 576) - 28]
        head = bytes([kind, code, 0, 0]) + rest.to_bytes(4, "big")
        body = head + quoted
        checksum = scapy_checksum(body)
        body = body[:2] + checksum.to_bytes(2, "big") + body[4:]
        error = IP(src=source, dst=ip.src, ttl=64, id=identification, flags=0, proto=1,
                   tos=(ip.tos & 0x1E) | 0xC0) / Raw(body)
    else:
        quoted = quoted[: (limit or 1280) - 48]
        error = IPv6(src=source, dst=ip.src, hlim=64, nh=58)
        body = bytes([kind, code, 0, 0]) + rest.to_bytes(4, "big") + quoted
        checksum = in6_chksum(58, error, body)
        body = body[:2] + checksum.to_bytes(2, "big") + body[4:]
        error = error / Raw(body)
    return bytes((l2 or to_client_l2()) / error)


UNREACHABLE = {"port": {4: (3, 3), 6: (1, 4)}, "host": {4: (3, 1), 6: (1, 3)},
               "protocol": {4: (3, 2), 6: (4, 1)}, "ttl": {4: (11, 0), 6: (3, 0)},
               "too big": {4: (3, 4), 6: (2, 0)}}


def reset_for(frame, l2=None):
    """RFC 9293 section 3.10.7.1: the reset that answers a segment without a connection."""
    ip = ip_layer(Ether(bytes(frame)))
    segment = transport_layer(ip)
    if segment.flags.A:
        answer = TCP(sport=segment.dport, dport=segment.sport, flags="R", seq=segment.ack, window=0)
    else:
        length = len(segment.payload) + int(segment.flags.S) + int(segment.flags.F)
        answer = TCP(sport=segment.dport, dport=segment.sport, flags="RA", seq=0,
                     ack=(segment.seq + length) % 2**32, window=0)
    if isinstance(ip, IP):
        packet_out = IP(src=ip.dst, dst=ip.src, ttl=64, id=0, flags="DF", tos=ip.tos) / answer
    else:
        packet_out = IPv6(src=ip.dst, dst=ip.src, hlim=64, tc=ip.tc) / answer
    return bytes((l2 or to_client_l2()) / packet_out)


def check_checksums(frame):
    """Recomputes every checksum of a frame, inner packets included."""
    parsed = Ether(bytes(frame))
    rebuilt = parsed.copy()
    layer = rebuilt
    while isinstance(layer, Packet) and layer:
        if isinstance(layer, (IP, TCP, ICMP)):
            del layer.chksum
        elif isinstance(layer, UDP) and layer.chksum != 0:
            del layer.chksum
        elif "cksum" in layer.fields:  # ICMPv6
            del layer.cksum
        if isinstance(layer, (ICMP, ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded)):
            break  # what is quoted may be cut off
        layer = layer.payload
    check(bytes(rebuilt) == bytes(parsed), "checksum wrong: got %s, scapy says %s" % (
        bytes(parsed).hex(), bytes(rebuilt).hex()))


__all__ = [
    "ARP", "Dot1Q", "Ether", "ICMP", "IP", "IPv6", "PROTOCOLS", "Raw", "TCP", "UDP", "UNREACHABLE",
    "adjusted", "check_checksums", "ether", "forwarded", "from_server", "icmp_error", "ip_layer", "packet",
    "reset_for", "stamped", "tcp", "to_client_l2", "to_server_l2", "to_vip", "transport_layer", "wrapped",
]
