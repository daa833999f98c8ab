"""Several workers: replies on whichever of them, one connection whoever sees its packets, FULLNAT ports
that do not collide, ports with fewer queues than workers."""

import random

from judge import (Ether, forwarded, from_server, ip_layer, reset_for, stamped, tcp, to_client_l2,
                   to_vip)
from rig import (CLIENT, SERVERS, Rig, check, client, expect, expect_sent, local, main, server, service,
                 test, vip)

KEY = "192.0.2.1:80/tcp"


def reply_to(frame, v=4, flags="SA", payload=b""):
    seen = ip_layer(Ether(frame))
    index = int(Ether(frame).dst.split(":")[-1], 16) - 0x11
    return from_server(v, tcp(8080, seen.payload.sport, flags, seq=5000, ack=1001), payload,
                       index=index, to=seen.src)


@test("replies are found on whichever worker they come in, in NAT and FULLNAT")
def _():
    for v in (4, 6):
        for mode in ("nat", "fullnat"):
            with Rig(workers=3) as rig:
                rig.configure([service(v, 80, mode, backends=2)])
                rig.counted_since()
                for i in range(30):
                    frame = to_vip(v, tcp(1000 + i, 80))
                    (_, there), = rig.send(CLIENT, frame, worker=i % 3)
                    answer = reply_to(there, v)
                    wanted = forwarded(answer, to_client_l2(), source=vip(v), sport=80,
                                       destination=client(v), dport=1000 + i)
                    expect_sent(rig.send(SERVERS, answer, worker=(i // 3) % 3), (CLIENT, wanted))
                counted = rig.counted_since()
                expect((counted["replies_local"], counted["replies_foreign"]), (10, 20),
                       "replies at home and elsewhere")


@test("one connection through all workers: states, counts and end agree")
def _():
    with Rig(workers=4) as rig:
        rig.configure([service()])
        (_, there), = rig.send(CLIENT, to_vip(4, tcp(1000, 80)), worker=0)
        rig.send(SERVERS, reply_to(there), worker=1)
        rig.send(CLIENT, to_vip(4, tcp(1000, 80, "A", seq=1001, ack=1)), worker=2)
        expect([c["state"] for c in rig.connections()], ["ESTABLISHED"], "state")
        rig.send(CLIENT, to_vip(4, tcp(1000, 80, "FA", seq=1001, ack=1)), worker=3)
        rig.send(SERVERS, reply_to(there, flags="FA"), worker=2)
        expect([c["state"] for c in rig.connections()], ["TIME_WAIT"], "state")
        totals = rig.service(KEY)
        expect((totals["active"], totals["inactive"], totals["connections"]), (0, 1, 1), "counts")
        rig.advance(119)
        expect(len(rig.connections()), 1, "connections after 119 s")
        rig.advance(2)
        totals = rig.service(KEY)
        expect((totals["active"], totals["inactive"], rig.table()["in_use4"]), (0, 0, 0), "the end")


@test("a SYN that is sent again to another worker does not make a second connection")
def _():
    for mode in ("dr", "nat", "fullnat", "ipip"):
        with Rig(workers=2) as rig:
            rig.configure([service(4, 80, mode, backends=3)])
            for i in range(40):
                frame = to_vip(4, tcp(1000 + i, 80))
                first = rig.send(CLIENT, frame, worker=0)
                expect(rig.send(CLIENT, frame, worker=1), first, "what the other worker sends")
            expect((len(rig.connections()), rig.service(KEY)["connections"]), (40, 40), "connections")


@test("a SYN in TIME_WAIT on another worker is scheduled anew, once, and the old entry goes")
def _():
    with Rig(workers=2) as rig:
        rig.configure([service(backends=2)])
        (_, there), = rig.send(CLIENT, to_vip(4, tcp(1000, 80)), worker=0)
        rig.send(SERVERS, reply_to(there, flags="RA"), worker=1)
        (_, again), = rig.send(CLIENT, to_vip(4, tcp(1000, 80, seq=90000)), worker=1)
        check(len(again) == len(there), "the new SYN is forwarded")
        expect([(c["state"], c["owner"]) for c in rig.connections()], [("SYN_RECV", 1)], "connections")
        rig.settle()
        rig.advance(1)
        table = rig.table()
        expect((table["in_use4"], table["retired"], table["embryonic"]), (1, 0, 1), "entries")
        totals = rig.service(KEY)
        expect((totals["active"], totals["inactive"], totals["connections"]), (1, 0, 2), "counts")


@test("FULLNAT: flows of all workers to one server never share a source port")
def _():
    with Rig(workers=4, capacity=16384) as rig:
        rig.configure([service(4, 80, "fullnat"), service(4, 81, "fullnat")])
        ends = set()
        for i in range(4):
            for port in (80, 81):
                one = to_vip(4, tcp(1, port))
                flows = [stamped(one, "198.18.%d.%d" % (i, 1 + n % 250), 2000 + n) for n in range(500)]
                for _, frame in rig.send(CLIENT, *flows, worker=i):
                    seen = ip_layer(Ether(frame))
                    ends.add((seen.src, seen.payload.sport))
        expect(len(ends), 4000, "different source ports")
        check(all(source == local(4) and port >= 1024 for source, port in ends), "range of the ports")


@test("two services share a server: NAT refuses the second 4-tuple by name, FULLNAT takes another port")
def _():
    for mode in ("nat", "fullnat"):
        with Rig() as rig:
            rig.configure([service(4, 80, mode), service(4, 81, mode)])
            (_, first), = rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
            rig.counted_since()
            sent = rig.send(CLIENT, to_vip(4, tcp(1000, 81)))
            if mode == "nat":
                expect([p for p, _ in sent], [CLIENT], "port unreachable")
                rig.expect_counters(received=1, originated=1, sent_icmp_error=1,
                                    drop_reply_key_taken=1)
                expect(rig.service("192.0.2.1:81/tcp")["refused"], 1, "refused")
                expect(rig.table()["reply_taken"], 1, "collisions")
                # The first connection is as it was.
                wanted = forwarded(reply_to(first), to_client_l2(), source=vip(4), sport=80)
                expect_sent(rig.send(SERVERS, reply_to(first)), (CLIENT, wanted))
                rig.advance(61)
                expect([p for p, _ in rig.send(CLIENT, to_vip(4, tcp(1000, 81)))], [SERVERS],
                       "way when the first has ended")
            else:
                (_, second), = sent
                for frame, port in ((first, 80), (second, 81)):
                    answer = reply_to(frame)
                    wanted = forwarded(answer, to_client_l2(), source=vip(4), sport=port,
                                       destination=client(4), dport=1000)
                    expect_sent(rig.send(SERVERS, answer), (CLIENT, wanted))


@test("a worker without a queue on a port hands its frames to one that has, and each counts its part")
def _():
    for mode in ("dr", "nat", "fullnat"):
        with Rig(workers=3, queues=[3, 1]) as rig:
            rig.configure([service(4, 80, mode, backends=2)])
            rig.counted_since()
            for i in range(30):
                frame = to_vip(4, tcp(1000 + i, 80), b"payload")
                (port, there), = rig.send(CLIENT, frame, worker=i % 3)
                expect(port, SERVERS, "port")
                if mode == "nat":
                    answer = reply_to(there)
                    wanted = forwarded(answer, to_client_l2(), source=vip(4), sport=80)
                    expect_sent(rig.send(SERVERS, answer), (CLIENT, wanted))
            counted = rig.counted_since()
            expect(counted["sent_" + mode], 30, "sent")


@test("resets, errors and the kernel's frames are handed over as well")
def _():
    with Rig(workers=2, queues=[1, 2]) as rig:
        # Clients reach worker 1 through the servers' port, as on one arm.
        rig.configure([service(backends=0)])
        rig.counted_since()
        l2 = Ether(dst="02:00:00:00:0d:02", src="02:00:00:00:0e:99")
        stray = to_vip(4, tcp(1, 7), l2=l2)
        expect_sent(rig.send(SERVERS, stray, worker=1), (CLIENT, reset_for(stray)))
        rig.expect_counters(received=1, originated=1, sent_rst=1, drop_no_service=1)
        expect(len(rig.send(SERVERS, to_vip(4, tcp(1, 80), l2=l2), worker=1)), 1, "errors")
        rig.expect_counters(received=1, originated=1, sent_icmp_error=1, drop_no_backend=1)
        expect(rig.from_twin(CLIENT, b"\1" * 64, worker=1), [(CLIENT, b"\1" * 64)], "kernel's frame")
        rig.expect_counters(from_twin=1, sent_from_twin=1)


@test("a full ring between workers drops by name")
def _():
    with Rig(workers=2, queues=[2, 1], tx_frames=8) as rig:
        rig.configure([service(4, 80, "dr")])
        rig.counted_since()
        sent = rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80)) for i in range(30)], worker=1)
        expect(len(sent), 8, "frames that fit")
        rig.expect_counters(received=30, sent_dr=8, drop_tx_full=22)


