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
    both_servers_serve "DR, IPv$family, $gate_driver" "${!vip}" 80 5353 7000 \
      "the client's address" is "${!client}"
  done
  check "DR, $gate_driver: the counters know each connection" is \
    "$(ask show services '[.rows[].connections] | add')" 86
  check "DR, $gate_driver: every packet has one verdict" sum_rule_holds
  check_here "DR, $gate_driver: clean end" stop_gate
done
finish
