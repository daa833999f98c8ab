# headgated in the testbed's gate, and what the end-to-end tests ask of it. Source it in place of
# cases.sh, which it brings.
#
#   configure <SERVICES            the configuration; all but the services comes from gate_*
#   services NAME MODE ...         the text of a service for IPv4 and of one for IPv6
#   start_gate, stop_gate          the daemon
#   hg COMMAND...                  headgate, on its socket
#   web_is, peer_is ...            cases of who answers; both_servers_serve: all of them
# shellcheck shell=bash
# shellcheck source=tests/e2e/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/cases.sh"

peer=$repository/tests/e2e/peer.py
# What configure() writes; set them before.
gate_driver=af_xdp
gate_workers=1
gate_queues=auto
gate_lan_driver=''     # of the second port, where it is another
gate_lan_queues=''
gate_idle=adaptive
gate_twin_routes=''   # lines for the twin of wan
gate_more=''          # whole sections
# What both_servers_serve() sends; set it before.
gate_full_payload=1440  # of a datagram that fills a frame; '' where a tunnel has no room for it
gate_pid='' gate_log=''

# ---- configuration

# The last COUNT cores that we may run on, as a YAML list.
cores() {
  local count=$1
  /usr/bin/python3 -c "import os; print(sorted(os.sched_getaffinity(0))[-$count:])"
}

gate_run_dir() { printf '%s/run' "$testbed_dir"; }
gate_config() { printf '%s/gate.yaml' "$testbed_dir"; }

port_section() {
  local name=$1 device=$2 prefix=$3 driver=$4 queues=$5
  cat <<YAML
  - name: $name
    interface: $device
    driver: $driver
    queues: $queues
    twin:
      addresses: [$prefix.1/24, "$(ipv6_of "$prefix.1")/64"]
YAML
}

# The whole file, with the services on standard input.
configure() {
  cat <<YAML
daemon:
  run_dir: $(gate_run_dir)
  file_prefix: $testbed_id
  idle: $gate_idle
  log_level: debug
workers: {cores: $(cores "$gate_workers")}
memory: {huge_pages: none, max_services: 256, max_backends: 1024}
connections: {max_ipv4: 65536, max_ipv6: 65536}
ports:
YAML
  port_section wan net0 10.1.0 "$gate_driver" "$gate_queues"
  if [[ -n $gate_twin_routes ]]; then
    printf '      routes:\n%s\n' "$gate_twin_routes"
  fi
  if ip -n "$testbed_id-gate" link show net1 >/dev/null 2>&1; then
    port_section lan net1 10.2.0 "${gate_lan_driver:-$gate_driver}" \
      "${gate_lan_queues:-$gate_queues}"
  fi
  printf '%s\nservices:\n' "$gate_more"
  cat
}

# service_section NAME ADDRESS PORT PROTOCOL MODE "KEY: VALUE..." BACKEND...: BACKEND is written as
# in YAML's flow style, {address: 10.1.0.11, port: 80}.
service_section() {
  local name=$1 address=$2 port=$3 protocol=$4 mode=$5 more=$6 backend
  shift 6
  cat <<YAML
  - name: $name
    address: "$address"
    port: $port
    protocol: $protocol
    mode: $mode
    scheduler: rr
YAML
  [[ -z $more ]] || printf '    %s\n' "$more"
  printf '    backends:\n'
  for backend; do printf '      - %s\n' "$backend"; done
}

# services NAME MODE PROTOCOL PORT BACKEND_PORT [VIP4 VIP6]: two services, NAME4 and NAME6, with all
# servers.
services() {
  local name=$1 mode=$2 protocol=$3 port=$4 backend_port=$5 address
  local own_vip4=${6:-$vip4} own_vip6=${7:-$vip6} four=() six=()
  for address in "${server4[@]}"; do
    four+=("{address: $address, port: $backend_port}")
  done
  for address in "${server6[@]}"; do
    six+=("{address: \"$address\", port: $backend_port}")
  done
  service_section "${name}4" "$own_vip4" "$port" "$protocol" "$mode" '' "${four[@]}"
  service_section "${name}6" "$own_vip6" "$port" "$protocol" "$mode" '' "${six[@]}"
}

# ---- the daemon

# Returns when it answers; tells what it said where it does not.
start_gate() {
  gate_log=$testbed_dir/gate.log
  start_on gate gate "$build_dir/control/headgated" --config "$(gate_config)"
  gate_pid=$started_pid
  wait_for 20 gate_answers_or_is_gone || true
  if ! hg version >/dev/null 2>&1; then
    tail -n 40 "$gate_log" >&2
    fail 'headgated did not come up'
  fi
}

gate_answers_or_is_gone() {
  hg version || are_gone "$gate_pid"
}

