#!/usr/bin/env bash
# 100,000 requests through all modes (1,000,000 with --full), none failed, while backends are added,
# drained and removed, weights and schedulers change and the file is read again.
# seconds: 240
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

requests=100000
if [[ ${1:-} == --full || -n ${HEADGATE_FULL:-} ]]; then requests=1000000; fi
patience=$((requests / 1000))

all_modes_begin 3
# The file has the first two servers; the third comes and goes.
third4=${server4[2]} third6=${server6[2]} first4=${server4[0]} first6=${server6[0]}
server4=("${server4[@]:0:2}") server6=("${server6[@]:0:2}")
all_modes_services web tcp 80 | configure >"$(gate_config)"
start_gate

loads=() services=()
for mode in "${modes[@]}"; do
  for family in 4 6; do services+=("web-$mode$family"); done
done
start_loads() {
  local mode family each=$((requests / ${#services[@]}))
  for mode in "${modes[@]}"; do
    for family in 4 6; do
      start_on client "wrk-web-$mode$family" wrk -t1 -c8 -d"${patience}s" --timeout 10s \
        -s "$repository/tests/e2e/requests.lua" \
        "http://$(bracketed "$(vip_of "$mode" "$family")")/" -- "$each"
      loads+=("$started_pid")
    done
  done
}

on_each_service() {
  local service third first
  for service in "${services[@]}"; do
    if [[ $service == *4 ]]; then third=$third4 first=$first4; else third=$third6 first=$first6; fi
    "$1" "$service" "$third" "$first" || return
  done
}
add_third() { hg backend add "$1" "$2" --weight 2; }
drain_first() { hg backend drain "$1" "$3"; }
delete_first() { hg backend delete "$1" "$3"; }
change_weights() {
  hg backend edit "$1" "$2" --weight 5 || return
  hg service edit "$1" --scheduler wrr
}

# Those that ever had a connection: the numbers of one that left and came back start again.
note_used_backends() {
  ask show backends '.rows[] | select(.connections > 0) | "\(.service) \(.backend)"' |
    sort -u -o "$testbed_dir/used" - "$testbed_dir/used"
}
all_are_used() {
  note_used_backends
  is "$(wc -l <"$testbed_dir/used")" $((${#services[@]} * 3))
}

# One round of changes; the file puts back what the commands did.
change_everything() {
  local scheduler=$1
  on_each_service add_third || return
  if ((rounds == 0)); then wait_for 20 all_are_used; else sleep 0.2; fi
  on_each_service drain_first || return
  sleep 0.2
  on_each_service delete_first || return
  on_each_service change_weights || return
  sleep 0.2
  sed -i "s/scheduler: .*/scheduler: $scheduler/" "$(gate_config)"
  hg reload
}

rounds=0
: >"$testbed_dir/used"
run_changes() {
  local schedulers=(rr wrr lc wlc sed nq mh)
  while ! are_gone "${loads[@]}" || ((rounds == 0)); do
    change_everything "${schedulers[rounds % ${#schedulers[@]}]}" || return
    rounds=$((rounds + 1))
    sleep 0.2
  done >"$testbed_dir/changes.log" 2>&1
}
changes_went_through() {
  run_changes || { tail -n 5 "$testbed_dir/changes.log" && return 1; }
}

none_failed() {
  local wanted=$((requests / ${#services[@]})) line
  line=$(tail -n 1 "$testbed_dir/wrk-$1.log")
  if ! [[ $line =~ ^answers\ ([0-9]+)\ failed\ 0\  ]] || ((BASH_REMATCH[1] < wanted)); then
    cat "$testbed_dir/wrk-$1.log"
    return 1
  fi
}

started=$SECONDS
start_loads
check_here 'every change was accepted' changes_went_through
check 'all requests came to an end' wait_for "$patience" are_gone "${loads[@]}"
echo "# $requests requests in $((SECONDS - started)) s, $rounds rounds of changes"
for service in "${services[@]}"; do
  check_gate "$service: no request failed" none_failed "$service"
done
check_gate 'each backend got connections' all_are_used
check_gate 'every packet has one verdict' sum_rule_holds
no_loss() {
  local lost
  lost=$(ask show drops '[.rows[] |
    select(.verdict | test("no_connection|no_backend|table|port|tx_full|ring|mbuf")) |
    "\(.verdict) \(.count)"] | join(", ")')
  is "$lost" ''
}
check_gate 'nothing was dropped that belonged to a connection' no_loss
check_here 'clean end' stop_gate
finish
