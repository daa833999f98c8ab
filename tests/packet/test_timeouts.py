"""Time-outs of every state in virtual time: to the quarter of a second, counts back to zero, entries used
again."""

from judge import UDP, Ether, from_server, ip_layer, stamped, tcp, to_vip
from rig import CLIENT, SERVERS, Rig, add_test, check, expect, main, service, test

KEY = {4: "192.0.2.1:80", 6: "[2001:db8:9::1]:80"}


def client_says(flags):
    return ("client", flags)


def server_says(flags):
    return ("server", flags)


S, A, FA, R = (client_says(flags) for flags in ("S", "A", "FA", "R"))
SA, sA, sFA, sR = (server_says(flags) for flags in ("SA", "A", "FA", "RA"))

# What is said on the way to each state, and its time-out. NAT and FULLNAT see both sides.
BOTH_SIDES = [
    ("SYN_RECV", 60, [S]),
    ("SYN_RECV", 60, [S, SA]),
    ("SYN_RECV", 60, [S, R]),
    ("ESTABLISHED", 900, [S, SA, A]),
    ("CLOSE_WAIT", 60, [S, SA, A, FA]),
    ("FIN_WAIT", 120, [S, SA, A, sFA]),
    ("TIME_WAIT", 120, [S, SA, A, FA, sFA]),
    ("TIME_WAIT", 120, [S, SA, A, sFA, FA]),
    ("CLOSE", 10, [S, SA, A, R]),
    ("CLOSE", 10, [S, sR]),
]
# DR and IPIP see the client's.
ONE_SIDE = [
    ("SYN_RECV", 60, [S]),
    ("ESTABLISHED", 900, [S, A]),
    ("FIN_WAIT", 120, [S, A, FA]),
    ("TIME_WAIT", 120, [S, FA]),
    ("CLOSE", 10, [S, A, R]),
]
SETTINGS = {"SYN_RECV": "tcp_syn_recv_s", "ESTABLISHED": "tcp_established_s",
            "FIN_WAIT": "tcp_fin_wait_s", "TIME_WAIT": "tcp_time_wait_s", "CLOSE": "tcp_close_s",
            "CLOSE_WAIT": "tcp_close_wait_s", "UDP": "udp_s"}


def say(rig, v, mode, said, port=1000):
    there = None
    for who, flags in said:
        if who == "client":
            (_, frame), = rig.send(CLIENT, to_vip(v, tcp(port, 80, flags, seq=1001, ack=1)))
            there = there or frame
        else:
            local = local_end(there)
            rig.send(SERVERS, from_server(v, tcp(8080, local[1], flags, seq=1, ack=1), to=local[0]))


def local_end(frame):
    ip = ip_layer(Ether(frame))
    return ip.src, ip.payload.sport


def lives_exactly(rig, seconds):
    rig.advance(seconds - 0.25)
    expect(len(rig.connections()), 1, "connections a quarter of a second before")
    rig.advance(0.5)
    expect(len(rig.connections()), 0, "connections afterwards")


def all_is_zero(rig, v, protocol="tcp"):
    totals = rig.service("%s/%s" % (KEY[v], protocol))
    expect((totals["active"], totals["inactive"]), (0, 0), "live connections of the service")
    table = rig.table()
    expect((table["in_use4"], table["in_use6"], table["embryonic"]), (0, 0, 0), "entries")
    rig.advance(0.5)
    expect(rig.table()["retired"], 0, "entries that wait for a grace period")


def times_out(v, mode, state, seconds, said, scale=1):
    with Rig() as rig:
        timeouts = {SETTINGS[state]: int(seconds * scale)} if scale != 1 else {}
        rig.configure([service(v, 80, mode)], timeouts=timeouts)
        say(rig, v, mode, said)
        expect([c["state"] for c in rig.connections()], [state], "states")
        active = state in ("SYN_RECV", "ESTABLISHED")
        totals = rig.service(KEY[v] + "/tcp")
        expect((totals["active"], totals["inactive"]), (int(active), int(not active)), "counts")
        lives_exactly(rig, seconds * scale)
        all_is_zero(rig, v)


for mode_name in ("nat", "fullnat", "dr", "ipip"):
    for state_name, default, steps in BOTH_SIDES if "nat" in mode_name else ONE_SIDE:
        family = 6 if mode_name in ("fullnat", "ipip") else 4
        add_test("%s: %s after %s ends after %d s" % (
            mode_name.upper(), state_name, " ".join("%s:%s" % (who[0], flags) for who, flags in steps),
            default), times_out, v=family, mode=mode_name, state=state_name, seconds=default, said=steps)


