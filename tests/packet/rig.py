"""The packet tests' bench: drives packet_rig, runs tests, and knows the tests' network.

A test describes a configuration, injects frames and states what must come out, on which port, and
by which counters. Frames are compared whole; judge.py says with scapy what they have to be.

A test file is a list of functions with @test("a sentence") and ends with main(). It prints a line
"PASS sentence" or "FAIL sentence: why" for each; with an argument, only the tests that hold it.
"""

import json
import os
import subprocess
import sys
import time
import traceback

RIG = os.environ.get("PACKET_RIG", "build/tests/packet_rig")

CLIENT_MAC = "02:00:00:00:0c:01"  # gateway on the client side
PORT_MACS = ["02:00:00:00:0d:01", "02:00:00:00:0d:02"]  # ours: client side, server side
ROUTER_MAC = "02:00:00:00:0e:99"  # behind the server side
CLIENT, SERVERS = 0, 1  # the ports

CLIENT4, CLIENT6 = "198.51.100.10", "2001:db8:c::10"
VIP4, VIP6 = "192.0.2.1", "2001:db8:9::1"
OWN4, OWN6 = ["10.1.0.1", "10.2.0.1"], ["fd00:1::1", "fd00:2::1"]  # of the host, by port
LOCAL4, LOCAL6 = "10.2.0.200", "fd00:2::200"  # FULLNAT's


def client(v, index=0):
    return "198.51.100.%d" % (10 + index) if v == 4 else "2001:db8:c::%x" % (0x10 + index)


def vip(v):
    return VIP4 if v == 4 else VIP6


def local(v):
    return LOCAL4 if v == 4 else LOCAL6


def server(v, index=0):
    return "10.2.0.%d" % (11 + index) if v == 4 else "fd00:2::%x" % (0x11 + index)


def server_mac(index=0):
    return "02:00:00:00:0e:%02x" % (0x11 + index)


class Failure(Exception):
    pass


