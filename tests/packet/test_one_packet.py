"""One-packet scheduling: each UDP packet is scheduled by itself. DR and IPIP leave nothing behind; with
NAT and FULLNAT answers are translated, by an entry that is only theirs and lives seconds."""

from judge import (IP, UDP, UNREACHABLE, Ether, check_checksums, forwarded, icmp_error, ip_layer, packet,
                   tcp, to_client_l2, to_server_l2, transport_layer)
from rig import (CLIENT, PORT_MACS, SERVERS, Rig, check, client, expect, expect_sent, local, main, server,
                 server_mac, service, test, vip)
from scapy.layers.inet6 import IPv6

REPLY_SECONDS = 5


def one_packet(v=4, mode="nat", backends=2, **more):
    more = {"protocol": "udp", "backend_port": 5353, "one_packet": True, **more}
    return service(v, 53, mode, backends, **more)


def key(v=4):
    return ("%s:53/udp" if v == 4 else "[%s]:53/udp") % vip(v)


def backend_key(v=4, index=0, port=5353):
    return ("%s:%d" if v == 4 else "[%s]:%d") % (server(v, index), port)


def query(v=4, sport=1024, index=0, payload=b"query"):
    return packet(client(v, index), vip(v), UDP(sport=sport, dport=53), payload)


def index_of(frame):
    return int(Ether(frame).dst.split(":")[-1], 16) - 0x11


def servers_of(rig, *frames, worker=0):
    return [index_of(f) for _, f in rig.send(CLIENT, *frames, worker=worker)]


def answer_to(frame, v, index=0, payload=b"answer"):
    """What the server says to the packet that it was sent."""
    ip = ip_layer(Ether(frame))
    udp = transport_layer(ip)
    return packet(ip.dst, ip.src, UDP(sport=udp.dport, dport=udp.sport), payload,
                  l2=Ether(dst=PORT_MACS[1], src=server_mac(index)))


def translated(answer, v, sport=1024, index=0):
    return forwarded(answer, to_client_l2(), source=vip(v), sport=53, destination=client(v, index),
                     dport=sport)


@test("packets of one client's port go to one server after the other and leave nothing behind: DR, IPIP")
def _():
    for v in (4, 6):
        for mode in ("dr", "ipip"):
            with Rig() as rig:
                rig.configure([one_packet(v, mode, 3)])
                rig.counted_since()
                frames = [query(v) for _ in range(6)]
                sent = rig.send(CLIENT, *frames)
                outer = (IP if v == 4 else IPv6)
                own = "10.2.0.1" if v == 4 else "fd00:2::1"
                for i, frame in enumerate(frames):
                    more = {"outer": outer(src=own, dst=server(v, i % 3))} if mode == "ipip" else {}
                    expect_sent([sent[i]], (SERVERS, forwarded(frame, to_server_l2(i % 3), **more)))
                rig.expect_counters(received=6, **{"sent_" + mode: 6})
                expect(rig.connections(), [], "connections")
                l3 = len(frames[0]) - 14
                expect(rig.service(key(v)), {
                    "connections": 6, "in_packets": 6, "in_bytes": 6 * l3, "out_packets": 0,
                    "out_bytes": 0, "refused": 0, "active": 0, "inactive": 0}, "the service's")
                row = rig.backend(key(v), backend_key(v, port=53))
                expect((row["connections"], row["in_packets"], row["active"], row["inactive"]),
                       (2, 2, 0, 0), "a server's")


@test("with NAT and FULLNAT each server's answer comes from the VIP, and the next packet goes elsewhere")
def _():
    for v in (4, 6):
        for mode in ("nat", "fullnat"):
            for checksum in (None, 0) if v == 4 else (None,):
                answers_are_translated(v, mode, checksum)