@test("each time-out can be set, longer and shorter")
def _():
    for scale in (0.5, 2):
        for state, seconds, said in BOTH_SIDES:
            times_out(4, "nat", state, seconds, said, scale)


@test("a UDP flow ends after 300 s, and either side's packets keep it")
def _():
    for v in (4, 6):
        with Rig() as rig:
            rig.configure([service(v, 80, "nat", protocol="udp")])
            rig.send(CLIENT, to_vip(v, UDP(sport=1000, dport=80)))
            for send in (lambda: rig.send(CLIENT, to_vip(v, UDP(sport=1000, dport=80))),
                         lambda: rig.send(SERVERS, from_server(v, UDP(sport=8080, dport=1000)))):
                rig.advance(299)
                check(len(send()) == 1, "the flow lives")
            lives_exactly(rig, 300)
            all_is_zero(rig, v, "udp")


@test("traffic keeps a connection for days")
def _():
    with Rig() as rig:
        rig.configure([service()])
        say(rig, 4, "nat", [S, SA, A])
        for _ in range(250):
            rig.jump(890)
            say(rig, 4, "nat", [A])
        lives_exactly(rig, 900)
        all_is_zero(rig, 4)


@test("a time-out above the timer wheel's span, and one set while connections live, hold")
def _():
    with Rig() as rig:
        rig.configure([service()], timeouts={"tcp_established_s": 5000})
        say(rig, 4, "nat", [S, SA, A])
        rig.jump(4000)
        expect(len(rig.connections()), 1, "connections after 4000 s of 5000")
        rig.configure(timeouts={"tcp_established_s": 4500})
        rig.jump(400)
        expect(len(rig.connections()), 1, "connections after 4400 s of 4500")
        rig.jump(700)
        expect(len(rig.connections()), 0, "connections after 5100 s")
        all_is_zero(rig, 4)


@test("a time-out that is made shorter ends what was idle for longer at once, the rest on time")
def _():
    with Rig() as rig:
        rig.configure([service(), service(6, 80, "nat", protocol="udp")])
        say(rig, 4, "nat", [S, SA, A])
        rig.send(CLIENT, to_vip(6, UDP(sport=1000, dport=80)))
        rig.advance(100)
        say(rig, 4, "nat", [S, SA, A], port=1000)
        rig.configure(timeouts={"udp_s": 90, "tcp_established_s": 20})
        rig.advance(10)  # the workers look at a part of the table in each turn
        expect([c["state"] for c in rig.connections()], ["ESTABLISHED"], "connections soon after")
        lives_exactly(rig, 10)
        all_is_zero(rig, 4)


@test("a shorter state is noticed at once, not when the longer one would have ended")
def _():
    with Rig() as rig:
        rig.configure([service()])
        say(rig, 4, "nat", [S, SA, A])
        rig.advance(100)
        say(rig, 4, "nat", [R])
        lives_exactly(rig, 10)
        all_is_zero(rig, 4)


@test("entries are used again, round after round, by every kind of connection")
def _():
    with Rig(capacity=1024) as rig:
        rig.configure([service(4), service(6), service(4, 81, "fullnat"), service(4, 82, "dr")])
        for _ in range(8):
            for v, port in ((4, 80), (6, 80), (4, 81), (4, 82)):
                one = to_vip(v, tcp(1, port))
                flows = [stamped(one, sport=1000 + i) for i in range(100)]
                check(len(rig.send(CLIENT, *flows)) == 100, "flows")
            rig.advance(61)
            expect((rig.table()["in_use4"], rig.table()["in_use6"]), (0, 0), "entries")


@test("time-outs across the wrap of the ticks' counter")
def _():
    # Four ticks a second: the counter of 32 bits wraps after 34 years.
    for before in range(100, 4000, 500):
        with Rig(start_tick=2**32 - before) as rig:
            rig.configure([service(drain_deadline_s=500)])
            say(rig, 4, "nat", [S, SA, A])
            lives_exactly(rig, 900)
            say(rig, 4, "nat", [S, SA, A])
            rig.configure([service(backends=0, drain_deadline_s=500)])
            lives_exactly(rig, 500)
            expect(rig.table()["in_use4"], 0, "entries")


main()