# The status of its end; fails when it takes longer than ten seconds.
stop_gate() {
  local status=0
  kill -TERM "$gate_pid" || return 1
  wait_for 10 are_gone "$gate_pid" || { echo 'headgated does not end' && return 1; }
  wait "$gate_pid" || status=$?
  if ((status != 0)); then
    tail -n 20 "$gate_log"
    echo "status $status"
  fi
  return "$status"
}

# What the daemon changes on the device beneath a port, and has to put back.
device_state() {
  ip -n "$testbed_id-gate" -d -json link show dev net0 |
    jq -c '.[0] | {flags: (.flags - ["NO-CARRIER", "LOWER_UP"] | sort), mtu, promiscuity, allmulti,
      xdp, address}'
  ip -n "$testbed_id-gate" address show dev net0 | grep -E 'inet' || true
  on gate tc qdisc show dev net0
  on gate cat /proc/sys/net/ipv6/conf/net0/disable_ipv6
  on gate ethtool -k net0
}
# Before the first start.
remember_device() {
  device_state >"$testbed_dir/device"
}
device_is_fresh() {
  diff "$testbed_dir/device" <(device_state)
}
# Of a daemon on one port that has ended.
nothing_is_left() {
  is "$(ip -n "$testbed_id-gate" -json link show | jq -r '.[].ifname' | sort | xargs)" 'lo net0' ||
    return 1
  # The lock's file stays, so that two daemons cannot hold different ones, and the audit log.
  is "$(find "$(gate_run_dir)" -mindepth 1 ! -name headgated.lock ! -name audit.log 2>/dev/null ||
    true)" '' || return 1
  is "$(find /run/dpdk /tmp/dpdk -maxdepth 1 -name "$testbed_id*" 2>/dev/null || true)" ''
}

hg() {
  "$build_dir/tools/headgate" --socket "$(gate_run_dir)/headgate.sock" --timeout 10s "$@"
}

# ask COMMAND... JQ_FILTER: what jq makes of the command's JSON.
ask() {
  hg --json "${@:1:$#-1}" | jq -r "${!#}"
}

# received + from the twins + originated + released = sent + to the twins + dropped + held. A packet
# may be on its way while the counters are read.
sum_rule_holds() {
  wait_for 5 sum_rule_holds_now || { hg show stats && return 1; }
}
sum_rule_holds_now() {
  [[ $(ask show stats '(.result.in | add) == (.result.out | add)') == true ]]
}

drops_of() {
  ask show drops "[.rows[] | select(.verdict == \"$1\") | .count] | add // 0"
}
# workers_received COUNT: so many workers took frames from ports, more than those that come anyway.
workers_received() {
  is "$(ask show workers '[.rows[] | select(.received > 100)] | length')" "$1"
}

show_gate() {
  tail -n 15 "$gate_log"
  hg show stats || true
  hg show neighbours || true
  hg show backends || true
}

# Like check, and tells what the daemon knows when the case fails.
check_gate() {
  local before=$failed_cases
  check "$@"
  if ((failed_cases > before)); then show_gate; fi
}

# says TEXT STATUS COMMAND...: the command ends so and its output holds the text.
says() {
  local text=$1 wanted=$2 said status=0
  shift 2
  said=$("$@" 2>&1) || status=$?
  if ! { ((status == wanted)) && grep -qF -- "$text" <<<"$said"; }; then
    printf '%s\nstatus %s\n' "$said" "$status"
    return 1
  fi
}

# ---- who answers

bracketed() {
  if [[ $1 == *:* ]]; then printf '[%s]' "$1"; else printf '%s' "$1"; fi
}

# web_answers ADDRESS PORT COUNT [CURL_OPTION...]: "rs1 5 rs2 5", each request on a new connection.
web_answers() {
  local url
  url="http://$(bracketed "$1"):$2/"
  on client curl -sS --fail --max-time 20 --connect-timeout 5 -H 'Connection: close' "${@:4}" \
    "${url}[1-$3]" >"$testbed_dir/answers" || return
  awk '{count[$1]++} END {for (name in count) print name, count[name]}' "$testbed_dir/answers" |
    sort | xargs
}

# The client's address as the servers of the last web_answers saw it, once each.
seen_clients() {
  awk '{print $3}' "$testbed_dir/answers" | sort -u | xargs
}

is() {
  [[ $1 == "$2" ]] || { echo "it is '$1' and should be '$2'" && return 1; }
}

# web_is EXPECTED ADDRESS PORT COUNT
web_is() {
  local answers
  answers=$(web_answers "${@:2}") || return
  is "$answers" "$1"
}

# peer_is EXPECTED COMMAND...: what peer.py prints on the client.
peer_is() {
  local said
  said=$(on client "$peer" "${@:2}") || return
  is "$said" "$1"
}

