#!/usr/bin/env bash
# Ports with fewer queues than there are workers: the daemon says so, and all modes work. On one arm
# with one queue for two workers; on two arms, where both workers receive from one port and the
# other has one queue: what the second worker sends there goes through the first.
#
#   test_fewer_queues.sh [one-arm | two-arm]
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

if (($# == 0)); then in_parts one-arm two-arm; fi

gate_workers=2
if [[ $1 == one-arm ]]; then
  all_modes_begin 2
  receiving=1 queues='1'
  short_port=wan
else
  testbed_begin two-arm 2
  start_servers
  # What has a VIP as its source goes straight to the client, and all else by way of the gate.
  for i in "${!server_names[@]}"; do
    name=$testbed_id-${server_names[i]}
    plug "${server_names[i]}" eth1 lan1 "10.1.0.1$((i + 1))"
    for net in 10.1.0.0/24 fd00:1::/64; do
      ip -n "$name" route add "$net" dev eth1 table 100
      ip -n "$name" route delete "$net" dev eth1
    done
    for mode in dr ipip; do
      ip -n "$name" rule add from "${mode_vip4[$mode]}" table 100
      ip -n "$name" -6 rule add from "${mode_vip6[$mode]}" table 100
    done
  done
  hold_vips --ipip=program --director 10.2.0.1 --director fd00:2::1 "${mode_vip4[dr]}" \
    "${mode_vip6[dr]}" "${mode_vip4[ipip]}" "${mode_vip6[ipip]}"
  gate_more='forwarding: {local_addresses: [10.2.0.200-10.2.0.203, "fd00:2::200"]}'
  gate_driver=af_packet gate_queues=2 gate_lan_driver=af_xdp gate_lan_queues=auto
  receiving=2 queues='2 1'
  short_port=lan
fi
{
  all_modes_services web tcp 80
  all_modes_services echo udp 5353
  all_modes_services lines tcp 7000
} | configure >"$(gate_config)"
start_gate

# shared COUNT COMMAND...: so many answers, of both servers; each worker has its own turns.
shared() {
  local said
  said=$("${@:2}") || return
  echo "$said"
  [[ $said =~ ^rs1\ ([0-9]+)\ rs2\ ([0-9]+)$ ]] && ((BASH_REMATCH[1] + BASH_REMATCH[2] == $1))
}

check "$1: the daemon says it" grep -qE "info: $short_port: .*queue" "$gate_log"
check "$1: show ports says it too" is "$(ask show ports '[.rows[].rx_queues] | join(" ")')" "$queues"
for mode in "${modes[@]}"; do
  for family in 4 6; do
    vip=$(vip_of "$mode" $family)
    of="$1, $mode, IPv$family"
    check_gate "$of: both servers answer HTTP" shared 20 web_answers "$vip" 80 20
    check_gate "$of: no request fails" requests_go_through "$vip" 80 1000
    check_gate "$of: 40 datagrams, each answered" \
      shared 40 on client "$peer" udp "$vip" 5353 40
    check_gate "$of: an upload arrives intact" on client "$peer" upload "$vip" 7000 2
  done
done
check_gate "$1: workers that received" workers_received "$receiving"
check_gate "$1: no reply was without a connection" is "$(drops_of drop_reply_no_connection)" 0
check_gate "$1: every packet has one verdict" sum_rule_holds
check_here "$1: clean end" stop_gate
finish
