#!/usr/bin/env bash
# Direct routing on one arm: who answers, over IPv4 and IPv6, TCP and UDP, through AF_XDP and
# AF_PACKET.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
hold_vips "$vip4" "$vip6"

for gate_driver in af_xdp af_packet; do
  {
    services web dr tcp 80 80
    services echo dr udp 5353 5353
    services lines dr tcp 7000 7000
  } | configure >"$(gate_config)"
  start_gate
  for family in 4 6; do
    vip=vip$family client=client$family
    of="DR, IPv$family, $gate_driver"
    check_gate "$of: both servers answer HTTP" web_is 'rs1 10 rs2 10' "${!vip}" 80 20
    check "$of: servers see the client's address" is "$(seen_clients)" "${!client}"
    check_gate "$of: both servers answer UDP" peer_is 'rs1 10 rs2 10' udp "${!vip}" 5353 20
    check_gate "$of: UDP in full frames" peer_is 'rs1 1 rs2 1' udp "${!vip}" 5353 2 1440
    check_gate "$of: an upload arrives intact" on client "$peer" upload "${!vip}" 7000 4
  done
  check "DR, $gate_driver: the counters know each connection" is \
    "$(ask show services '[.rows[].connections] | add')" 86
  check "DR, $gate_driver: every packet has one verdict" sum_rule_holds
  check_here "DR, $gate_driver: clean end" stop_gate
done
finish