# requests_go_through ADDRESS PORT COUNT: none fails.
requests_go_through() {
  on client wrk -t1 -c32 -d60s --timeout 10s -s "$repository/tests/e2e/requests.lua" \
    "http://$(bracketed "$1"):$2/" -- "$3" >"$testbed_dir/wrk.log"
  grep -q '^answers [0-9]* failed 0 ' "$testbed_dir/wrk.log" ||
    { cat "$testbed_dir/wrk.log" && return 1; }
}

# both_servers_serve NAME VIP WEB_PORT UDP_PORT LINES_PORT SEES COMMAND...: cases of new connections
# over TCP and UDP that take turns, full frames and an upload. "servers see SEES" holds where
# COMMAND succeeds, with the addresses that they saw as its last argument.
both_servers_serve() {
  local of=$1 vip=$2 web=$3 udp=$4 lines=$5 sees=$6
  shift 6
  check_gate "$of: both servers answer HTTP" web_is 'rs1 10 rs2 10' "$vip" "$web" 20
  check "$of: servers see $sees" "$@" "$(seen_clients)"
  check_gate "$of: both servers answer UDP" peer_is 'rs1 10 rs2 10' udp "$vip" "$udp" 20
  if [[ -n $gate_full_payload ]]; then
    check_gate "$of: UDP in full frames" peer_is 'rs1 1 rs2 1' udp "$vip" "$udp" 2 \
      "$gate_full_payload"
  fi
  check_gate "$of: an upload arrives intact" on client "$peer" upload "$vip" "$lines" 4
}

web_fails() {
  ! web_answers "$1" "$2" 1 --max-time "${3:-2}"
}

# ---- servers

# The VIPs on the loopback of all servers, as DR and IPIP want them. More arguments go to
# realserver.sh.
hold_vips() {
  local name
  for name in "${server_names[@]}"; do
    HEADGATE_BUILD=$build_dir on "$name" "$repository/tools/realserver.sh" start \
      --state "$testbed_dir/$name-realserver" "$@"
  done
}

start_servers() {
  local name
  export PEER_PORTS=$testbed_dir/ports
  for name in "${server_names[@]}"; do
    start_web "$name"
    start_udp_echo "$name" 5353
    start_on "$name" "$name-peer" "$peer" serve "$name" 7000
    ready_or_fail "peer.py on $name" "$name-peer" listens "$name" tcp 7000
  done
}

# A client behind the gate's own network, from whose view even a one-arm NAT gets its replies: VIPs
# are reached from these addresses, and servers send to them through the gate.
far_client4=10.9.0.50 far_client6=fd00:9::50
far_routes() {
  cat <<YAML
        - {to: 10.9.0.0/24, via: $client4}
        - {to: "fd00:9::/64", via: "$client6"}
YAML
}
add_far_client() {
  local vip
  ip -n "$testbed_id-client" address add "$far_client4/32" dev lo
  ip -n "$testbed_id-client" address add "$far_client6/128" dev lo nodad
  for vip; do
    ip -n "$testbed_id-client" route add "$vip" dev eth0 src "$(far_client_of "$vip")"
  done
  local name
  for name in "${server_names[@]}"; do
    ip -n "$testbed_id-$name" route add 10.9.0.0/24 via 10.1.0.1
    ip -n "$testbed_id-$name" route add fd00:9::/64 via fd00:1::1
  done
}
far_client_of() {
  if [[ $1 == *:* ]]; then echo "$far_client6"; else echo "$far_client4"; fi
}

# ---- all modes at once

# all_modes_begin [SERVERS]: one arm with a VIP for each mode; servers run and hold the VIPs.
declare -A mode_vip4=([dr]=10.1.0.80 [nat]=10.1.0.81 [fullnat]=10.1.0.82 [ipip]=10.1.0.83)
declare -A mode_vip6=([dr]=fd00:1::80 [nat]=fd00:1::81 [fullnat]=fd00:1::82 [ipip]=fd00:1::83)
modes=(dr nat fullnat ipip)
all_modes_begin() {
  testbed_begin one-arm "${1:-2}"
  start_servers
  hold_vips --ipip=program "${mode_vip4[dr]}" "${mode_vip6[dr]}" "${mode_vip4[ipip]}" \
    "${mode_vip6[ipip]}"
  gate_twin_routes=$(far_routes)
  gate_more='forwarding: {local_addresses: [10.1.0.200-10.1.0.203, "fd00:1::200"]}'
  add_far_client "${mode_vip4[nat]}" "${mode_vip6[nat]}"
}

# all_modes_services NAME PROTOCOL PORT: for each mode, NAME-dr4 ...
all_modes_services() {
  local mode
  for mode in "${modes[@]}"; do
    services "$1-$mode" "$mode" "$2" "$3" "$3" "${mode_vip4[$mode]}" "${mode_vip6[$mode]}"
  done
}

# The VIP of a mode and a family.
vip_of() {
  if [[ $2 == 4 ]]; then echo "${mode_vip4[$1]}"; else echo "${mode_vip6[$1]}"; fi
}
