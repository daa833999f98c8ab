#!/usr/bin/env bash
# The keepalived.conf files of the usual manual, word by word: two directors that balance by DR with
# TCP_CHECK, the one as master and the other as backup, both under headgate, then one of them under
# keepalived, which does VRRP alone here; HTTP_GET with persistence and the maintenance file; the
# sorry server; two masters that share two addresses with the notify script.
# seconds: 300
set -euo pipefail
# shellcheck source=tests/e2e/cases.sh
source "$(dirname "$0")/cases.sh"
# shellcheck source=tools/lvs_environment.sh
source "$repository/tools/lvs_environment.sh"

text=$repository/tests/unit/config/data/keepalived
if (($# == 0)); then
  parts_side_by_side headgate/headgate headgate/keepalived keepalived/headgate http sorry two_masters
fi
part=$1

# ---- the network

testbed_open
add_lan lan1
add_host client
plug client eth0 lan1 10.1.0.50

# director NAME DEVICE ADDRESS/LENGTH
directors=()
director() {
  add_host "$1"
  lvs_host "$1"
  plug "$1" "$2" lan1 "10.1.0.${1#gate}"
  ip -n "$testbed_id-$1" address add "$3" dev "$2"
  directors+=("$1")
}
# real_server NAME ADDRESS/LENGTH VIP: holds the VIP without ARP.
real_server() {
  add_host "$1"
  plug "$1" eth0 lan1 "10.1.0.1${1#rs}"
  ip -n "$testbed_id-$1" address add "$2" dev eth0
  # shellcheck disable=SC2016  # the inner shell expands it
  on "$1" bash -c 'for key in all lo; do
    echo 1 >/proc/sys/net/ipv4/conf/$key/arp_ignore
    echo 2 >/proc/sys/net/ipv4/conf/$key/arp_announce
  done'
  ip -n "$testbed_id-$1" address add "$3/32" dev lo
  start_web "$1"
  web_pid[$1]=$started_pid
}
declare -A web_pid=() role=() pid=() starts=()
end_web() {
  end_processes 5 "${web_pid[$1]}"
  wait "${web_pid[$1]}" 2>/dev/null || true
  rm -rf "${testbed_dir:?}/$1-nginx"
}

# What keepalived.conf has no word for: a test shares its cores with others.
settings() {
  cat <<YAML
daemon: {file_prefix: $testbed_id-$1, idle: adaptive}
workers: {cores: [$(taskset -pc $$ | grep -o '[0-9]*$')]}
memory: {huge_pages: none}
connections: {max_ipv4: 65536, max_ipv6: 1024}
YAML
}

# start HOST ROLE: with the /etc/keepalived/keepalived.conf that it has.
start() {
  local host=$1
  role[$host]=$2
  starts[$host]=$((${starts[$host]:-0} + 1))
  case $2 in
    headgate)
      settings "$host" >"$testbed_dir/$host-root/etc/keepalived/headgate.yaml"
      lvs_start_on "$host" "$(log_of "$host")" "$build_dir/control/headgated" \
        --config /etc/keepalived/keepalived.conf --settings /etc/keepalived/headgate.yaml
      ;;
    keepalived)
      lvs_start_on "$host" "$(log_of "$host")" keepalived --dont-fork --log-console --log-detail \
        --no-syslog --vrrp --dont-respawn
      ;;
  esac
  pid[$host]=$started_pid
  if ! wait_for 20 answers_or_is_gone "$host" || ! answers "$host"; then
    tail -n 40 "$testbed_dir/$(log_of "$host").log" >&2
    fail "${role[$host]} on $host did not come up"
  fi
}
log_of() { printf '%s-%s' "$1" "${starts[$1]}"; }
answers() {
  case ${role[$1]} in
    headgate) hg_on "$1" version >/dev/null 2>&1 ;;
    keepalived) grep -q 'Startup complete' "$testbed_dir/$(log_of "$1").log" ;;
  esac
}
answers_or_is_gone() {
  answers "$1" || are_gone "${pid[$1]}"
}
hg_on() {
  local host=$1
  shift
  lvs_on "$host" "$build_dir/tools/headgate" --timeout 10s "$@"
}
ipvsadm_on() {
  local host=$1
  shift
  lvs_on "$host" /sbin/ipvsadm "$@"
}
stop() {
  local status=0
  kill -TERM "${pid[$1]}" || return 1
  wait_for 10 are_gone "${pid[$1]}" || { echo "${role[$1]} on $1 does not end" && return 1; }
  wait "${pid[$1]}" || status=$?
  ((status == 0)) || tail -n 20 "$testbed_dir/$(log_of "$1").log"
  return "$status"
}
crash() {
  local process
  # keepalived's process for VRRP would say good-bye when it saw its parent die.
  mapfile -t process < <(pgrep -P "${pid[$1]}" || true)
  kill -KILL "${process[@]}" "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
}
show_all() {
  local host
  for host in "${directors[@]}"; do
    printf -- '-- %s, %s\n' "$host" "${role[$host]:-}"
    ip -n "$testbed_id-$host" -brief address
    [[ -z ${role[$host]:-} ]] || tail -n 15 "$testbed_dir/$(log_of "$host").log"
    if [[ ${role[$host]:-} == headgate ]]; then
      hg_on "$host" show vrrp || true
      hg_on "$host" show backends || true
    fi
  done
}

