"""ipvsadm's commands as headgate's configuration: what a recording was set up with, for packet_rig.

The options that make headgate do as LVS does are set where they exist; LVS is the default of none.
"""

import re
import shlex

METHODS = {"-m": "nat", "-g": "dr", "-i": "ipip"}
SCHEDULERS = {"rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "fo", "mh", "ovf", "lblc",
              "lblcr"}


class Refused(Exception):
    """ipvsadm refuses the command."""


class NotSupported(Exception):
    """The command is about what headgate does not do yet."""


def endpoint(text):
    """'[fd00::1]:80' or '10.0.0.1:80' or an address alone."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.lstrip(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, ""
    return address, int(port or 0)


def endpoint_text(address, port):
    return "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)


def ports_of(text):
    """'80' or '8000-8099' or '{80,443}'."""
    ports = [port.strip() for port in text.strip("{}").split(",")]
    return [int(port) if port.isdigit() else port for port in ports]


def mark_rules(command):
    """nft commands of the recordings: rules that set a mark, those that nft looks at last first. With it
    the last rule that fits counts, with headgate the first."""
    rules = []
    words = re.sub(r"\{([^{};]*)\}", lambda m: "{" + m.group(1).replace(" ", "") + "}",
                   " ".join(shlex.split(command)[1:]))
    for statement in re.findall(r"add rule ([^;]*)", words):
        rules = rules_of(statement.split()) + rules
    return rules


def rules_of(words):
    family, words = words[0], words[3:]  # behind table and chain
    rule = {}
    while words:
        if words[:1] in (["ip"], ["ip6"]) and words[1] in ("daddr", "saddr"):
            rule["destination" if words[1] == "daddr" else "source"] = words[2]
            words = words[3:]
        elif words[0] in ("tcp", "udp") and words[1] == "dport":
            rule["protocol"], rule["ports"] = words[0], ports_of(words[2])
            words = words[3:]
        elif words[:2] == ["meta", "l4proto"] and words[2] in ("tcp", "udp"):
            rule["protocol"] = words[2]
            words = words[3:]
        elif words[:3] == ["meta", "mark", "set"]:
            rule["mark"] = int(words[3], 0)
            words = words[4:]
        else:
            raise NotSupported("nft " + " ".join(words))
    if "destination" in rule:
        return [rule]
    every = {"ip": ["0.0.0.0/0"], "ip6": ["::/0"], "inet": ["0.0.0.0/0", "::/0"]}[family]
    return [{"destination": network, **rule} for network in every]


def prefix_length(mask):
    if "." in mask:
        return sum(bin(int(part)).count("1") for part in mask.split("."))
    return int(mask)


class Lvs:
    """The services that ipvsadm has made, in its order."""

    def __init__(self, sysctl=None):
        # (protocol, address, port) or ("mark", family, mark): dict
        self.services = {}
        self.mark_rules = []
        self.timeouts = None
        self.sysctl = {name.rsplit(".", 1)[1]: int(value) for name, value in (sysctl or {}).items()}

    def run(self, command):
        words = shlex.split(command)
        if words and words[0] == "ipvsadm":
            words = words[1:]
        action, words = words[0], words[1:]
        if action == "--set":
            self.timeouts = [int(word) for word in words]
        elif action == "-C":
            self.services.clear()
        elif action in ("-A", "-E", "-D"):
            self.service_command(action, *parse(words))
        elif action in ("-a", "-e", "-d"):
            self.server_command(action, *parse(words))
        else:
            raise NotSupported(command)

    def nft(self, command):
        """What gives packets their marks."""
        self.mark_rules = mark_rules(command) + self.mark_rules

    def service_command(self, action, key, options):
        if action == "-D":
            if key not in self.services:
                raise Refused("No such service")
            del self.services[key]
            return
        if (action == "-A") == (key in self.services):
            raise Refused("Service already exists" if action == "-A" else "No such service")
        if key[0] != "mark" and key[2] == 0 and "persistence" not in options:
            raise Refused("Zero port specified for non-persistent service")
        if options.get("scheduler", "wlc") not in SCHEDULERS:
            raise NotSupported("scheduler " + options["scheduler"])
        entry = self.services.setdefault(key, {"servers": {}})
        entry["options"] = options

    def server_command(self, action, key, options):
        if key not in self.services:
            raise Refused("Service not defined")
        servers = self.services[key]["servers"]
        address, port = options["server"]
        method = options.get("method", "dr")
        if method != "nat" and action != "-d":
            port = port_of(key)  # headgate's warning says so, LVS does it silently
        server = (address, port)
        if (action == "-a") == (server in servers):
            raise Refused("Destination already exists" if action == "-a" else "No such destination")
        if action == "-d":
            del servers[server]
        else:
            servers[server] = {name: options[name] for name in ("weight", "upper", "lower")
                               if name in options} | {"method": method}

    def config(self):
        """The services and sections of a headgate configuration."""
        sections = {"forwarding": {"routing": True}}
        if self.mark_rules:
            sections["firewall_marks"] = self.mark_rules
        connections = {}
        if "sloppy_tcp" in self.sysctl:
            connections["sloppy_tcp"] = bool(self.sysctl["sloppy_tcp"])
        if "conn_reuse_mode" in self.sysctl:
            connections["tcp_reuse"] = self.sysctl["conn_reuse_mode"] != 0
        if connections:
            sections["connections"] = connections
        if self.timeouts:
            names = ("tcp_established_s", "tcp_fin_wait_s", "udp_s")
            sections["timeouts"] = {name: value for name, value in zip(names, self.timeouts) if value}
        return [self.service(key, entry) for key, entry in self.services.items()], sections

    def service(self, key, entry):
        protocol, address, port = key
        options = entry["options"]
        flags = options.get("flags", [])
        expire = self.sysctl.get("expire_nodest_conn", 0)
        result = {"address": address, "port": port, "protocol": protocol}
        if protocol == "mark":
            result = {"family": address, "firewall_mark": port}
        result |= {
            "one_packet": options.get("one_packet", False),
            "scheduler": options.get("scheduler", "wlc"),
            "newest_first": True,
            "udp_counts_as_active": False,
            "fallback": any(flag.endswith("-fallback") for flag in flags),
            "hash_port": any(flag.endswith("-port") for flag in flags),
            "on_backend_removed": "expire" if expire else "drop",
            "backends": [
                {"address": server[0], "port": server[1], "mode": data["method"],
                 "weight": data.get("weight", 1),
                 "upper_threshold": data.get("upper", 0), "lower_threshold": data.get("lower", 0)}
                for server, data in entry["servers"].items()
            ],
        }
        if "persistence" in options:
            result["persistence"] = {"timeout_s": options["persistence"]}
            if "mask" in options:
                result["persistence"]["netmask"] = prefix_length(options["mask"])
            if self.sysctl.get("expire_quiescent_template"):
                result["persistence"]["leave_quiescent"] = True
        return result

    def service_key(self, key):
        """As packet_rig names it in its totals."""
        if key[0] == "mark":
            return mark_text(key[2], key[1])
        return "%s/%s" % (endpoint_text(key[1], key[2]), key[0])


def mark_text(mark, family):
    return "mark:%d/%s" % (mark, family)


def port_of(key):
    return 0 if key[0] == "mark" else key[2]


def parse(words):
    """The service's key and the options of a command."""
    options = {}
    key = None
    all_words = list(words)
    words = list(words)
    while words:
        word = words.pop(0)
        if word in ("-t", "-u"):
            key = ("tcp" if word == "-t" else "udp", *endpoint(words.pop(0)))
        elif word == "-f":
            key = ("mark", "ipv6" if "-6" in all_words else "ipv4", int(words.pop(0)))
        elif word == "-6":  # of a mark
            pass
        elif word == "-o":
            options["one_packet"] = True
        elif word == "-s":
            options["scheduler"] = words.pop(0)
        elif word == "-r":
            options["server"] = endpoint(words.pop(0))
        elif word in METHODS:
            options["method"] = METHODS[word]
        elif word == "-w":
            options["weight"] = int(words.pop(0))
        elif word == "-x":
            options["upper"] = int(words.pop(0))
        elif word == "-y":
            options["lower"] = int(words.pop(0))
        elif word == "-b":
            options["flags"] = words.pop(0).split(",")
        elif word == "-M":
            options["mask"] = words.pop(0)
        elif word == "-p":
            has_value = bool(words) and words[0].isdigit()
            options["persistence"] = int(words.pop(0)) if has_value else 360
        else:
            raise NotSupported(word)
    if key is None:
        raise NotSupported("no TCP, UDP or mark's service")
    if "server" in options and options["server"][1] == 0:
        options["server"] = (options["server"][0], port_of(key))
    return key, options
