"""Neighbours whose MAC is not known: packets wait, the kernel is asked, they leave in order or end
after three seconds; and the wait is bounded in number."""

from judge import (IP, UDP, Ether, IPv6, forwarded, from_server, packet, reset_for, tcp, to_client_l2,
                   to_server_l2, to_vip)
from rig import (CLIENT, OWN4, PORT_MACS, SERVERS, Rig, client, expect, expect_sent, main, server,
                 server_mac, service, test, two_arm_kernel, vip)

HELD_A_NEIGHBOUR = 16
HELD = 256


def kernel_without(*addresses):
    kernel = two_arm_kernel()
    kernel["neighbours"] = [n for n in kernel["neighbours"] if n["address"] not in addresses]
    return kernel


def resolve(rig):
    """The kernel has learnt all neighbours."""
    rig.configure(kernel=two_arm_kernel())
    return rig.advance(0.25)["sent"]


@test("packets for an unknown neighbour wait, are asked for once, and leave in order")
def _():
    for v in (4, 6):
        for mode in ("dr", "nat", "ipip"):
            with Rig() as rig:
                rig.configure([service(v, 80, mode)], kernel_without(server(v)))
                rig.counted_since()
                frames = [to_vip(v, tcp(1000 + i, 80), bytes([i])) for i in range(5)]
                expect(rig.send(CLIENT, *frames), [], "sent at once")
                expect(rig.requests(), [(1, server(v))], "neighbours asked for")
                rig.expect_counters(received=5, held_neighbour=5)
                outer = None
                if mode == "ipip":
                    outer = (IP(src=OWN4[1], dst=server(4)) if v == 4 else
                             IPv6(src="fd00:2::1", dst=server(6)))
                fields = {"destination": server(v), "dport": 8080} if mode == "nat" else {}
                wanted = [forwarded(f, to_server_l2(), outer=outer, **fields) for f in frames]
                expect_sent(resolve(rig), *((SERVERS, frame) for frame in wanted), what=mode)
                rig.expect_counters(released=5, **{"sent_" + mode: 5})
                expect(rig.table()["held"], 0, "still held")


@test("replies, resets and errors of our own wait for the clients' gateway as well")
def _():
    with Rig() as rig:
        rig.configure([service()], kernel_without("10.1.0.254"))
        rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        rig.counted_since()
        reply = from_server(4, tcp(8080, 1000, "SA"))
        expect(rig.send(SERVERS, reply), [], "sent at once")
        rig.expect_counters(received=1, replies_local=1, held_neighbour=1)
        stray = to_vip(4, tcp(1001, 7))
        expect(rig.send(CLIENT, stray), [], "sent at once")
        rig.expect_counters(received=1, originated=1, drop_no_service=1, held_neighbour=1)
        expect(rig.requests(), [(0, "10.1.0.254")], "neighbours asked for")
        expect_sent(resolve(rig), (CLIENT, forwarded(reply, to_client_l2(), source=vip(4), sport=80)),
                    (CLIENT, reset_for(stray)))
        rig.expect_counters(released=2, sent_nat_reply=1, sent_rst=1)


@test("a client on link that nobody knows is asked for by its own address")
def _():
    with Rig() as rig:
        rig.configure([service()])
        near = packet("10.1.0.50", vip(4), tcp(1000, 7))
        rig.counted_since()
        expect(rig.send(CLIENT, near), [], "sent at once")
        expect(rig.requests(), [(0, "10.1.0.50")], "neighbours asked for")
        rig.expect_counters(received=1, originated=1, drop_no_service=1, held_neighbour=1)
        kernel = two_arm_kernel()
        kernel["neighbours"].append({"interface": 0, "address": "10.1.0.50",
                                     "mac": "02:00:00:00:00:50"})
        rig.configure(kernel=kernel)
        expect_sent(rig.advance(0.25)["sent"], (CLIENT, reset_for(near, Ether(
            dst="02:00:00:00:00:50", src=PORT_MACS[0]))))
        rig.expect_counters(released=1, sent_rst=1)


@test("a neighbour that does not answer in three seconds is given up, and asked for again later")
def _():
    with Rig() as rig:
        rig.configure([service()], kernel_without(server(4)))
        rig.counted_since()
        rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        rig.advance(2.75)
        rig.expect_counters(received=1, held_neighbour=1)
        rig.advance(0.5)
        rig.expect_counters(released=1, drop_neighbour_timeout=1)
        expect(rig.table()["held"], 0, "still held")
        expect(rig.requests(), [(1, server(4))], "neighbours asked for")
        rig.send(CLIENT, to_vip(4, tcp(1001, 80)))
        expect(rig.requests(), [(1, server(4))], "neighbours asked for again")
        expect_sent(resolve(rig), (SERVERS, forwarded(to_vip(4, tcp(1001, 80)), to_server_l2(),
                                                      destination=server(4), dport=8080)))


