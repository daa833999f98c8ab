"""FULLNAT's source ports: unique towards each server, nearly all of them usable, and chosen so that the
reply comes back to the worker that sent the packet, where the port's RSS key and table are known."""

import random
import socket

from judge import UDP, Ether, from_server, ip_layer, stamped, tcp, to_vip
from rig import CLIENT, SERVERS, Rig, check, client, expect, local, main, server, service, test, vip

# Microsoft's key of the examples in "Verifying the RSS hash calculation".
KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")
PORTS = 65536 - 1024


def toeplitz(data, key=KEY):
    """Bit by bit, as it is defined."""
    window = int.from_bytes(key, "big")
    width = len(key) * 8
    result = 0
    for i, bit in enumerate(bit for byte in data for bit in range(7, -1, -1)):
        if data[i // 8] >> bit & 1:
            result ^= window >> (width - 32 - i) & 0xFFFFFFFF
    return result


class Rss:
    def __init__(self, table):
        self.table = table

    def queue(self, source, destination, sport, dport):
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        data = (socket.inet_pton(family, source) + socket.inet_pton(family, destination)
                + sport.to_bytes(2, "big") + dport.to_bytes(2, "big"))
        return self.table[toeplitz(data) % len(self.table)]


def transport(protocol, sport, dport):
    return tcp(sport, dport) if protocol == "tcp" else UDP(sport=sport, dport=dport)


def replies_come_home(v, protocol, workers, table, count=400):
    rss = Rss(table)
    with Rig(workers=workers, rss_key=KEY.hex(), rss_table=table, capacity=4096) as rig:
        rig.configure([service(v, 80, "fullnat", backends=3, protocol=protocol)])
        rng = random.Random(workers)
        rig.counted_since()
        one = to_vip(v, transport(protocol, 1, 80))
        queues = []
        for _ in range(count):
            source = client(v, rng.randrange(200))
            sport = rng.randrange(1024, 65536)
            worker = rss.queue(source, vip(v), sport, 80)
            sent = rig.send(CLIENT, stamped(one, source, sport), worker=worker)
            if not sent:
                continue
            there = ip_layer(Ether(sent[0][1]))
            index = int(Ether(sent[0][1]).dst.split(":")[-1], 16) - 0x11
            back = rss.queue(there.dst, there.src, 8080, there.payload.sport)
            queues.append(back == worker)
            answer = from_server(v, transport(protocol, 8080, there.payload.sport), index=index,
                                 to=there.src)
            check(len(rig.send(SERVERS, answer, worker=back)) == 1, "the reply is not found")
        counted = rig.counted_since()
        home = counted.get("replies_local", 0)
        check(home >= 0.95 * len(queues), "%d of %d replies at home" % (home, len(queues)))
        expect(home, sum(queues), "replies that the worker counts at home")
        expect(counted.get("fullnat_port_rss", 0) >= 0.95 * len(queues), True, "ports by RSS")


@test("by RSS at least 95 % of the replies come back to the worker that made the connection")
def _():
    for v in (4, 6):
        for protocol in ("tcp", "udp"):
            replies_come_home(v, protocol, 2, [0, 1] * 64, 250)


@test("so they do with more workers, and with tables that are uneven")
def _():
    replies_come_home(4, "tcp", 4, [i % 4 for i in range(128)])
    replies_come_home(6, "tcp", 3, [i % 3 for i in range(512)], 250)
    replies_come_home(4, "tcp", 4, [0] * 100 + [1] * 20 + [2] * 5 + [3] * 3)


@test("without a known table any port is as good, and all are counted so")
def _():
    with Rig(workers=2) as rig:
        rig.configure([service(4, 80, "fullnat")])
        rig.counted_since()
        rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80)) for i in range(20)])
        rig.expect_counters(received=20, sent_fullnat=20, fullnat_port_other=20)


def flood(v, count):
    one = to_vip(v, UDP(sport=1, dport=80))
    return [stamped(one, "198.18.%d.%d" % (i // 250 % 250, 1 + i % 250) if v == 4
                    else "2001:db8:77::%x" % i, 2000 + i % 60000) for i in range(count)]


def exhaust(workers, **rss):
    with Rig(workers=workers, capacity=70000, **rss) as rig:
        rig.configure([service(4, 80, "fullnat", protocol="udp")])
        rig.counted_since()
        frames = flood(4, PORTS)
        ends = set()
        for start in range(0, PORTS, 1000):
            worker = start // 1000 % workers
            for port, frame in rig.send(CLIENT, *frames[start : start + 1000], worker=worker):
                if port == SERVERS:
                    ends.add(int.from_bytes(frame[34:36], "big"))
        counted = rig.counted_since()
        sent = counted["sent_fullnat"]
        check(sent >= 0.98 * PORTS, "%d of %d ports used" % (sent, PORTS))
        expect(len(ends), sent, "different ports")
        check(min(ends) >= 1024, "a port below 1024")
        expect(counted.get("drop_no_local_port", 0), PORTS - sent, "refused by name")
        expect(rig.service("192.0.2.1:80/udp")["refused"], PORTS - sent, "refused flows")
        # Whoever took them up does not take up the worker as well: of the flows that come after it,
        # in the same quarter of a second, few look far.
        taken = rig.table()["reply_taken"]
        rig.send(CLIENT, *[stamped(frames[0], "198.19.0.1", 1000 + i) for i in range(200)])
        looks = rig.table()["reply_taken"] - taken
        check(looks <= workers * 512 + 200 * 16, "%d ports looked at for 200 flows" % looks)
        # It says so to the client, and all ports come back.
        check(counted.get("sent_icmp_error", 0) == PORTS - sent, "errors")
        rig.advance(301)
        rig.settle(300)  # a worker looks at 256 entries a turn
        expect(rig.table()["in_use4"], 0, "entries when all have ended")
        expect(len(rig.send(CLIENT, *frames[:50])), 50, "flows afterwards")


@test("98 % of the ports of a local address towards one server can be in use")
def _():
    exhaust(1)


@test("so they can with ports chosen by RSS on two workers")
def _():
    exhaust(2, rss_key=KEY.hex(), rss_table=[0, 1] * 64)


@test("a second local address doubles the room, and another server has room of its own")
def _():
    with Rig(capacity=4096) as rig:
        second = "10.2.0.201"
        rig.configure([service(4, 80, "fullnat", backends=2, local_addresses=[local(4), second])])
        sources, ends = {}, {}
        for _, frame in rig.send(CLIENT, *[stamped(to_vip(4, tcp(1, 80)), sport=1000 + i)
                                           for i in range(400)]):
            there = ip_layer(Ether(frame))
            sources[there.src] = sources.get(there.src, 0) + 1
            ends[there.dst] = ends.get(there.dst, 0) + 1
        expect(set(sources), {local(4), second}, "source addresses")
        check(min(sources.values()) > 120, "shares of the addresses %s" % sources)
        expect(ends, {server(4, 0): 200, server(4, 1): 200}, "servers")


@test("an IPv6 service takes IPv6 local addresses of a mixed set")
def _():
    with Rig() as rig:
        rig.configure([service(6, 80, "fullnat", local_addresses=[local(4), local(6)])])
        (_, frame), = rig.send(CLIENT, to_vip(6, tcp(1000, 80)))
        expect(ip_layer(Ether(frame)).src, local(6), "source")


@test("a port is free again as soon as its connection has ended")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "fullnat")])
        (_, frame), = rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        first = ip_layer(Ether(frame)).payload.sport
        rig.advance(61)
        (_, frame), = rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        expect(ip_layer(Ether(frame)).payload.sport, first, "port of the same flow")


main()
