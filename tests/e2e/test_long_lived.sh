#!/usr/bin/env bash
# Connections live on with their server, in every mode, through weight 0, drain, removal of the
# backend and of the service, reload and SIGHUP; a deadline ends what it was set for.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

all_modes_begin 2
all_modes_services lines tcp 7000 | configure >"$(gate_config)"
start_gate

holders=() logs=()
for mode in "${modes[@]}"; do
  for family in 4 6; do
    start_on client "hold-$mode$family" "$peer" hold "$(vip_of "$mode" "$family")" 7000 4
    holders+=("$started_pid")
    logs+=("$testbed_dir/hold-$mode$family.log")
    check_gate "$mode, IPv$family: connections to both servers" wait_for 5 \
      grep -qx 'holding rs1 2 rs2 2' "$testbed_dir/hold-$mode$family.log"
  done
done

rounds_of() {
  grep -c '^round' "$1" || true
}
went_on() {
  (($(rounds_of "$1") >= $2)) || return 1
}
# Each holder makes two rounds more, from now.
all_go_on() {
  local log target=()
  for log in "${logs[@]}"; do target+=($(($(rounds_of "$log") + 2))); done
  local i
  for ((i = 0; i < ${#logs[@]}; i++)); do
    wait_for 8 went_on "${logs[i]}" "${target[i]}" || { tail -n 2 "${logs[i]}" && return 1; }
  done
}
on_each_service() {
  local mode family first
  for mode in "${modes[@]}"; do
    for family in 4 6; do
      if [[ $family == 4 ]]; then first=${server4[0]}; else first=${server6[0]}; fi
      "$1" "lines-$mode$family" "$first" || return
    done
  done
}
# New connections go to the other server only.
first_gets_none() {
  on_each_service new_ones_avoid_first
}
new_ones_avoid_first() {
  local mode=${1#lines-}
  peer_is 'rs2 4' lines "$(vip_of "${mode%[46]}" "${mode: -1}")" 7000 4
}
both_get_some() {
  on_each_service new_ones_take_turns
}
new_ones_take_turns() {
  local mode=${1#lines-}
  peer_is 'rs1 2 rs2 2' lines "$(vip_of "${mode%[46]}" "${mode: -1}")" 7000 4
}

weight_0() { hg backend edit "$1" "$2" --weight 0; }
weight_1() { hg backend edit "$1" "$2" --weight 1; }
drain() { hg backend drain "$1" "$2"; }
delete_backend() { hg backend delete "$1" "$2"; }
delete_service() { hg service delete "$1"; }
hang_up() {
  local before
  before=$(ask show stats .result.details.generation)
  sed -i 's/weight: 2/weight: 3/; s/port: 7000}/port: 7000, weight: 2}/' "$(gate_config)"
  kill -HUP "$gate_pid"
  wait_for 5 generation_is_above "$before"
}
generation_is_above() {
  (($(ask show stats .result.details.generation) > $1))
}
removed_are_listed() {
  is "$(ask show backends '[.rows[] | select(.state == "removed") | .active] | unique | join(" ")')" 2
}

step() {
  local name=$1
  shift
  check_gate "$name is accepted" "$@"
  check_gate "$name: all connections go on" all_go_on
}
step 'weight 0' on_each_service weight_0
check_gate 'weight 0: new connections avoid it' first_gets_none
step 'weight back' on_each_service weight_1
check_gate 'weight back: it gets new ones' both_get_some
step 'drain' on_each_service drain
check_gate 'drain: new connections avoid it' first_gets_none
step 'removal of the backend' on_each_service delete_backend
check_gate 'removal: new connections avoid it' first_gets_none
check_gate 'removal: it is listed with its connections' removed_are_listed
step 'reload' hg reload
check_gate 'reload: it is back' both_get_some
step 'SIGHUP' hang_up
step 'removal of the service' on_each_service delete_service
step 'reload with the service back' hg reload

end_holders() {
  kill -TERM "${holders[@]}"
  wait_for 10 are_gone "${holders[@]}" || return 1
  local i status=0
  for i in "${!holders[@]}"; do
    wait "${holders[i]}" || { tail -n 1 "${logs[i]}" && status=1; }
  done
  return "$status"
}
check_here 'not one connection was cut or moved' end_holders

# The deadline: what is left of the drained backend ends, the other server's go on.
drained_by_deadline() {
  hg backend drain lines-nat4 "${server4[0]}" --deadline 1s
  wait_for 10 are_gone "$cut" || { echo 'still held' && return 1; }
  grep -q 'server rs1' "$testbed_dir/cut.log" || { cat "$testbed_dir/cut.log" && return 1; }
}
start_on client cut "$peer" hold "${mode_vip4[nat]}" 7000 2
cut=$started_pid
wait_for 5 grep -q '^holding rs1 1 rs2 1' "$testbed_dir/cut.log" || true
check_gate 'a deadline ends what is left of a drained backend' drained_by_deadline
check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
