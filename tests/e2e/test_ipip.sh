#!/usr/bin/env bash
# IPIP to servers behind a router, each family in each: who answers, TCP and UDP, through AF_XDP and
# AF_PACKET. Segments that do not fit into the tunnel are answered, so uploads get through.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin routed 2
start_servers
gate_full_payload=''
cross4=10.1.0.81 cross6=fd00:1::81  # VIPs whose backends are of the other family
hold_vips --ipip=program --director 10.1.0.1 --director fd00:1::1 \
  "$vip4" "$vip6" "$cross4" "$cross6"
gate_twin_routes='        - {to: 10.3.0.0/24, via: 10.1.0.2}
        - {to: "fd00:3::/64", via: "fd00:1::2"}'

for gate_driver in af_xdp af_packet; do
  {
    services web ipip tcp 80 80
    services crossed_web ipip tcp 80 80 "$cross6" "$cross4"
    services echo ipip udp 5353 5353
    services crossed_echo ipip udp 5353 5353 "$cross6" "$cross4"
    services lines ipip tcp 7000 7000
    services crossed_lines ipip tcp 7000 7000 "$cross6" "$cross4"
  } | configure >"$(gate_config)"
  start_gate
  for tunnel in 4in4:$vip4 6in6:$vip6 4in6:$cross4 6in4:$cross6; do
    vip=${tunnel#*:}
    if [[ $vip == *:* ]]; then client=$client6; else client=$client4; fi
    both_servers_serve "IPIP, ${tunnel%%:*}, $gate_driver" "$vip" 80 5353 7000 \
      "the client's address" is "$client"
  done
  check "IPIP, $gate_driver: every packet has one verdict" sum_rule_holds
  check_here "IPIP, $gate_driver: clean end" stop_gate
done
finish
