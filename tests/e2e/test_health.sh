#!/usr/bin/env bash
# Health checks with real servers, in all four modes: who is down gets no new connections, whoever is
# left does, the sorry server when nobody is; who was down stays so through a reload and a restart;
# those who are to be told are told.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

all_modes_begin 3

notes=$testbed_dir/notes
: >"$notes"
chmod 666 "$notes"
cat >"$testbed_dir/notify.sh" <<SH
#!/bin/sh
echo "\$@" >>$notes
SH
chmod 755 "$testbed_dir" "$testbed_dir/notify.sh"

# web_service NAME MODE VIP SORRY MORE BACKEND...: checked by HTTP, with the last server as sorry
# server.
web_service() {
  local name=$1 mode=$2 vip=$3 sorry=$4 more=$5 backend
  shift 5
  cat <<YAML
  - name: $name
    address: "$vip"
    port: 80
    mode: $mode
    scheduler: rr
    checks:
      - {type: http, interval_ms: 200, timeout_ms: 500, retries: 1, retry_delay_ms: 100}
    sorry_server: {address: "$sorry"}
    notify: {any: $testbed_dir/notify.sh}
$more
    backends:
YAML
  for backend; do printf '      - address: "%s"\n' "$backend"; done
}
health_services() {
  local mode
  for mode in "${modes[@]}"; do
    web_service "web-${mode}4" "$mode" "$(vip_of "$mode" 4)" "${server4[2]}" '' \
      "${server4[@]:0:2}"
    web_service "web-${mode}6" "$mode" "$(vip_of "$mode" 6)" "${server6[2]}" '' \
      "${server6[@]:0:2}"
  done
  # Connections of a backend that goes down end at once.
  printf '  - name: lines\n    address: %s\n    port: 7000\n    mode: nat\n    scheduler: rr\n' \
    "$(vip_of nat 4)"
  printf '    on_down: reset\n    checks: [{type: tcp, interval_ms: 200, timeout_ms: 300, retries: 0}]\n'
  printf '    backends: [{address: %s}, {address: %s}]\n' "${server4[@]:0:2}"
}
gate_more+="
health: {notify_fifo: $testbed_dir/fifo}"
health_services | configure >"$(gate_config)"
start_gate

state_of() {
  ask show backends "$1" "[.rows[] | select(.backend == \"$(bracketed "$2"):$3\") | .state][0]"
}
state_is() {
  is "$(state_of "$1" "$2" "$3")" "$4"
}
reason_of() {
  ask show backends "$1" "[.rows[] | select(.backend == \"$(bracketed "$2"):80\") | .reason][0]"
}
# on_all COMMAND...: for each service, with its name, the addresses of its family and its VIP.
on_all() {
  local mode family
  for mode in "${modes[@]}"; do
    for family in 4 6; do
      local -n addresses=server$family
      "$@" "web-$mode$family" "$(vip_of "$mode" "$family")" "${addresses[@]}" || return
    done
  done
}
# What each server is to be: up, down.
all_states_are() {
  on_all states_are "$1" "$2"
}
states_are() {
  local first=$1 second=$2 service=$3
  state_is "$service" "$5" 80 "$first" && state_is "$service" "$6" 80 "$second"
}
answers_come_from() {
  on_all web_comes_from "$1"
}
web_comes_from() {
  web_is "$1" "$3" 80 10
}

# shut NAME reject|drop: what comes to the server's ports 80 and 7000 is refused, or lost.
shut() {
  local how=drop
  if [[ $2 == reject ]]; then how='reject with tcp reset'; fi
  on "$1" nft -f - <<NFT
table inet shut {
  chain in {
    type filter hook input priority -10
    tcp dport {80, 7000} $how
  }
}
NFT
}
open_again() { on "$1" nft delete table inet shut; }

check_gate 'all backends are up' wait_for 5 all_states_are up up
check 'both serve' answers_come_from 'rs1 5 rs2 5'

start_on client hold "$peer" hold "$(vip_of nat 4)" 7000 4
check_gate 'connections to both servers' wait_for 5 \
  grep -qx 'holding rs1 2 rs2 2' "$testbed_dir/hold.log"

shut rs1 drop
check_gate 'a server that is silent is down' wait_for 5 all_states_are down up
check 'in words' says 'timed out after 500 ms (2 of 2)' 0 hg show backends web-nat4
check 'the other one gets all' answers_come_from 'rs2 10'
check_gate 'connections that were with it are reset' wait_for 5 \
  grep -qi 'reset by peer' "$testbed_dir/hold.log"

check 'a reload forgets nothing' hg reload
check 'it is down still' all_states_are down up
stop_gate
start_gate
check 'nor does a restart' answers_come_from 'rs2 10'
check_gate 'and it is down still' wait_for 5 all_states_are down up
open_again rs1
check_gate 'it is up again' wait_for 5 all_states_are up up
check 'both serve again' answers_come_from 'rs1 5 rs2 5'

shut rs1 reject
check_gate 'a server that refuses is down' wait_for 5 all_states_are down up
check 'in words, too' says 'refused the connection (2 of 2)' 0 hg show backends web-dr4
shut rs2 reject
check_gate 'nobody is up' wait_for 5 all_states_are down down
check 'the sorry server serves' answers_come_from 'rs3 10'
check 'and is shown' is "$(ask show backends web-dr4 '.rows[] | select(.name == "sorry") | .state')" \
  sorry
open_again rs2
check_gate 'one is back' wait_for 5 all_states_are down up
check 'and has all of it' answers_come_from 'rs2 10'
open_again rs1
check_gate 'all are back' wait_for 5 all_states_are up up

vs="VS [$(vip_of dr 4)]:tcp:80"
rs="RS [${server4[0]}]:tcp:80 [$(vip_of dr 4)]:tcp:80"
was_told() {
  local said
  said=$(grep -F "$(vip_of dr 4)]:tcp:80" "$notes" | grep -Fe "$rs" -e "$vs")
  is "$said" "$(printf '%s\n' "$rs DOWN" "$rs UP" "$rs DOWN" "$vs DOWN" "$vs UP" "$rs UP")"
}
check 'scripts were told of each change, in order' wait_for 5 was_told
check 'and the audit log' says 'health' 0 hg show audit
check 'a check out of turn' says 'is asked now' 0 hg backend check web-dr4 "${server4[0]}"
check 'of a backend that is not there' says 'no backend' 1 hg backend check web-dr4 10.1.0.99
check 'checks are listed' says '200' 0 hg show checks web-dr4
check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
