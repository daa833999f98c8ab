#!/usr/bin/python3
"""A VLAN interface for kernels without 802.1Q: a TAP with the device's MAC, between which and the
device it moves frames, taking off and putting on the tag.

usage: vlan_tap.py DEVICE ID TAP         prints "ready", runs until SIGTERM; the TAP ends with it
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x0002 | 0x1000
SOL_PACKET, PACKET_AUXDATA = 263, 8
TP_STATUS_VLAN_VALID = 1 << 4
PACKET_OUTGOING = 4


def open_tap(name, mac):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    if os.system(f"ip link set dev {name} address {mac} && ip link set dev {name} up"):
        sys.exit(f"vlan_tap.py: cannot set up {name}")
    return tap


def open_device(name):
    device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    device.bind((name, 3))
    # The kernel takes the tag off received frames and tells it beside them.
    device.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    device.setblocking(False)
    return device


def tag_of(ancillary):
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            return tci & 0xFFF if status & TP_STATUS_VLAN_VALID else 0
    return 0


def move_in(device, tap, vlan):
    while True:
        try:
            frame, ancillary, _, source = device.recvmsg(65535, 256)
        except BlockingIOError:
            return
        if source[2] == PACKET_OUTGOING or tag_of(ancillary) != vlan:
            continue
        os.write(tap, frame)


def move_out(device, tap, vlan):
    while True:
        try:
            frame = os.read(tap, 65535)
        except BlockingIOError:
            return
        device.send(frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:])


def main(device_name, vlan_text, tap_name):
    with open(f"/sys/class/net/{device_name}/address", encoding="ascii") as file:
        mac = file.read().strip()
    device, tap, vlan = open_device(device_name), open_tap(tap_name, mac), int(vlan_text)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([device, tap], [], [])
        if device in ready:
            move_in(device, tap, vlan)
        if tap in ready:
            move_out(device, tap, vlan)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
