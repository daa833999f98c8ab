# Two or more boxes that share virtual addresses, each run by headgate or by keepalived. Source it in
# place of cases.sh, which it brings.
#
#   vrrp_begin BOX...            boxes r1, r2 ... with eth0 on one LAN, and a client there
#   box HOST ROLE <<YAML         what it runs, headgate or keepalived; the section `vrrp:`
#   start_box, stop_box, crash_box, reload_box HOST
#   holds HOST ADDRESS, master_is HOST ADDRESS...
#   capture NAME, capture_says NAME COMMAND...
#
# r1 is 10.1.0.1, fd00:1::1 and fe80::10ff:fe01:1 on eth0, r2 is 10.1.0.2 and so on.
# shellcheck shell=bash
# shellcheck source=tests/e2e/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/cases.sh"

capture_reader=$repository/tests/e2e/vrrp_capture.py
hg_patience=10s
declare -A box_role=() box_pid=() box_starts=()
boxes=()

vrrp_begin() {
  local name
  testbed_open
  add_lan lan1
  add_host client
  plug client eth0 lan1 "$client4"
  for name; do
    boxes+=("$name")
    add_host "$name"
    plug "$name" eth0 lan1 "10.1.0.${name#r}"
  done
}

address_of() { printf '10.1.0.%d' "${1#r}"; }
link_local_of() { printf 'fe80::10ff:fe01:%d' "${1#r}"; }

# roles_of PART: of "headgate/keepalived" the roles of r1 and r2.
roles_of() {
  # shellcheck disable=SC2034  # for the caller
  role1=${1%/*} role2=${1#*/}
}

# ---- configuration

# box HOST ROLE: the section `vrrp:` comes on standard input; written anew for a reload.
box() {
  local host=$1 role=$2
  box_role[$host]=$role
  cat >"$testbed_dir/$host.vrrp"
  case $role in
    headgate)
      {
        headgate_daemon_section "$host"
        cat "$testbed_dir/$host.vrrp"
      } >"$testbed_dir/$host.yaml"
      ;;
    keepalived)
      "$repository/tests/e2e/keepalived_conf.py" <"$testbed_dir/$host.vrrp" \
        >"$testbed_dir/$host.conf"
      ;;
    *) fail "role '$role': headgate or keepalived" ;;
  esac
}

headgate_daemon_section() {
  cat <<YAML
daemon:
  run_dir: $testbed_dir/$1-run
  file_prefix: $testbed_id-$1
  name: $1
  log_level: debug
ports: []
YAML
}

# ---- the programs

box_log() { printf '%s' "$testbed_dir/$1-${box_starts[$1]:-0}.log"; }

# start_box HOST [WRAPPER...]: a wrapper gets the program's command as its last arguments.
start_box() {
  local host=$1 command=()
  shift
  box_starts[$host]=$((${box_starts[$host]:-0} + 1))
  mapfile -t command < <(box_command "$host")
  start_on "$host" "$host-${box_starts[$host]}" "$@" "${command[@]}"
  box_pid[$host]=$started_pid
  if ! wait_for 20 box_answers_or_is_gone "$host" || ! box_answers "$host"; then
    tail -n 40 "$(box_log "$host")" >&2
    fail "${box_role[$host]} on $host did not come up"
  fi
}

box_command() {
  local at=$testbed_dir/$1
  case ${box_role[$1]} in
    headgate) printf '%s\n' "$build_dir/control/headgated" --config "$at.yaml" ;;
    # Without respawning: it would bring to life what a test has killed.
    keepalived)
      printf '%s\n' keepalived --dont-fork --log-console --log-detail --no-syslog --vrrp \
        --dont-respawn --use-file "$at.conf" --pid "$at.pid" --vrrp_pid "$at.vrrp.pid"
      ;;
  esac
}

box_answers() {
  case ${box_role[$1]} in
    headgate) hg_on "$1" version >/dev/null 2>&1 ;;
    keepalived) grep -q 'Startup complete' "$(box_log "$1")" ;;
  esac
}
box_answers_or_is_gone() {
  box_answers "$1" || are_gone "${box_pid[$1]}"
}

hg_on() {
  local host=$1
  shift
  "$build_dir/tools/headgate" --socket "$testbed_dir/$host-run/headgate.sock" --timeout "$hg_patience" "$@"
}

# Of headgate, what jq makes of `show vrrp`: instance_on HOST NAME FILTER.
instance_on() {
  hg_on "$1" --json show vrrp | jq -r --arg name "$2" ".rows[] | select(.name == \$name) | $3"
}

