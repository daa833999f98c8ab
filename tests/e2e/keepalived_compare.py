#!/usr/bin/python3
"""What keepalived and headgate make of one keepalived.conf.

usage: keepalived_compare.py split TABLE FOLDER
           writes each file of the table, and prints `VERDICT NUMBER NAME` for each
       keepalived_compare.py routers DUMP YAML
           compares the virtual routers of `keepalived --dump-conf` with those of the YAML, in all
           that both name
"""

import re
import sys
from pathlib import Path

import yaml


def split(table, folder):
    number = 0
    out = None
    for line in Path(table).read_text(encoding="utf-8").splitlines():
        head = re.fullmatch(r"== (\w+) (.*)", line)
        if head:
            number += 1
            out = Path(folder) / f"{number}.conf"
            out.write_text("", encoding="utf-8")
            print(head[1], number, head[2])
        elif out:
            with out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def dumped_routers(text):
    """The blocks of the dump by the instance's name, as lists of (indent, line)."""
    routers = {}
    current = None
    for line in text.splitlines():
        line = re.sub(r"^\w{3} \w{3} +\d+ [\d:]+ \d{4}: ", "", line)
        head = re.fullmatch(r" VRRP Instance = (\S+)", line)
        if head:
            current = routers.setdefault(head[1], [])
        elif line.startswith("---") or re.match(r" \S", line):
            current = None
        elif current is not None and line.strip():
            current.append((len(line) - len(line.lstrip()), line.strip()))
    return routers


def value(lines, name):
    for _, line in lines:
        found = re.fullmatch(re.escape(name) + r" = (.*)", line)
        if found:
            return found[1]
    return None


def below(lines, head):
    """What stands further in, after the line that begins with `head`."""
    result = []
    depth = None
    for indent, line in lines:
        if depth is not None and indent <= depth:
            break
        if depth is not None:
            result.append(line)
        elif line.startswith(head):
            depth = indent
    return result


def from_dump(lines):
    addresses = []
    for line in below(lines, "Virtual IP"):
        words = line.split()
        address = words[0]
        if "/" not in address:
            address += "/128" if ":" in address else "/32"
        options = dict(zip(words[1::2], words[2::2]))
        addresses.append((address, options["dev"], options.get("label")))
    weights = {}
    for line in below(lines, "Tracked scripts"):
        found = re.fullmatch(r"(\S+) weight (-?\d+)", line)
        weights[found[1]] = int(found[2])
    interval = value(lines, "Advert interval").split()
    scripts = {
        "master": "Master state transition script", "backup": "Backup state transition script",
        "fault": "Fault state transition script", "any": "Generic state transition script"}
    password = value(lines, "Password")
    commands = {}
    for key, name in scripts.items():
        said = value(lines, name)
        if said:
            # The path is that of what a link leads to.
            program, *arguments = re.findall(r"'([^']*)'", said)
            commands[key] = [Path(program).name, *arguments]
    return {
        "version": int(value(lines, "VRRP Version")),
        "interface": value(lines, "Interface"),
        "id": int(value(lines, "Virtual Router ID")),
        "priority": int(value(lines, "Priority")),
        "interval_ms": int(interval[0]) * (1000 if interval[1] == "sec" else 1),
        "preempt": value(lines, "Preempt") == "enabled",
        "password": password,
        "garp": [int(value(lines, f"Gratuitous ARP {what}")) for what in (
            "delay", "repeat", "refresh", "refresh repeat", "lower priority delay",
            "lower priority repeat")],
        "lower_no_advert": value(lines, "Send advert after receive lower priority advert") == "false",
        "higher_advert": value(lines, "Send advert after receive higher priority advert") == "true",
        "addresses": addresses,
        "scripts": weights,
        "commands": commands,
        "mail": value(lines, "Using smtp notification") == "yes",
    }


def from_yaml(instance):
    garp = instance.get("gratuitous", {})
    delay, repeat = garp.get("delay_s", 5), garp.get("repeat", 5)
    notify = instance.get("notify", {})
    password = instance.get("auth_password")
    return {
        "version": instance.get("version", 3),
        "interface": instance["interface"],
        "id": instance["virtual_router_id"],
        "priority": instance.get("priority", 100),
        "interval_ms": instance.get("advert_interval_ms", 1000),
        "preempt": instance.get("preempt", True),
        "password": None if password is None else str(password),
        "garp": [delay, repeat, garp.get("refresh_s", 0), garp.get("refresh_repeat", 1),
                 garp.get("lower_priority_delay_s", delay),
                 garp.get("lower_priority_repeat", repeat)],
        "lower_no_advert": instance.get("lower_priority_no_advert", False),
        "higher_advert": instance.get("higher_priority_send_advert", False),
        "addresses": [(a["address"], a.get("interface", instance["interface"]), a.get("label"))
                      for a in instance["addresses"]],
        "scripts": {s["name"]: s.get("weight", 0) for s in instance.get("scripts", [])},
        "commands": {key: notify[key].rpartition("/")[2].split()
                     for key in ("master", "backup", "fault", "any") if key in notify},
        "mail": notify.get("mail", False),
    }


def routers(dump, converted):
    theirs = dumped_routers(Path(dump).read_text(encoding="utf-8", errors="replace"))
    ours = {i["name"]: i for i in
            yaml.safe_load(Path(converted).read_text(encoding="utf-8"))["vrrp"]["instances"]}
    if not theirs or theirs.keys() != ours.keys():
        sys.exit(f"keepalived has {sorted(theirs)}, headgate {sorted(ours)}")
    wrong = 0
    compared = 0
    for name, lines in theirs.items():
        their, our = from_dump(lines), from_yaml(ours[name])
        for key, said in their.items():
            compared += 1
            # Scripts that it cannot run are not in keepalived's dump.
            if key in ("scripts", "commands"):
                said = {**{n: v for n, v in our[key].items() if n not in said}, **said}
            if said != our[key]:
                print(f"{name} {key}: keepalived {said}, headgate {our[key]}")
                wrong += 1
    print(f"{compared} values compared")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    {"split": split, "routers": routers}[sys.argv[1]](*sys.argv[2:])
