"""Replays what Linux IPVS was seen to do (data/ipvs_vectors.json) against headgate.

Every frame is compared byte for byte, except for the bytes that a recording masks (their checksums
are verified instead); every scheduling sequence, connection listing, ActiveConn/InActConn and
--stats listing as well. headgate runs with the options that make it do as LVS does. Where it differs
on purpose all the same, the difference is stated here, with the reason: Difference below. What a
recording holds that headgate has no part in, or not yet, is listed in NOT_REPLAYED and NOT_COMPARED.

In the recordings the VIP is an address of the director, whose own stack answers what is for no
service. Here no twin holds the VIP, so the workers answer. What LVS leaves to the kernel's routing,
or to other addresses of the director, has to be handed to the twin unchanged.
"""

import json
import os
import re
import sys

from family_twin import family_twin
from judge import (IP, TCP, UDP, Ether, adjusted, check_checksums, forwarded, icmp_error, ip_layer,
                   packet, tcp, to_client_l2)
from lvs import Lvs, NotSupported, Refused, mark_text
from rig import (CLIENT, CLIENT_MAC, OWN4, OWN6, PORT_MACS, SERVERS, Failure, Rig, add_test, check,
                 expect, expect_frame, main, server, server_mac, short, two_arm_kernel)

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "ipvs_vectors.json")

NOT_REPLAYED = {
    r"tun-(gue|gre)-.*": "GUE and GRE tunnels: IPIP is what `ipip` does",
    r"icmp-.*|tun-icmp-.*": "errors of other hosts about translated packets: not translated yet",
    r"frag-.*|.*-frag": "fragments: dropped by name, not followed yet",
    r"list-formats-.*": "the text of ipvsadm's listings and refusals, not packets",
}
NOT_COMPARED = {
    "expire column of -Lnc": "seconds of the recording's clock",
    "PersistConn": "templates per backend are not counted apart",
    "-Ln --nosort": "the order of an internal list",
}

SIDES = {"c": CLIENT, "r": SERVERS}


# ---- frames -----------------------------------------------------------------------------------------


def sides_of(output):
    return [("c" if port == CLIENT else "r", frame) for port, frame in output["sent"]]


def is_fragment(frame):
    parsed = Ether(frame)
    return IP in parsed and (parsed[IP].frag != 0 or parsed[IP].flags.MF)


def icmp_of(frame):
    """(family, type, code) of an ICMP message, else None."""
    ip = ip_layer_or_none(frame)
    if ip is None:
        return None
    if isinstance(ip, IP):
        if ip.proto != 1 or ip.frag:
            return None
        body = bytes(ip.payload)
        return (4, body[0], body[1])
    if ip.nh != 58:
        return None
    body = bytes(ip.payload)
    return (6, body[0], body[1])


def ip_layer_or_none(frame):
    parsed = Ether(frame)
    try:
        return ip_layer(parsed)
    except IndexError:
        return None


def plainly_routed(frame, out):
    """Whether `out` is the frame as a router sends it on: TTL one less, nothing else."""
    before, after = ip_layer_or_none(frame), ip_layer_or_none(out)
    if before is None or after is None or type(before) is not type(after):
        return False
    before = before.copy()
    if isinstance(before, IP):
        before.ttl -= 1
        del before.chksum
    else:
        before.hlim -= 1
    return bytes(before) == bytes(after)


class Difference:
    """A step where headgate does otherwise: applies(step, lvs) says whether, wanted(step, lvs) gives what
    has to come out instead."""

    def __init__(self, reason, applies, wanted):
        self.reason, self.applies, self.wanted = reason, applies, wanted
        self.used = 0


def quotes_too_big(step):
    return any(icmp_of(bytes.fromhex(out[1])) in ((4, 3, 4), (6, 2, 0)) for out in step["out"])


