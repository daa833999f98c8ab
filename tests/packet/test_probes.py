"""Health checks through the data path, the workers' part: a probe goes to its backend as a client's packet
would, and what may be an answer goes to the exception thread. By then the VIP stands in the place of the
probe address; tests/unit/dataplane/probe_path_test.cpp is about that."""

from judge import (ICMP, IP, UDP, Ether, IPv6, Raw, check_checksums, forwarded, packet, tcp, to_server_l2,
                   to_vip)
from rig import (CLIENT, OWN4, OWN6, PORT_MACS, SERVERS, Rig, expect, expect_frame, expect_sent, main, server,
                 server_mac,
                 service, test, two_arm_kernel, vip)
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply

BULK, PROBE_OR_HOST, PROBE_OR_NOTHING = 2, 3, 4  # classes of frames for the twin
TWIN_MAC = "02:00:00:00:0f:01"  # what the kernel believes to be the way to probe addresses
ROW = "%s:80/tcp"


def own(v):
    return OWN4[1] if v == 4 else OWN6[1]


def probe(v=4, transport=None, **more):
    """As the exception thread hands it over."""
    more.setdefault("l2", Ether(dst=TWIN_MAC, src=PORT_MACS[1]))
    return packet(own(v), vip(v), transport or tcp(2000, 80), **more)


def answer(v=4, transport=None, payload=b"", source=None, to=None, **more):
    more.setdefault("l2", Ether(dst=PORT_MACS[1], src=server_mac()))
    return packet(source or vip(v), to or own(v), transport or tcp(80, 2000, "SA"), payload, **more)


def outer(v):
    return IP(src=OWN4[1], dst=server(4)) if v == 4 else IPv6(src=OWN6[1], dst=server(6))


@test("a probe goes to its backend as a client's packet would, and counts as no traffic")
def _():
    for v in (4, 6):
        for mode, wrapping in (("dr", None), ("ipip", outer(v))):
            with Rig() as rig:
                rig.configure([service(v, 80, mode)])
                rig.counted_since()
                frame = probe(v)
                sent = rig.from_twin(SERVERS, frame, probe=(0, 0))
                expect_sent(sent, (SERVERS, forwarded(frame, to_server_l2(), outer=wrapping)), what=mode)
                check_checksums(sent[0][1])
                rig.expect_counters(from_twin=1, sent_probe=1)
                key = ROW % (vip(v) if v == 4 else "[%s]" % vip(v))
                expect(rig.service(key)["in_packets"], 0, "packets of the service")
                expect(rig.connections(), [], "connections")


@test("a probe of an IPv4 service goes through a tunnel of IPv6, and the other way round")
def _():
    for v, outside in ((4, 6), (6, 4)):
        with Rig() as rig:
            rig.configure([service(v, 80, "ipip", [{"address": server(outside)}])])
            frame = probe(v)
            wanted = forwarded(frame, to_server_l2(), outer=outer(outside))
            sent = rig.from_twin(SERVERS, frame, probe=(0, 0))
            expect(len(sent), 1, "frames")
            id_and_checksum = [(18, 2), (24, 2)] if outside == 4 else []  # IPv6 inside: no DF
            expect_frame(sent[0][1], wanted, mask=id_and_checksum)
            check_checksums(sent[0][1])


@test("probes go to backends that are down, that have weight 0, and by the VIP of another router")
def _():
    for options in ({"down": {server(4): "reset"}}, {"down": {server(4): "reschedule"}}, {}):
        with Rig() as rig:
            weight = {} if options else {"weight": 0}
            backends = [{"address": server(4), **weight}, {"address": server(4, 1)}]
            rig.configure([service(4, 80, "dr", backends)],
                          **options)
            rig.own(inactive=[vip(4)])
            rig.counted_since()
            frame = probe()
            expect_sent(rig.from_twin(SERVERS, frame, probe=(0, 0)),
                        (SERVERS, forwarded(frame, to_server_l2())))
            rig.expect_counters(from_twin=1, sent_probe=1)


@test("a frame of the kernel without a mark leaves as it is, whatever it is for")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "dr")])
        rig.probing()
        rig.counted_since()
        frame = probe()
        expect_sent(rig.from_twin(SERVERS, frame), (SERVERS, frame))
        rig.expect_counters(from_twin=1, sent_from_twin=1)


