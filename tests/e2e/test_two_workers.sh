#!/usr/bin/env bash
# Two workers. With two queues (AF_PACKET) replies of NAT and FULLNAT come to either worker, and
# none is lost; with one queue a port (AF_XDP on veth) the daemon says so and works.
#
#   test_two_workers.sh [two-queues | one-queue]
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

if (($# == 0)); then
  status=0
  "$0" two-queues || status=1
  "$0" one-queue || status=1
  exit "$status"
fi

testbed_begin two-arm 2
start_servers
gate_workers=2
gate_more='forwarding: {local_addresses: [10.2.0.200-10.2.0.203, "fd00:2::200"]}'
if [[ $1 == two-queues ]]; then gate_driver=af_packet gate_queues=2; fi
{
  services web-nat nat tcp 8000 80
  services web-fullnat fullnat tcp 8001 80
  services lines-nat nat tcp 7001 7000
  services lines-fullnat fullnat tcp 7002 7000
  services echo-nat nat udp 53 5353
  services echo-fullnat fullnat udp 54 5353
} | configure >"$(gate_config)"
start_gate

requests_go_through() {
  on client wrk -t1 -c32 -d30s --timeout 10s -s "$repository/tests/e2e/requests.lua" \
    "http://$(bracketed "$1"):$2/" -- 4000 >"$testbed_dir/wrk.log"
  grep -q '^answers [0-9]* failed 0 ' "$testbed_dir/wrk.log" ||
    { cat "$testbed_dir/wrk.log" && return 1; }
}
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
drops_of() {
  ask show drops "[.rows[] | select(.verdict == \"$1\") | .count] | add // 0"
}
both_received() {
  is "$(ask show workers '[.rows[] | select(.received > 100)] | length')" 2
}
both_created() {
  is "$(ask show workers '[.rows[] | select(.connections > 100)] | length')" 2
}

for family in 4 6; do
  vip=vip$family
  for mode in nat fullnat; do
    if [[ $mode == nat ]]; then port=8000; else port=8001; fi
    of="$mode, IPv$family, $1"
    remember_replies
    check_gate "$of: no request fails" requests_go_through "${!vip}" "$port"
    if [[ $mode == nat ]]; then port=7001; else port=7002; fi
    check_gate "$of: 200 connections in a row" \
      on client "$peer" lines "${!vip}" "$port" 200
    if [[ $mode == nat ]]; then port=53; else port=54; fi
    check_gate "$of: 200 datagrams, each answered" on client "$peer" udp "${!vip}" "$port" 200
    if [[ $1 == two-queues ]]; then
      check_gate "$of: at least 30 % of the replies come to the other worker" a_third_is_foreign
    fi
  done
done
check_gate 'both workers received' both_received
if [[ $1 == two-queues ]]; then
  check_gate 'both workers created connections' both_created
else
  check 'the daemon says that ports have fewer queues' grep -qE 'wan: .*queue' "$gate_log"
  check 'show ports says so too' is "$(ask show ports '[.rows[].rx_queues] | join(" ")')" '1 1'
fi
check_gate 'no reply was without a connection' is "$(drops_of drop_reply_no_connection)" 0
check_gate 'no two workers dropped over one key' is "$(drops_of drop_insert_contended)" 0
check_gate "every packet has one verdict, $1" sum_rule_holds
check_here "clean end, $1" stop_gate
finish
