"""Every mode, family and protocol, both directions, with and without VLANs on either side: the bytes
that leave, and every counter that moves."""

from judge import (IP, PROTOCOLS, Dot1Q, Ether, IPv6, check_checksums, forwarded, ip_layer, packet,
                   to_client_l2, to_server_l2, transport_layer)
from rig import (CLIENT, CLIENT_MAC, OWN4, OWN6, PORT_MACS, SERVERS, Rig, add_test, client, expect,
                 expect_sent, local, main, server, server_mac, service, two_arm_kernel, vip)

CLIENT_VLAN, SERVER_VLAN = 100, 4094

# mode, family of the packet, family of the backend
FORMS = [("dr", 4, 4), ("dr", 6, 6), ("nat", 4, 4), ("nat", 6, 6), ("fullnat", 4, 4),
         ("fullnat", 6, 6), ("ipip", 4, 4), ("ipip", 6, 6), ("ipip", 4, 6), ("ipip", 6, 4)]


class Network:
    """The usual network with its two sides on VLANs, or not."""

    def __init__(self, client_vlan, server_vlan):
        self.vlans = [client_vlan, server_vlan]
        # Untagged first, as ports are numbered before their VLANs.
        self.places = [[0, 0], [1, 0]] + [[port, vlan] for port, vlan in enumerate(self.vlans)
                                         if vlan]
        self.index = [self.places.index([port, vlan or 0]) for port, vlan in enumerate(self.vlans)]

    def rig(self, **more):
        return Rig(interfaces=self.places, **more)

    def kernel(self):
        kernel = two_arm_kernel()
        names = kernel["interfaces"]
        kernel["interfaces"] = [
            {**names[port], "name": names[port]["name"] + (".%d" % vlan if vlan else "")}
            for port, vlan in self.places
        ]
        for part in ("addresses", "routes", "neighbours"):
            for entry in kernel[part]:
                entry["interface"] = self.index[entry["interface"]]
        return kernel

    def in_l2(self, side, source):
        layer = Ether(dst=PORT_MACS[side], src=source)
        return layer / Dot1Q(vlan=self.vlans[side], prio=5) if self.vlans[side] else layer


def transport(protocol, sport, dport, flags="S"):
    layer = PROTOCOLS[protocol](sport=sport, dport=dport)
    if protocol == "tcp":
        layer.flags, layer.seq = flags, 1000
    return layer


def both_directions(mode, v, backend_v, protocol, client_vlan, server_vlan):
    network = Network(client_vlan, server_vlan)
    with network.rig() as rig:
        backends = [{"address": server(backend_v, 0)}, {"address": server(backend_v, 1)}]
        rig.configure([service(v, 80, mode, backends, protocol=protocol)], network.kernel())
        rig.counted_since()
        there = client_to_backend(rig, network, mode, v, backend_v, protocol)
        if mode in ("nat", "fullnat"):
            backend_to_client(rig, network, mode, v, protocol, there)
        else:
            # Replies do not pass here. One that does has our VIP as its source.
            stray = packet(vip(v), client(v), transport(protocol, 80, 1024, "SA"),
                           l2=network.in_l2(SERVERS, server_mac()))
            expect_sent(rig.send(SERVERS, stray))
            rig.expect_counters(received=1, drop_own_source=1)


