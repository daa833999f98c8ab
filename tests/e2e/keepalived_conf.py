#!/usr/bin/python3
"""Writes a keepalived.conf that says the same as headgate's section `vrrp:`, so that a test
describes its virtual routers once, whoever runs them.

usage: keepalived_conf.py <FILE.yaml >keepalived.conf

Only what the tests use is known; any other key is an error.
"""

import sys

import yaml


def seconds(milliseconds):
    return f"{milliseconds / 1000:g}"


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def address_line(address):
    words = [address["address"], "dev", address["interface"]]
    for key in ("label", "scope"):
        if key in address:
            words += [key, address[key]]
    return " ".join(words)


def block(head, lines):
    return [f"{head} {{", *(f"  {line}" for line in lines), "}"]


def take(section, known, what):
    unknown = set(section) - set(known)
    if unknown:
        sys.exit(f"keepalived_conf.py: {what}: not known: {', '.join(sorted(unknown))}")


def tracked(head, items):
    lines = [f"{item['name']} weight {item['weight']}" if item.get("weight") else item["name"]
             for item in items]
    return block(head, lines)


def notify_lines(notify):
    take(notify, ["master", "backup", "fault", "stop", "any"], "notify")
    words = {"master": "notify_master", "backup": "notify_backup", "fault": "notify_fault",
             "stop": "notify_stop", "any": "notify"}
    return [f"{word} {quoted(notify[key])}" for key, word in words.items() if key in notify]


def gratuitous_lines(gratuitous):
    words = {"repeat": "garp_master_repeat", "delay_s": "garp_master_delay",
             "refresh_s": "garp_master_refresh", "refresh_repeat": "garp_master_refresh_repeat",
             "lower_priority_repeat": "garp_lower_prio_repeat",
             "lower_priority_delay_s": "garp_lower_prio_delay"}
    take(gratuitous, words, "gratuitous")
    return [f"{words[key]} {value}" for key, value in gratuitous.items()]


INSTANCE = ["name", "interface", "virtual_router_id", "version", "priority", "advert_interval_ms",
            "preempt", "preempt_delay_s", "auth_password", "source", "unicast_peers", "gratuitous",
            "addresses", "excluded_addresses", "interfaces", "scripts", "notify"]


def instance(it):
    take(it, INSTANCE, it["name"])
    lines = ["state BACKUP", f"interface {it['interface']}",
             f"virtual_router_id {it['virtual_router_id']}", f"version {it.get('version', 3)}",
             f"priority {it.get('priority', 100)}",
             f"advert_int {seconds(it.get('advert_interval_ms', 1000))}"]
    if not it.get("preempt", True):
        lines.append("nopreempt")
    if "preempt_delay_s" in it:
        lines.append(f"preempt_delay {it['preempt_delay_s']}")
    if "auth_password" in it:
        lines += block("authentication", ["auth_type PASS", f"auth_pass {it['auth_password']}"])
    if "source" in it:
        word = "unicast_src_ip" if it.get("unicast_peers") else "mcast_src_ip"
        lines.append(f"{word} {it['source']}")
    if "unicast_peers" in it:
        lines += block("unicast_peer", it["unicast_peers"])
    lines += gratuitous_lines(it.get("gratuitous", {}))
    for key, word in (("addresses", "virtual_ipaddress"),
                      ("excluded_addresses", "virtual_ipaddress_excluded")):
        if key in it:
            lines += block(word, [address_line({"interface": it["interface"]} | address)
                                  for address in it[key]])
    for key, word in (("interfaces", "track_interface"), ("scripts", "track_script")):
        if key in it:
            lines += tracked(word, it[key])
    lines += notify_lines(it.get("notify", {}))
    return block(f"vrrp_instance {it['name']}", lines)


def script(it):
    take(it, ["name", "command", "interval_ms", "timeout_ms", "rise", "fall", "weight"], it["name"])
    lines = [f"script {quoted(it['command'])}",
             f"interval {seconds(it.get('interval_ms', 1000))}"]
    for key in ("rise", "fall"):
        if key in it:
            lines.append(f"{key} {it[key]}")
    return block(f"vrrp_script {it['name']}", lines)


def sync_group(it):
    take(it, ["name", "instances", "notify"], it["name"])
    lines = block("group", it["instances"]) + notify_lines(it.get("notify", {}))
    return block(f"vrrp_sync_group {it['name']}", lines)


def main():
    vrrp = yaml.safe_load(sys.stdin)["vrrp"]
    take(vrrp, ["instances", "scripts", "sync_groups"], "vrrp")
    lines = block("global_defs", ["router_id HEADGATE_TEST", "script_user root"])
    for key, writer in (("scripts", script), ("sync_groups", sync_group),
                        ("instances", instance)):
        for it in vrrp.get(key) or []:
            lines += writer(it)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
