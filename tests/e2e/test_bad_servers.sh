#!/usr/bin/env bash
# Checks of servers that misbehave: silent, slow, endless, cut off, garbage. Each is down with the
# reason in words, the good one beside it stays up, and the daemon is left with nothing of it:
# descriptors, children and memory are as before.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 1
start_servers
server=${server4[0]} first=6000
bad_server=$repository/tests/e2e/bad_server.py
read -ra kinds < <("$bad_server" --list)
declare -A port_of=()
for i in "${!kinds[@]}"; do port_of[${kinds[i]}]=$((first + i)); done
start_on rs1 bad "$bad_server" "$first"
ready_or_fail 'the bad servers' bad grep -qx ready "$testbed_dir/bad.log"

home=$testbed_dir/scripts
mkdir "$home"
cat >"$home/stubborn.sh" <<'SH'
#!/bin/sh
trap '' TERM
(trap '' TERM; sleep 61) &
sleep 60
SH
cat >"$home/loud.sh" <<'SH'
#!/bin/sh
for i in 1 2 3; do head -c 4000000 /dev/zero | tr '\0' x & done
wait
exit 3
SH
chmod 755 "$home" "$home"/*.sh

names=() words=()
# bad NAME WORDS PORT CHECK: a service whose backend has to be down, and what its reason holds.
bad() {
  names+=("$1") words+=("$2")
  one_service "$1" "$3" "$4"
}
one_service() {
  number=$((number + 1))
  cat <<YAML
  - name: $1
    address: 10.1.0.200
    port: $((1000 + number))
    mode: nat
    checks: [{interval_ms: 500, timeout_ms: 700, retries: 0${2:+, port: $2}, $3}]
    backends: [{address: $server, port: 80}]
YAML
}
# of KIND CHECK WORDS [MORE]: a check of that type at that server.
of() {
  bad "$2-$1" "$3" "${port_of[$1]}" "type: $2${4:+, $4}"
}
number=0
bad_services() {
  local type
  one_service good 80 'type: http, http: {urls: [{regex: rs1}]}'
  for type in http https smtp; do
    of silent "$type" '700 ms'
    of resets "$type" 'reset the connection'
    of closes "$type" ''
    of garbage "$type" ''
    of half_open "$type" 'timed out after 700 ms'
    of slow "$type" ''
  done
  of half_open tcp 'timed out after 700 ms'
  # The body is read where it matters only.
  of endless_body http 'the page is longer than' 'http: {urls: [{regex: ready}]}'
  of endless_header http 'header is longer than'
  of endless_line smtp 'a line of more than'
  of endless_line http 'not HTTP'
  of cut http 'ended within the answer' 'http: {urls: [{regex: ready}]}'
  bad dns-udp_silent 'no answer' "${port_of[udp_silent]}" 'type: dns'
  bad dns-udp_garbage 'no answer' "${port_of[udp_garbage]}" 'type: dns'
  bad udp-udp_silent 'no answer' "${port_of[udp_silent]}" 'type: udp, udp: {require_reply: on}'
  bad udp-udp_garbage 'other than expected' "${port_of[udp_garbage]}" \
    'type: udp, udp: {expect: "rs1 "}'
  bad stubborn 'timed out after 700 ms' '' "type: script, script: {command: $home/stubborn.sh}"
  bad loud 'status 3' '' "type: script, script: {command: $home/loud.sh}"
}
gate_more='vrrp: {script_user: root}'
bad_services >"$testbed_dir/services"
with_checks() { configure <"$testbed_dir/services" >"$(gate_config)"; }
# The same services, none of them checked.
without_checks() {
  sed '/^    checks:/d' "$testbed_dir/services" | configure >"$(gate_config)"
}

without_checks
start_gate

descriptors() { find "/proc/$gate_pid/fd" -mindepth 1 -printf x | wc -c; }
# Of the daemon with all that it began, also what has another parent by now.
processes() { ip netns pids "$testbed_id-gate" | wc -l; }
memory_kb() { awk '/^VmRSS/ {print $2}' "/proc/$gate_pid/status"; }
descriptors_are() { is "$(descriptors)" "$1"; }
processes_are() { is "$(processes)" "$1"; }
fds_before=$(descriptors) processes_before=$(processes)

check_of() {
  ask show checks "$1" ".rows[0].$2"
}
is_down_for() {
  is "$(check_of "$1" state)" down && grep -qF -- "$2" <<<"$(check_of "$1" reason)" &&
    [[ -n $(check_of "$1" reason) ]]
}
goes_down_for() {
  wait_for 20 is_down_for "$@" || { check_of "$1" 'state, .rows[0].reason' && return 1; }
}
good_is_up() {
  is "$(check_of good state)" up
}
# Nothing of the checks is left.
all_is_gone() {
  wait_for 15 descriptors_are "$fds_before" ||
    { ls -l "/proc/$gate_pid/fd" && descriptors_are "$fds_before" && return 1; } || return 1
  wait_for 15 processes_are "$processes_before" ||
    { ip netns pids "$testbed_id-gate" | xargs ps -o pid,ppid,stat,args -p && return 1; }
}

with_checks
check 'a reload brings the checks' hg reload
for ((i = 0; i < ${#names[@]}; i++)); do
  check "${names[i]} is down${words[i]:+: ${words[i]}}" goes_down_for "${names[i]}" "${words[i]}"
done
check_gate 'the good one among them is up' good_is_up
hg show checks >"$testbed_dir/checks.log"
attempts() { ask show checks .result.attempts; }
attempts_reach() { (($(attempts) >= $1)); }
more_attempts() { wait_for 30 attempts_reach $(($(attempts) + $1)); }
check 'they are asked on and on' more_attempts 150
without_checks
check 'a reload takes the checks away' hg reload
check_gate 'descriptors and processes are as before' all_is_gone
first_kb=$(memory_kb)

with_checks
check 'and brings them again' hg reload
check 'they are asked on and on again' more_attempts 150
check_gate 'the good one is up again' good_is_up
without_checks
check 'and takes them away again' hg reload
check_gate 'descriptors and processes are as before again' all_is_gone
grows_little() {
  local grown=$(($(memory_kb) - first_kb))
  echo "$grown kB"
  ((grown < 8192))
}
check 'memory does not grow' grows_little

# Under way when the daemon ends: scripts that hang, connections to those who are silent.
with_checks
hg reload >"$testbed_dir/reload.log"
wait_for 10 is_down_for stubborn 'timed out' || true
check_here 'clean end with all of them under way' stop_gate
check 'and no process of its is left' wait_for 5 processes_are 0
finish
