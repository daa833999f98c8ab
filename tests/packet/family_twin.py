"""The same recording in the other address family: what LVS did with IPv4, asked of headgate with
IPv6, and the other way round. The frames are translated header by header and their checksums
computed anew; a wrong one stays wrong by as much. ICMP errors are made anew about the translated
packet. Recordings of what only one family has are left alone."""

import copy
import re

from judge import (IP, TCP, UDP, UNREACHABLE, Dot1Q, Ether, IPv6, icmp_error, ip_layer,
                   transport_layer)

# Not translated, and why.
ONLY_ITS_OWN = {
    r"notsvc-v[46]": "ICMP requests, GRE and SCTP: see test_answers.py",
    r"transit-icmp-.*": "echo through the router: see test_answers.py",
    r"tun-mtu-.*": "sizes: see test_way.py",
    r"drop-src": "sources that only IPv4 knows: see test_sources.py",
    r"nat-udp-basic-.*": "lengths at the MTU: see test_way.py",
    r"tun-udp-.*": "lengths at the MTU: see test_way.py",
    r"nat-tcp-full-.*": "lengths at the MTU, and recorded in both families",
    r"nat-udp-badlen-.*": "cut off headers: see test_malformed.py",
    r".*-16": "an IPv4 netmask",
    r".*fwmark.*": "networks of IPv4 that are marked: see test_marks.py",
    r"tun-.*-v4-in-v6|tun-.*-v6-in-v4": "both families at once",
}

PAIRS = [("192.0.2.1", "2001:db8:9::1"), ("10.1.0.1", "fd00:1::1"), ("10.2.0.1", "fd00:2::1")]
PAIRS += [("10.2.0.%d" % (11 + i), "fd00:2::%x" % (0x11 + i)) for i in range(5)]
PAIRS += [("10.77.%d.5" % i, "fd00:77:%d::5" % i) for i in range(1, 4)]
TO6, TO4 = dict(PAIRS), {six: four for four, six in PAIRS}
ERRORS = {code: name for name, codes in UNREACHABLE.items() for code in codes.items()}


