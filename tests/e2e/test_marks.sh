#!/usr/bin/env bash
# Services of firewall marks: addresses and ports that rules alone lead to them; and one-packet
# scheduling, whose answers find their way back through NAT. Both families, a reload in between.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin two-arm 2
start_servers

# mark_services BACKEND_PORT: of mark 7, in both families.
mark_services() {
  local family servers address
  for family in 4 6; do
    declare -n servers=server$family
    printf '  - name: marked%s\n    firewall_mark: 7\n    family: ipv%s\n' "$family" "$family"
    printf '    mode: nat\n    scheduler: rr\n    backends:\n'
    for address in "${servers[@]}"; do
      printf '      - {address: "%s", port: %s}\n' "$address" "$1"
    done
  done
}

# one_packet_services: UDP echo on both VIPs.
one_packet_services() {
  services echo nat udp 53 5353 | sed 's/^    scheduler: rr$/&\n    one_packet: on/'
}

# marks PORTS: the rules.
marks() {
  printf 'firewall_marks:\n'
  printf '  - {mark: 7, destination: "%s", protocol: tcp, ports: [%s]}\n' "$vip4" "$1" "$vip6" "$1"
}

write() {
  gate_more=$(marks "$1")
  { mark_services 80 && one_packet_services; } | configure >"$(gate_config)"
}

# In the same flow, one datagram after the other.
udp_from_one_port_is() {
  peer_is "$2" udp "$1" 53 10 64 5555
}

write '8000, 9000-9009'
start_gate
for family in 4 6; do
  vip=vip$family
  check_gate "IPv$family: a marked port is balanced" web_is 'rs1 5 rs2 5' "${!vip}" 8000 10
  check_gate "IPv$family: so is one of a range" web_is 'rs1 5 rs2 5' "${!vip}" 9005 10
  check "IPv$family: another port is refused" web_fails "${!vip}" 8001
  check_gate "IPv$family: the address answers a ping" on client "$peer" ping "${!vip}" 2
  check_gate "IPv$family: each packet of one port is scheduled, and answered" \
    udp_from_one_port_is "${!vip}" 'rs1 5 rs2 5'
done
check 'connections are shown by the service of the mark' says 'mark:7/ipv4' 0 \
  hg show connections --service mark:7
check 'answers that are waited for are shown as such' says 'ONE_PACKET' 0 \
  hg show connections --service echo4
check 'the service by mark counts' is \
  "$(ask show services '[.rows[] | select(.name == "marked6") | .connections] | add')" 20
check 'one-packet scheduling counts each packet' is \
  "$(ask show services '[.rows[] | select(.name == "echo6") | .connections] | add')" 10

write '8080'
check 'other rules at a reload' says 'firewall_marks' 0 hg reload
for family in 4 6; do
  vip=vip$family
  check_gate "IPv$family: the new port is balanced" web_is 'rs1 5 rs2 5' "${!vip}" 8080 10
  check "IPv$family: the old one is refused" web_fails "${!vip}" 8000
done
check 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
