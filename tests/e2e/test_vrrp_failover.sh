#!/usr/bin/env bash
# Two boxes that balance on DPDK ports, and traffic through the master when it is killed: downloads
# over DR and IPIP live on with their server, by mh and mid_stream: hash, and NAT, whose servers have
# an inner address of the same sync group as their gateway, is back after the master-down time and
# one SYN retransmission. What fails is counted.
# seconds: 240
set -euo pipefail
# shellcheck source=tests/e2e/vrrp_rig.sh
source "$(dirname "$0")/vrrp_rig.sh"

dr_vip=10.1.0.80 nat_vip=10.1.0.81 ipip_vip=10.1.0.83 inner_vip=10.2.0.100
master_down=3.61 # of priority 100

# ---- the network

vrrp_begin # without boxes yet: a client on lan1
add_lan lan2
add_servers 2 lan1 10.1.0
for number in 1 2; do
  add_host "gate$number"
  plug "gate$number" net0 lan1 "10.1.0.$number"
  plug "gate$number" net1 lan2 "10.2.0.$number"
  add_host "inner$number"
  plug "inner$number" eth0 lan2 "10.2.0.1$number"
  ip -n "$testbed_id-inner$number" route add default via "$inner_vip"
done
head -c 100M /dev/urandom >"$testbed_dir/files/blob"
digest=$(sha256sum <"$testbed_dir/files/blob")
for name in rs1 rs2 inner1 inner2; do start_web "$name"; done
for name in rs1 rs2; do
  HEADGATE_BUILD=$build_dir on "$name" "$repository/tools/realserver.sh" start \
    --state "$testbed_dir/$name-realserver" --ipip=program --director 10.1.0.1 \
    --director 10.1.0.2 "$dr_vip" "$ipip_vip"
done

# ---- the boxes

# Each worker has a core of its own where there are two.
core_of() {
  /usr/bin/python3 -c "import os; print(sorted(os.sched_getaffinity(0))[-$1:][0])"
}
service() {
  cat <<YAML
  - name: $1
    address: $2
    port: 80
    mode: $3
    scheduler: mh
    hash_port: on
    mid_stream: $4
    backends: [{address: $5, port: 80}, {address: $6, port: 80}]
YAML
}
gate() {
  local number=$1 priority=$2
  cat <<YAML
daemon:
  run_dir: $testbed_dir/gate$number-run
  file_prefix: $testbed_id-gate$number
  idle: adaptive
  log_level: debug
workers: {cores: [$(core_of "$number")]}
memory: {huge_pages: none, max_services: 256, max_backends: 1024}
connections: {max_ipv4: 65536, max_ipv6: 65536}
ports:
  - {name: wan, interface: net0, driver: af_packet, queues: 1,
     twin: {addresses: [10.1.0.$number/24]}}
  - {name: lan, interface: net1, driver: af_packet, queues: 1,
     twin: {addresses: [10.2.0.$number/24]}}
vrrp:
  sync_groups: [{name: G1, instances: [VI_OUT, VI_IN]}]
  instances:
    - name: VI_OUT
      interface: wan
      virtual_router_id: 51
      priority: $priority
      addresses: [{address: $dr_vip/32}, {address: $nat_vip/32}, {address: $ipip_vip/32}]
    - name: VI_IN
      interface: lan
      virtual_router_id: 52
      priority: $priority
      addresses: [{address: $inner_vip/32}]
services:
YAML
  service dr "$dr_vip" dr hash 10.1.0.11 10.1.0.12
  service ipip "$ipip_vip" ipip hash 10.1.0.11 10.1.0.12
  service nat "$nat_vip" nat reset 10.2.0.11 10.2.0.12
}
start_gate() {
  local name=gate$1
  boxes=(gate1 gate2)
  box_role[$name]=headgate
  gate "$1" "$2" >"$testbed_dir/$name.yaml"
  start_box "$name"
}
states_are() {
  is "$(hg_on "gate$1" --json show vrrp | jq -r '[.rows[].state] | unique | join(" ")')" "$2"
}
both_are() {
  states_are 1 "$1" && states_are 2 "$2"
}

capture lan
start_gate 1 150
start_gate 2 100
settle() {
  wait_for "$1" "${@:2}" || { "${@:2}"; show_boxes && return 1; }
}
check 'the better box is master outside and inside' settle 10 both_are master backup

# ---- traffic

answers() {
  on client curl -sS --fail --max-time 5 "http://$1/"
}
for vip in "$dr_vip" "$ipip_vip" "$nat_vip"; do
  check "$vip answers" wait_for 5 answers "$vip"
done
check 'the address answers echo requests' on client "$repository/tests/e2e/peer.py" ping "$dr_vip" 2