def client_to_backend(rig, network, mode, v, backend_v, protocol):
    """A flow of three packets, and the second flow to the second backend. Returns what was sent."""
    l2 = network.in_l2(CLIENT, CLIENT_MAC)
    first = [packet(client(v), vip(v), transport(protocol, 1024, 80, "S"), b"", l2=l2),
             packet(client(v), vip(v), transport(protocol, 1024, 80, "A"), b"odd", l2=l2),
             packet(client(v), vip(v), transport(protocol, 1024, 80, "PA"), b"even", l2=l2, ttl=2)]
    second = packet(client(v), vip(v), transport(protocol, 1025, 80, "S"), b"x" * 1400, l2=l2)
    sent = rig.send(CLIENT, *first, second)
    expect(len(sent), 4, "frames sent")
    local_ports = [local_port(sent[0][1], mode), local_port(sent[3][1], mode)]
    wanted = [forward_frame(f, network, mode, v, backend_v, 0, local_ports[0]) for f in first]
    wanted.append(forward_frame(second, network, mode, v, backend_v, 1, local_ports[1]))
    expect_sent(sent, *((SERVERS, frame) for frame in wanted), what="to the backend")
    for _, frame in sent:
        check_checksums(frame)
    extra = {"fullnat_port_other": 2} if mode == "fullnat" else {}
    rig.expect_counters(received=4, **{"sent_" + mode: 4}, **extra)
    l3 = [len(frame) - len(l2) for frame in (*first, second)]
    active = {"active": 2, "inactive": 0}
    key = "%s/%s" % (("%s:80" if v == 4 else "[%s]:80") % vip(v), protocol)
    expect(rig.service(key), {"connections": 2, "in_packets": 4, "in_bytes": sum(l3),
                              "out_packets": 0, "out_bytes": 0, "refused": 0, **active}, "service")
    return {"sent": sent, "local_ports": local_ports, "key": key}


def local_port(frame, mode):
    """FULLNAT's choice."""
    return transport_layer(ip_layer(Ether(frame))).sport if mode == "fullnat" else None


def forward_frame(frame, network, mode, v, backend_v, index, port):
    l2 = to_server_l2(index, network.vlans[SERVERS])
    if mode == "dr":
        return forwarded(frame, l2)
    if mode == "nat":
        return forwarded(frame, l2, destination=server(v, index), dport=8080)
    if mode == "fullnat":
        return forwarded(frame, l2, source=local(v), sport=port, destination=server(v, index),
                         dport=8080)
    outer = IP(src=OWN4[1], dst=server(4, index)) if backend_v == 4 else IPv6(
        src=OWN6[1], dst=server(6, index))
    wanted = forwarded(frame, l2, outer=outer)
    if backend_v == 4 and v == 6:  # the outer id is ours to choose: the worker counts from 0
        layer = Ether(wanted)
        layer[IP].id = forward_frame.next_id
        forward_frame.next_id += 1
        del layer[IP].chksum
        wanted = bytes(layer)
    return wanted


def backend_to_client(rig, network, mode, v, protocol, there):
    replies = []
    for index, flags, payload in ((0, "SA", b""), (0, "PA", b"reply"), (1, "SA", b"y" * 1399)):
        nat = mode == "nat"
        port = 1024 + index if nat else there["local_ports"][index]
        replies.append(packet(server(v, index), client(v) if nat else local(v),
                              transport(protocol, 8080, port, flags), payload, ttl=255,
                              l2=network.in_l2(SERVERS, server_mac(index))))
    wanted = [forwarded(frame, to_client_l2(network.vlans[CLIENT]), source=vip(v), sport=80,
                        destination=client(v), dport=1024 + (1 if i == 2 else 0))
              for i, frame in enumerate(replies)]
    expect_sent(rig.send(SERVERS, *replies), *((CLIENT, frame) for frame in wanted),
                what="to the client")
    rig.expect_counters(received=3, replies_local=3, **{"sent_%s_reply" % mode: 3})
    l2_length = len(network.in_l2(SERVERS, server_mac()))
    totals = rig.service(there["key"])
    expect((totals["out_packets"], totals["out_bytes"]),
           (3, sum(len(frame) - l2_length for frame in replies)), "packets and bytes out")


def run(**parameters):
    forward_frame.next_id = 0
    both_directions(**parameters)


for form in FORMS:
    for protocol_name in ("tcp", "udp"):
        for vlans in ((None, None), (CLIENT_VLAN, None), (None, SERVER_VLAN),
                      (CLIENT_VLAN, SERVER_VLAN)):
            mode_name, family, backend_family = form
            where = {(False, False): "untagged", (True, False): "from a VLAN",
                     (False, True): "into a VLAN", (True, True): "from VLAN to VLAN"}
            add_test("%s forwards IPv%d%s %s %s" % (
                mode_name.upper(), family,
                " in IPv%d" % backend_family if mode_name == "ipip" else "",
                protocol_name.upper(), where[bool(vlans[0]), bool(vlans[1])]),
                run, mode=mode_name, v=family, backend_v=backend_family, protocol=protocol_name,
                client_vlan=vlans[0], server_vlan=vlans[1])

main()
