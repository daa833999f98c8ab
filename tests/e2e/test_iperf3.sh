#!/usr/bin/env bash
# iperf3 through the four modes, IPv4 and IPv6, TCP both ways and UDP: so many bytes are asked for,
# and they arrive.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

listens_at() {
  [[ -n $(on rs1 ss -Hltn "src $(bracketed "$1") and sport = :5201") ]]
}

all_modes_begin 1  # all connections of a run must meet the same server
{
  all_modes_services tcp tcp 5201
  all_modes_services udp udp 5201
} | configure >"$(gate_config)"
start_gate
# Each on an address of its own: from a socket on all addresses iperf3 would answer datagrams from
# the server's own, not from the VIP that DR and IPIP leave in them.
for address in "${server4[0]}" "${server6[0]}" "${mode_vip4[dr]}" "${mode_vip6[dr]}" \
  "${mode_vip4[ipip]}" "${mode_vip6[ipip]}"; do
  start_on rs1 "iperf3-$address" iperf3 -s -B "$address"
  ready_or_fail "iperf3 on $address" "iperf3-$address" listens_at "$address"
done

result=$testbed_dir/iperf.json
# iperf ADDRESS OPTION...
iperf() {
  local status=0
  on client timeout 30 iperf3 -c "$1" -J --connect-timeout 10000 "${@:2}" >"$result" || status=$?
  # It ends well when it is interrupted.
  if ((status != 0)) || [[ $(jq 'has("error")' "$result") != false ]]; then
    jq -r '.error, (.intervals[] | .sum | "\(.start) \(.bytes)")' "$result"
    return 1
  fi
}

tcp_bytes=$((8 << 20))
# All that was sent was received. An upload stops counting when the client has written enough, with
# some of it on the way: as much as the windows let out.
tcp_arrives() {
  iperf "$@" -n "$tcp_bytes" -w 256K || return
  local sent received
  sent=$(jq .end.sum_sent.bytes "$result")
  received=$(jq .end.sum_received.bytes "$result")
  echo "sent $sent, received $received"
  ((sent >= tcp_bytes && received >= tcp_bytes / 2 && received <= sent))
}

udp_bytes=$((1 << 20))
# A full queue may drop datagrams, of the kernel's or of ours: half of them is enough here.
udp_arrives() {
  iperf "$@" -u -b 20M -l 1200 -n "$udp_bytes" || return
  local packets lost
  packets=$(jq .end.sum.packets "$result")
  lost=$(jq .end.sum.lost_packets "$result")
  echo "$lost of $packets lost"
  ((packets >= udp_bytes / 1200 && lost * 2 <= packets))
}

forwarded() {
  ask show services ".rows[] | select(.name == \"$1\") | .in_bytes + .out_bytes"
}
counted() {
  local bytes
  bytes=$(forwarded "$1")
  ((bytes >= $2)) || { echo "$bytes bytes of at least $2 are counted" && return 1; }
}

for mode in "${modes[@]}"; do
  for family in 4 6; do
    vip=$(vip_of "$mode" $family)
    of="$mode, IPv$family"
    check_gate "$of: TCP to the server" tcp_arrives "$vip"
    check_gate "$of: TCP from the server" tcp_arrives "$vip" -R
    check_gate "$of: TCP in four connections" tcp_arrives "$vip" -P 4
    check_gate "$of: the TCP service has counted them" counted "tcp-$mode$family" "$tcp_bytes"
    check_gate "$of: UDP to the server" udp_arrives "$vip"
    check_gate "$of: UDP from the server" udp_arrives "$vip" -R
    check_gate "$of: the UDP service has counted them" counted "udp-$mode$family" \
      $((udp_bytes / 2))
  done
done
check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