@test("a probe without a way ends by name, and nobody is told")
def _():
    kernel = two_arm_kernel()
    kernel["routes"] = [r for r in kernel["routes"] if r["prefix"] not in ("0.0.0.0/0", "::/0")]
    cases = [
        ("nat", None, probe(), (0, 0)),
        ("fullnat", None, probe(), (0, 0)),
        ("dr", None, probe(ttl=1), (0, 0)),
        ("dr", None, probe(payload=b"x" * 1480), (0, 0)),
        ("ipip", None, probe(payload=b"x" * 1450), (0, 0)),
        ("dr", None, probe(flags="MF"), (0, 0)),
        ("dr", [{"address": "10.77.0.1"}], probe(), (0, 0)),
        ("dr", [{"address": OWN4[1]}], probe(), (0, 0)),
    ]
    for mode, backends, frame, which in cases:
        with Rig() as rig:
            rig.configure([service(4, 80, mode, backends or 1)], kernel)
            rig.counted_since()
            expect_sent(rig.from_twin(SERVERS, frame, probe=which), what=mode)
            rig.expect_counters(from_twin=1, drop_probe=1)


@test("a probe waits for a neighbour that is not known yet")
def _():
    kernel = two_arm_kernel()
    known = kernel["neighbours"]
    kernel["neighbours"] = [n for n in known if n["address"] != server(4)]
    with Rig() as rig:
        rig.configure([service(4, 80, "dr")], kernel)
        rig.counted_since()
        frame = probe()
        expect_sent(rig.from_twin(SERVERS, frame, probe=(0, 0)))
        rig.expect_counters(from_twin=1, held_neighbour=1)
        rig.configure(rig.services, {**kernel, "neighbours": known})
        expect_sent(rig.advance(0.1)["sent"], (SERVERS, forwarded(frame, to_server_l2())))


def arrives(rig, frame, wanted, **counters):
    """At the twin with this class, or nowhere."""
    rig.counted_since()
    twin = [] if wanted is None else [(SERVERS, wanted, bytes(frame))]
    expect(rig.send_all(SERVERS, [frame]), {"sent": [], "twin": twin}, "output")
    rig.expect_counters(received=1, **counters)


@test("what comes from a VIP to the host may be an answer: it is the exception thread's to judge")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v, 80, "dr")])
            for frame in (answer(v), answer(v, UDP(sport=80, dport=2000), b"answer")):
                arrives(rig, frame, None, drop_own_source=1)
                rig.probing()
                arrives(rig, frame, PROBE_OR_NOTHING, twin_probe=1)
                rig.probing(False)
            rig.probing()
            arrives(rig, answer(v, to=server(v, 3)), None, drop_own_source=1)
            arrives(rig, answer(v, source=own(v)), None, drop_own_source=1)


@test("it may as well where the twin holds the VIP")
def _():
    kernel = two_arm_kernel()
    kernel["addresses"].append({"interface": 1, "prefix": vip(4) + "/32"})
    with Rig() as rig:
        rig.configure([service(4, 80, "dr")], kernel)
        rig.probing()
        arrives(rig, answer(), PROBE_OR_NOTHING, twin_probe=1)


@test("from a VIP of another router it is the host's if it is no answer")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v, 80, "dr")])
            rig.own(inactive=[vip(v)])
            arrives(rig, answer(v), BULK, twin_not_ours=1)
            rig.probing()
            arrives(rig, answer(v), PROBE_OR_HOST, twin_probe=1)


def unreachable(v, **more):
    quoted = bytes(packet(own(v), vip(v), tcp(2000, 80))[14:])
    kind = ICMP(type=3, code=3) if v == 4 else ICMPv6DestUnreach(code=4)
    return answer(v, kind, quoted, **more)


@test("ICMP errors to the host may be about a probe, whoever sends them; nothing else of ICMP is")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v, 80, "dr")])
            arrives(rig, unreachable(v), None, drop_own_source=1)
            rig.probing()
            arrives(rig, unreachable(v), PROBE_OR_NOTHING, twin_probe=1)
            arrives(rig, unreachable(v, source=server(v)), PROBE_OR_HOST, twin_probe=1)
            echo = ICMP(type=0) if v == 4 else ICMPv6EchoReply()
            arrives(rig, answer(v, echo), None, drop_own_source=1)
            broken = bytearray(unreachable(v))
            broken[-1] ^= 1
            arrives(rig, broken, None, drop_own_source=1)
    with Rig() as rig:
        rig.configure([service(4, 80, "dr")])
        rig.probing()
        arrives(rig, answer(4, ICMP(type=0), source=server(4)), 1, twin_backend=1)
        arrives(rig, answer(4, Raw(b"fragment" * 2), flags="MF", proto=6), None, drop_own_source=1)


@test("a client's packets go their way while there are probes")
def _():
    with Rig() as rig:
        rig.configure([service(4, 80, "dr")])
        rig.probing()
        rig.counted_since()
        first = to_vip(4, tcp(1000, 80))
        expect_sent(rig.send(CLIENT, first), (SERVERS, forwarded(first, to_server_l2())))
        rig.expect_counters(received=1, sent_dr=1)


main()
