# VRRP in the demo: two boxes share an address, the master is killed under a client's eyes. Sourced
# by demo.sh; brings the testbed.
# shellcheck shell=bash
# build_dir, failed and the functions that are not here are demo.sh's.
# shellcheck disable=SC2154,SC2034
# shellcheck source=tools/testbed.sh
source "$(dirname "${BASH_SOURCE[0]}")/testbed.sh"

readonly demo_vip_prefix=10.1.0.80/24

explain_vrrp() {
  echo 'Two boxes, box1 with the higher priority, speak VRRP with each other and share the address'
  echo "${demo_vip_prefix%/*}: whoever is master balances for it, by DR to two servers. A client fetches"
  echo 'every 100 ms, each time on a new connection. Then box1 is killed.'
}

# vrrp_configuration NUMBER PRIORITY
vrrp_configuration() {
  cat <<YAML
daemon: {run_dir: $testbed_dir/box$1, file_prefix: $testbed_id-$1, idle: adaptive}
workers: {cores: [$(last_core)]}
connections: {max_ipv4: 65536, max_ipv6: 65536}
ports:
  - name: wan
    interface: net0
    driver: af_packet
    twin:
      addresses: [10.1.0.$1/24]
vrrp:
  instances:
    - name: VI_1
      interface: wan
      virtual_router_id: 51
      priority: $2
      addresses: [{address: $demo_vip_prefix}]
services:
  - address: $vip4
    port: 80
    mode: dr
    scheduler: mh        # both boxes send a connection to the same server
    hash_port: on
    mid_stream: hash     # also one that began on the other box
    backends: [{address: ${server4[0]}}, {address: ${server4[1]}}]
YAML
}

headgate_of() {
  local box=$1
  shift
  "$build_dir/tools/headgate" --socket "$testbed_dir/box$box/headgate.sock" "$@"
}

show_vrrp_of() {
  printf '%sbox%s$ headgate show vrrp%s\n' "$dim" "$1" "$plain"
  headgate_of "$1" show vrrp | sed 's/^/  /'
}

# start_vrrp_box NUMBER PRIORITY: its id in $started_pid.
start_vrrp_box() {
  vrrp_configuration "$@" >"$testbed_dir/box$1.yaml"
  start_on "gate$1" "box$1" "$build_dir/control/headgated" --config "$testbed_dir/box$1.yaml"
  ready_or_fail "headgated on box$1" "box$1" headgate_of "$1" version
}

# is_master NUMBER: says its own status.
is_master() {
  [[ $(headgate_of "$1" show vrrp) == *master* ]]
}

fetches_since() {
  (($(awk -v since="$1" '$1 > since' "$testbed_dir/client.log" | wc -l) >= $2))
}

# A mark for each request, in the order they were sent: at once, late, failed; the kill between.
show_timeline() {
  sort -n "$testbed_dir/client.log" | awk -v kill="$1" -v green="$green" -v red="$red" \
    -v plain="$plain" '
    function put(mark, colour) {
      if (column % 60 == 0) printf "%s  ", column ? "\n" : ""
      column++
      printf "%s%s%s", colour, mark, plain
    }
    $1 > kill && !killed {killed = 1; put("▼", red)}
    $4 == "failed" {put("×", red); failed++; next}
    $2 > 0.5 {put("▒", ""); late++; if ($2 > latest) latest = $2; next}
    {put("█", green); prompt++}
    END {
      printf "\n  █ answered at once: %d   ▼ box1 is killed   ▒ answered late: %d", prompt, late
      if (late) printf " (up to %.1f s)", latest
      printf "   × failed: %d\n", failed
      exit failed > 0
    }'
}

run_vrrp() {
  local box1 client killed number
  printf '\n%s━━ VRRP ━━%s\n' "$bold" "$plain"
  explain_vrrp
  testbed_open
  add_lan lan1
  add_host client
  plug client eth0 lan1 "$client4"
  for number in 1 2; do
    add_host "gate$number"
    plug "gate$number" net0 lan1 "10.1.0.$number"
  done
  add_servers 2 lan1 10.1.0
  start_servers dr
  start_vrrp_box 1 150
  box1=$started_pid
  start_vrrp_box 2 100
  wait_for 10 is_master 1 || fail 'box1 did not become master'
  echo
  show_vrrp_of 1
  show_vrrp_of 2

  start_on client client "$repository/tools/steady_client.py" "http://$vip4/"
  client=$started_pid
  wait_for 10 fetches_since 0 20 || fail 'the client gets no answers'
  printf '\n%s$ kill -KILL %s   # box1%s\n' "$dim" "$box1" "$plain"
  killed=${EPOCHREALTIME/,/.}
  kill -KILL "$box1"
  wait "$box1" 2>/dev/null || true
  wait_for 10 is_master 2 || fail 'box2 did not take over'
  wait_for 10 fetches_since "${EPOCHREALTIME/,/.}" 20 || true
  kill -TERM "$client"
  wait_for 15 are_gone "$client" || true
  printf '\nWhat the client saw, a mark for each request\n'
  show_timeline "$killed" || failed=1
  echo
  show_vrrp_of 2
}

say_what_to_try_vrrp() {
  local inside="ip netns exec $testbed_id"
  cat <<TEXT

${bold}Left running, with box1 dead.${plain} Try, in a shell of root:

  $inside-gate1 $build_dir/control/headgated --config $testbed_dir/box1.yaml &
  alias headgate1='$build_dir/tools/headgate --socket $testbed_dir/box1/headgate.sock'
  alias headgate2='$build_dir/tools/headgate --socket $testbed_dir/box2/headgate.sock'
  headgate1 show vrrp && headgate2 show vrrp
  headgate1 vrrp failover VI_1
  headgate2 vrrp maintenance on

  $inside-client $repository/tools/steady_client.py http://$vip4/
  $inside-client tcpdump -nei eth0 'arp or proto 112'

Take it down with

  tools/demo.sh stop $testbed_id
TEXT
}
