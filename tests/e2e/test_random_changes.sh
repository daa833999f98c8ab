#!/usr/bin/env bash
# Thousands of random changes under traffic, in the four modes: backends come, go, drain and change
# weights, services are edited, the file is edited and reloaded, and a server's port refuses now and
# then. No request fails but those that went to that port before a check had found out.
# seconds: 300
#
# $SEED and $COUNT for other changes than usual.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

count=${COUNT:-10000} seed=${SEED:-20261126}

# Two, so that one might lag behind the other.
gate_workers=2 gate_driver=af_packet gate_queues=2
all_modes_begin 3
# In each mode a service whose third server refuses now and then, over IPv4, and over IPv6 one where
# no request has a reason to fail.
mode_services() {
  local mode backend
  for mode in "${modes[@]}"; do
    one_service "web-$mode" "$mode" "$(vip_of "$mode" 4)" "${server4[@]}"
    one_service "calm-$mode" "$mode" "$(vip_of "$mode" 6)" "${server6[@]}"
  done
}
one_service() {
  cat <<YAML
  - name: $1
    address: "$3"
    port: 80
    mode: $2
    scheduler: rr
    checks: [{type: tcp, interval_ms: 200, timeout_ms: 5000, retries: 1, retry_delay_ms: 50}]
    backends:
$(printf '      - address: "%s"\n' "${@:4}")
YAML
}
mode_services | configure >"$(gate_config)"
start_gate

urls=() targets=() clients=()
for mode in "${modes[@]}"; do
  urls+=("http://$(vip_of "$mode" 4)/")
  targets+=("web-$mode=${server4[2]}" "calm-$mode=${server6[2]}")
  start_on client "wrk-$mode" wrk -t1 -c4 -d3600s --timeout 20s \
    -s "$repository/tests/e2e/requests.lua" "http://$(bracketed "$(vip_of "$mode" 6)")/" -- \
    1000000000 20
  clients+=("$started_pid")
done
start_on client steady "$repository/tools/steady_client.py" --period 40 "${urls[@]}"
steady_pid=$started_pid

changed() {
  "$repository/tests/e2e/random_changes.py" --headgate "$build_dir/tools/headgate" \
    --socket "$(gate_run_dir)/headgate.sock" --config "$(gate_config)" --pid "$gate_pid" \
    --netns "$testbed_id-rs3" --count "$count" --seed "$seed" "${targets[@]}" \
    >"$testbed_dir/changes.log"
}
started=$SECONDS
check_gate "$count changes at random, seed $seed" changed
echo "# in $((SECONDS - started)) s: $(grep -v '^exposed' "$testbed_dir/changes.log" | paste -sd' ')"
# While no change comes, some requests more.
sleep 1
kill -INT "${clients[@]}"
kill -TERM "$steady_pid"
check 'the clients end' wait_for 30 are_gone "${clients[@]}" "$steady_pid"

# A request may fail by a refused or reset connection from half a second before clients may begin to
# meet the port (it was on its way) to three after it (two attempts, 250 ms, on a slow machine).
failures() {
  awk 'FNR == NR {
      if ($1 == "exposed") begin[++times] = $2
      if ($1 == "flaps") flaps = $2
      next
    }
    $4 == "failed" {
      near = 0
      for (i = 1; i <= times; i++) near += $1 > begin[i] - 0.5 && $1 < begin[i] + 3
      if (near && ($5 == "ConnectionRefusedError" || $5 == "ConnectionResetError")) {told++; next}
      print
      others++
    }
    {all++}
    END {
      printf "# %d requests, %d failed at the port that refused, in %d flaps\n", all, told, flaps
      exit others > 0 || all < 500 || flaps == 0
    }' "$testbed_dir/changes.log" "$testbed_dir/steady.log"
}
check 'no request fails but at the port that refused' failures
failures | tail -n 1
check 'checks found it out' grep -q "backend ${server4[2]}:80 of .* is down: .*refused" "$gate_log"
none_failed() {
  local line
  line=$(tail -n 1 "$testbed_dir/wrk-$1.log")
  if ! [[ $line =~ ^answers\ ([0-9]+)\ failed\ 0\  ]] || ((BASH_REMATCH[1] < 500)); then
    cat "$testbed_dir/wrk-$1.log"
    return 1
  fi
}
for mode in "${modes[@]}"; do
  check "$mode: none at all where no port refuses" none_failed "$mode"
done
# grows_less_than BYTES NAME
grows_less_than() {
  awk -v most="$1" -v name="$2" '$1 == name {print; seen = 1; grown = $3 - $2}
    END {exit !seen || grown >= most}' "$testbed_dir/changes.log"
}
check 'memory does not grow' grows_less_than 8388608 memory
check 'nor do the snapshots' grows_less_than 65536 snapshot
same_generation() {
  is "$(ask show workers '"\(.rows | length) \([.rows[].generation] | unique | length)"')" '2 1'
}
check 'all workers work by one generation' wait_for 5 same_generation
check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
