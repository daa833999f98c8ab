#!/usr/bin/env bash
# Addresses with the virtual router's own MAC, on a DPDK port: neighbours learn it, a service and the
# host itself answer at it, and it moves to the other box with the addresses, so that who has learnt it
# needs to learn nothing.
# seconds: 120
set -euo pipefail
# shellcheck source=tests/e2e/vrrp_rig.sh
source "$(dirname "$0")/vrrp_rig.sh"

readonly vip4=10.1.0.80 vip6=fd00:1::80 mac4=00:00:5e:00:01:33 mac6=00:00:5e:00:02:34

gate() {
  local number=$1 priority=$2
  cat <<YAML
daemon: {run_dir: $testbed_dir/gate$number-run, file_prefix: $testbed_id-gate$number, idle: adaptive}
memory: {huge_pages: none, max_services: 256, max_backends: 1024}
connections: {max_ipv4: 65536, max_ipv6: 65536}
ports:
  - {name: wan, interface: net0, driver: af_packet, queues: 1,
     twin: {addresses: [10.1.0.$number/24, "fd00:1::$number/64"]}}
vrrp:
  instances:
    - {name: VI_4, interface: wan, virtual_router_id: 51, priority: $priority, virtual_mac: on,
       addresses: [{address: $vip4/32}]}
    - {name: VI_6, interface: wan, virtual_router_id: 52, priority: $priority, virtual_mac: on,
       addresses: [{address: "fe80::80/64"}, {address: "$vip6/128"}]}
services:
  - {name: web4, address: $vip4, port: 80, mode: fullnat, scheduler: rr,
     local_addresses: [10.1.0.2$number], backends: [{address: 10.1.0.11, port: 80}]}
  - {name: web6, address: "$vip6", port: 80, mode: fullnat, scheduler: rr,
     local_addresses: ["fd00:1::2$number"], backends: [{address: "fd00:1::11", port: 80}]}
YAML
}
start_gate() {
  box_role[gate$1]=headgate
  gate "$1" "$2" >"$testbed_dir/gate$1.yaml"
  start_box "gate$1"
}

vrrp_begin
add_servers 1 lan1 10.1.0
start_web rs1
for number in 1 2; do
  add_host "gate$number"
  plug "gate$number" net0 lan1 "10.1.0.$number"
done
boxes=(gate1 gate2)
start_capture switch lan1 "$testbed_dir/lan.pcap" 'ip proto 112 or ip6 proto 112'
start_gate 1 150
start_gate 2 100

states_are() {
  is "$(hg_on "gate$1" --json show vrrp | jq -r '[.rows[].state] | unique | join(" ")')" "$2"
}
learnt() {
  is "$(ip -n "$testbed_id-client" neighbour show to "$1" dev eth0 | awk '{print $3}')" "$2"
}
web() {
  on client curl -sS --fail --max-time 3 "http://$1/"
}
# The MACs that adverts of a version of IP came from, once each.
advert_macs() {
  tcpdump -n -e -r "$testbed_dir/lan.pcap" "$1 proto 112" 2>/dev/null | awk '{print $2}' | sort -u
}

check 'the better box is master' wait_for 10 states_are 1 master
check 'IPv4: the service answers' wait_for 5 web "$vip4"
check 'IPv6: the service answers' wait_for 5 web "[$vip6]"
check 'IPv4: the client has learnt the virtual MAC' learnt "$vip4" "$mac4"
check 'IPv6: the client has learnt the virtual MAC' learnt "$vip6" "$mac6"
check 'the host answers echo requests to it' on client "$repository/tests/e2e/peer.py" ping "$vip4" 2
# Nobody announces anything to the client any more: it keeps what it has learnt.
ip -n "$testbed_id-client" neighbour replace "$vip4" lladdr "$mac4" dev eth0 nud permanent
ip -n "$testbed_id-client" neighbour replace "$vip6" lladdr "$mac6" dev eth0 nud permanent

crash_box gate1
check 'killed, the other box is master' wait_for 8 states_are 2 master
check 'IPv4: the service answers at the same MAC' wait_for 5 web "$vip4"
check 'IPv6: the service answers at the same MAC' wait_for 5 web "[$vip6]"
check 'the host of the other box answers echo requests' \
  on client "$repository/tests/e2e/peer.py" ping "$vip4" 2
check 'IPv4: adverts came from the virtual MAC alone' is "$(advert_macs ip)" "$mac4"
check 'IPv6: adverts came from the virtual MAC alone' is "$(advert_macs ip6)" "$mac6"
check_here 'the other box ends cleanly' stop_box gate2
finish
