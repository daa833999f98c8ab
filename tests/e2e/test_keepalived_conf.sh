#!/usr/bin/env bash
# keepalived.conf as it is: headgated accepts and refuses the same files as keepalived, reads the same
# values from them, and runs with one: virtual routers, and a service with its checks. What keepalived
# makes of virtual servers is not compared: it shows that only where the kernel has IPVS.
# seconds: 120
set -euo pipefail
# shellcheck source=tests/e2e/cases.sh
source "$(dirname "$0")/cases.sh"

compare=$repository/tests/e2e/keepalived_compare.py
texts=$repository/tests/unit/config/data/keepalived
headgated=$build_dir/control/headgated
headgate=$build_dir/tools/headgate

testbed_begin one-arm 2
for i in 0 1 2; do
  ip -n "$testbed_id-gate" link add "eth$i" type veth peer name "peer$i"
  ip -n "$testbed_id-gate" address add "10.9.$i.1/24" dev "eth$i"
  ip -n "$testbed_id-gate" link set "eth$i" up
  ip -n "$testbed_id-gate" link set "peer$i" up
done

# In a mount namespace, so that no keepalived of the machine is in the way.
keepalived_says() {
  on gate unshare --mount bash -c 'mount -t tmpfs none /run && shift && exec "$@"' -- \
    keepalived_says timeout 20 keepalived "$@"
}

# ---- the same files are accepted

# 6: scripts would run as root, and nothing said that this is wanted.
keepalived_accepts() {
  local status=0
  keepalived_says --config-test --config-id keepalived --use-file "$1" >"$testbed_dir/their.said" 2>&1 ||
    status=$?
  ((status == 0 || status == 6))
}
headgated_accepts() {
  "$headgated" --config-test "$1" --port wan=vdev:net_null0 >"$testbed_dir/our.said" 2>&1
}
# verdict_is VERDICT FILE
verdict_is() {
  local theirs=no ours=no
  if keepalived_accepts "$2"; then theirs=yes; fi
  if headgated_accepts "$2"; then ours=yes; fi
  case $theirs-$ours in
    yes-yes) [[ $1 == good ]] ;;
    no-no) [[ $1 == bad ]] ;;
    no-yes) [[ $1 == ours ]] ;;
    yes-no) [[ $1 == theirs ]] ;;
  esac && return
  printf 'keepalived accepts: %s\n' "$theirs"
  cat "$testbed_dir/their.said"
  printf 'headgated accepts: %s\n' "$ours"
  cat "$testbed_dir/our.said"
  return 1
}
"$compare" split "$repository/tests/e2e/keepalived_table.txt" "$testbed_dir" >"$testbed_dir/table"
while read -r verdict number name; do
  check "$verdict: $name" verdict_is "$verdict" "$testbed_dir/$number.conf"
done <"$testbed_dir/table"

# ---- the same values are read

