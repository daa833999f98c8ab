#!/usr/bin/env bash
# Starts that cannot succeed say why and end with status 1; SIGTERM at any time of a start and twice
# at the end. Each time nothing is left, and the device beneath is as it was.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
hold_vips "$vip4" "$vip6"
services web dr tcp 80 80 | configure >"$(gate_config)"
good=$testbed_dir/good.yaml
cp "$(gate_config)" "$good"
headgated=$build_dir/control/headgated
remember_device

clean() {
  device_is_fresh && nothing_is_left
}

# ---- what is not there
# refused NAME TEXT SED_COMMAND...: with the file so changed the daemon ends, and its last line holds
# the text.
refused() {
  local name=$1 text=$2
  sed "${@:3}" "$good" >"$(gate_config)"
  check "$name: status 1, and why" last_line_says "$text"
  check "$name: nothing is left" clean
}
last_line_says() {
  local text=$1 status=0
  on gate timeout 60 "$headgated" --config "$(gate_config)" >"$testbed_dir/refused.log" 2>&1 ||
    status=$?
  if ((status != 1)) || ! tail -n 1 "$testbed_dir/refused.log" | grep -qF -- "$text"; then
    cat "$testbed_dir/refused.log"
    echo "status $status"
    return 1
  fi
}
refused 'AF_XDP on no interface' 'nothere: there is no such interface' \
  's/interface: net0/interface: nothere/'
refused 'AF_PACKET on no interface' 'nothere: there is no such interface' \
  's/interface: net0/interface: nothere/; s/af_xdp/af_packet/'
refused 'a PCI device that is not there' 'port wan (0000:ff:1f.7): ' \
  's/interface: net0/pci: "0000:ff:1f.7"/; /driver:/d'
refused 'a vdev that DPDK does not know' 'port wan (net_nonsense0): ' \
  's/interface: net0/vdev: net_nonsense0/; /driver:/d'
refused 'a core that is not there' 'core 300 ' 's/cores: .*}/cores: [300]}/'
if [[ $(cat /sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages 2>/dev/null) -eq 0 ]]; then
  refused 'no 1 GB pages' 'vm.nr_hugepages' 's/huge_pages: none/huge_pages: 1G/'
fi
refused 'a run directory that cannot be made' '--run-dir' 's|run_dir: .*|run_dir: /proc/headgate|'
refused 'a socket where no folder is' 'daemon.socket' \
  's|run_dir: .*|&\n  socket: /nowhere/headgate.sock|'
refused 'more than a limit' '--check' 's/max_ipv4: 65536/max_ipv4: 4000000000/'
cp "$good" "$(gate_config)"
ip -n "$testbed_id-gate" link add wan type veth peer name other
check 'a twin whose name is taken: status 1, and what to do' last_line_says twin.name
ip -n "$testbed_id-gate" link delete wan
check 'a twin whose name is taken: nothing is left' clean
check 'without privileges: status 1, and which are needed' says 'needs root' 1 \
  on gate timeout 60 setpriv --bounding-set -all --inh-caps -all "$headgated" --config "$good"

# ---- SIGTERM
# Ended by itself, or by the signal's own effect where the daemon has changed nothing yet.
ended() {
  local status=0
  wait_for 20 are_gone "$gate_pid" || { echo 'it does not end' && return 1; }
  wait "$gate_pid" || status=$?
  if ((status != 0 && status != 143)); then
    cat "$testbed_dir/gate.log"
    echo "status $status"
    return 1
  fi
}
for delay in 0.01 0.05 0.1 0.15 0.2 0.25 0.3 0.4; do
  start_on gate gate "$headgated" --config "$(gate_config)"
  gate_pid=$started_pid
  sleep "$delay"
  kill -TERM "$gate_pid" 2>/dev/null || true
  check_here "SIGTERM $delay s after the start: it ends" ended
  check "SIGTERM $delay s after the start: nothing is left" clean
done

start_gate
kill -TERM "$gate_pid"
kill -TERM "$gate_pid" 2>/dev/null || true
check_here 'SIGTERM twice: it ends as after one' ended
check 'SIGTERM twice: nothing is left' clean
start_gate
check_gate 'SIGTERM twice: it starts again' web_is 'rs1 2 rs2 2' "$vip4" 80 4
check_here 'SIGTERM twice: clean end of the next one' stop_gate
check 'SIGTERM twice: the next one leaves nothing' clean
start_gate
kill -INT "$gate_pid"
check_here 'SIGINT: it ends' ended
check 'SIGINT: nothing is left' clean
finish
