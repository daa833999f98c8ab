#!/usr/bin/env bash
# Start, reload, end and kill of the daemon: what a bad file says, what SIGHUP and SIGTERM do, that
# the device beneath is as it was before, and that daemons do not get into each other's way.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
hold_vips "$vip4" "$vip6"
headgated=$build_dir/control/headgated

# ended_well PID LOG: within ten seconds, with status 0.
ended_well() {
  local status=1
  if wait_for 10 are_gone "$1"; then
    status=0
    wait "$1" || status=$?
  fi
  ((status == 0)) || tail -n 20 "$testbed_dir/$2.log"
  return "$status"
}

# ---- checking files
for example in "$repository"/config/examples/*.yaml; do
  check "--check of ${example##*/}" says usable 0 timeout 20 "$headgated" --check "$example"
done
bad=$testbed_dir/bad.yaml
cat >"$bad" <<'YAML'
ports:
  - name: wan
    interface: net0
services:
  - address: 192.0.2.10
    port: 70000
    backends:
      - {address: 192.0.2.300}
      - {address: 192.0.2.21, wieght: 2}
YAML
check 'a mistake has line and column' says "$bad:6:11: services[0].port: 70000" 1 \
  timeout 20 "$headgated" --check "$bad"
check 'the second mistake is told in the same run' says '192.0.2.300' 1 \
  timeout 20 "$headgated" --check "$bad"
check 'an unknown key gets the nearest known one' says 'did you mean weight?' 1 \
  timeout 20 "$headgated" --check "$bad"
check 'a file that is not there is named' says '/nowhere/headgate.yaml' 1 \
  timeout 20 "$headgated" --config /nowhere/headgate.yaml
check 'a daemon does not start on a bad file' says 'services[0].port' 1 \
  timeout 20 "$headgated" --config "$bad"
check 'wrong usage ends with status 2' says --what 2 timeout 20 "$headgated" --what

remember_device
works() {
  web_is 'rs1 2 rs2 2' "$vip4" 80 4
}

web_services() {
  services web dr tcp 80 80
  services lines dr tcp 7000 7000
}
web_services | configure >"$(gate_config)"
cp "$(gate_config)" "$testbed_dir/good.yaml"

for gate_driver in af_xdp af_packet; do
  web_services | configure >"$(gate_config)"
  cp "$(gate_config)" "$testbed_dir/good.yaml"
  start_gate
  check_gate "$gate_driver: works" works
  check "$gate_driver: the second daemon on a run directory is refused" says "$gate_pid" 1 \
    on gate timeout 20 "$headgated" --config "$(gate_config)"
  check_gate "$gate_driver: and the first one goes on" works
  check "$gate_driver: the socket is 0660" is "$(stat -c %a "$(gate_run_dir)/headgate.sock")" 660
  check_here "$gate_driver: SIGTERM ends it with status 0" stop_gate
  check "$gate_driver: the device beneath is as it was" device_is_fresh
  check "$gate_driver: nothing is left" nothing_is_left

  start_gate
  kill -KILL "$gate_pid"
  wait "$gate_pid" 2>/dev/null || true
  start_gate
  check_gate "$gate_driver: works after a kill" works
  check_here "$gate_driver: ends cleanly after a kill" stop_gate
  check "$gate_driver: the device beneath is as it was before the kill" device_is_fresh
  check "$gate_driver: nothing is left of either" nothing_is_left
done

# ---- reload
start_gate
start_on client hold "$peer" hold "$vip4" 7000 4
holder=$started_pid
check_gate 'connections to both servers' wait_for 5 \
  grep -q '^holding rs1 2 rs2 2' "$testbed_dir/hold.log"
generation() {
  ask show stats .result.details.generation
}
configuration() {
  hg show config
}
before=$(configuration)
configuration_stands() {
  diff <(printf '%s\n' "$before") <(configuration)
}
sed 's/port: 7000$/port: 70000/; s/scheduler/sheduler/' "$testbed_dir/good.yaml" >"$(gate_config)"
check 'a bad file is refused with its mistakes' says 'services[2].port: 70000' 1 hg reload
check 'all of them' says 'did you mean scheduler?' 1 hg reload
check 'and nothing has changed' configuration_stands
lines_before=$(wc -l <"$gate_log")
kill -HUP "$gate_pid"
check 'SIGHUP with a bad file says why in the log' wait_for 5 \
  eval "tail -n +$((lines_before + 1)) '$gate_log' | grep -qF 'services[2].port: 70000'"
