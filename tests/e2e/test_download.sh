#!/usr/bin/env bash
# 100 MB arrive intact in each mode and family.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

all_modes_begin 2
all_modes_services web tcp 80 | configure >"$(gate_config)"
start_gate

head -c 100M /dev/urandom >"$testbed_dir/files/blob"
digest=$(sha256sum <"$testbed_dir/files/blob")

arrives_intact() {
  local arrived
  arrived=$(on client curl -sS --fail --max-time 60 "http://$(bracketed "$1")/files/blob" |
    sha256sum) || return
  is "$arrived" "$digest"
}

for mode in "${modes[@]}"; do
  for family in 4 6; do
    check_gate "$mode, IPv$family: 100 MB arrive intact" arrives_intact "$(vip_of "$mode" $family)"
  done
done
check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
