#!/usr/bin/env bash
# Two workers with a queue each (AF_PACKET): replies of NAT and FULLNAT come to either, and none is
# lost.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin two-arm 2
start_servers
gate_workers=2
gate_more='forwarding: {local_addresses: [10.2.0.200-10.2.0.203, "fd00:2::200"]}'
gate_driver=af_packet gate_queues=2
{
  services web-nat nat tcp 8000 80
  services web-fullnat fullnat tcp 8001 80
  services lines-nat nat tcp 7001 7000
  services lines-fullnat fullnat tcp 7002 7000
  services echo-nat nat udp 53 5353
  services echo-fullnat fullnat udp 54 5353
} | configure >"$(gate_config)"
start_gate

detail() {
  ask show stats ".result.details.$1"
}
remember_replies() {
  local_before=$(detail replies_on_the_worker_of_the_connection)
  foreign_before=$(detail replies_on_another_worker)
}
a_third_is_foreign() {
  local own foreign
  own=$(($(detail replies_on_the_worker_of_the_connection) - local_before))
  foreign=$(($(detail replies_on_another_worker) - foreign_before))
  echo "$foreign of $((own + foreign)) replies on another worker"
  ((foreign * 10 >= (own + foreign) * 3))
}
both_created() {
  is "$(ask show workers '[.rows[] | select(.connections > 100)] | length')" 2
}

for family in 4 6; do
  vip=vip$family
  for mode in nat fullnat; do
    if [[ $mode == nat ]]; then port=8000; else port=8001; fi
    of="$mode, IPv$family"
    remember_replies
    check_gate "$of: no request fails" requests_go_through "${!vip}" "$port" 4000
    if [[ $mode == nat ]]; then port=7001; else port=7002; fi
    check_gate "$of: 200 connections in a row" \
      on client "$peer" lines "${!vip}" "$port" 200
    if [[ $mode == nat ]]; then port=53; else port=54; fi
    check_gate "$of: 200 datagrams, each answered" on client "$peer" udp "${!vip}" "$port" 200
    check_gate "$of: at least 30 % of the replies come to the other worker" a_third_is_foreign
  done
done
check_gate 'both workers received' workers_received 2
check_gate 'both workers created connections' both_created
check_gate 'no reply was without a connection' is "$(drops_of drop_reply_no_connection)" 0
check_gate 'no two workers dropped over one key' is "$(drops_of drop_insert_contended)" 0
check_gate "every packet has one verdict" sum_rule_holds
check_here "clean end" stop_gate
finish