# ---- what is asked

is() {
  [[ $1 == "$2" ]] || { echo "it is '$1' and should be '$2'" && return 1; }
}
holds() {
  [[ -n $(ip -n "$testbed_id-$1" -o address show to "$2" 2>/dev/null) ]]
}
# master_is HOST VIP: nobody else holds it.
master_is() {
  local host
  for host in "${directors[@]}"; do
    if [[ $host == "$1" ]]; then holds "$host" "$2" || return; else ! holds "$host" "$2" || return; fi
  done
}
# settles SECONDS COMMAND...: it comes to succeed.
settles() {
  wait_for "$1" "${@:2}" || { "${@:2}" || true; show_all; return 1; }
}
# web_is WANTED VIP COUNT [ADDRESS...]: who answers so many requests, from each of the addresses.
web_is() {
  local wanted=$1 vip=$2 count=$3 address said
  shift 3
  (($#)) || set -- ''
  said=$(for address; do
    on client curl -sS --fail --max-time 5 -H 'Connection: close' ${address:+--interface "$address"} \
      "http://$vip/[1-$count]"
  done | awk '{seen[$1]++} END {for (name in seen) print name, seen[name]}' | sort | xargs) || return
  is "$said" "$wanted"
}

# ---- two directors

pair() {
  local role1=$1 role2=$2 vip=192.168.80.200
  director gate1 eth1 192.168.80.10/24
  director gate2 eth1 192.168.80.11/24
  ip -n "$testbed_id-client" address add 192.168.80.50/24 dev eth0
  real_server rs1 192.168.80.102/24 "$vip"
  real_server rs2 192.168.80.103/24 "$vip"
  cp "$text/dr_master.conf" "$testbed_dir/gate1-root/etc/keepalived/keepalived.conf"
  # The text gives the backup's file as the master's with another vrrp_instance.
  {
    sed '/^vrrp_instance/,$d' "$text/dr_master.conf"
    cat "$text/dr_backup_instance.conf"
    sed '1,/^vrrp_instance/d' "$text/dr_master.conf" | sed '1,/^}/d'
  } >"$testbed_dir/gate2-root/etc/keepalived/keepalived.conf"
  start gate1 "$role1"
  start gate2 "$role2"
  check "$part: the first box is master" settles 12 master_is gate1 "$vip"
  if [[ $role1 == headgate ]]; then
    check "$part: ipvsadm has what the file says" is "$(ipvsadm_on gate1 -Ln | tail -n +4)" \
      "TCP  $vip:80 wrr
  -> 192.168.80.102:80            Route   3      0          0         
  -> 192.168.80.103:80            Route   3      0          0         "
    check "$part: both servers answer" settles 5 web_is 'rs1 3 rs2 3' "$vip" 6
    end_web rs1
    # delay_loop 6, three more tries, 3 s apart.
    check "$part: a server that is gone is found out" settles 25 web_is 'rs2 4' "$vip" 4
    check "$part: and is out of the table" is "$(ipvsadm_on gate1 -Ln | grep -c Route)" 1
    start_web rs1
    check "$part: it comes back" settles 15 web_is 'rs1 2 rs2 2' "$vip" 4
  fi
  crash gate1
  # What a loss of power would take along: with two holders either may answer for it.
  [[ $role1 == headgate ]] || ip -n "$testbed_id-gate1" address delete "$vip/32" dev eth1
  check "$part: the second box takes over" settles 6 master_is_2 "$vip"
  if [[ $role2 == headgate ]]; then
    check "$part: and balances" settles 5 web_is 'rs1 3 rs2 3' "$vip" 6
  fi
  start gate1 "$role1"
  check "$part: the first box has it again" settles 12 master_is gate1 "$vip"
  [[ $role1 != headgate ]] || check "$part: and balances again" settles 5 web_is 'rs1 3 rs2 3' "$vip" 6
  check_here "$part: it ends cleanly" stop gate1
  check "$part: the other one takes over at once" settles 3 master_is gate2 "$vip"
  check_here "$part: which ends cleanly too" stop gate2
  check "$part: nobody holds the address" settles 3 nobody_holds "$vip"
}
master_is_2() { holds gate2 "$1"; }
nobody_holds() { ! holds gate1 "$1" && ! holds gate2 "$1"; }

# ---- one director in 172.16.0.0/16

one() {
  director gate1 eth0 172.16.1.1/16
  local i
  for i in 50 51 52 53; do ip -n "$testbed_id-client" address add "172.16.1.$i/16" dev eth0; done
  real_server rs1 172.16.100.11/16 172.16.100.1
  real_server rs2 172.16.100.12/16 172.16.100.1
  cp "$text/$1" "$testbed_dir/gate1-root/etc/keepalived/keepalived.conf"
  start gate1 headgate
  check "$part: master under the label" settles 12 master_is gate1 172.16.100.1
  check "$part: eth0:0 is its label" is \
    "$(ip -n "$testbed_id-gate1" -o address show label eth0:0 | awk '{print $4}')" 172.16.100.1/16
}
clients=(172.16.1.50 172.16.1.51 172.16.1.52 172.16.1.53)
priority_is() {
  is "$(hg_on gate1 --json show vrrp | jq '.rows[0].priority')" "$1"
}

http() {
  one lvs_http.conf
  check "$part: the listing" is "$(ipvsadm_on gate1 -Ln | tail -n +4)" \
    'TCP  172.16.100.1:80 rr persistent 50
  -> 172.16.100.11:80             Route   1      0          0         
  -> 172.16.100.12:80             Route   1      0          0         '
  check "$part: clients are spread" settles 5 web_is 'rs1 2 rs2 2' 172.16.100.1 1 "${clients[@]}"
  # shellcheck disable=SC2016  # awk
  check "$part: each stays with its server" web_is 'rs1 10 rs2 10' 172.16.100.1 5 "${clients[@]}"
  end_web rs1
  check "$part: a page that is gone is found out" settles 30 web_is 'rs2 4' 172.16.100.1 1 "${clients[@]}"
  start_web rs1
  check "$part: it comes back" settles 20 both_are_up
  check "$part: without maintenance it has its priority" settles 5 priority_is 101
  touch "$testbed_dir/gate1-root/etc/keepalived/down"
  check "$part: the maintenance file lowers it by 2" settles 8 priority_is 99
  rm "$testbed_dir/gate1-root/etc/keepalived/down"
  check "$part: and its end raises it again" settles 8 priority_is 101
  check_here "$part: clean end" stop gate1
}
both_are_up() { is "$(ipvsadm_on gate1 -Ln | grep -c Route)" 2; }

sorry() {
  one lvs_tcp.conf
  start_web gate1
  check "$part: both servers answer" settles 5 web_is 'rs1 2 rs2 2' 172.16.100.1 1 "${clients[@]}"
  end_web rs1
  end_web rs2
  check "$part: without them the director itself" settles 25 web_is 'gate1 4' 172.16.100.1 1 "${clients[@]}"
  check "$part: as a local server" is "$(ipvsadm_on gate1 -Ln | sed -n '5,$s/ *[0-9]* *[0-9]* *$//p')" \
    '  -> 127.0.0.1:80                 Local   1'
  start_web rs2
  check "$part: one that is back serves alone" settles 15 web_is 'rs2 4' 172.16.100.1 1 "${clients[@]}"
  check_here "$part: clean end" stop gate1
}

# ---- two masters, as in front of haproxy

two_masters() {
  local host
  director gate1 eth0 172.16.1.1/16
  director gate2 eth0 172.16.1.2/16
  for host in gate1 gate2; do
    local etc=$testbed_dir/$host-root/etc
    cp "$repository/tests/e2e/vrrp_text/notify_first" "$etc/keepalived/notify.sh"
    chmod +x "$etc/keepalived/notify.sh"
    # shellcheck disable=SC2016  # the script expands it
    printf '#!/bin/bash\necho "$1" >>/etc/said\n' >"$etc/rc.d/init.d/haproxy"
    chmod +x "$etc/rc.d/init.d/haproxy"
  done
  cp "$text/haproxy_both.conf" "$testbed_dir/gate1-root/etc/keepalived/keepalived.conf"
  # The other box: master of the second address, with the priorities changed about.
  sed -e '0,/priority 101/s//priority 100.5/; 0,/priority 100 /s//priority 101 /' \
    -e 's#notify.sh \(master\|backup\|fault\)#notify.sh -n \1 -a 172.16.100.1#' \
    -e 's/priority 100.5/priority 100/' -e '0,/state MASTER/s//state BACKUP_/' \
    -e '0,/state BACKUP /s//state MASTER /; s/BACKUP_/BACKUP/' "$text/haproxy_both.conf" \
    >"$testbed_dir/gate2-root/etc/keepalived/keepalived.conf"
  # It has the second of the manual's scripts, which writes mails.
  cp "$repository/tests/e2e/vrrp_text/notify_second" \
    "$testbed_dir/gate2-root/etc/keepalived/notify.sh"
  # shellcheck disable=SC2016  # the script expands it
  printf '#!/bin/bash\necho "$2 | $3" >>/etc/said.mails\n' >"$testbed_dir/gate2-root/sbin/mail"
  chmod +x "$testbed_dir/gate2-root/sbin/mail" "$testbed_dir/gate2-root/etc/keepalived/notify.sh"
  start gate1 headgate
  start gate2 headgate
  each_has_one() { master_is gate1 172.16.100.1 && master_is gate2 172.16.100.2; }
  check "$part: each is master of one address" settles 12 each_has_one
  check "$part: the script has started the service" settles 5 grep -q start \
    "$testbed_dir/gate1-root/etc/said"
  touch "$testbed_dir/gate1-root/etc/keepalived/down"
  all_on_2() { master_is gate2 172.16.100.1 && master_is gate2 172.16.100.2; }
  check "$part: under maintenance the other has both" settles 12 all_on_2
  check "$part: and the second script has written of it" settles 5 grep -qF \
    "$(hostname) to be master: 172.16.100.1 floating | root@localhost" \
    "$testbed_dir/gate2-root/etc/said.mails"
  rm "$testbed_dir/gate1-root/etc/keepalived/down"
  check "$part: and each its own after it" settles 12 each_has_one
  crash gate2
  all_on_1() { holds gate1 172.16.100.1 && holds gate1 172.16.100.2; }
  check "$part: one alone has both" settles 6 all_on_1
  check_here "$part: clean end" stop gate1
}

case $part in
  */*) pair "${part%/*}" "${part#*/}" ;;
  http | sorry | two_masters) "$part" ;;
  *) fail "unknown part '$part'" ;;
esac
finish
