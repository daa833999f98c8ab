#!/usr/bin/env bash
# headgate at work: real HTTP requests from a client through a VIP to two nginx servers, each mode
# in a network of its own made of namespaces, and what the packets looked like on the way.
#
#   tools/demo.sh [dr|nat|fullnat|ipip|health|vrrp|lvs|all]  default: all, one after the other;
#                                               health kills servers under traffic, vrrp one of two
#                                               boxes, lvs runs the files of an LVS site
#   tools/demo.sh MODE --keep                   leaves that mode running and says what to try
#   tools/demo.sh stop ID                       takes a kept one down
#
# Installs what is missing and builds. Needs root; changes nothing outside its own namespaces. The
# exit status is not 0 when a single request fails.
set -euo pipefail
# shellcheck source=tools/demo_vrrp.sh
source "$(dirname "${BASH_SOURCE[0]}")/demo_vrrp.sh"
# shellcheck source=tools/demo_health.sh
source "$(dirname "${BASH_SOURCE[0]}")/demo_health.sh"
# shellcheck source=tools/demo_lvs.sh
source "$(dirname "${BASH_SOURCE[0]}")/demo_lvs.sh"

readonly requests=50 # of each family
readonly all_modes=(dr nat fullnat ipip health vrrp lvs)
build_dir=${HEADGATE_BUILD:-$repository/build}
programs=(control/headgated tools/headgate tools/headgate-ipvsadm tools/ipip_decap)
keep=0
driver='' # of the ports: af_xdp or af_packet
failed=0

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

# ---- what the modes differ in

topology_of() {
  case $1 in
    dr | fullnat) echo one-arm ;;
    nat) echo two-arm ;;
    ipip) echo routed ;;
  esac
}

explain() {
  case $1 in
    dr)
      echo 'The frame gets another destination MAC, nothing else. The servers hold the VIP on lo,'
      echo 'without ARP, and answer the client directly.'
      ;;
    nat)
      echo 'The destination becomes the server, and the VIP again on the way back: the servers have'
      echo 'headgate as their default gateway and see the client.'
      ;;
    fullnat)
      echo 'The source becomes a local address of headgate, the destination the server: the servers'
      echo 'need no route through headgate, wherever they are.'
      ;;
    ipip)
      echo 'The packet travels in another one to servers behind a router: to rs1 in one of its family,'
      echo 'to rs2 in one of the other. They unwrap it and answer the client directly.'
      ;;
  esac
}

# The backends of an IPv4 or IPv6 service. For IPIP the second one is reached by the other family.
backends_of() {
  local mode=$1 family=$2
  if [[ $family == 4 ]]; then set -- "${server4[@]}"; else set -- "${server6[@]}"; fi
  if [[ $mode == ipip && $family == 4 ]]; then set -- "$1" "${server6[1]}"; fi
  if [[ $mode == ipip && $family == 6 ]]; then set -- "$1" "${server4[1]}"; fi
  printf '      - {address: "%s"}\n' "$@"
}

# service MODE FAMILY VIP
service() {
  cat <<YAML
  - address: "$3"
    port: 80
    mode: $1
    scheduler: rr
    backends:
YAML
  backends_of "$1" "$2"
}

# Of the cores that we may run on, the last one.
last_core() {
  sed -n 's/^Cpus_allowed_list:.*[^0-9]\([0-9]*\)$/\1/p' /proc/self/status
}

configuration() {
  local mode=$1
  cat <<YAML
daemon: {run_dir: $testbed_dir/run, file_prefix: $testbed_id, idle: adaptive}
workers: {cores: [$(last_core)]}
connections: {max_ipv4: 65536, max_ipv6: 65536}
ports:
  - name: wan
    interface: net0
    driver: $driver
    twin:
      addresses: [10.1.0.1/24, "fd00:1::1/64"]
YAML
  case $mode in
    nat)
      cat <<YAML
  - name: lan
    interface: net1
    driver: $driver
    twin:
      addresses: [10.2.0.1/24, "fd00:2::1/64"]
YAML
      ;;
    fullnat) echo 'forwarding: {local_addresses: [10.1.0.2, 10.1.0.3, "fd00:1::2"]}' ;;
    ipip)
      cat <<'YAML'
      routes:
        - {to: 10.3.0.0/24, via: 10.1.0.2}
        - {to: "fd00:3::/64", via: "fd00:1::2"}