start_downloads() {
  local mode vip
  for mode in dr ipip; do
    vip=${mode}_vip
    start_on client "download-$mode" curl -sS --fail --max-time 60 --limit-rate 10M \
      -o "$testbed_dir/blob-$mode" "http://${!vip}/files/blob"
    downloads[$mode]=$started_pid
  done
}
declare -A downloads=()
has_bytes() {
  (($(stat -c %s "$testbed_dir/blob-$1" 2>/dev/null || echo 0) >= $2))
}
download_ended_well() {
  local status=0 arrived
  wait_for 60 are_gone "${downloads[$1]}" || { echo 'it does not end' && return 1; }
  wait "${downloads[$1]}" || status=$?
  ((status == 0)) || { cat "$testbed_dir/download-$1.log" && echo "status $status" && return 1; }
  arrived=$(sha256sum <"$testbed_dir/blob-$1")
  is "$arrived" "$digest"
}

start_traffic() {
  start_on client "steady-$1" "$repository/tools/steady_client.py" --period 100 --patience 10 \
    "http://$dr_vip/" "http://$ipip_vip/" "http://$nat_vip/"
  traffic_pid=$started_pid
  traffic_log=$testbed_dir/steady-$1.log
  wait_for 5 all_answer "$(now)" || true
}
# Of each service, an answer to a request that began since.
all_answer() {
  awk -v since="$1" '$1 >= since && $4 != "failed" {seen[$3] = 1} END {exit length(seen) != 3}' \
    "$traffic_log"
}
end_traffic() {
  kill -TERM "$traffic_pid"
  wait_for 15 are_gone "$traffic_pid" || return 1
  wait "$traffic_pid"
}
# outage_of VIP MOMENT: the longest time between two answers of which the second came after it, in
# seconds; how many requests failed and how many there were.
outage_of() {
  awk -v url="http://$1/" '$3 == url {printf "%.3f %s\n", $1 + $2, $4}' "$traffic_log" | sort -n |
    awk -v moment="$2" '{total++}
      $2 == "failed" {failed++; next}
      {if ($1 > moment && $1 - last > longest) longest = $1 - last; last = $1}
      END {printf "%.3f %d %d\n", (last > moment ? longest : 999), failed, total}'
}
# outages_within NAME MOMENT LIMIT: for each service, told and held.
outages_within() {
  local name=$1 moment=$2 limit=$3 mode vip seconds failures total
  for mode in dr ipip nat; do
    vip=${mode}_vip
    read -r seconds failures total < <(outage_of "${!vip}" "$moment")
    printf 'note: %s, %s: no answer for %s s; %d of %d requests failed\n' "$name" "$mode" \
      "$seconds" "$failures" "$total"
    check "$name, $mode: out for no longer than $limit s" between 0 "$limit" "$seconds"
  done
}
plus() {
  awk -v a="$1" -v b="$2" 'BEGIN {printf "%.6f\n", a + b}'
}

# ---- the master is killed

start_traffic killed
start_downloads
for mode in dr ipip; do
  check "$mode: the download is under way" wait_for 10 has_bytes "$mode" 10000000
done
killed=$(now)
crash_box gate1
both_under_way() {
  local mode
  for mode in dr ipip; do kill -0 "${downloads[$mode]}" || return; done
}
check 'the downloads are under way when the master is killed' both_under_way
check 'the other box is master of all' settle 8 states_are 2 master
check 'every service answers again' wait_for 10 all_answer "$(plus "$killed" "$master_down")"
for mode in dr ipip; do
  check_here "$mode: the download lives on, to its last byte" download_ended_well "$mode"
done
check_here 'the client of steady requests ends' end_traffic
# The retransmission comes up to a second after the take-over; half a second is for a busy machine.
outages_within 'master killed' "$killed" "$(plus "$master_down" 1.5)"
said=$(capture_says lan takeover 51 10.1.0.1 10.1.0.2)
# The sync group moves with the first of its members whose timer runs out, each with adverts at its
# own time.
check 'it took over after the master-down time' between 2.5 4.6 "${said% *}"
printf 'note: take-over %s s after the last advert\n' "${said% *}"

# ---- it comes back, and the other one ends cleanly

start_traffic back
back=$(now)
start_gate 1 150
check 'the killed box is master again' settle 12 both_are master backup
check 'every service answers through it' wait_for 10 all_answer "$(now)"
check_here 'the client ends' end_traffic
outages_within 'back again' "$back" 2.5

start_traffic stop
start_downloads
for mode in dr ipip; do
  check "$mode: another download is under way" wait_for 10 has_bytes "$mode" 10000000
done
stopped=$(now)
check_here 'the master ends cleanly' stop_box gate1
check 'the other box is master at once' settle 5 states_are 2 master
check 'every service answers' wait_for 10 all_answer "$(plus "$stopped" 1)"
for mode in dr ipip; do
  check_here "$mode: the other download lives on, too" download_ended_well "$mode"
done
check_here 'the client has ended' end_traffic
outages_within 'clean stop' "$stopped" 2.5

every_packet_has_a_verdict() {
  wait_for 5 sums_are_equal || { hg_on gate2 show stats && return 1; }
}
sums_are_equal() {
  [[ $(hg_on gate2 --json show stats | jq '(.result.in | add) == (.result.out | add)') == true ]]
}
check 'every packet has one verdict' every_packet_has_a_verdict
check_here 'the other box ends cleanly' stop_box gate2
finish