def answers_are_translated(v, mode, checksum):
    with Rig() as rig:
        rig.configure([one_packet(v, mode)])
        rig.counted_since()
        frames = [query(v, payload=b"%d" % i) for i in range(4)]
        sent = [rig.send(CLIENT, frame)[0][1] for frame in frames]
        expect([index_of(f) for f in sent], [0, 1, 0, 1], "servers")
        ports = [transport_layer(ip_layer(Ether(f))).sport for f in sent]
        for frame, out, port in zip(frames, sent, ports):
            source = {"source": local(v), "sport": port} if mode == "fullnat" else {}
            expect_sent([(SERVERS, out)], (SERVERS, forwarded(
                frame, to_server_l2(index_of(out)), destination=server(v, index_of(out)), dport=5353,
                **source)))
            check_checksums(out)
        if mode == "fullnat":
            expect((ports[0], ports[1]), (ports[2], ports[3]), "ports, by server")
        entries = rig.connections()
        expect([(c["one_packet"], c["client"].endswith(":1024"), c["state"]) for c in entries],
               [(True, True, "UDP")] * 2, "entries: one a server")
        for out in sent:
            answer = answer_to(out, v, index_of(out))
            if checksum == 0:
                answer = bytearray(answer)
                answer[40:42] = b"\0\0"
                answer = bytes(answer)
            got = rig.send(SERVERS, answer)
            expect_sent(got, (CLIENT, translated(answer, v)))
            check_checksums(got[0][1])
        row = rig.backend(key(v), backend_key(v))
        expect((row["connections"], row["in_packets"], row["out_packets"], row["active"],
                row["inactive"]), (2, 2, 2, 0, 0), "a server's")
        counted = rig.counted_since()
        expect((counted["sent_" + mode], counted["sent_%s_reply" % mode], counted["received"]),
               (4, 4, 8), "counters")


@test("several answers to one packet pass, until seconds after the last of anything")
def _():
    for mode in ("nat", "fullnat"):
        with Rig() as rig:
            rig.configure([one_packet(4, mode, 1)])
            (_, out), = rig.send(CLIENT, query())
            answer = answer_to(out, 4)
            for _ in range(3):
                rig.advance(REPLY_SECONDS - 1)
                expect_sent(rig.send(SERVERS, answer), (CLIENT, translated(answer, 4)))
            rig.advance(REPLY_SECONDS - 1)
            expect(servers_of(rig, query()), [0], "the same port once more")
            rig.advance(REPLY_SECONDS - 1)
            expect(len(rig.connections()), 1, "entries after the next packet")
            rig.advance(2)
            expect(rig.connections(), [], "entries at the end")
            rig.counted_since()
            expect_sent(rig.send(SERVERS, answer))
            rig.expect_counters(received=1, drop_reply_no_connection=1)
            rig.advance(2)
            expect(rig.table()["in_use4"], 0, "entries of the table")


@test("two workers share a client's entry, and a reply that comes to either is translated")
def _():
    for mode in ("nat", "fullnat"):
        with Rig(workers=2) as rig:
            rig.configure([one_packet(4, mode, 1)])
            outs = [rig.send(CLIENT, query(), worker=i % 2)[0][1] for i in range(4)]
            expect(len(rig.connections()), 1, "entries")
            expect(len({out for out in outs}), 1, "frames that differ")
            for worker in range(2):
                answer = answer_to(outs[0], 4)
                expect_sent(rig.send(SERVERS, answer, worker=worker), (CLIENT, translated(answer, 4)))
            rig.advance(REPLY_SECONDS + 2)
            expect(rig.connections(), [], "entries at the end")


@test("a burst of many clients is scheduled packet by packet, and each gets its own answer")
def _():
    with Rig() as rig:
        rig.configure([one_packet(4, "nat", 3)])
        frames = [query(4, 1024 + i % 4, i % 7) for i in range(28)]
        sent = rig.send(CLIENT, *frames)
        expect([index_of(f) for _, f in sent], [i % 3 for i in range(28)], "servers")
        for i, (_, out) in enumerate(sent):
            answer = answer_to(out, 4, i % 3)
            expect_sent(rig.send(SERVERS, answer),
                        (CLIENT, translated(answer, 4, 1024 + i % 4, i % 7)))


@test("a client's template decides where there is one, and counts from each packet on")
def _():
    for mode in ("dr", "nat"):
        with Rig() as rig:
            rig.configure([one_packet(4, mode, 3, persistence={"timeout_s": 60})])
            expect(servers_of(rig, query(), query(index=1), query(), query(sport=9, index=1)),
                   [0, 1, 0, 1], "servers")
            rig.advance(50)
            expect(servers_of(rig, query()), [0], "within the time")
            rig.advance(50)
            expect(servers_of(rig, query(), query(index=1)), [0, 2], "one forgotten, one not")
            rig.advance(62)
            expect(rig.connections(), [], "entries when it is over")


