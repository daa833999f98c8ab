"""Signs of trouble that NAT's and FULLNAT's traffic gives of a backend: handshakes that it refuses, and
those that it does not answer."""

from judge import Ether, from_server, ip_layer, tcp, to_vip
from rig import CLIENT, SERVERS, Rig, expect, main, server, service, test, vip

MODES = ("nat", "fullnat")
BACKEND_PORT = 8080


def backend_of(rig, v=4):
    address = server(v) if v == 4 else "[%s]" % server(v)
    key = "%s:80/tcp" % (vip(v) if v == 4 else "[%s]" % vip(v))
    row = rig.backend(key, "%s:%d" % (address, BACKEND_PORT))
    return row["refused"], row["unanswered"]


class Client:
    """One connection of it, and what its server sends."""

    def __init__(self, rig, v=4, port=1000, worker=0):
        self.rig, self.v, self.port, self.worker = rig, v, port, worker
        self.end = None  # as the server sees it

    def syn(self):
        sent = self.rig.send(CLIENT, to_vip(self.v, tcp(self.port, 80)), worker=self.worker)
        expect(len(sent), 1, "frames to the server")
        seen = ip_layer(Ether(sent[0][1]))
        self.end = seen.src, seen.payload.sport

    def send(self, flags):
        self.rig.send(CLIENT, to_vip(self.v, tcp(self.port, 80, flags, seq=1001, ack=5001)))

    def answer(self, flags):
        reply = from_server(self.v, tcp(BACKEND_PORT, self.end[1], flags, seq=5000, ack=1001), to=self.end[0])
        expect(len(self.rig.send(SERVERS, reply, worker=self.worker)), 1, "frames to the client")


def started(rig, mode, v=4, **options):
    rig.configure([service(v, 80, mode, backend_port=BACKEND_PORT, **options)])
    rig.counted_since()
    return Client(rig, v)


def port_count(mode, n=1):
    return {"fullnat_port_other": n} if mode == "fullnat" else {}


@test("a reset in answer to a SYN is a refused connection")
def _():
    for v in (4, 6):
        for mode in MODES:
            with Rig() as rig:
                flow = started(rig, mode, v)
                flow.syn()
                flow.answer("RA")
                rig.expect_counters(received=2, replies_local=1, **port_count(mode),
                                    **{"sent_" + mode: 1, "sent_%s_reply" % mode: 1})
                expect(backend_of(rig, v), (1, 0), "refused and unanswered")
                flow.answer("RA")
                expect(backend_of(rig, v), (1, 0), "the same reset again")
                flow.syn()
                flow.answer("RA")
                expect(backend_of(rig, v), (2, 0), "another try of the same client")


@test("resets of the client, and of either end later on, refuse nothing")
def _():
    for mode in MODES:
        with Rig() as rig:
            flow = started(rig, mode)
            flow.syn()
            flow.send("R")
            expect(backend_of(rig), (0, 0), "the client's")
            flow.answer("SA")
            flow.send("A")
            flow.answer("RA")
            expect(backend_of(rig), (0, 0), "the server's, on an established connection")


@test("the second repetition of a SYN without an answer is an unanswered connection, once")
def _():
    for v in (4, 6):
        for mode in MODES:
            with Rig() as rig:
                flow = started(rig, mode, v)
                for wanted in (0, 0, 1, 1, 1):
                    flow.syn()
                    expect(backend_of(rig, v), (0, wanted), "refused and unanswered")
                rig.expect_counters(received=5, **{"sent_" + mode: 5}, **port_count(mode))
                rig.advance(61)
                expect(rig.connections(), [], "connections")
                expect(backend_of(rig, v), (0, 1), "after its end")


@test("a SYN-ACK that the client does not get is an answer all the same")
def _():
    for mode in MODES:
        with Rig() as rig:
            flow = started(rig, mode)
            for _ in range(5):
                flow.syn()
                flow.answer("SA")
            rig.advance(61)
            expect(backend_of(rig), (0, 0), "refused and unanswered")
            expect(rig.connections(), [], "connections")


@test("one that ends after a repeated SYN is unanswered; after a single one nobody knows")
def _():
    for mode in MODES:
        with Rig() as rig:
            flow = started(rig, mode)
            flow.syn()
            other = Client(rig, port=1001)
            other.syn()
            other.syn()
            rig.advance(59)
            expect(backend_of(rig), (0, 0), "before the end")
            rig.advance(2)
            expect(rig.connections(), [], "connections")
            expect(backend_of(rig), (0, 1), "refused and unanswered")


@test("each handshake of a client counts for itself")
def _():
    with Rig() as rig:
        flow = started(rig, "nat")
        for round_number in range(1, 4):
            for _ in range(3):
                flow.syn()
            expect(backend_of(rig), (0, round_number), "refused and unanswered")
            flow.answer("SA")
            flow.send("A")
            flow.send("R")


@test("an answer that comes in on another worker counts there")
def _():
    with Rig(workers=2) as rig:
        flow = started(rig, "fullnat")
        flow.syn()
        flow.syn()
        flow.worker = 1
        flow.answer("SA")
        flow.syn()
        expect(backend_of(rig), (0, 0), "answered")
        refused = Client(rig, port=1001)
        refused.syn()
        refused.worker = 1
        refused.answer("RA")
        expect(backend_of(rig), (1, 0), "refused")


@test("DR and IPIP see no answers, so they count none missing")
def _():
    for mode in ("dr", "ipip"):
        with Rig() as rig:
            rig.configure([service(4, 80, mode)])
            for _ in range(4):
                rig.send(CLIENT, to_vip(4, tcp(1000, 80)))
            rig.advance(61)
            row = rig.backend("192.0.2.1:80/tcp", server(4) + ":80")
            expect((row["refused"], row["unanswered"]), (0, 0), mode)


main()