def with_quote_as_sent(step, _):
    """The recorded error with the quoted packet as the sender sent it."""
    wanted = []
    for side, text, *mask in step["out"]:
        frame = bytearray.fromhex(text)
        sent = bytes.fromhex(step["f"])
        if icmp_of(bytes(frame)) == (4, 3, 4):
            quote, checksum, length = 14 + 20 + 8, 14 + 20 + 2, 576 - 28
        else:
            quote, checksum, length = 14 + 40 + 8, 14 + 40 + 2, 1280 - 48
        before = bytes(frame[quote:])
        after = sent[14:][: min(length, len(before))]
        frame[quote:] = after
        frame[checksum : checksum + 2] = adjusted(frame[checksum : checksum + 2], before, after)
        wanted.append([side, frame.hex(), *mask])
    return wanted


def comes_from_vip_on_server_side(step):
    ip = ip_layer_or_none(bytes.fromhex(step["f"]))
    return step["in"] == "r" and ip is not None and ip.src in ("192.0.2.1", "2001:db8:9::1")


def is_too_big_for_server(step, _):
    return step["in"] == "r" and any(
        icmp_of(bytes.fromhex(out[1])) == (6, 2, 0) for out in step["out"])


def too_big_from_interface(step, _):
    (side, text, *_), = step["out"]
    sent = Ether(bytes.fromhex(step["f"]))
    mtu = int.from_bytes(bytes.fromhex(text)[58:62], "big")
    error = icmp_error(bytes(sent), (2, 0), OWN6[1], rest=mtu,
                       l2=Ether(src=PORT_MACS[1], dst=sent.src))
    return [[side, error.hex()]]


def one_packet_service_of(step, lvs):
    """The NAT service with -o whose server sends this frame, or None."""
    ip = ip_layer_or_none(bytes.fromhex(step["f"]))
    if step["in"] != "r" or ip is None or UDP not in ip:
        return None
    for key, entry in lvs.services.items():
        data = entry["servers"].get((ip.src, ip[UDP].sport), {})
        if entry["options"].get("one_packet") and data.get("method") == "nat":
            return key
    return None


def from_one_packet_service(step, lvs):
    _, address, port = one_packet_service_of(step, lvs)
    frame = bytes.fromhex(step["f"])
    return [["c", forwarded(frame, to_client_l2(), source=address, sport=port).hex()]]


DIFFERENCES = [
    Difference("packet-too-big and frag-needed quote the packet as the client sent it; LVS has "
               "decremented its TTL by then", lambda s, _: quotes_too_big(s) and s["in"] == "c",
               with_quote_as_sent),
    Difference("packet-too-big to a server comes from the interface it asked; LVS translates its "
               "own error and sends it from the VIP", is_too_big_for_server, too_big_from_interface),
    Difference("what is too large for the way and may be fragmented is dropped by name: fragments "
               "are not made yet", lambda s, _: any(is_fragment(bytes.fromhex(o[1])) for o in s["out"]),
               lambda *_: []),
    Difference("nothing leaves towards the client that comes from a backend's side with an address "
               "of ours: LVS forwards it for IPv6",
               lambda s, _: comes_from_vip_on_server_side(s) and s["out"], lambda *_: []),
    Difference("the workers answer pings of a VIP and no other ICMP request: a timestamp is nobody's "
               "business", lambda s, _: icmp_of(bytes.fromhex(s["f"])) == (4, 13, 0),
               lambda *_: []),
    Difference("answers of one-packet scheduling's servers are translated; LVS routes them as they are",
               lambda s, lvs: s["out"] and one_packet_service_of(s, lvs) is not None,
               from_one_packet_service),
]


def wanted_of(step, lvs):
    for difference in DIFFERENCES:
        if difference.applies(step, lvs):
            difference.used += 1
            return difference.wanted(step, lvs)
    return step["out"]