check 'and nothing has changed either' configuration_stands
check_gate 'traffic goes on' works
sed 's/queues: auto/queues: 2/' "$testbed_dir/good.yaml" >"$(gate_config)"
check 'what needs a restart is named' says 'needs a restart' 1 hg reload
sed '/name: web6/,$d' "$testbed_dir/good.yaml" >"$(gate_config)"
check 'a file with fewer services is taken' hg reload
check_gate 'and takes effect' is "$(ask show services '[.rows[].service] | join(" ")')" "$vip4:80/tcp"
cp "$testbed_dir/good.yaml" "$(gate_config)"
kill -HUP "$gate_pid"
services_are() {
  is "$(ask show services '.rows | length')" "$1"
}
check_gate 'SIGHUP reads the file again' wait_for 5 services_are 4
storm() {
  local i
  for ((i = 0; i < 500; i++)); do kill -HUP "$gate_pid" || return; done
}
check_here 'a storm of SIGHUP' storm
check_gate 'commands are answered next to it' hg show services
check_gate 'and traffic goes on next to it' works
check_gate 'nothing differs after it' says 'nothing differs' 0 hg reload
check 'the log says what changed' grep -qF "SIGHUP: service $vip4:7000/tcp added" "$gate_log"
check 'reload of another file' hg reload "$testbed_dir/good.yaml"
check 'a file that is not there' says /nowhere/file.yaml 1 hg reload /nowhere/file.yaml
holder_ended_well() {
  kill -TERM "$holder"
  ended_well "$holder" hold
}
check_here 'connections lived through all of it' holder_ended_well
check_gate 'every packet has one verdict' sum_rule_holds

# ---- two daemons side by side, in two namespaces
add_host gate2
plug gate2 net0 lan1 10.1.0.3
sed "s|run_dir: .*|run_dir: $testbed_dir/run2|; s|file_prefix: .*|file_prefix: $testbed_id-2|
  s|10\.1\.0\.1/24|10.1.0.3/24|; s|fd00:1::1/64|fd00:1::3/64|
  s|address: \"$vip4\"|address: \"10.1.0.90\"|; s|address: \"$vip6\"|address: \"fd00:1::90\"|" \
  "$testbed_dir/good.yaml" >"$testbed_dir/gate2.yaml"
hold_vips 10.1.0.90 fd00:1::90
start_on gate2 gate2 "$headgated" --config "$testbed_dir/gate2.yaml"
gate2_pid=$started_pid
hg2() {
  "$build_dir/tools/headgate" --socket "$testbed_dir/run2/headgate.sock" --timeout 10s "$@"
}
check 'a second daemon in another namespace comes up' wait_for 20 hg2 version
check_gate 'the first one serves its VIP' works
check 'the second one serves its own' web_is 'rs1 2 rs2 2' 10.1.0.90 80 4
check 'each counts its own' is "$(hg2 --json show services | jq '[.rows[].connections] | add')" 4
second_ends() {
  kill -TERM "$gate2_pid"
  ended_well "$gate2_pid" gate2
}
check_here 'the second one ends cleanly' second_ends
check_gate 'the first one goes on' works
check_here 'clean end' stop_gate
check 'nothing is left' nothing_is_left

# ---- places given on the command line
start_on gate gate "$headgated" --config "$(gate_config)" --run-dir "$testbed_dir/elsewhere" \
  --socket "$testbed_dir/own.sock"
gate_pid=$started_pid
own_socket_answers() {
  "$build_dir/tools/headgate" --socket "$testbed_dir/own.sock" version
}
check 'run directory and socket of the command line' wait_for 20 own_socket_answers
check 'the run directory is that one' test -d "$testbed_dir/elsewhere"
check_here 'it ends cleanly, too' stop_gate
check 'its socket is gone' test ! -e "$testbed_dir/own.sock"
finish
