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
    of="NAT, IPv$family, $gate_driver"
    check_gate "$of: both servers answer HTTP" web_is 'rs1 10 rs2 10' "${!vip}" 8000 20
    check "$of: servers see the client's address" is "$(seen_clients)" "${!client}"
    check_gate "$of: both servers answer UDP" peer_is 'rs1 10 rs2 10' udp "${!vip}" 53 20
    check_gate "$of: UDP in full frames" peer_is 'rs1 1 rs2 1' udp "${!vip}" 53 2 1440
    check_gate "$of: an upload arrives intact" on client "$peer" upload "${!vip}" 7001 4
  done
  check "NAT, $gate_driver: replies are found by the worker that has the connection" is \
    "$(ask show stats '.result.details.replies_on_another_worker')" 0
  check "NAT, $gate_driver: every packet has one verdict" sum_rule_holds
  check_here "NAT, $gate_driver: clean end" stop_gate
done
finish
