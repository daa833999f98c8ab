#!/usr/bin/env bash
# Checks that take the way of the clients' packets: a DR or IPIP server that has lost its VIP is found
# out, though it answers when it is asked directly; on a director that holds the VIP itself, too.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

all_modes_begin 2
# service NAME MODE VIP DATA_PATH BACKEND...
service() {
  local backend
  cat <<YAML
  - name: $1
    address: "$3"
    port: $5
    mode: $2
    scheduler: rr
    checks: [{type: tcp, interval_ms: 200, timeout_ms: 500, retries: 1, retry_delay_ms: 100,
      data_path: $4}]
    backends:
YAML
  for backend in "${@:6}"; do printf '      - address: "%s"\n' "$backend"; done
}
{
  for mode in dr ipip; do
    service "$mode-4" "$mode" "$(vip_of "$mode" 4)" on 80 "${server4[@]}"
    service "$mode-6" "$mode" "$(vip_of "$mode" 6)" on 80 "${server6[@]}"
    # The same servers by their own addresses.
    service "$mode-direct" "$mode" "$(vip_of "$mode" 4)" off 7000 "${server4[@]}"
  done
} | configure >"$(gate_config)"
start_gate

states_of() {
  ask show backends "$1" '[.rows[].state] | join(" ")'
}
states_are() {
  is "$(states_of "$1")" "$2"
}
for service in dr-4 dr-6 ipip-4 ipip-6; do
  check_gate "$service: both are up, asked by way of the VIP" wait_for 5 states_are "$service" 'up up'
done
check 'clients are served' web_is 'rs1 5 rs2 5' "$(vip_of dr 4)" 80 10

on rs1 ip addr del "$(vip_of dr 4)/32" dev lo
on rs1 ip addr del "$(vip_of ipip 6)/128" dev lo
check_gate 'a DR server without its VIP is down' wait_for 5 states_are dr-4 'down up'
check 'in words' says 'timed out' 0 hg show backends dr-4
check_gate 'an IPIP server without its VIP is down' wait_for 5 states_are ipip-6 'down up'
check 'the others are up' states_are dr-6 'up up'
check 'and asked directly it is up' states_are dr-direct 'up up'
check 'clients are served by the other one' web_is 'rs2 10' "$(vip_of dr 4)" 80 10

on rs1 ip addr add "$(vip_of dr 4)/32" dev lo
on rs1 ip -6 addr add "$(vip_of ipip 6)/128" dev lo nodad
check_gate 'with its VIP it is up again' wait_for 5 states_are dr-4 'up up'
check_gate 'and so is the other one' wait_for 5 states_are ipip-6 'up up'

# As a master of VRRP holds it.
on gate ip addr add "$(vip_of dr 4)/32" dev wan
sleep 1
check 'on a director that holds the VIP the checks go on' states_are dr-4 'up up'
on rs2 ip addr del "$(vip_of dr 4)/32" dev lo
check_gate 'and still find out' wait_for 5 states_are dr-4 'up down'

no_probe_leaves() {
  ! on client tcpdump -r "$testbed_dir/client.pcap" -n 'net 198.18.0.0/15' 2>/dev/null | grep -q .
}
start_capture client eth0 "$testbed_dir/client.pcap" 'net 198.18.0.0/15 or net fd68:6561:6c74::/48'
capture=$started_pid
sleep 1
end_processes 5 "$capture"
check 'probe addresses stay on the machine' no_probe_leaves
check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
check 'its route is gone' is "$(on gate ip route show 198.18.0.0/15)" ''
finish
