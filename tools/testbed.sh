# A network of its own for the demo and the end-to-end tests: namespaces joined by bridges, with a
# client, headgate's place and real servers. Source it after `set -euo pipefail`.
#
#   testbed_begin TOPOLOGY [SERVERS]  builds it; all is taken down when the script ends
#   testbed_open                  the same without any LAN or host but the one that has the bridges
#   on HOST COMMAND...            runs it in the namespace of client, gate, rs1, rs2 ... or router
#   start_web HOST                nginx: / says who answered whom, /files/ is $testbed_dir/files
#   start_udp_echo HOST PORT      answers "HOST PAYLOAD"
#   start_capture HOST DEVICE FILE [FILTER]
#   start_on HOST LOG COMMAND...  anything else in the background, its id in $started_pid
#
# Topologies, each with IPv4 and IPv6 (10.1.0.11 has fd00:1::11 and the MAC 02:00:10:01:00:11 beside
# it):
#   one-arm   all on one LAN 10.1.0.0/24: client .50, gate .1, servers .11 .12 ...; DR, FULLNAT
#   two-arm   client LAN 10.1.0.0/24 as above; server LAN 10.2.0.0/24, where the gate is .1 and the
#             servers' default route; NAT
#   routed    client LAN 10.1.0.0/24 with a router .2; behind it the servers in 10.3.0.0/24; IPIP
# The VIP is 10.1.0.80 and fd00:1::80 in each.
#
# The gate's devices net0 (client LAN) and net1 (server LAN, two-arm only) carry no address: they
# are what headgated's ports stand on, and its twin holds the host's addresses.
# shellcheck shell=bash
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The variables here are for those who source this.
# shellcheck disable=SC2034
{
  vip4=10.1.0.80 vip6=fd00:1::80
  client4=10.1.0.50 client6=fd00:1::50
}
testbed_id='' testbed_dir='' started_pid=''
server_names=() server4=() server6=()

on() {
  local host=$1
  shift
  ip netns exec "$testbed_id-$host" "$@"
}

mac_of() {
  local octets
  IFS=. read -ra octets <<<"$1"
  printf '02:00:%02d:%02d:%02d:%02d' "${octets[@]}"
}

# fd00:1::11 for 10.1.0.11.
ipv6_of() {
  local octets
  IFS=. read -ra octets <<<"$1"
  printf 'fd00:%d::%d' "${octets[1]}" "${octets[3]}"
}

testbed_open() {
  need_root
  server_names=() server4=() server6=()
  testbed_dir=$(mktemp -d "${TMPDIR:-/tmp}/hg-XXXXXX")
  # The directory's random part makes the namespaces' names unique too.
  testbed_id=${testbed_dir##*/}
  chmod 755 "$testbed_dir"
  mkdir "$testbed_dir/files"
  trap testbed_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  add_host switch
}

testbed_begin() {
  local topology=$1 servers=${2:-2}
  testbed_open
  add_lan lan1
  add_host client
  add_host gate
  plug client eth0 lan1 "$client4"
  plug gate net0 lan1
  case $topology in
    one-arm) add_servers "$servers" lan1 10.1.0 ;;
    two-arm)
      add_lan lan2
      plug gate net1 lan2
      add_servers "$servers" lan2 10.2.0 10.2.0.1
      ;;
    routed)
      add_lan lan3
      add_host router
      plug router eth0 lan1 10.1.0.2
      plug router eth1 lan3 10.3.0.1
      # shellcheck disable=SC2016  # the inner shell expands it
      on router bash -c 'for switch in ipv4/ip_forward ipv6/conf/all/forwarding; do
        echo 1 >"/proc/sys/net/$switch"
      done'
      add_servers "$servers" lan3 10.3.0 10.3.0.1
      ;;
    *) fail "unknown topology '$topology': one of one-arm, two-arm, routed" ;;
  esac
}

