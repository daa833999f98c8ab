#!/usr/bin/env bash
# NAT on two arms, with ports translated: who answers, over IPv4 and IPv6, TCP and UDP, through
# AF_XDP and AF_PACKET.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin two-arm 2
start_servers

for gate_driver in af_xdp af_packet; do
  {
    services web nat tcp 8000 80
    services echo nat udp 53 5353
    services lines nat tcp 7001 7000
  } | configure >"$(gate_config)"
  start_gate
  for family in 4 6; do
    vip=vip$family client=client$family
    both_servers_serve "NAT, IPv$family, $gate_driver" "${!vip}" 8000 53 7001 \
      "the client's address" is "${!client}"
  done
  check "NAT, $gate_driver: replies are found by the worker that has the connection" is \
    "$(ask show stats '.result.details.replies_on_another_worker')" 0
  check "NAT, $gate_driver: every packet has one verdict" sum_rule_holds
  check_here "NAT, $gate_driver: clean end" stop_gate
done
finish