@test("two services with one server do not mix up answers: the second one's packet is refused")
def _():
    with Rig() as rig:
        other = {**one_packet(4, "nat", 1), "port": 54}
        rig.configure([one_packet(4, "nat", 1), other])
        rig.send(CLIENT, query())
        rig.counted_since()
        second = packet(client(4), vip(4), UDP(sport=1024, dport=54), b"query")
        expect_sent(rig.send(CLIENT, second),
                    (CLIENT, icmp_error(second, UNREACHABLE["port"][4], vip(4))))
        rig.expect_counters(received=1, originated=1, sent_icmp_error=1, drop_reply_key_taken=1)
    with Rig() as rig:
        rig.configure([one_packet(4, "fullnat", 1), {**one_packet(4, "fullnat", 1), "port": 54}])
        outs = [rig.send(CLIENT, frame)[0][1] for frame in (query(), packet(
            client(4), vip(4), UDP(sport=1024, dport=54), b"query"))]
        answers = [answer_to(out, 4) for out in outs]
        wanted = [(CLIENT, translated(answers[0], 4)), (CLIENT, forwarded(
            answers[1], to_client_l2(), source=vip(4), sport=54, destination=client(4), dport=1024))]
        expect_sent(rig.send(SERVERS, *answers), *wanted)


@test("switched on and off: connections go on, and what waits for an answer is in nobody's way")
def _():
    with Rig() as rig:
        rig.configure([one_packet(4, "nat", 2, one_packet=False)])
        expect(servers_of(rig, query(), query()), [0, 0], "a connection")
        rig.configure([one_packet(4, "nat", 2)])
        expect(servers_of(rig, query(), query(sport=9), query(sport=9)), [0, 1, 0], "switched on")
        rig.configure([one_packet(4, "nat", 2, one_packet=False)])
        expect(servers_of(rig, query(sport=9), query(sport=9)), [1, 1], "switched off")
        rig.counted_since()
        expect(rig.service(key())["active"], 2, "live connections")


@test("without a usable server or room it is refused by name; DR needs no room")
def _():
    with Rig() as rig:
        rig.configure([one_packet(4, "nat", [{"address": server(4), "weight": 0}])])
        rig.counted_since()
        expect_sent(rig.send(CLIENT, query()),
                    (CLIENT, icmp_error(query(), UNREACHABLE["port"][4], vip(4))))
        rig.expect_counters(received=1, originated=1, sent_icmp_error=1, drop_no_backend=1)
    with Rig(capacity=1024) as rig:
        rig.configure([one_packet(4, "nat", 1), {**one_packet(4, "dr", 1), "port": 54}])
        for i in range(1100):
            rig.send(CLIENT, query(sport=1000 + i))
        counted = rig.counted_since()
        check(counted["drop_table_full"] > 0, "no packet was refused: %s" % counted)
        expect(counted["sent_nat"] + counted["drop_table_full"], 1100, "packets")
        expect(servers_of(rig, packet(client(4), vip(4), UDP(sport=9, dport=54))), [0], "by DR")
        rig.advance(REPLY_SECONDS + 2)
        expect(rig.connections(), [], "entries at the end")
        expect(servers_of(rig, query(sport=9)), [0], "room again")


@test("a removed server gets nothing more, and its answers pass while they are waited for")
def _():
    with Rig() as rig:
        rig.configure([one_packet(4, "nat", 2)])
        (_, out), = rig.send(CLIENT, query())
        rig.configure([one_packet(4, "nat", [{"address": server(4, 1)}])])
        answer = answer_to(out, 4)
        expect_sent(rig.send(SERVERS, answer), (CLIENT, translated(answer, 4)))
        expect(servers_of(rig, query(), query()), [1, 1], "servers")
        rig.reclaim()
        rig.advance(REPLY_SECONDS + 2)
        expect(rig.connections(), [], "entries at the end")


@test("of a mark's service UDP is scheduled by packet, TCP as ever")
def _():
    with Rig() as rig:
        marked = {"firewall_mark": 7, "mode": "nat", "scheduler": "rr", "one_packet": True,
                  "backends": [{"address": server(4, i), "port": 0} for i in range(2)]}
        rig.configure([marked], firewall_marks=[{"mark": 7, "destination": vip(4)}])
        sent = rig.send(CLIENT, query(), query())
        expect([index_of(f) for _, f in sent], [0, 1], "UDP")
        answer = answer_to(sent[1][1], 4, 1)
        expect_sent(rig.send(SERVERS, answer), (CLIENT, translated(answer, 4)))
        frames = [packet(client(4), vip(4), tcp(1, 80, flags)) for flags in ("S", "A", "A")]
        expect(servers_of(rig, *frames), [0, 0, 0], "TCP")


main()
