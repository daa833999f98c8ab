#!/usr/bin/env bash
# A port that takes over its interface: the twin bears the name and holds addresses and routes, a
# virtual router and `ifconfig`-style labels find it under that name, and the interface gets all of
# it back at the end, after a kill too.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
hold_vips "$vip4" "$vip6"
gate() { ip -n "$testbed_id-gate" "$@"; }

gate address add 10.1.0.1/24 dev net0
gate address add 10.1.0.7/24 dev net0 label net0:7
gate address add fd00:1::1/64 dev net0 nodad
gate route add 198.51.100.0/24 via 10.1.0.11 metric 7

# Everything that an interface called net0 has.
held() {
  gate address show dev net0 | grep -E inet | grep -v 'scope link' | sort
  gate route show | sort
}
before=$(held)
remember_device

configure_take_over() {
  {
    services web dr tcp 80 80
    services echo dr udp 5353 5353
  } | configure | /usr/bin/python3 -c '
import sys, yaml
config = yaml.safe_load(sys.stdin)
port = config["ports"][0]
port |= {"name": "net0", "take_over": True}
port["twin"] = {}
yaml.safe_dump(config, sys.stdout)' >"$(gate_config)"
}
works() {
  web_is 'rs1 2 rs2 2' "$vip4" 80 4 && web_is 'rs1 2 rs2 2' "$vip6" 80 4
}
# The host's own stack refuses a connection at its address.
host_answers_at() {
  says 'Connection refused' 1 on client timeout 5 bash -c ": >/dev/tcp/$1/9"
}
is_tap() {
  is "$(gate -json -d link show dev net0 | jq -r '.[0].linkinfo.info_kind')" tun
}

for gate_driver in af_xdp af_packet; do
  configure_take_over
  check "$gate_driver: the file is good" says usable 0 "$build_dir/control/headgated" \
    --check "$(gate_config)"
  start_gate
  check "$gate_driver: net0 is the twin" is_tap
  check "$gate_driver: it holds what the interface held" is "$(held)" "$before"
  check_gate "$gate_driver: services answer" works
  check_gate "$gate_driver: the host answers at its address" host_answers_at 10.1.0.1
  gate address add 10.1.0.8/24 dev net0 label net0:8
  check "$gate_driver: an address by hand goes to the twin" host_answers_at 10.1.0.8
  check_here "$gate_driver: a reload leaves all in place" hg reload
  check "$gate_driver: the twin still holds it" is "$(held | grep -v '10.1.0.8')" "$before"
  check_here "$gate_driver: clean end" stop_gate
  check "$gate_driver: the interface has it all again" is "$(held)" "$before"
  check "$gate_driver: the device is as it was" device_is_fresh
  check "$gate_driver: nothing is left" nothing_is_left

  start_gate
  kill -KILL "$gate_pid"
  wait "$gate_pid" 2>/dev/null || true
  start_gate
  check_gate "$gate_driver: services answer after a kill" works
  check "$gate_driver: the twin holds it after a kill" is "$(held)" "$before"
  check_here "$gate_driver: clean end after a kill" stop_gate
  check "$gate_driver: the interface has it all again after a kill" is "$(held)" "$before"
  check "$gate_driver: nothing is left of either" nothing_is_left
done
finish
