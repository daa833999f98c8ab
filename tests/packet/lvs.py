"""ipvsadm's commands as headgate's configuration: what a recording was set up with, for packet_rig.

The options that make headgate do as LVS does are set where they exist; LVS is the default of none.
"""

import shlex

METHODS = {"-m": "nat", "-g": "dr", "-i": "ipip"}
SCHEDULERS = {"rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "fo", "mh"}


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


def prefix_length(mask):
    if "." in mask:
        return sum(bin(int(part)).count("1") for part in mask.split("."))
    return int(mask)


class Lvs:
    """The services that ipvsadm has made, in its order."""

    def __init__(self, sysctl=None):
        self.services = {}  # (protocol, address, port): dict
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

    def service_command(self, action, key, options):
        if action == "-D":
            if key not in self.services:
                raise Refused("No such service")
            del self.services[key]
            return
        if (action == "-A") == (key in self.services):
            raise Refused("Service already exists" if action == "-A" else "No such service")
        if key[2] == 0 and "persistence" not in options:
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
            port = key[2]  # headgate's warning says so, LVS does it silently
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
        result = {
            "address": address, "port": port, "protocol": protocol,
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
        return "%s/%s" % (endpoint_text(key[1], key[2]), key[0])


def parse(words):
    """The service's key and the options of a command."""
    options = {}
    key = None
    words = list(words)
    while words:
        word = words.pop(0)
        if word in ("-t", "-u"):
            key = ("tcp" if word == "-t" else "udp", *endpoint(words.pop(0)))
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
        raise NotSupported("no TCP or UDP service")
    if "server" in options and options["server"][1] == 0:
        options["server"] = (options["server"][0], key[2])
    return key, options
