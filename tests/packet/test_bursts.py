#!/usr/bin/python3
"""Bursts: many packets at once are treated as the same packets would be one by one, new flows as well."""

import random

from judge import tcp, to_vip
from rig import CLIENT, Rig, expect, main, service, test

KEY = "192.0.2.1:80/tcp"
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq", "mh")


def with_weights(one):
    for index, backend in enumerate(one["backends"]):
        backend["weight"] = index + 1
    return one


def sent_in(bursts, v, mode, scheduler, **more):
    """What the rig sends for these bursts of frames, and what it counts."""
    with Rig(workers=1) as rig:
        rig.configure([with_weights(service(v, 80, mode, backends=4, scheduler=scheduler, **more))])
        sent = [frame for burst in bursts for frame in rig.send(CLIENT, *burst)]
        connections = sorted(str((c["client"], c["backend"], c["state"])) for c in rig.connections())
        return sorted(sent), connections, rig.totals()


@test("new flows in one burst are scheduled as they would be one by one")
def _():
    for mode in ("dr", "nat", "fullnat", "ipip"):
        for scheduler in SCHEDULERS:
            frames = [to_vip(4, tcp(1000 + i, 80)) for i in range(29)]
            expect(sent_in([frames], 4, mode, scheduler),
                   sent_in([[frame] for frame in frames], 4, mode, scheduler), f"{mode} {scheduler}")


@test("packets of flows that begin in the same burst find their connections")
def _():
    rng = random.Random(7)
    for v in (4, 6):
        for mode in ("dr", "nat", "fullnat"):
            flows = [[to_vip(v, tcp(1000 + i, 80)), to_vip(v, tcp(1000 + i, 80, "A", seq=1001, ack=1)),
                      to_vip(v, tcp(1000 + i, 80, "FA", seq=1001, ack=1))] for i in range(10)]
            frames = []
            while flows:
                flow = rng.choice(flows)
                frames.append(flow.pop(0))
                flows = [rest for rest in flows if rest]
            expect(sent_in([frames], v, mode, "wlc"),
                   sent_in([[frame] for frame in frames], v, mode, "wlc"), f"IPv{v} {mode}")


@test("thresholds hold within a burst")
def _():
    for mode in ("dr", "nat", "fullnat"):
        with Rig(workers=1) as rig:
            one = service(4, 80, mode, backends=2, scheduler="rr")
            for backend in one["backends"]:
                backend["upper_threshold"] = 3
            rig.configure([one])
            rig.send_all(CLIENT, [to_vip(4, tcp(1000 + i, 80)) for i in range(20)])
            expect(rig.service(KEY)["connections"], 6, f"connections of {mode}")


if __name__ == "__main__":
    main()