def leaves_to_kernel(step):
    """Whether in the recording the director's routing or its own stack, at an address that is not the
    VIP, dealt with the frame."""
    frame = bytes.fromhex(step["f"])
    ip = ip_layer_or_none(frame)
    if not step["out"]:
        return True  # nothing visible came of it
    if ip is not None and ip.dst in OWN4 + OWN6:
        return True
    return all(plainly_routed(frame, bytes.fromhex(out[1])) for out in step["out"])


def replay_frame(rig, lvs, step):
    frame = bytes.fromhex(step["f"])
    output = rig.send_all(SIDES[step["in"]], [frame])
    rig.counted_since()  # the sum rule
    wanted = wanted_of(step, lvs)
    if output["twin"]:
        check(leaves_to_kernel(step), "handed to the twin, but LVS answered %s" % short(step["out"]))
        check(not output["sent"], "sent as well as handed to the twin")
        port, _, bytes_of_twin = output["twin"][0]
        expect_frame(bytes_of_twin, frame, "frame for the twin")
        expect((len(output["twin"]), port), (1, SIDES[step["in"]]), "frames for the twin, port")
        return
    compare_output(sides_of(output), wanted)


def compare_output(got, wanted):
    for side in "cr":
        mine = [frame for s, frame in got if s == side]
        theirs = [out[1:] for out in wanted if out[0] == side]
        if len(mine) != len(theirs):
            raise Failure("side %s: %d frames, wanted %d: got %s, wanted %s" % (
                side, len(mine), len(theirs), short([f.hex() for f in mine]), short(theirs)))
        for frame, (text, *mask) in zip(mine, theirs):
            flat = mask[0] if mask else []
            pairs = list(zip(flat[::2], flat[1::2]))
            expect_frame(frame, bytes.fromhex(text), "frame on side " + side, pairs)
            if pairs:
                check_checksums(frame)


# ---- scheduling sequences ---------------------------------------------------------------------------


class Flows:
    """The clients of a scheduling sequence."""

    def __init__(self, rig, lvs, step):
        self.rig, self.lvs, self.step = rig, lvs, step
        self.v = step["v"]
        self.seq = {}
        self.chosen = {}
        self.weights = [self.weights_now()]  # of the servers, before and after each command

    def weights_now(self):
        servers = [server(self.v, i) for i in range(5)]
        (entry, *_) = self.lvs.services.values()
        return {servers.index(address): data.get("weight", 1)
                for (address, _), data in entry["servers"].items()}

    def play(self, event):
        kind = event[0]
        if kind == "cmd":
            apply(self.rig, self.lvs, event[1])
            self.weights.append(self.weights_now())
            return "-"
        client, port = event[1], event[2]
        vport = event[3] if len(event) > 3 else self.step["vport"]
        vip = event[4] if len(event) > 4 else ("192.0.2.1" if self.v == 4 else "2001:db8:9::1")
        flow = (client, port, vip, vport)
        if kind == "udp":
            return self.send(flow, UDP(sport=port, dport=vport), b"x")
        if kind == "syn":
            self.seq[flow] = 1001
            return self.send(flow, tcp(port, vport, "S"))
        if kind in ("ack", "fin", "rst"):
            flags = {"ack": "A", "fin": "FA", "rst": "R"}[kind]
            return self.send(flow, tcp(port, vport, flags, seq=self.seq.get(flow, 1001), ack=5001))
        if kind in ("est", "close") and flow not in self.chosen:
            return "skipped"  # it was refused
        if kind == "est":
            self.reply(flow, "SA", 5000, 1001)
            self.send(flow, tcp(port, vport, "A", seq=1001, ack=5001))
            return "-"
        if kind == "close":
            self.send(flow, tcp(port, vport, "FA", seq=1001, ack=5001))
            self.reply(flow, "FA", 5001, 1002)
            self.send(flow, tcp(port, vport, "A", seq=1002, ack=5002))
            return "-"
        raise Failure("unknown event " + kind)

    def send(self, flow, transport, payload=b""):
        client, _, vip, _ = flow
        output = self.rig.send_all(CLIENT, [packet(client, vip, transport, payload)])
        self.rig.counted_since()
        result = self.result_of(output)
        if isinstance(result, int):
            self.chosen[flow] = result
        return result

    def result_of(self, output):
        for side, frame in sides_of(output):
            if side == "r":
                macs = [server_mac(i) for i in range(5)]
                return macs.index(Ether(frame).dst)
            error = icmp_of(frame)
            if error:
                return "icmp %d/%d" % error[1:]
            if TCP in Ether(frame) and Ether(frame)[TCP].flags.R:
                return "rst"
        return None

    def reply(self, flow, flags, seq, ack):
        client, port, _, vport = flow
        index = self.chosen[flow]
        rport = self.step["rport"] if vport == self.step["vport"] else vport
        frame = packet(server(self.v, index), client, tcp(rport, port, flags, seq=seq, ack=ack),
                       l2=Ether(dst=PORT_MACS[1], src=server_mac(index)))
        output = self.rig.send_all(SERVERS, [frame])
        check(len(output["sent"]) == 1, "the server's %s was not passed on" % flags)