YAML
      ;;
  esac
  echo 'services:'
  service "$mode" 4 "$vip4"
  service "$mode" 6 "$vip6"
}

# ---- running

prepare() {
  need_root
  "$repository/tools/packages.sh" build run demo
  local log=$build_dir/demo-build.log
  printf '%sbuilding, the first time takes some minutes ...%s\n' "$dim" "$plain"
  mkdir -p "$build_dir"
  if ! { [[ -e $build_dir/build.ninja ]] || meson setup "$build_dir" "$repository"; } >"$log" 2>&1 ||
    ! build_programs "$log"; then
    grep -E -A5 'error:|ERROR|FAILED' "$log" | head -n 30 >&2
    fail "the build failed; all of it is in $log"
  fi
}

# On a terminal ninja's own line shows how far it is.
build_programs() {
  local jobs
  jobs=$(nproc)
  if [[ -t 1 ]]; then
    ninja -C "$build_dir" -j "$jobs" "${programs[@]}" | tee -a "$1"
  else
    ninja -C "$build_dir" -j "$jobs" "${programs[@]}" >>"$1" 2>&1
  fi
}

headgate() {
  "$build_dir/tools/headgate" --socket "$testbed_dir/run/headgate.sock" "$@"
}

# AF_XDP is faster; a kernel without it has AF_PACKET.
start_headgate() {
  local mode=$1
  for driver in af_xdp af_packet; do
    configuration "$mode" >"$testbed_dir/headgate.yaml"
    start_on gate headgated "$build_dir/control/headgated" --config "$testbed_dir/headgate.yaml"
    wait_for 20 answers_or_is_gone "$started_pid" || true
    if headgate version >/dev/null 2>&1; then return; fi
    end_processes 5 "$started_pid"
    printf 'headgated did not come up on %s\n' "$driver" >&2
  done
  tail -n 20 "$testbed_dir/headgated.log" >&2
  fail "headgated did not come up"
}

answers_or_is_gone() {
  headgate version || are_gone "$1"
}

start_servers() {
  local mode=$1 name
  for name in "${server_names[@]}"; do
    start_web "$name"
    case $mode in
      dr) realserver "$name" ;;
      ipip) realserver "$name" --ipip ;;
    esac
  done
}

realserver() {
  local name=$1
  HEADGATE_BUILD=$build_dir on "$name" "$repository/tools/realserver.sh" start \
    --state "$testbed_dir/$name-realserver" "${@:2}" "$vip4" "$vip6"
}

# Each request on a connection of its own; curl's status tells of a failed one.
request_all() {
  local url=$1 answers=$2
  if ! on client curl -sS --fail --connect-timeout 5 --max-time 10 -H 'Connection: close' \
    "$url?[1-$requests]" >>"$answers"; then
    printf '%srequests to %s failed%s\n' "$red" "$url" "$plain"
    failed=1
  fi
}

show_shares() {
  local answers=$1 name count bar
  for name in "${server_names[@]}"; do
    count=$(grep -c "^$name " "$answers" || true)
    printf -v bar '%*s' $((count / 2)) ''
    printf '  %s  %3d  %s%s%s  saw %s\n' "$name" "$count" "$green" "${bar// /█}" "$plain" \
      "$(sed -n "s/^$name answered //p" "$answers" | sort -u | xargs)"
  done
}

# Captures one request where it leaves the client and where it arrives, and its reply.
show_one_request() {
  local url=$1 captures=() host server places shown
  for host in client "${server_names[@]}"; do
    start_capture "$host" eth0 "$testbed_dir/$host.pcap" \
      'tcp or ip proto 4 or ip proto 41 or ip6 proto 4 or ip6 proto 41'
    captures+=("$started_pid")
  done
  server=$(on client curl -sS --fail --connect-timeout 5 --max-time 10 "$url" | cut -d' ' -f1) ||
    fail "no answer from $url"
  places=(
    "client sends=$testbed_dir/client.pcap:request"
    "$server receives=$testbed_dir/$server.pcap:request"
    "$server answers=$testbed_dir/$server.pcap:reply"
    "client receives=$testbed_dir/client.pcap:reply"
  )
  # tcpdump may be a moment behind.
  wait_for 5 "$repository/tools/show_packets.py" "${places[@]}" ||
    fail "the request to $url was answered but not seen on the wire"
  end_processes 5 "${captures[@]}"
  shown=$("$repository/tools/show_packets.py" ${bold:+--bold} "${places[@]}")
  printf '%s\n\n' "${shown//$'\n'/$'\n'  }" | sed '1s/^/  /'
}