# testbed_end [STATUS]: takes down whatever stands, at any point of its building, and ends the
# script. A script with a trap of its own for EXIT calls it there, with the status it saw.
testbed_end() {
  local status=${1:-$?}
  trap - EXIT
  if [[ -n ${testbed_log_dir:-} && -d $testbed_dir ]]; then
    mkdir -p "$testbed_log_dir"
    cp "$testbed_dir"/*.log "$testbed_log_dir" 2>/dev/null || true
  fi
  if [[ -n $testbed_id ]]; then testbed_destroy "$testbed_id" || status=1; fi
  exit "$status"
}

# What stands outlives the script; `testbed_destroy ID` takes it down.
testbed_keep() {
  trap - EXIT INT TERM HUP
}

# testbed_destroy ID: ends the processes in the namespaces of this testbed, and removes all of it.
testbed_destroy() {
  local id=$1 name names pids=()
  mapfile -t names < <(ip netns list | awk -v prefix="$id-" 'index($1, prefix) == 1 {print $1}')
  for name in "${names[@]}"; do
    mapfile -t -O "${#pids[@]}" pids < <(ip netns pids "$name")
  done
  # headgated's clean end restores the devices and removes its files: give it time.
  end_processes 10 "${pids[@]}" || printf 'processes did not end: %s\n' "${pids[*]}" >&2
  for name in "${names[@]}"; do
    ip netns delete "$name"
  done
  # DPDK's files are still there only where headgated had no clean end: after SIGKILL, or after a
  # second SIGINT.
  rm -rf "${TMPDIR:-/tmp}/$id" "/run/dpdk/$id"*
  if [[ $id == "$testbed_id" ]]; then testbed_id='' testbed_dir=''; fi
}

add_host() {
  local name=$testbed_id-$1
  ip netns add "$name"
  # No duplicate address detection, no autoconfiguration: addresses are usable at once and ours
  # only. Bridged frames shall not pass through the IP hooks of the bridge's namespace.
  # shellcheck disable=SC2016  # the inner shell expands it
  ip netns exec "$name" bash -c '
    ip link set lo up
    for family in default all; do
      echo 0 >/proc/sys/net/ipv6/conf/$family/accept_dad
      echo 0 >/proc/sys/net/ipv6/conf/$family/accept_ra
      echo 0 >/proc/sys/net/ipv4/conf/$family/rp_filter
    done
    for switch in /proc/sys/net/bridge/bridge-nf-call-*; do
      if [[ -e $switch ]]; then echo 0 >"$switch"; fi
    done'
}

add_lan() {
  ip -n "$testbed_id-switch" link add "$1" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
  ip -n "$testbed_id-switch" link set "$1" up
}

# plug HOST DEVICE LAN [ADDRESS]: a cable from the host to the LAN's bridge. A host called gate,
# gate1 ... does not get the address but the MAC that goes with it: its port's twin holds addresses.
plug() {
  local host=$1 device=$2 lan=$3 address=${4:-} mac
  mac=$(mac_of "${address:-10.${lan#lan}.0.1}")
  if [[ $host == gate* ]]; then address=''; fi
  ip -n "$testbed_id-$host" link add "$device" address "$mac" type veth \
    peer name "$host-$lan" netns "$testbed_id-switch"
  ip -n "$testbed_id-switch" link set "$host-$lan" master "$lan" up
  if [[ $host == gate* ]]; then ip -n "$testbed_id-$host" link set "$device" addrgenmode none; fi
  # A veth pair leaves checksums and segmentation to a NIC that is not there: whoever reads raw
  # frames would see them unfinished.
  on "$host" ethtool -K "$device" tx off tso off gso off gro off >/dev/null
  if [[ -n $address ]]; then
    ip -n "$testbed_id-$host" -batch - <<BATCH
address add $address/24 dev $device
address add $(ipv6_of "$address")/64 dev $device nodad
BATCH
  fi
  ip -n "$testbed_id-$host" link set "$device" up
}

# add_servers NUMBER LAN PREFIX [ROUTER]
add_servers() {
  local number=$1 lan=$2 prefix=$3 router=${4:-} i
  ((number >= 1 && number <= 9)) || fail "$number servers: from 1 to 9"
  for ((i = 1; i <= number; i++)); do
    server_names+=("rs$i")
    server4+=("$prefix.1$i")
    server6+=("$(ipv6_of "$prefix.1$i")")
    add_host "rs$i"
    plug "rs$i" eth0 "$lan" "$prefix.1$i"
    if [[ -n $router ]]; then
      ip -n "$testbed_id-rs$i" route add default via "$router"
      ip -n "$testbed_id-rs$i" route add default via "$(ipv6_of "$router")"
    fi
  done
}

# start_on HOST LOG COMMAND...: in the background, its output in $testbed_dir/LOG.log, its id in
# $started_pid.
start_on() {
  local host=$1 log=$testbed_dir/$2.log
  shift 2
  ip netns exec "$testbed_id-$host" "$@" </dev/null >"$log" 2>&1 &
  # shellcheck disable=SC2034  # for the caller
  started_pid=$!
}

# ready_or_fail WHAT LOG COMMAND...: waits for the command to succeed, or shows what the log says.
ready_or_fail() {
  local what=$1 log=$testbed_dir/$2.log
  shift 2
  wait_for 10 "$@" && return
  tail -n 20 "$log" >&2
  fail "$what did not come up"
}

listens() {
  [[ -n $(on "$1" ss -Hln "--$2" "sport = :$3") ]]
}

start_web() {
  local host=$1 port=${2:-80} home=$testbed_dir/$1-nginx
  mkdir "$home"
  cat >"$home/nginx.conf" <<NGINX
daemon off;
user root;
worker_processes 1;
pid $home/pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 100000000;
  client_body_temp_path $home/body;
  proxy_temp_path $home/proxy;
  fastcgi_temp_path $home/fastcgi;
  uwsgi_temp_path $home/uwsgi;
  scgi_temp_path $home/scgi;
  default_type text/plain;
  server {
    listen $port backlog=8192;
    listen [::]:$port backlog=8192;
    add_header X-Server $host;
    location / { return 200 "$host answered \$remote_addr\\n"; }
    location /files/ { alias $testbed_dir/files/; }
  }
}
NGINX
  start_on "$host" "$host-nginx" nginx -e stderr -p "$home" -c "$home/nginx.conf"
  ready_or_fail "nginx on $host" "$host-nginx" listens "$host" tcp "$port"
}

start_udp_echo() {
  local host=$1 port=$2
  start_on "$host" "$host-udp" "$repository/tools/udp_echo.py" "$host" "$port"
  ready_or_fail "the UDP echo on $host" "$host-udp" listens "$host" udp "$port"
}

start_capture() {
  local host=$1 device=$2 file=$3 filter=${4:-}
  local log=capture-$host-$device
  # In immediate mode each frame takes a slot of the longest length there may be: with tcpdump's own,
  # 256 kB, eight of them fill its buffer, and a burst of more is not captured whole.
  start_on "$host" "$log" tcpdump -i "$device" -n -U --immediate-mode -s 2048 -B 8192 -Z root \
    -w "$file" "$filter"
  ready_or_fail "tcpdump on $host" "$log" grep -q 'listening on' "$testbed_dir/$log.log"
}