def replay_sequence(rig, lvs, step, hashed):
    flows = Flows(rig, lvs, step)
    got = [flows.play(event) for event in step["seq"]]
    if hashed:
        compare_hashed(flows, step, got)
    else:
        expect(got, step["chosen"], "chosen")


REFUSED = ("icmp 3/3", "icmp 1/4")


def compare_hashed(flows, step, got):
    """sh, dh and mh hash in their own way, and so does headgate: what has to agree is the kind. The
    same client has the same server as long as that is there; dh has one server for one VIP; shares
    follow the weights; where LVS refuses for want of a fallback, so do we, though others; when a
    server goes, its clients move and no others, and they return with it."""
    options = next(iter(flows.lvs.services.values()))["options"]
    with_port = any(flag.endswith("-port") for flag in options.get("flags", []))
    phases, phase = [], []
    for event, chosen, theirs in zip(step["seq"], got, step["chosen"]):
        if event[0] == "cmd":
            phases.append(phase)
            phase = []
            continue
        who = (event[1], event[2]) if with_port else event[1]
        phase.append(("the VIP" if options["scheduler"] == "dh" else who, chosen, theirs))
    phases.append(phase)
    for number, (phase, weights) in enumerate(zip(phases, flows.weights, strict=True)):
        owner = {}
        for who, chosen, theirs in phase:
            check(owner.setdefault(who, chosen) == chosen,
                  "%s had %s and now %s" % (who, owner[who], chosen))
            check(isinstance(chosen, int) or chosen in REFUSED, "got %s" % chosen)
        expect(any(chosen in REFUSED for _, chosen, _ in phase),
               any(theirs in REFUSED for _, _, theirs in phase),
               "whether clients are refused in phase %d" % number)
        if options["scheduler"] == "dh":
            expect(len(set(owner.values())), 1, "servers of one VIP")
        else:
            compare_shares(phase, weights)
    if len(phases) > 2 and not with_port:
        compare_moves([{who: chosen for who, chosen, _ in phase} for phase in phases],
                      flows.weights)


def compare_shares(phase, weights):
    """Each server's share by its weight, give or take four standard deviations."""
    ours = [chosen for _, chosen, _ in phase if isinstance(chosen, int)]
    for index, weight in weights.items():
        part = weight / sum(weights.values())
        slack = 4 * (len(ours) * part * (1 - part)) ** 0.5 + 1
        check(abs(ours.count(index) - len(ours) * part) <= slack,
              "server %d of weight %d got %d of %d" % (index, weight, ours.count(index), len(ours)))


def compare_moves(owners, weights):
    """The first change takes a server out; where the last one puts it back as it was, so it is for
    the clients. One in ten others may move, as Maglev's tables do."""
    first, without, last = owners[0], owners[1], owners[-1]
    gone = {index for index, weight in weights[0].items() if not weights[1].get(index)}
    moved = [who for who in first if first[who] not in gone and without[who] != first[who]]
    check(len(moved) <= 0.1 * len(first), "%d of %d moved needlessly" % (len(moved), len(first)))
    if weights[-1] == weights[0]:
        expect(last, first, "who has which server")