# same_routers FILE
same_routers() {
  local dump=$testbed_dir/dump-${1##*/}.log pid
  on gate unshare --mount bash -c 'mount -t tmpfs none /run && shift && exec "$@"' -- \
    same_routers keepalived --dont-fork --log-console --no-syslog --dump-conf --vrrp \
    --use-file "$1" >"$dump" 2>&1 </dev/null &
  pid=$!
  wait_for 10 grep -q 'Interfaces >---' "$dump" || true
  end_processes 5 "$pid"
  "$headgate" convert "$1" --port wan=vdev:net_null0 >"$testbed_dir/converted.yaml" \
    2>"$testbed_dir/converted.notes" || return
  "$compare" routers "$dump" "$testbed_dir/converted.yaml"
}
for name in haproxy haproxy_both lvs_http lvs_tcp dr_master dr_backup_instance; do
  check "the virtual routers of $name.conf" same_routers "$texts/$name.conf"
done
cat >"$testbed_dir/routers.conf" <<'CONF'
global_defs {
  enable_script_security
  script_user root
  vrrp_garp_master_repeat 3
  vrrp_garp_master_delay 7
  vrrp_higher_prio_send_advert
}
vrrp_script a {
  script "/bin/echo a b"
  weight 3
}
vrrp_instance OWNER {
  interface eth0
  state MASTER
  virtual_router_id 51
  nopreempt
  virtual_ipaddress {
    172.16.1.1
    172.16.1.3/24 label eth0:1
  }
}
vrrp_instance ROUNDED {
  interface eth0
  state BACKUP
  virtual_router_id 52
  advert_int 2.6
  nopreempt
  virtual_ipaddress {
    172.16.2.1/32 dev eth1
  }
  track_script {
    a
  }
  authentication {
    auth_type PASS
    auth_pass abcdefghijk
  }
  garp_master_delay 2
  garp_master_refresh 30
  garp_lower_prio_repeat 9
  lower_prio_no_advert
  notify_master "/bin/echo master 1"
  notify "/bin/echo any"
}
vrrp_instance SIX {
  interface eth1
  advert_int 0.5
  virtual_router_id 53
  priority 7
  virtual_ipaddress {
    fe80::1/64
    fd00::1/64
  }
  track_script {
    a weight -9
  }
}
CONF
check 'virtual routers with much in them' same_routers "$testbed_dir/routers.conf"

# ---- it runs: virtual routers alone

run_dir=$testbed_dir/run
hg() { "$headgate" --socket "$run_dir/headgate.sock" "$@"; }
start_headgated() {
  start_on gate "$1" "$headgated" --use-file "$testbed_dir/keepalived.conf" --run-dir "$run_dir" \
    "${@:2}"
  wait_for 20 hg version && return
  tail -n 40 "$testbed_dir/$1.log"
  fail 'headgated did not come up'
}
priority_is() { [[ $(hg --json show vrrp | jq -r '.rows[0].priority') == "$1" ]]; }
holds() { ip -n "$testbed_id-gate" -br address show dev eth1 | grep -qF "$1"; }
sed 's/virtual_server/@none virtual_server/' "$texts/dr_backup_instance.conf" \
  >"$testbed_dir/keepalived.conf"
start_headgated routers
check 'headgated takes over with the text of the manuals' wait_for 10 holds 192.168.80.200
sed -i 's/priority 99/priority 98/' "$testbed_dir/keepalived.conf"
check 'plan reads it' hg plan
kill -HUP "$started_pid"
check 'SIGHUP reads it again' wait_for 5 priority_is 98
sed 's/priority 98/priority 97/' "$testbed_dir/keepalived.conf" >"$testbed_dir/other"
check 'apply takes another one' hg apply "$testbed_dir/other"
check 'and it is in force' wait_for 5 priority_is 97
printf 'vrrp_instance VI_1 {\n' >"$testbed_dir/broken.conf"
refused_reload() {
  local said
  if said=$(hg reload "$testbed_dir/broken.conf" 2>&1); then return 1; fi
  printf '%s\n' "$said"
  grep -qF "broken.conf:1: {: is never closed: a '}' is missing" <<<"$said"
}
check 'a broken one changes nothing, and says its line' refused_reload
check 'what ran goes on' priority_is 97
end_processes 10 "$started_pid"

# ---- it runs: a service with its checks, on a port

for server in "${server_names[@]}"; do
  on "$server" sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
  ip -n "$testbed_id-$server" address add "$vip4/32" dev lo
  start_web "$server"
done
ip netns exec "$testbed_id-client" ethtool -K eth0 tx off >/dev/null 2>&1 || true
cat >"$testbed_dir/keepalived.conf" <<CONF
@headgate headgate_ports {
@headgate   wan {
@headgate     interface net0
@headgate     driver af_packet
@headgate     queues 1
@headgate     address 10.1.0.1/24
@headgate   }
@headgate }
virtual_server $vip4 80 {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
  real_server ${server4[0]} 80 {
    TCP_CHECK {
      connect_timeout 1
      retry 0
    }
  }
  real_server ${server4[1]} 80 {
    TCP_CHECK {
      connect_timeout 1
      retry 0
    }
  }
}
CONF
start_headgated service
answers() { on client curl -s --max-time 3 "http://$vip4/"; }
both_answer() {
  local said=''
  for _ in 1 2 3 4; do said+=$(answers); done
  printf '%s\n' "$said"
  [[ $said == *rs1* && $said == *rs2* ]]
}
check 'both real servers answer' wait_for 15 both_answer
backend_is() {
  [[ $(hg --json show backends | jq -r ".rows[] | select(.backend == \"$1:80\") | .state") == "$2" ]]
}
check 'the checks have found them up' wait_for 10 backend_is "${server4[0]}" up
# shellcheck disable=SC2016  # the inner shell expands it
on rs1 bash -c 'kill $(ss -Hltnp "sport = :80" | grep -o "pid=[0-9]*" | cut -d= -f2 | sort -u)'
check 'one that ends is found down' wait_for 10 backend_is "${server4[0]}" down
end_processes 10 "$started_pid"

exit $((failed_cases > 0))
