#!/usr/bin/python3
"""Clients and a server of the end-to-end tests, for what curl, nginx and wrk do not do.

usage:
  peer.py serve NAME PORT              TCP, IPv4 and IPv6: answers each line with "NAME LINE"; after
                                       a first line "digest", with the SHA-256 of all that follows
  peer.py lines ADDRESS PORT COUNT     so many connections one after the other, a line on each
  peer.py hold ADDRESS PORT COUNT      keeps so many connections, and sends a line on each every
                                       100 ms; says who answers, and ends well on SIGTERM
  peer.py upload ADDRESS PORT MIB      sends random bytes and compares the digest
  peer.py udp ADDRESS PORT COUNT [SIZE [SOURCE_PORT]]
                                       so many datagrams, each from a port of its own: one that no
                                       run has used, where $PEER_PORTS names a file that counts
  peer.py announce DEVICE ADDRESS      a gratuitous ARP, as after a change of the network card
  peer.py ping ADDRESS COUNT           echo requests; fails unless each gets exactly one answer

Who answered how often is printed as "rs1 10 rs2 10".
"""

import collections
import fcntl
import hashlib
import os
import select
import signal
import socket
import socketserver
import struct
import sys
import time

PATIENCE_S = 5.0
HOLD_PERIOD_S = 0.1


class Failed(Exception):
    pass


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def counts(names):
    counted = sorted(collections.Counter(names).items())
    return " ".join(f"{name} {count}" for name, count in counted)


# ---- server


class Answer(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        name = self.server.name
        first = self.rfile.readline()
        if first == b"digest\n":
            digest = hashlib.sha256()
            while block := self.rfile.read(1 << 16):
                digest.update(block)
            self.wfile.write(f"{name} {digest.hexdigest()}\n".encode())
            return
        line = first
        while line:
            self.wfile.write(name.encode() + b" " + line)
            line = self.rfile.readline()


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def serve(name, port):
    with Server(("::", int(port)), Answer) as server:
        server.name = name
        server.serve_forever()


# ---- TCP clients


class Line:
    """One connection that sends lines and expects each back from the same server."""

    def __init__(self, address, port):
        self.socket = socket.create_connection((address, int(port)), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        self.local = self.socket.getsockname()
        self.server = None

    def exchange(self, text):
        try:
            self.socket.sendall(f"{text}\n".encode())
            answer = self.reader.readline().decode().split()
        except OSError as error:
            raise Failed(f"connection from {self.local}, server {self.server}: {error}") from None
        if len(answer) != 2 or answer[1] != text:
            raise Failed(f"connection from {self.local}, server {self.server}: "
                         f"answer {answer} to {text}")
        if self.server not in (None, answer[0]):
            raise Failed(f"server {self.server} became {answer[0]}")
        self.server = answer[0]

    def close(self):
        self.reader.close()
        self.socket.close()


def lines(address, port, count):
    names = []
    for number in range(int(count)):
        line = Line(address, port)
        line.exchange(f"line-{number}")
        names.append(line.server)
        line.close()
    print(counts(names))


def hold(address, port, count):
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    held = [Line(address, port) for _ in range(int(count))]
    rounds = 0
    while True:
        # Looked at before the round: after the signal there is one round more.
        last = bool(ended)
        for line in held:
            line.exchange(f"round-{rounds}")
        rounds += 1
        print("round", rounds, flush=True)
        if rounds == 1:
            print("holding", counts(line.server for line in held), flush=True)
        if last:
            break
        time.sleep(HOLD_PERIOD_S)
    print("held", rounds, "rounds", flush=True)


def upload(address, port, mebibytes):
    digest = hashlib.sha256()
    with socket.create_connection((address, int(port)), PATIENCE_S) as connection:
        connection.settimeout(30)
        connection.sendall(b"digest\n")
        for _ in range(int(mebibytes)):
            block = os.urandom(1 << 20)
            digest.update(block)
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile().readline().split()
    if len(answer) != 2 or answer[1] != digest.hexdigest():
        raise Failed(f"sent {digest.hexdigest()}, the server has {answer}")
    print(answer[0], "has all of it")


# ---- datagrams


def unused_ports(count):
    """The first of so many. What the kernel picks may be that of a connection of just before."""
    counter = os.environ.get("PEER_PORTS")
    if not counter:
        return None
    with open(counter, "a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        first = int(file.read() or "2000")
        file.truncate(0)
        file.write(str(first + count))
    return first


def udp(address, port, count, size="32", source_port=None):
    names = []
    first = None if source_port else unused_ports(int(count))
    for number in range(int(count)):
        payload = f"{number} ".encode().ljust(int(size), b"x")
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_S)
            client.bind(("", first + number if first else int(source_port or 0)))
            client.connect((address, int(port)))
            client.send(payload)
            try:
                name, _, rest = client.recv(65535).partition(b" ")
            except OSError as error:
                raise Failed(f"datagram {number}: {error}, after {counts(names)}") from None
            if rest != payload:
                raise Failed(f"datagram {number} came back from {name} as {rest[:60]}")
            names.append(name.decode())
    print(counts(names))


def announce(device, address):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((device, 0))
        mac, ip = raw.getsockname()[4], socket.inet_aton(address)
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, ip, bytes(6), ip)
        raw.send(b"\xff" * 6 + mac + b"\x08\x06" + arp)


def ping(address, count):
    is_v6 = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP
    request, reply = (128, 129) if is_v6 else (8, 0)
    with socket.socket(family_of(address), socket.SOCK_RAW, protocol) as raw:
        identifier = os.getpid() & 0xFFFF
        answers = collections.Counter()
        for sequence in range(int(count)):
            raw.sendto(echo_request(request, identifier, sequence), (address, 0))
            # Long enough for the second answer of someone who should not answer.
            deadline = time.monotonic() + (PATIENCE_S if sequence == 0 else 0.3)
            quiet = time.monotonic() + 0.15
            while (now := time.monotonic()) < deadline:
                if answers[sequence] and now > quiet:
                    break
                if not select.select([raw], [], [], 0.02)[0]:
                    continue
                packet, peer = raw.recvfrom(65535)
                message = packet if is_v6 else packet[(packet[0] & 15) * 4:]
                kind, _, _, its_id, its_sequence = struct.unpack("!BBHHH", message[:8])
                if kind == reply and its_id == identifier and peer[0] == address:
                    answers[its_sequence] += 1
    print(sum(answers.values()), "answers to", count)
    if any(answers[sequence] != 1 for sequence in range(int(count))):
        raise Failed(f"answers by sequence number: {dict(answers)}")


def echo_request(kind, identifier, sequence):
    message = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence) + b"headgate" * 4
    if kind == 128:
        return message  # the kernel puts in the checksum of ICMPv6
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total >> 16) + (total & 0xFFFF)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return message[:2] + struct.pack("!H", checksum) + message[4:]


def main():
    commands = {f.__name__: f for f in (serve, lines, hold, upload, udp, announce, ping)}
    try:
        command = commands[sys.argv[1]]
        arguments = sys.argv[2:]
    except (IndexError, KeyError):
        sys.exit(__doc__)
    try:
        command(*arguments)
    except TypeError:
        if len(sys.argv) > 2:
            raise
        sys.exit(__doc__)
    except (Failed, OSError) as error:
        sys.exit(f"peer.py {' '.join(sys.argv[1:])}: {error}")


if __name__ == "__main__":
    main()