# ---- listings ---------------------------------------------------------------------------------------


def our_connections(rig):
    lines = []
    for entry in rig.connections():
        if entry["one_packet"]:
            continue  # LVS keeps nothing to translate an answer by
        protocol = {6: "TCP", 17: "UDP", 0: "IP"}[entry["protocol"]]
        lines.append((protocol, entry["state"], entry["client"], entry["virtual"], entry["backend"]))
    return sorted(lines)


def recorded_connections(text):
    lines = []
    for line in text.splitlines()[2:]:
        protocol, _, state, source, virtual, destination = line.split()[:6]
        if virtual.endswith(":65535") and destination.endswith(":65535"):
            # A template that LVS has put aside since its server was removed. headgate has one
            # template for a client, which gets the new server in its place.
            continue
        lines.append((protocol, state, source, virtual, destination))
    return sorted(lines)


def rows_of(text):
    """(service, server or None, the numbers) of each line of a listing, service lines first."""
    service = None
    for line in text.splitlines()[2:]:
        words = line.split()
        if not words or words[0] == "->" and words[1].startswith("Remote"):
            continue
        if words[0] in ("TCP", "UDP"):
            service = "%s/%s" % (words[1], words[0].lower())
            yield service, None, words[2:]
        elif words[0] == "FWM":
            is_v6 = words[2:3] == ["IPv6"]
            service = mark_text(int(words[1]), "ipv6" if is_v6 else "ipv4")
            yield service, None, words[3 if is_v6 else 2 :]
        else:
            yield service, words[1], words[2:]


def compare_connections(rig, text):
    expect(our_connections(rig), recorded_connections(text), "connections")


def compare_services(rig, text):
    totals = rig.totals()
    for service, server_text, words in rows_of(text):
        check(service in totals["services"], "no service " + service)
        if server_text is None:
            continue
        key = service + " " + server_text
        check(key in totals["backends"], "no backend %s" % key)
        backend = totals["backends"][key]
        expect((backend["active"], backend["inactive"]), (int(words[2]), int(words[3])),
               "ActiveConn, InActConn of " + key)


def compare_persistent(rig, text):
    totals = rig.totals()
    for service, server_text, words in rows_of(text):
        if server_text is not None:
            backend = totals["backends"][service + " " + server_text]
            expect((backend["active"], backend["inactive"]), (int(words[2]), int(words[3])),
                   "ActiveConn, InActConn of " + server_text)


def compare_stats(rig, text):
    totals = rig.totals()
    names = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")
    for service, server_text, words in rows_of(text):
        key = service if server_text is None else service + " " + server_text
        counts = totals["services" if server_text is None else "backends"][key]
        expect([counts[name] for name in names], [int(word) for word in words[:5]],
               "Conns InPkts OutPkts InBytes OutBytes of " + key)


LISTINGS = {
    "ipvsadm -Lnc": compare_connections,
    "ipvsadm -Ln": compare_services,
    "ipvsadm -Ln --sort": compare_services,
    "ipvsadm -Ln --stats --exact": compare_stats,
    "ipvsadm -Ln --persistent-conn": compare_persistent,
}


# ---- vectors ----------------------------------------------------------------------------------------


def apply(rig, lvs, command, kernel=None):
    """An ipvsadm command, and headgate's configuration after it. True when it was refused."""
    refused = False
    if command is not None:
        try:
            lvs.run(command)
        except Refused:
            refused = True
    services, sections = lvs.config()
    rig.configure(services, kernel, **sections)
    return refused


