#!/usr/bin/env bash
# FULLNAT on one arm and on two: who answers, over IPv4 and IPv6, TCP and UDP, through AF_XDP and
# AF_PACKET. The servers have no route to the client but their own.
#
#   test_fullnat.sh [one-arm | two-arm]
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

if (($# == 0)); then in_parts one-arm two-arm; fi

topology=$1
testbed_begin "$topology" 2
start_servers
if [[ $topology == one-arm ]]; then net=1; else net=2; fi
gate_more="forwarding: {local_addresses: [10.$net.0.200-10.$net.0.203, \"fd00:$net::200\"]}"
if [[ $topology == two-arm ]]; then
  # Replies must come to the local addresses, not by way of the default route.
  for name in "${server_names[@]}"; do
    ip -n "$testbed_id-$name" route del default
    ip -n "$testbed_id-$name" -6 route del default
  done
fi

are_local_addresses() {
  local address
  for address in $1; do
    [[ $address =~ ^10\.$net\.0\.20[0-3]$|^fd00:$net::200$ ]] || { echo "$address" && return 1; }
  done
}

for gate_driver in af_xdp af_packet; do
  {
    services web fullnat tcp 8000 80
    services echo fullnat udp 53 5353
    services lines fullnat tcp 7001 7000
  } | configure >"$(gate_config)"
  start_gate
  for family in 4 6; do
    vip=vip$family
    both_servers_serve "FULLNAT, $topology, IPv$family, $gate_driver" "${!vip}" 8000 53 7001 \
      'a local address' are_local_addresses
  done
  check "FULLNAT, $topology, $gate_driver: every packet has one verdict" sum_rule_holds
  check_here "FULLNAT, $topology, $gate_driver: clean end" stop_gate
done
finish
