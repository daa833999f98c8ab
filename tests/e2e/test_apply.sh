#!/usr/bin/env bash
# Changes on probation: a plan that says what would move, an apply that nobody confirms and that is
# taken back under traffic, one that is confirmed, what is refused meanwhile, and the audit log.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
hold_vips "$vip4" "$vip6"
services web dr tcp 80 80 | configure >"$(gate_config)"
audit=$testbed_dir/audit.log
sed -i "s|^  log_level: debug|&\n  audit_log: $audit|" "$(gate_config)"
other=$testbed_dir/other.yaml
# Another configuration: the second server is gone, but for IPv6.
sed "0,/- {address: ${server4[1]}, port: 80}/{/- {address: ${server4[1]}, port: 80}/d}" \
  "$(gate_config)" >"$other"
start_gate

# The last line of the audit log is so.
last_audited() {
  is "$(tail -n 1 "$audit" | jq -r "$1")" "$2"
}
# In whatever share: other traffic takes its turns as well.
both_serve() {
  local answers
  answers=$(web_answers "$vip4" 80 20) || return
  [[ $answers =~ ^rs1\ [0-9]+\ rs2\ [0-9]+$ ]] || { echo "$answers" && return 1; }
}
first_serves() { web_is 'rs1 20' "$vip4" 80 20; }
nothing_pending() { is "$(ask show pending .result.pending)" false; }

check 'the start is audited' last_audited '"\(.source) \(.command)"' 'daemon start'
check_gate 'before: both servers' both_serve

# ---- plan
# A connection of each server that is held open.
start_on client held /usr/bin/python3 -c "
import socket, time
held = [socket.create_connection(('$vip4', 80)) for _ in range(4)]
print('held', flush=True)
time.sleep(120)"
ready_or_fail 'connections that stay' held grep -q held "$testbed_dir/held.log"
active_are() { is "$(ask show services web4 '.rows[0].active')" "$1"; }
check_gate 'four connections are live' wait_for 5 active_are 4
check 'plan of what runs' says 'nothing differs' 0 hg plan
check 'plan tells of the backend' says "backend ${server4[1]}:80 of $vip4:80/tcp removed" 0 \
  hg plan "$other"
check 'plan counts what would move' is \
  "$(ask plan "$other" '.rows[0] | "\(.service) \(.backends_removed) \(.on_backend_removed)"')" \
  "$vip4:80/tcp 1 keep"
moved_are_half() {
  ask plan "$other" '.rows[0] | "\(.moved * 2 == .connections) \(.moved >= 2)"' >"$testbed_dir/moved"
  is "$(<"$testbed_dir/moved")" 'true true'
}
check 'half of the connections would move' moved_are_half
check 'and of the hash space a share' is \
  "$(ask plan "$other" '.rows[0].hash_share | . > 0.4 and . < 0.7')" true
check_gate 'a plan changes nothing' both_serve
sed 's/^memory: .*/memory: {huge_pages: none, max_services: 100, max_backends: 1024}/' \
  "$(gate_config)" >"$testbed_dir/restart.yaml"
check 'plan says what needs a restart' says 'memory.max_services 256 -> 100: needs a restart' 0 \
  hg plan "$testbed_dir/restart.yaml"
printf 'services: 5\n' >"$testbed_dir/bad.yaml"
check 'plan of a file with mistakes' says 'bad.yaml:1:' 1 hg plan "$testbed_dir/bad.yaml"

# ---- nobody confirms
start_on client load wrk -t1 -c8 -d60s --timeout 10s -s "$repository/tests/e2e/requests.lua" \
  "http://$vip4:80/" -- 100000
load=$started_pid
check 'apply on probation' says 'headgate confirm' 0 hg apply "$other" --confirm-within 6s
check_gate 'it runs' first_serves
check 'show pending tells of it' says "$other" 0 hg show pending
check 'an edit is refused' says 'headgate rollback' 1 \
  hg backend edit web6 "${server6[0]}" --weight 5
check 'a reload is refused' says 'waits for its confirmation until' 1 hg reload
kill -HUP "$gate_pid"
sighup_refused() {
  grep -q 'warning: SIGHUP: refused: nothing was changed: uid 0.*waits for its confirmation' \
    "$gate_log"
}
check 'SIGHUP is refused and logged' wait_for 5 sighup_refused
check 'SIGHUP is audited' wait_for 5 last_audited \
  '"\(.source) \(.outcome | startswith("refused: "))"' 'signal true'
check_gate 'it is taken back by itself' wait_for 15 nothing_pending
check_gate 'traffic goes as before' wait_for 5 both_serve
check 'the rollback is audited' last_audited \
  '"\(.source) \(.command) \(.changes | length)"' "timer rollback of $other 1"
check 'the file to read is the old one' says 'nothing differs' 0 hg reload

# ---- confirmed
check 'apply once more' hg apply "$other" --confirm-within 1s
check 'confirm' says 'stays' 0 hg confirm
sleep 1.5
check_gate 'it stays' first_serves
check 'confirm is audited' last_audited '"\(.command) \(.user)"' 'confirm root'
check 'the file to read is the new one' says 'nothing differs' 0 hg reload
check 'nothing waits any more' says 'no apply waits' 1 hg confirm

# ---- taken back at once; the client is gone by then
check 'apply the first file' hg apply "$(gate_config)" --confirm-within 10m
check_gate 'both again' both_serve
check 'rollback' says "backend ${server4[1]}:80 of $vip4:80/tcp removed" 0 hg rollback
check_gate 'it is the one before' first_serves
check 'apply without a time stays' hg apply "$(gate_config)"
check 'nothing is pending' nothing_pending
check_gate 'both servers' both_serve
all_went_through() {
  wait_for 60 are_gone "$load" || return 1
  grep -q '^answers [0-9]* failed 0 ' "$testbed_dir/load.log" ||
    { tail -n 3 "$testbed_dir/load.log" && return 1; }
}
check_gate 'no request failed through all of it' all_went_through

# ---- the audit log
check 'show audit' says 'rollback' 0 hg show audit
check 'its last lines as JSON' is "$(ask show audit --last 2 '[.rows[].command] | join(", ")')" \
  "rollback, apply file=$(gate_config)"
mv "$audit" "$audit.1"
hg backend edit web4 "${server4[0]}" --weight 2 >/dev/null
check 'a rotated log goes on in a new file' is "$(wc -l <"$audit")" 1
check 'with mode 0640' is "$(stat -c %a "$audit")" 640
check 'every line is an object' jq -e -s 'all(type == "object" and has("time"))' "$audit" "$audit.1"
check_here 'clean end' stop_gate
check 'the stop is audited' last_audited '"\(.source) \(.command) \(.outcome)"' 'daemon stop SIGTERM'
finish