def kernel_after(kernel, command):
    """`ip` commands of the recordings."""
    words = command.split()
    if words[:4] == ["ip", "route", "add", "local"] or words[:5] == ["ip", "-6", "route", "add", "local"]:
        return kernel  # LVS balances what is local; here rules of marks alone say so
    kinds = {"unreachable": "unreachable", "blackhole": "blackhole", "prohibit": "prohibited"}
    if words[:3] in (["ip", "route", "add"], ["ip", "-6", "route"]):
        words = words[words.index("add") + 1 :]
        if words[0] in kinds:
            prefix = words[1] if "/" in words[1] else words[1] + ("/128" if ":" in words[1] else "/32")
            kernel["routes"].append({"prefix": prefix, "kind": kinds[words[0]]})
            return kernel
    if words[:4] == ["ip", "link", "set", "dev"] or words[:3] == ["ip", "link", "set"]:
        if "mtu" in words:
            index = 0 if "c0" in words else 1
            kernel["interfaces"][index]["mtu"] = int(words[words.index("mtu") + 1])
            return kernel
    raise NotSupported(command)


def run(lvs, kernel, command):
    """What a recording has run besides ipvsadm. The kernel's state after it."""
    if command.startswith("nft "):
        lvs.nft(command)
        return kernel
    return kernel_after(kernel, command)


def replay(vector):
    config = vector["config"]
    lvs = Lvs(config.get("sysctl"))
    kernel = two_arm_kernel()
    for command in config.get("cmd") or []:
        kernel = run(lvs, kernel, command)
    with Rig() as rig:
        refused = sum(apply(rig, lvs, command, kernel) for command in config["ipvsadm"])
        expect(refused, len(config.get("said") or []), "commands refused")
        if not config["ipvsadm"]:
            apply(rig, lvs, None, kernel)
        hashed = any(entry["options"].get("scheduler") in ("sh", "dh", "mh")
                     for entry in lvs.services.values())
        for number, step in enumerate(vector["steps"]):
            try:
                replay_step(rig, lvs, kernel, step, hashed)
            except Failure as failure:
                raise Failure("step %d %s: %s" % (number, step.get("note", ""), failure)) from None


def replay_step(rig, lvs, kernel, step, hashed):
    if "in" in step:
        replay_frame(rig, lvs, step)
    elif "seq" in step:
        replay_sequence(rig, lvs, step, hashed)
    elif "show" in step:
        if step["show"] in LISTINGS and not (hashed and step["show"] == "ipvsadm -Ln"):
            LISTINGS[step["show"]](rig, step["text"])
    elif "sleep" in step:
        compare_output(sides_of(rig.advance(step["sleep"])), step["out"])
    elif step["run"].startswith("ipvsadm"):
        refused = apply(rig, lvs, step["run"])
        expect(refused, "rc=" in step.get("text", ""), "refused")
    else:
        apply(rig, lvs, None, run(lvs, kernel, step["run"]))


def reason_not_to_replay(vector):
    return next((why for pattern, why in NOT_REPLAYED.items()
                 if re.fullmatch(pattern, vector["id"])), None)


def print_report(vectors):
    print("Not replayed:")
    for vector in vectors:
        if why := reason_not_to_replay(vector):
            print("  %-28s %s" % (vector["id"], why))
    print("Not replayed in the other family:")
    for vector in vectors:
        if reason_not_to_replay(vector) is None and (why := family_twin(vector)[1]):
            print("  %-28s %s" % (vector["id"], why))
    print("Not compared:")
    for what, why in NOT_COMPARED.items():
        print("  %-28s %s" % (what, why))


with open(sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1].endswith(".json") else DATA,
          encoding="utf-8") as source:
    VECTORS = json.load(source)["vectors"]
for each in VECTORS:
    if reason_not_to_replay(each) is None:
        add_test("%s: %s" % (each["id"], each["title"]), replay, vector=each)
        if (twin := family_twin(each)[0]) is not None:
            add_test("%s: %s" % (twin["id"], twin["title"]), replay, vector=twin)
if __name__ == "__main__":
    print_report(VECTORS)
    main()
