#!/usr/bin/env bash
# 100 MB arrive intact in each mode and family; iperf3 both ways through NAT and DR.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

all_modes_begin 2
{
  all_modes_services web tcp 80
  # Both connections of an iperf3 run must meet the same server.
  server4=("${server4[0]}") server6=("${server6[0]}")
  all_modes_services iperf tcp 5201
} | configure >"$(gate_config)"
start_gate
start_on rs1 iperf3 iperf3 -s
ready_or_fail iperf3 iperf3 listens rs1 tcp 5201

head -c 100M /dev/urandom >"$testbed_dir/files/blob"
digest=$(sha256sum <"$testbed_dir/files/blob")

arrives_intact() {
  local arrived
  arrived=$(on client curl -sS --fail --max-time 60 "http://$(bracketed "$1")/files/blob" |
    sha256sum) || return
  is "$arrived" "$digest"
}

iperf() {
  local address=$1
  shift
  on client iperf3 -c "$address" -t 2 -J --connect-timeout 5000 "$@" >"$testbed_dir/iperf.json" || {
    jq -r .error "$testbed_dir/iperf.json"
    return 1
  }
  local mbits
  mbits=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$testbed_dir/iperf.json")
  # A floor far below what any machine does: what is wanted is that it flows.
  ((mbits >= 20)) || { echo "$mbits Mbit/s" && return 1; }
}
mbits() {
  jq -r '.end.sum_received.bits_per_second / 1e6 | floor' "$testbed_dir/iperf.json"
}

for mode in "${modes[@]}"; do
  for family in 4 6; do
    check_gate "$mode, IPv$family: 100 MB arrive intact" arrives_intact "$(vip_of "$mode" $family)"
  done
done
for mode in nat dr; do
  for family in 4 6; do
    check_gate "$mode, IPv$family: iperf3 up" iperf "$(vip_of "$mode" $family)"
    echo "# $(mbits) Mbit/s"
    check_gate "$mode, IPv$family: iperf3 down" iperf "$(vip_of "$mode" $family)" -R
    echo "# $(mbits) Mbit/s"
  done
done
check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
