#!/usr/bin/python3
"""What a capture says of VRRP: adverts, masters, take-overs, gratuitous ARP and its like.

usage: vrrp_capture.py COMMAND FILE [ARGUMENT...]

  adverts FILE                 one a line: TIME SOURCE VRID PRIORITY VERSION INTERVAL ADDRESSES
  count FILE VRID SOURCE [SINCE]   how many of this source, since a time in seconds
  masters FILE VRID [SINCE]    whose adverts came one after the other: "10.1.0.1 10.1.0.2"
  takeover FILE VRID FROM TO [SINCE]   seconds from the last advert of FROM to the first of TO that
                               follows, and the priority of that last one
  announced FILE ADDRESS SOURCE [SINCE]   bursts of gratuitous ARP, or of neighbour advertisements,
                               by SOURCE's MAC, from the nearest advert: "5@0.000 5@5.001"

FILE is what tcpdump writes, even while it does. SOURCE is the address that a box sends adverts from.
"""

import ipaddress
import struct
import sys
from collections import namedtuple

Advert = namedtuple("Advert", "time source vrid priority version interval addresses mac")
Announcement = namedtuple("Announcement", "time address mac")
BURST_GAP_S = 0.5
VRRP, ICMPV6, NEIGHBOUR_ADVERTISEMENT = 112, 58, 136
OVERRIDE = 0x20000000


def frames(path):
    """(time, frame) of each; a last one that is still being written is left out."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 24:
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1e-9 if data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1e-6
    head = struct.Struct(order + "IIII")
    position = 24
    while position + 16 <= len(data):
        sec, fraction, length, _ = head.unpack_from(data, position)
        position += 16
        if position + length > len(data):
            return
        yield sec + fraction * unit, data[position:position + length]
        position += length


def advert(time, mac, source, message):
    version = message[0] >> 4
    interval = message[5] * 100 if version == 2 else struct.unpack_from("!H", message, 4)[0] & 0xFFF
    return Advert(time, str(source), message[1], message[2], version, interval, message[3], mac)


def parse(time, frame):
    mac, kind = frame[6:12], struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0806 and len(frame) >= 42:
        sender, target = frame[28:32], frame[38:42]
        if sender == target:
            return Announcement(time, str(ipaddress.IPv4Address(sender)), mac)
    elif kind == 0x0800 and frame[23] == VRRP:
        header = 14 + (frame[14] & 15) * 4
        return advert(time, mac, ipaddress.IPv4Address(frame[26:30]), frame[header:])
    elif kind == 0x86DD and frame[20] == VRRP:
        return advert(time, mac, ipaddress.IPv6Address(frame[22:38]), frame[54:])
    elif kind == 0x86DD and frame[20] == ICMPV6 and frame[54] == NEIGHBOUR_ADVERTISEMENT:
        flags = struct.unpack_from("!I", frame, 58)[0]
        if flags & OVERRIDE and frame[38] == 0xFF:
            return Announcement(time, str(ipaddress.IPv6Address(frame[62:78])), mac)
    return None


def events(path, kind):
    for time, frame in frames(path):
        event = parse(time, frame)
        if isinstance(event, kind):
            yield event


def adverts_of(path, vrid, since="0"):
    return [it for it in events(path, Advert) if it.vrid == int(vrid) and it.time >= float(since)]


# ---- commands


def adverts(path):
    for it in events(path, Advert):
        print(f"{it.time:.6f} {it.source} {it.vrid} {it.priority} {it.version} {it.interval} "
              f"{it.addresses}")


def count(path, vrid, source, since="0"):
    print(sum(it.source == source for it in adverts_of(path, vrid, since)))


def masters(path, vrid, since="0"):
    runs = []
    for it in adverts_of(path, vrid, since):
        if not runs or runs[-1] != it.source:
            runs.append(it.source)
    print(*runs)


def takeover(path, vrid, from_, to, since="0"):
    last = None
    for it in adverts_of(path, vrid, since):
        if it.source == from_:
            last = it
        elif it.source == to and last:
            print(f"{it.time - last.time:.3f} {last.priority}")
            return
    sys.exit(f"vrrp_capture.py: {to} has not taken {vrid} over from {from_}")


def announced(path, address, source, since="0"):
    adverts_seen = [it for it in events(path, Advert)
                    if it.source == source and it.time >= float(since)]
    macs = {it.mac for it in adverts_seen}
    bursts = []
    for it in events(path, Announcement):
        if it.address != address or it.mac not in macs or it.time < float(since):
            continue
        if bursts and it.time - bursts[-1][1] < BURST_GAP_S:
            bursts[-1][1:] = [it.time, bursts[-1][2] + 1]
        else:
            bursts.append([it.time, it.time, 1])
    if bursts:
        # From another core, the advert may be captured a moment after what it was sent before.
        base = min((it.time for it in adverts_seen), key=lambda t: abs(t - bursts[0][0]))
        print(*(f"{number}@{abs(begin - base):.3f}" for begin, _, number in bursts))


COMMANDS = {f.__name__: f for f in (adverts, count, masters, takeover, announced)}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