@test("least connections over two workers: what one has given the other knows within 10 ms")
def _():
    with Rig(workers=2) as rig:
        rig.configure([service(4, 80, "nat", backends=4, scheduler="lc")])
        rng = random.Random(4)
        port = 1000
        for _ in range(60):
            count = rng.randrange(1, 6)
            rig.send(CLIENT, *[to_vip(4, tcp(port + i, 80)) for i in range(count)],
                     worker=rng.randrange(2))
            port += count
            rig.advance(0.02)
        shares = [rig.backend(KEY, "%s:8080" % server(4, i))["active"] for i in range(4)]
        check(max(shares) - min(shares) <= 2, "shares %s" % shares)
        expect(sum(shares), port - 1000, "connections")


@test("round robin of each worker alone is even over all of them")
def _():
    with Rig(workers=4) as rig:
        rig.configure([service(4, 80, "nat", backends=5)])
        for worker in range(4):
            rig.send(CLIENT, *[to_vip(4, tcp(1000 + 100 * worker + i, 80)) for i in range(25)],
                     worker=worker)
        shares = [rig.backend(KEY, "%s:8080" % server(4, i))["connections"] for i in range(5)]
        expect(shares, [20] * 5, "shares")


@test("counters of all workers add up to what each received")
def _():
    with Rig(workers=3) as rig:
        rig.configure([service(4), service(4, 81, "dr"), service(6, 80, "fullnat")])
        rng = random.Random(7)
        rig.counted_since()
        for i in range(90):
            v, port = rng.choice([(4, 80), (4, 81), (6, 80), (4, 7)])
            rig.send(CLIENT, to_vip(v, tcp(1000 + i, port)), worker=rng.randrange(3))
        counted = rig.counted_since()
        expect(counted["received"], 90, "received")
        expect(sum(counted.get(name, 0) for name in (
            "sent_nat", "sent_dr", "sent_fullnat", "drop_no_service")), 90, "ends")


main()