# The status of its end; fails when it takes longer than ten seconds.
stop_box() {
  local pid=${box_pid[$1]} status=0
  kill -TERM "$pid" || return 1
  wait_for 10 are_gone "$pid" || { echo "${box_role[$1]} on $1 does not end" && return 1; }
  wait "$pid" || status=$?
  if ((status != 0)); then
    tail -n 20 "$(box_log "$1")"
    echo "status $status"
  fi
  return "$status"
}

# As if the box had lost its power. keepalived's process for VRRP goes first: it would say good-bye
# when it saw its parent die.
crash_box() {
  local pids=("${box_pid[$1]}")
  if [[ ${box_role[$1]} == keepalived ]]; then
    pids=("$(cat "$testbed_dir/$1.vrrp.pid")" "${pids[@]}")
  fi
  kill -KILL "${pids[@]}"
  wait "${box_pid[$1]}" 2>/dev/null || true
}

# What a power failure would take with it, and keepalived does not look for at its next start.
clean_after_crash() {
  local host=$1 address
  [[ ${box_role[$host]} == keepalived ]] || return 0
  rm -f "$testbed_dir/$host.pid" "$testbed_dir/$host.vrrp.pid"
  shift
  for address; do
    ip -n "$testbed_id-$host" address delete "$address" dev eth0 2>/dev/null || true
  done
}

reload_box() {
  kill -HUP "${box_pid[$1]}"
}

# ---- who is master

# holds HOST ADDRESS: on any interface.
holds() {
  [[ -n $(ip -n "$testbed_id-$1" -o address show to "$2" 2>/dev/null) ]]
}
holds_all() {
  local host=$1 address
  shift
  for address; do
    holds "$host" "$address" || { echo "$host does not hold $address" && return 1; }
  done
}
holds_none() {
  local host=$1 address
  shift
  for address; do
    if holds "$host" "$address"; then echo "$host holds $address" && return 1; fi
  done
}
# master_is HOST ADDRESS...: it holds all of them, and no other box any.
master_is() {
  local host=$1 other
  shift
  for other in "${boxes[@]}"; do
    if [[ $other == "$host" ]]; then
      holds_all "$other" "$@" || return
    else
      holds_none "$other" "$@" || return
    fi
  done
}
becomes_master() {
  local seconds=$1
  shift
  wait_for "$seconds" master_is "$@" || { show_boxes && return 1; }
}
show_boxes() {
  local host
  for host in "${boxes[@]}"; do
    printf -- '-- %s, %s\n' "$host" "${box_role[$host]:-}"
    ip -n "$testbed_id-$host" -brief address
    if [[ -n ${box_role[$host]:-} ]]; then tail -n 12 "$(box_log "$host")"; fi
  done
}

# The cable of a box, at the switch: pull HOST LAN down|up.
pull() {
  ip -n "$testbed_id-switch" link set "$1-$2" "$3"
}
# partition on|off: the boxes reach the client, not each other.
partition() {
  local host
  for host in "${boxes[@]}"; do
    bridge -n "$testbed_id-switch" link set dev "$host-lan1" isolated "$1"
  done
}

# ---- captures

# capture NAME [LAN]: everything of VRRP and of neighbours that crosses the LAN, until the end.
capture() {
  start_capture switch "${2:-lan1}" "$testbed_dir/$1.pcap" \
    'ip proto 112 or ip6 proto 112 or arp or icmp6'
  # shellcheck disable=SC2034  # for the caller
  capture_pid=$started_pid
}
# capture_says NAME COMMAND ARGUMENT...
capture_says() {
  "$capture_reader" "$2" "$testbed_dir/$1.pcap" "${@:3}"
}
is() {
  [[ $1 == "$2" ]] || { echo "it is '$1' and should be '$2'" && return 1; }
}
now() {
  printf '%s' "${EPOCHREALTIME/,/.}"
}

# between LOW HIGH VALUE: of decimal numbers.
between() {
  awk -v low="$1" -v high="$2" -v value="$3" 'BEGIN {exit !(value >= low && value <= high)}' ||
    { echo "it is '$3' and should be from $1 to $2" && return 1; }
}

# adverts_came NAME VRID SOURCE SINCE NUMBER: so many, at least.
adverts_came() {
  (($(capture_says "$1" count "$2" "$3" "$4") >= $5))
}