show_headgate() {
  printf '%s$ headgate %s%s\n' "$dim" "$*" "$plain"
  headgate "$@" | sed 's/^/  /'
}

run_mode() {
  local mode=$1 answers
  printf '\n%s━━ %s ━━%s\n' "$bold" "${mode^^}" "$plain"
  explain "$mode"
  testbed_begin "$(topology_of "$mode")"
  start_servers "$mode"
  start_headgate "$mode"

  answers=$testbed_dir/answers
  request_all "http://$vip4/" "$answers"
  request_all "http://[$vip6]/" "$answers"
  printf '\n%d of %d requests answered, half over IPv4, half over IPv6 (%s)\n' \
    "$(grep -c answered "$answers")" $((2 * requests)) "$driver"
  show_shares "$answers"

  printf '\nOn the wire\n'
  show_one_request "http://$vip4/"
  # In IPIP the next one goes to the other server, through the other kind of tunnel.
  if [[ $mode == ipip ]]; then show_one_request "http://$vip4/"; fi
  show_one_request "http://[$vip6]/"
  show_headgate show services
  echo
  show_headgate show connections --limit 6
}

# ---- kept testbeds

# What to try, with the commands as they are to be typed.
say_what_to_try() {
  local inside="ip netns exec $testbed_id"
  cat <<TEXT

${bold}Left running.${plain} Try, in a shell of root:

  alias headgate='$build_dir/tools/headgate --socket $testbed_dir/run/headgate.sock'
  headgate show stats
  headgate backend drain $vip4:80 ${server4[0]}
  headgate show backends
  \$EDITOR $testbed_dir/headgate.yaml && headgate reload

  $inside-client curl http://$vip4/ 'http://[$vip6]/'
  $inside-rs1 tcpdump -nei eth0     # what a server gets
  $inside-gate tcpdump -nei wan     # the kernel's side of headgate's port: ARP, ping
  $inside-gate ip address           # headgate's own addresses are the kernel's

Its log is $testbed_dir/headgated.log. Take it down with

  tools/demo.sh stop $testbed_id
TEXT
}

stop_kept() {
  local id=${1:-}
  need_root
  if [[ ! $id =~ ^hg-[A-Za-z0-9]{6}$ || ! -d ${TMPDIR:-/tmp}/$id ]]; then
    fail "stop needs the ID of a kept demo; there are: $(cd "${TMPDIR:-/tmp}" && echo hg-??????)"
  fi
  testbed_destroy "$id"
}

main() {
  local modes=() mode
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --keep) keep=1 ;;
      dr | nat | fullnat | ipip | health | vrrp | lvs) modes+=("$1") ;;
      all) modes+=("${all_modes[@]}") ;;
      stop) stop_kept "${2:-}" && exit 0 ;;
      *) fail "unknown argument '$1' (--help tells)" ;;
    esac
    shift
  done
  ((${#modes[@]})) || modes=("${all_modes[@]}")
  ((keep == 0 || ${#modes[@]} == 1)) || fail '--keep needs one mode: tools/demo.sh nat --keep'
  prepare
  for mode in "${modes[@]}"; do
    case $mode in
      vrrp | health | lvs) "run_$mode" ;;
      *) run_mode "$mode" ;;
    esac
    if ((keep == 0)); then testbed_destroy "$testbed_id"; fi
  done
  if ((failed)); then
    printf '\n%sRequests failed that should not have.%s\n' "$red" "$plain"
  else
    printf '\n%sEvery request was answered%s.%s\n' "$green" \
      "$([[ " ${modes[*]} " != *' health '* ]] || echo ', but for those to a server that had just died')" \
      "$plain"
  fi
  if ((keep)); then
    case ${modes[0]} in
      vrrp | health | lvs) "say_what_to_try_${modes[0]}" ;;
      *) say_what_to_try ;;
    esac
    testbed_keep
  fi
  exit "$failed"
}

main "$@"
