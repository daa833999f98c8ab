#!/usr/bin/python3
"""Answers every UDP datagram with "NAME PAYLOAD", from the address that the datagram was sent to.

usage: udp_echo.py NAME PORT

A real server of a DR or IPIP service must answer from the VIP; a socket bound to the wildcard
address would answer from whatever the route says, so the destination is taken from the datagram
and handed back.
"""

import socket
import sys


def serve(name: bytes, port: int) -> None:
    # One socket for both families: IPv4 peers and destinations appear as mapped addresses.
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    server.bind(("::", port))
    while True:
        payload, ancillary, _, peer = server.recvmsg(65535, 256)
        source = []
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                # The address without the interface: the answer takes the route, not the way back.
                source = [(level, kind, data[:16] + bytes(4))]
        try:
            server.sendmsg([name, b" ", payload], source, 0, peer)
        except OSError as error:
            print(f"no answer to {peer[0]}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        sys.exit(__doc__)
    serve(sys.argv[1].encode(), int(sys.argv[2]))
