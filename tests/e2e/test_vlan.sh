#!/usr/bin/env bash
# VLAN sub-ports on one cable: NAT from a client's VLAN to the servers' VLAN, DR and FULLNAT within
# and between them; untagged traffic next to it.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
# Tags must be in the frames: a veth would hand them over beside the packet, where XDP has no eyes.
for host in client gate rs1 rs2; do
  on switch ethtool -K "$host-lan1" txvlan off >/dev/null
  device=eth0
  if [[ $host == gate ]]; then device=net0; fi
  on "$host" ethtool -K "$device" txvlan off >/dev/null
done

# vlan_interface HOST ID NET: 10.1.0.50 has 10.NET.0.50 there.
vlan_interface() {
  local host=$1 id=$2 net=$3 last
  last=$(ip -n "$testbed_id-$host" -4 -o address show dev eth0 | sed 's/.*10\.1\.0\.\([0-9]*\).*/\1/')
  start_on "$host" "vlan-$host" "$repository/tests/e2e/vlan_tap.py" eth0 "$id" "vlan$id"
  ready_or_fail "the VLAN of $host" "vlan-$host" grep -q ready "$testbed_dir/vlan-$host.log"
  ip -n "$testbed_id-$host" address add "10.$net.0.$last/24" dev "vlan$id"
  ip -n "$testbed_id-$host" address add "fd00:$net::$last/64" dev "vlan$id" nodad
}
vlan_interface client 100 100
vlan_interface rs1 200 200
vlan_interface rs2 200 200
for name in rs1 rs2; do
  ip -n "$testbed_id-$name" route add 10.100.0.0/24 via 10.200.0.1
  ip -n "$testbed_id-$name" route add fd00:100::/64 via fd00:200::1
done

# The port, then its VLANs: port_section of gate.sh with more.
eval "plain_$(declare -f port_section)"
port_section() {
  plain_port_section "$@"
  cat <<'YAML'
    vlans:
      - {id: 100, addresses: [10.100.0.1/24, "fd00:100::1/64"]}
      - {id: 200, name: servers, addresses: [10.200.0.1/24, "fd00:200::1/64"]}
YAML
}
gate_more='forwarding: {local_addresses: [10.200.0.200, "fd00:200::200", 10.1.0.200, "fd00:1::200"]}'
untagged4=("${server4[@]}") untagged6=("${server6[@]}")

for gate_driver in af_xdp af_packet; do
  {
    services plain fullnat tcp 8001 80
    server4=("${untagged4[@]/10.1./10.200.}") server6=("${untagged6[@]/fd00:1:/fd00:200:}")
    services web nat tcp 8000 80 10.100.0.80 fd00:100::80
    services echo nat udp 53 5353 10.100.0.80 fd00:100::80
    services full fullnat tcp 8001 80 10.100.0.80 fd00:100::80
    services lines nat tcp 7001 7000 10.100.0.80 fd00:100::80
  } | configure >"$(gate_config)"
  start_gate
  for vip in 10.100.0.80 fd00:100::80; do
    of="VLAN, $vip, $gate_driver"
    check_gate "$of: NAT from VLAN to VLAN" web_is 'rs1 10 rs2 10' "$vip" 8000 20
    check_gate "$of: FULLNAT from VLAN to VLAN" web_is 'rs1 10 rs2 10' "$vip" 8001 20
    check_gate "$of: UDP" peer_is 'rs1 5 rs2 5' udp "$vip" 53 10
    check_gate "$of: an upload in full frames" on client "$peer" upload "$vip" 7001 2
    check_gate "$of: ping" on client "$peer" ping "$vip" 2
  done
  check_gate "VLAN, $gate_driver: the host answers on the VLAN" on client "$peer" ping 10.100.0.1 2
  check_gate "VLAN, $gate_driver: untagged traffic next to it, IPv4" \
    web_is 'rs1 5 rs2 5' "$vip4" 8001 10
  check_gate "VLAN, $gate_driver: untagged traffic next to it, IPv6" \
    web_is 'rs1 5 rs2 5' "$vip6" 8001 10
  check "VLAN, $gate_driver: every packet has one verdict" sum_rule_holds
  check_here "VLAN, $gate_driver: clean end" stop_gate
done
finish