@test("sixteen packets wait for one neighbour, and more are dropped by name")
def _():
    with Rig() as rig:
        rig.configure([service()], kernel_without(server(4)))
        rig.counted_since()
        rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80)) for i in range(HELD_A_NEIGHBOUR + 9)])
        rig.expect_counters(received=HELD_A_NEIGHBOUR + 9, held_neighbour=HELD_A_NEIGHBOUR,
                            drop_neighbour_queue_full=9)
        expect(len(resolve(rig)), HELD_A_NEIGHBOUR, "released")


@test("one dead neighbour does not hold up the others")
def _():
    with Rig() as rig:
        rig.configure([service(backends=2)], kernel_without(server(4, 0)))
        rig.counted_since()
        sent = rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80)) for i in range(60)])
        expect(len(sent), 30, "to the other server")
        rig.expect_counters(received=60, sent_nat=30, held_neighbour=HELD_A_NEIGHBOUR,
                            drop_neighbour_queue_full=30 - HELD_A_NEIGHBOUR)


@test("256 packets wait in all")
def _():
    with Rig() as rig:
        servers = [server(4, i) for i in range(5)]
        backends = [{"address": "10.2.0.%d" % (100 + i)} for i in range(20)]
        rig.configure([service(backends=backends)], kernel_without(*servers))
        rig.counted_since()
        rig.send(CLIENT, *[to_vip(4, tcp(1000 + i, 80)) for i in range(500)])
        rig.expect_counters(received=500, held_neighbour=HELD, drop_neighbour_queue_full=500 - HELD)
        rig.advance(3.5)
        rig.expect_counters(released=HELD, drop_neighbour_timeout=HELD)


@test("answers to made-up addresses on link take half of the room: a server is still asked for")
def _():
    with Rig() as rig:
        rig.configure([service()], kernel_without(server(4, 0)))
        rig.counted_since()
        frames = [packet("10.1.0.%d" % (2 + i % 250), vip(4), tcp(1000 + i, 7)) for i in range(500)]
        rig.send(CLIENT, *frames)
        counted = rig.counted_since()
        expect((counted["held_neighbour"], counted["drop_neighbour_queue_full"]),
               (HELD // 2, 500 - HELD // 2), "held and dropped")
        rig.requests()
        rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
        expect(rig.requests(), [(1, server(4, 0))], "neighbours asked for")
        rig.expect_counters(received=1, held_neighbour=1)
        expect(len(resolve(rig)), 1, "sent when it is known")


@test("a neighbour with a new MAC gets its packets there from the next one on")
def _():
    with Rig() as rig:
        rig.configure([service()])
        frame = to_vip(4, tcp(1000, 80))
        fields = {"destination": server(4), "dport": 8080}
        expect_sent(rig.send(CLIENT, frame), (SERVERS, forwarded(frame, to_server_l2(), **fields)))
        kernel = two_arm_kernel()
        for neighbour in kernel["neighbours"]:
            if neighbour["address"] == server(4):
                neighbour["mac"] = "02:00:00:00:0e:77"
        rig.configure(kernel=kernel)
        moved = Ether(dst="02:00:00:00:0e:77", src=PORT_MACS[1])
        expect_sent(rig.send(CLIENT, frame), (SERVERS, forwarded(frame, moved, **fields)))


@test("a neighbour behind a VLAN waits without its tag and leaves with it")
def _():
    kernel = kernel_without(server(4))
    kernel["interfaces"].append({"name": "r0.9", "mac": PORT_MACS[1], "mtu": 1500})
    for part in ("addresses", "routes", "neighbours"):
        for entry in kernel[part]:
            if entry["interface"] == 1:
                entry["interface"] = 2
    with Rig(interfaces=[[0, 0], [1, 0], [1, 9]]) as rig:
        rig.configure([service(4, 80, "dr")], kernel)
        frame = to_vip(4, tcp(1000, 80))
        expect(rig.send(CLIENT, frame), [], "sent at once")
        expect(rig.requests(), [(2, server(4))], "neighbours asked for")
        kernel["neighbours"].append({"interface": 2, "address": server(4), "mac": server_mac()})
        rig.configure(kernel=kernel)
        expect_sent(rig.advance(0.25)["sent"], (SERVERS, forwarded(frame, to_server_l2(vlan=9))))


@test("what waits when the rig ends is given back")
def _():
    with Rig() as rig:
        rig.configure([service(protocol="udp")], kernel_without(server(4)))
        rig.send(CLIENT, *[to_vip(4, UDP(sport=i + 1, dport=80), client(4).encode())
                           for i in range(10)])
        expect(rig.table()["held"], 10, "held")


main()