def other(address):
    if address in TO6 or address in TO4:
        return TO6.get(address) or TO4[address]
    if ":" not in address:
        a, b, c, d = address.split(".")
        return "2001:db8:c:%s:%s:%s:1:%s" % (a, b, c, d)
    match = re.fullmatch(r"2001:db8:c:(\d+):(\d+):(\d+):1:(\d+)", address)
    if match:
        return ".".join(match.groups())
    low = sum(int(part, 16) * (7**i) for i, part in enumerate(address.split(":")) if part)
    return "198.18.%d.%d" % (low // 250 % 250, low % 250 + 1)


class Untranslatable(Exception):
    pass


def checksum_error(layer, ip):
    """By how much a TCP or UDP checksum is wrong."""
    right = ip.copy()
    del transport_layer(right).chksum
    computed = transport_layer(type(ip)(bytes(right))).chksum
    return (layer.chksum - computed) % 0xFFFF


def twin_ip(ip):
    payload = ip.payload
    if isinstance(payload, (IP, IPv6)):
        body, protocol = twin_ip(payload), (41 if isinstance(payload, IP) else 4)
    elif isinstance(payload, (TCP, UDP)):
        body, protocol = payload.copy(), (6 if isinstance(payload, TCP) else 17)
    else:
        raise Untranslatable(payload.name)
    if isinstance(ip, IP):
        twin = IPv6(src=other(ip.src), dst=other(ip.dst), hlim=ip.ttl, tc=ip.tos, nh=protocol)
    else:
        twin = IP(src=other(ip.src), dst=other(ip.dst), ttl=ip.hlim, tos=ip.tc, flags="DF",
                  id=0, proto=protocol)
    if isinstance(payload, (TCP, UDP)) and payload.chksum != 0:
        wrong = checksum_error(payload, ip)
        del body.chksum
        twin = type(twin)(bytes(twin / body))
        if wrong:
            layer = transport_layer(twin)
            layer.chksum = (layer.chksum + wrong) % 0xFFFF
        return twin
    return type(twin)(bytes(twin / body))


def twin_frame(frame):
    parsed = Ether(frame)
    body = twin_ip(ip_layer(parsed))
    l2 = Ether(src=parsed.src, dst=parsed.dst)
    if Dot1Q in parsed:
        l2 = l2 / Dot1Q(vlan=parsed[Dot1Q].vlan, prio=parsed[Dot1Q].prio)
    return bytes(l2 / body)


def twin_of_error(frame, about):
    """An ICMP error about `about`, which is translated already; None for other frames."""
    parsed = Ether(frame)
    ip = ip_layer(parsed)
    is_v4 = isinstance(ip, IP)
    if (ip.proto if is_v4 else ip.nh) != (1 if is_v4 else 58):
        return None
    kind = tuple(bytes(ip.payload)[:2])
    name = ERRORS.get((4 if is_v4 else 6, kind))
    if name in (None, "protocol", "too big"):
        raise Untranslatable("ICMP %d/%d" % kind)
    l2 = Ether(src=parsed.src, dst=parsed.dst)
    return icmp_error(about, UNREACHABLE[name][6 if is_v4 else 4], other(ip.src), l2=l2)


def twin_output(out, about):
    side, text, *mask = out
    frame = bytes.fromhex(text)
    twin = twin_of_error(frame, about)
    if twin is None:
        return [side, twin_frame(frame).hex()]
    return [side, twin.hex(), [18, 2, 24, 2] if IP in Ether(twin) else []]


def twin_text(text):
    """Addresses in commands and listings; those of IPv6 are in brackets where a port follows."""
    def bracketed(match):
        return other(match.group(1)) + match.group(2)

    def plain(match):
        return "[%s]%s" % (other(match.group(1)), match.group(2))

    if "[" in text:
        return re.sub(r"\[([0-9a-f:]+)\](:\d+)", bracketed, text)
    return re.sub(r"\b(\d+\.\d+\.\d+\.\d+)(:\d+)", plain, text)


def twin_step(step):
    step = copy.deepcopy(step)
    if "in" in step:
        frame = twin_frame(bytes.fromhex(step["f"]))
        step["f"] = frame.hex()
        step["out"] = [twin_output(out, frame) for out in step["out"]]
    elif "seq" in step:
        for event in step["seq"]:
            if event[0] == "cmd":
                event[1] = twin_text(event[1])
            else:
                event[1] = other(event[1])
                event[4:5] = [other(vip) for vip in event[4:5]]
        was4 = step["v"] == 4
        step["v"] = 6 if was4 else 4
        step["chosen"] = [("icmp 1/4" if was4 else "icmp 3/3") if str(c).startswith("icmp") else c
                          for c in step["chosen"]]
    elif "text" in step and "--stats" in step.get("show", ""):
        del step["text"]  # bytes differ by the headers
        step["show"] = "stats, whose bytes differ by the headers"
    else:
        for name in ("text", "run"):
            if name in step:
                step[name] = twin_text(step[name])
    return step


def twin_command(command):
    """`ip route add unreachable 10.77.1.5`"""
    words = [other(word) if word.count(".") == 3 or "::" in word else word
             for word in command.split()]
    return " ".join(words)


def family_twin(vector):
    """The recording in the other family, or the reason why there is none."""
    for pattern, why in ONLY_ITS_OWN.items():
        if re.fullmatch(pattern, vector["id"]):
            return None, why
    twin = {"id": vector["id"] + " in the other family", "title": vector["title"]}
    config = copy.deepcopy(vector["config"])
    config["ipvsadm"] = [twin_text(command) for command in config["ipvsadm"]]
    config["cmd"] = [twin_command(command) for command in config.get("cmd") or []]
    twin["config"] = config
    try:
        twin["steps"] = [twin_step(step) for step in vector["steps"]]
    except Untranslatable as reason:
        return None, "%s is not translated" % reason
    return twin, None


__all__ = ["family_twin"]
