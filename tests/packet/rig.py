"""The packet tests' bench: drives packet_rig and checks its answers with scapy.

A test describes a configuration, injects frames and states what must come out, on which port, and
by which counters. Frames are compared whole; scapy recomputes every checksum on its own.
"""

import json
import os
import subprocess

from scapy.all import Ether  # noqa: E402  (scapy prints to stderr on import)
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6

RIG = os.environ.get("PACKET_RIG", "build/tests/packet_rig")

CLIENT_MAC = "02:00:00:00:0c:01"  # gateway on the client side
PORT_MACS = ["02:00:00:00:0d:01", "02:00:00:00:0d:02"]  # ours: client side, server side


def server_mac(index):
    return "02:00:00:00:0e:%02x" % (0x11 + index)


class Rig:
    """One packet_rig process. `with Rig() as rig: ...`"""

    def __init__(self, **options):
        self.process = subprocess.Popen(
            [RIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask(op="start", **options)
        self.counted = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        assert status == 0, "packet_rig ended with %d" % status

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "packet_rig died (status %s)" % self.process.wait(timeout=30)
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def configure(self, yaml, kernel=None):
        request = {"op": "configure", "yaml": yaml}
        if kernel is not None:
            request["kernel"] = kernel
        return self.ask(**request)

    def send(self, port, *frames, worker=0):
        """Injects frames (bytes or scapy packets), returns [(port, bytes)] that were sent."""
        return self.send_all(port, frames, worker)["sent"]

    def send_all(self, port, frames, worker=0):
        """The same, with what went to the twins: {"sent": .., "twin": [(port, class, bytes)]}."""
        hexes = [bytes(frame).hex() for frame in frames]
        return decoded(self.ask(op="frames", port=port, frames=hexes, worker=worker))

    def from_twin(self, port, frame, worker=0):
        answer = self.ask(op="from_twin", port=port, frame=bytes(frame).hex(), worker=worker)
        return decoded(answer)["sent"]

    def advance(self, seconds):
        return decoded(self.ask(op="advance", ms=int(seconds * 1000)))

    def counters(self):
        return self.ask(op="counters")["counters"]

    def counted_since(self):
        """What the counters gained since the last call, without those that stayed."""
        now = self.counters()
        assert "sum_rule" not in now, now["sum_rule"]
        delta = {
            name: value - self.counted.get(name, 0)
            for name, value in now.items()
            if value != self.counted.get(name, 0)
        }
        self.counted = now
        return delta

    def connections(self):
        return self.ask(op="connections")["connections"]

    def totals(self):
        return self.ask(op="totals")

    def requests(self):
        return [tuple(request) for request in self.ask(op="requests")["requests"]]


def decoded(answer):
    return {
        "sent": [(port, bytes.fromhex(text)) for port, text in answer["sent"]],
        "twin": [(port, kind, bytes.fromhex(text)) for port, kind, text in answer["twin"]],
    }


def two_arm_kernel():
    """The network of the recorded vectors: clients behind a gateway on port 0, servers on port 1."""
    servers = [
        {"interface": 1, "address": address % (0x11 + i if ":" in address else 11 + i),
         "mac": server_mac(i)}
        for i in range(5)
        for address in ("10.2.0.%d", "fd00:2::%x")
    ]
    return {
        "interfaces": [
            {"name": "c0", "mac": PORT_MACS[0], "mtu": 1500},
            {"name": "r0", "mac": PORT_MACS[1], "mtu": 1500},
        ],
        "addresses": [
            {"interface": 0, "prefix": "10.1.0.1/24"},
            {"interface": 0, "prefix": "fd00:1::1/64"},
            {"interface": 1, "prefix": "10.2.0.1/24"},
            {"interface": 1, "prefix": "fd00:2::1/64"},
        ],
        "routes": [
            {"prefix": "10.1.0.0/24", "interface": 0},
            {"prefix": "fd00:1::/64", "interface": 0},
            {"prefix": "10.2.0.0/24", "interface": 1},
            {"prefix": "fd00:2::/64", "interface": 1},
            {"prefix": "0.0.0.0/0", "interface": 0, "gateway": "10.1.0.254"},
            {"prefix": "::/0", "interface": 0, "gateway": "fd00:1::fe"},
        ],
        "neighbours": servers
        + [
            {"interface": 0, "address": "10.1.0.254", "mac": CLIENT_MAC},
            {"interface": 0, "address": "fd00:1::fe", "mac": CLIENT_MAC},
            {"interface": 1, "address": "10.2.0.99", "mac": "02:00:00:00:0e:99"},
            {"interface": 1, "address": "fd00:2::99", "mac": "02:00:00:00:0e:99"},
        ],
    }


PORTS_YAML = """
ports:
  - name: c0
    vdev: net_ring0
  - name: r0
    vdev: net_ring1
"""


def checksums_are_right(frame):
    """Recomputes every checksum of a frame with scapy. IPv4 in IPv4 and so on included."""
    packet = Ether(frame)
    fields = {IP: "chksum", TCP: "chksum", UDP: "chksum", ICMP: "chksum"}
    rebuilt = packet.copy()
    layer = rebuilt
    while layer:
        for kind, name in fields.items():
            if isinstance(layer, kind) and name in layer.fields:
                if not (kind is UDP and getattr(layer, name) == 0):
                    delattr(layer, name)
        if "cksum" in layer.fields:  # ICMPv6
            del layer.cksum
        layer = layer.payload
    return bytes(rebuilt) == bytes(packet)


__all__ = [
    "Rig", "Ether", "IP", "IPv6", "TCP", "UDP", "ICMP", "CLIENT_MAC", "PORT_MACS", "PORTS_YAML",
    "server_mac", "two_arm_kernel", "checksums_are_right",
]