class Process:
    """packet_rig itself; one serves many rigs, one after the other."""

    def __init__(self):
        self.process = subprocess.Popen(
            [RIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait(timeout=60)
            forget_process()
            raise Failure("packet_rig died with status %s at %s" % (status, str(request)[:200]))
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(timeout=60)


_process = None


def forget_process():
    global _process
    _process = None


def stop_process():
    status = _process.stop() if _process is not None else 0
    forget_process()
    return status


class Rig:
    """A fresh rig. `with Rig(workers=2) as rig: ...`; leaving it checks sums and buffers."""

    def __init__(self, **options):
        global _process
        if _process is None:
            _process = Process()
        self.process = _process
        self.capacity = options.setdefault("capacity", 4096)
        self.ask(op="start", **options)
        self.counted = {}
        self.kernel = None
        self.services = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.counted_since()
            self.stop()

    def ask(self, **request):
        return self.process.ask(**request)

    def stop(self):
        """The end: every buffer is back where it came from."""
        expect(self.ask(op="stop")["lost_mbufs"], 0, "buffers lost")

    def configure(self, services=None, kernel=None, down=None, **sections):
        """Applies services (a list of dicts), and the kernel's state, two_arm_kernel() at first. `down`:
        addresses of backends that health has found down, with what becomes of their connections."""
        if services is not None:
            self.services = services
        config = {"ports": PORTS, "rates": RATES, "services": self.services}
        config["connections"] = {"max_ipv4": self.capacity, "max_ipv6": self.capacity}
        for name, section in sections.items():
            is_list = isinstance(section, list)
            config[name] = section if is_list else {**config.get(name, {}), **section}
        if kernel is None and self.kernel is None:
            kernel = two_arm_kernel()
        request = {"op": "configure", "yaml": json.dumps(config)}  # JSON is YAML
        request["down"] = list((down or {}).items())
        if kernel is not None:
            self.kernel = kernel
            request["kernel"] = kernel
        return self.ask(**request)

    def own(self, inactive=(), virtual_macs=()):
        """Who is master: addresses of other routers, and [{interface, family, vrid, addresses}] of ours."""
        return self.ask(op="ownership", inactive=list(inactive), virtual_macs=list(virtual_macs))

    def send(self, port, *frames, worker=0, segments=()):
        """Injects frames (bytes or scapy packets), returns [(port, bytes)] that were sent."""
        return self.send_all(port, frames, worker, segments)["sent"]

    def send_all(self, port, frames, worker=0, segments=(), flags=()):
        """The same, with what went to the twins: {"sent": .., "twin": [(port, class, bytes)]}. `flags` are
        what a NIC with offloads says of each frame: its mbuf's ol_flags."""
        return decoded(self.ask(op="frames", port=port, frames=hexes(frames), worker=worker,
                                segments=list(segments), flags=list(flags)))

    def send_each(self, port, frames, worker=0, segments=()):
        """One after the other: a list of what send_all() returns."""
        answer = self.ask(op="each", port=port, frames=hexes(frames), worker=worker,
                          segments=list(segments))
        return [decoded(output) for output in answer["outputs"]]

    def from_twin(self, port, frame, worker=0, probe=None):
        """`probe`: indexes of a service and of its backend by way of which the frame is to go."""
        more = {} if probe is None else {"service": probe[0], "backend": probe[1]}
        answer = self.ask(op="from_twin", port=port, frame=bytes(frame).hex(), worker=worker, **more)
        return decoded(answer)["sent"]

    def probing(self, on=True):
        """Whether there are probes through the data path."""
        self.ask(op="probing", probing=on)

    def advance(self, seconds):
        return decoded(self.ask(op="advance", ms=round(seconds * 1000)))

    def jump(self, seconds):
        return decoded(self.ask(op="jump", ms=round(seconds * 1000)))

    def settle(self, turns=64):
        return decoded(self.ask(op="settle", turns=turns))

    def reclaim(self):
        self.ask(op="reclaim")

    def counters(self):
        return self.ask(op="counters")["counters"]

    def counted_since(self):
        """What the counters gained since the last call, without those that stayed."""
        now = self.counters()
        if "sum_rule" in now:
            raise Failure("sum rule broken: " + now["sum_rule"])
        if "lost_mbufs" in now:
            raise Failure("%d buffers lost" % now["lost_mbufs"])
        delta = {
            name: value - self.counted.get(name, 0)
            for name, value in now.items()
            if value != self.counted.get(name, 0)
        }
        self.counted = now
        return delta

    def expect_counters(self, **wanted):
        """The whole delta since the last look: what is not named has not moved."""
        expect(self.counted_since(), wanted, "counters")

    def connections(self):
        return self.ask(op="connections")["connections"]

    def table(self):
        return self.ask(op="table")

    def totals(self):
        return self.ask(op="totals")

    def service(self, key):
        return self.totals()["services"][key]

    def backend(self, key, backend):
        return self.totals()["backends"][key + " " + backend]

    def requests(self):
        return [tuple(request) for request in self.ask(op="requests")["requests"]]


def hexes(frames):
    return [bytes(frame).hex() for frame in frames]


def decoded(answer):
    return {
        "sent": [(port, bytes.fromhex(text)) for port, text in answer["sent"]],
        "twin": [(port, kind, bytes.fromhex(text)) for port, kind, text in answer["twin"]],
    }


# ---- the network of the recorded vectors: clients behind a gateway, servers on link -----------------

PORTS = [{"name": "c0", "vdev": "net_ring0"}, {"name": "r0", "vdev": "net_ring1"}]

# No limits, but where a test sets them.
RATES = {"rst_per_s": 10000000, "icmp_per_s": 10000000, "icmp_echo_per_s": 10000000,
         "arp_per_s": 10000000}


def two_arm_kernel(mtu=(1500, 1500)):
    servers = [
        {"interface": 1, "address": server(v, i), "mac": server_mac(i)}
        for i in range(5) for v in (4, 6)
    ]
    return {
        "interfaces": [
            {"name": name, "mac": PORT_MACS[i], "mtu": mtu[i]} for i, name in enumerate(("c0", "r0"))
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
        "neighbours": servers + [
            {"interface": 0, "address": "10.1.0.254", "mac": CLIENT_MAC},
            {"interface": 0, "address": "fd00:1::fe", "mac": CLIENT_MAC},
            {"interface": 1, "address": "10.2.0.99", "mac": ROUTER_MAC},
            {"interface": 1, "address": "fd00:2::99", "mac": ROUTER_MAC},
        ],
    }


def service(v=4, port=80, mode="nat", backends=1, backend_port=8080, protocol="tcp", **more):
    """A service on the VIP with so many servers, or with the given list of backends."""
    if isinstance(backends, int):
        backends = [{"address": server(v, i)} for i in range(backends)]
    if mode in ("nat", "fullnat"):
        backends = [{"port": backend_port, **backend} for backend in backends]
    entry = {"address": vip(v), "port": port, "protocol": protocol, "mode": mode,
             "scheduler": "rr", "backends": backends, **more}
    if mode == "fullnat":
        entry.setdefault("local_addresses", [local(v)])
    return entry


# ---- expectations -----------------------------------------------------------------------------------


def check(condition, why):
    if not condition:
        raise Failure(why)


def expect(actual, wanted, what="value"):
    if actual != wanted:
        raise Failure("%s: got %s, wanted %s" % (what, short(actual), short(wanted)))


def short(value, limit=700):
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= limit else text[:limit] + "..."


def expect_frame(actual, wanted, what="frame", mask=()):
    """Bytes against bytes; `mask` lists (offset, length) that may differ."""
    actual, wanted = bytearray(bytes(actual)), bytearray(bytes(wanted))
    for offset, length in mask:
        actual[offset : offset + length] = wanted[offset : offset + length]
    if actual == wanted:
        return
    at = next((i for i, (a, b) in enumerate(zip(actual, wanted)) if a != b),
              min(len(actual), len(wanted)))
    raise Failure("%s differs at byte %d: got %d bytes %s, wanted %d bytes %s" % (
        what, at, len(actual), short(bytes(actual)), len(wanted), short(bytes(wanted))))


def expect_sent(sent, *wanted, what="frame"):
    """`wanted`: (port, bytes) each, in order."""
    if len(sent) != len(wanted):
        raise Failure("%s: %d frames sent, wanted %d: %s" % (
            what, len(sent), len(wanted), short([(p, f.hex()) for p, f in sent])))
    for (port, frame), (wanted_port, wanted_frame) in zip(sent, wanted):
        expect_frame(frame, wanted_frame, what)
        expect(port, wanted_port, what + "'s port")


# ---- running ----------------------------------------------------------------------------------------

_tests = []


def test(sentence, **parameters):
    """Registers a test; `parameters` are passed to it."""

    def register(function):
        _tests.append((sentence, function, parameters))
        return function

    return register


def add_test(sentence, function, **parameters):
    _tests.append((sentence, function, parameters))


def main():
    """Runs what is registered, and ends the process with a status to match."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = 0
    for sentence, function, parameters in _tests:
        if wanted not in sentence:
            continue
        begin = time.monotonic()
        try:
            function(**parameters)
            line = "PASS " + sentence
        except Failure as failure:
            line = "FAIL %s: %s" % (sentence, failure)
            failed += 1
        except Exception as error:  # a mistake of the test itself is a failure as well
            line = "FAIL %s: %s" % (sentence, "".join(traceback.format_exception(error)))
            failed += 1
        seconds = time.monotonic() - begin
        print(line + (" (%.1f s)" % seconds if seconds > 1 else ""), flush=True)
    if stop_process() != 0:
        print("FAIL packet_rig ends well", flush=True)
        failed += 1
    sys.exit(1 if failed else 0)
