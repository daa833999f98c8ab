#!/usr/bin/env python3
"""Shows one TCP handshake as it looked at several places, one line a packet.

usage: show_packets.py [--bold] LABEL=FILE:WHAT ...

FILE is a pcap of Ethernet frames, WHAT is `request` (the SYN) or `reply` (the SYN and ACK); the
first of its kind is shown: MAC addresses, the outer header of a tunnel, addresses and ports.
--bold marks what differs from the line before.
"""

import ipaddress
import struct
import sys

ETHERNET_BYTES, IPV6_BYTES = 14, 40
IPIP, TCP, IPV6_IN_IP = 4, 6, 41
SYN, ACK = 0x02, 0x10
FLAGS = {"request": SYN, "reply": SYN | ACK}


def frames_of(path):
    with open(path, "rb") as file:
        data = file.read()
    # tcpdump writes in the byte order of the machine it runs on.
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from(order + "I", data, at + 8)[0]
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def parse_ip(packet):
    """Source, destination, protocol and what follows; nothing for anything else."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        header_bytes = (packet[0] & 15) * 4
        return packet[12:16], packet[16:20], packet[9], packet[header_bytes:]
    if len(packet) >= IPV6_BYTES and packet[0] >> 4 == 6:
        return packet[8:24], packet[24:40], packet[6], packet[IPV6_BYTES:]
    return None


def endpoint(address, port):
    text = ipaddress.ip_address(address)
    return f"[{text}]:{port}" if text.version == 6 else f"{text}:{port}"


def describe(frame, flags):
    """[MACs, outer addresses, endpoints] of a TCP packet with these flags."""
    macs = " > ".join(frame[at:at + 6].hex(":") for at in (6, 0))
    outer, ip = "", parse_ip(frame[ETHERNET_BYTES:])
    if ip and ip[2] in (IPIP, IPV6_IN_IP):
        outer = " > ".join(str(ipaddress.ip_address(address)) for address in ip[:2])
        ip = parse_ip(ip[3])
    if not ip or ip[2] != TCP or len(ip[3]) < 20 or ip[3][13] & (SYN | ACK) != flags:
        return None
    ports = struct.unpack_from("!HH", ip[3])
    return [macs, outer, f"{endpoint(ip[0], ports[0])} > {endpoint(ip[1], ports[1])}"]


def packet_at(place):
    path, _, what = place.rpartition(":")
    for frame in frames_of(path):
        found = describe(frame, FLAGS[what])
        if found:
            return found
    sys.exit(f"show_packets.py: no {what} in {path}")


def marked(text, before, width):
    """Padded, and in bold where a word is not the one before."""
    words, old = text.split(" > "), before.split(" > ")
    old += [""] * (len(words) - len(old))
    shown = " > ".join(f"\033[1m{new}\033[0m" if new != was else new
                       for new, was in zip(words, old))
    return shown + " " * (width - len(text))


def main():
    arguments = sys.argv[1:]
    bold = arguments[:1] == ["--bold"]
    rows = []
    for argument in arguments[bold:]:
        label, _, place = argument.partition("=")
        rows.append([label, *packet_at(place)])
    if not rows:
        sys.exit(__doc__)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    before = rows[0]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        for column in (1, 2, 3):
            if widths[column]:
                cells.append(marked(row[column], before[column] if bold else row[column],
                                    widths[column]))
        print("  ".join(cells).rstrip())
        before = row


if __name__ == "__main__":
    main()
