#!/usr/bin/env bash
# The director's and the real servers' init scripts of the usual manual, word by word as they stand
# in lvs_text: started, asked and stopped by `service`, with our ipvsadm in /sbin.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"
# shellcheck source=tools/lvs_environment.sh
source "$repository/tools/lvs_environment.sh"

text=$repository/tests/e2e/lvs_text
vip=192.168.1.181

testbed_open
add_lan lan1
for host in client gate rs1 rs2; do
  add_host "$host"
  lvs_host "$host"
done
plug client eth0 lan1 10.1.0.50
plug gate eth0 lan1
plug rs1 eth0 lan1 10.1.0.3
plug rs2 eth0 lan1 10.1.0.4
for i in 50 51 52 53; do
  ip -n "$testbed_id-client" address add "192.168.1.$i/24" dev eth0
done
ip -n "$testbed_id-gate" address add 192.168.1.101/24 dev eth0
ip -n "$testbed_id-rs1" address add 192.168.1.103/24 dev eth0
ip -n "$testbed_id-rs2" address add 192.168.1.104/24 dev eth0
start_web rs1
start_web rs2
lvs_init_script gate "$text/lvs_dr_director" lvs_dr.sh
for host in rs1 rs2; do lvs_init_script "$host" "$text/lvs_dr_realserver" lvs_dr.sh; done

cat >"$(gate_config)" <<YAML
daemon: {file_prefix: $testbed_id, idle: adaptive}
workers: {cores: $(cores 1)}
memory: {huge_pages: none}
connections: {max_ipv4: 65536, max_ipv6: 1024}
ports: [{name: eth0, interface: eth0, take_over: on}]
YAML
hg() {
  lvs_on gate "$build_dir/tools/headgate" --timeout 10s "$@"
}
gate_log=$testbed_dir/gate.log
lvs_start_on gate gate "$build_dir/control/headgated" --config "$(gate_config)"
gate_pid=$started_pid
wait_for 20 gate_answers_or_is_gone || true
check 'the daemon is there' hg version

ipvsadm() { lvs_on gate /sbin/ipvsadm "$@"; }
script() {
  local host=$1
  shift
  lvs_on "$host" service lvs_dr.sh "$@"
}
# listing_is ARGUMENT... : of ipvsadm, on standard input what it should print.
listing_is() {
  diff - <(ipvsadm "$@" 2>&1)
}
# The first line has the size of the table, of IPv4 and IPv6 together.
header='IP Virtual Server version 1.2.1 (size=66560)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn'

check 'before: an empty table' listing_is <<<"$header"
check 'status says stopped' says 'ipvsadm stoped' 1 script gate status

# ---- start

check_here 'the director starts' script gate start
check 'start says nothing' is "$(cat "$testbed_dir/said")" ''
# The manual has the later server first, as IPVS lists them unsorted; ipvsadm 1.31 sorts.
listing_of_the_manual="$header
TCP  $vip:http wrr persistent 3
  -> 192.168.1.103:http           Route   1      0          0         
  -> 192.168.1.104:http           Route   1      0          0         "
check 'ipvsadm prints what the manual shows' listing_is <<<"$listing_of_the_manual"
numbers=${listing_of_the_manual/$vip:http/$vip:80}
check '-Ln has numbers' listing_is -Ln <<<"${numbers//:http /:80   }"
check 'the time-outs are set' is "$(ipvsadm -L --timeout)" 'Timeout (tcp tcpfin udp): 30 5 60'
check 'the VIP is an alias of eth0' says "$vip/32" 0 ip -n "$testbed_id-gate" -o address show label \
  eth0:0
check 'status says OK' says 'ipvsadm OK' 0 script gate status
for host in rs1 rs2; do
  check "$host starts" says 'RealServer Start OK' 0 script "$host" start
  check "$host does not answer ARP for the VIP" is \
    "$(on "$host" cat /proc/sys/net/ipv4/conf/all/arp_ignore)" 1
done

# fetch ADDRESS: from this one of the client's addresses.
fetch() {
  on client curl -sS --fail --max-time 5 --interface "$1" "http://$vip/"
}
answers() {
  local i
  for i in 50 51 52 53; do fetch "192.168.1.$i" || return; done | cut -d' ' -f1 | sort | uniq -c | xargs
}
both_answer() { is "$(answers)" '2 rs1 2 rs2'; }
check_gate 'four clients are spread over both servers' both_answer
first=$(fetch 192.168.1.50)
stays() {
  local i
  for i in 1 2 3 4 5; do is "$(fetch 192.168.1.50)" "$first" || return; done
}
check_gate 'one client stays with its server' stays
check 'the counters know' is "$(ipvsadm -Ln --stats --exact | awk '$1 == "TCP" {print $3}')" 10
templates() {
  ipvsadm -Lnc --persistent-conn >/dev/null && ipvsadm -Lnc | grep -c ':0 .*NONE\|NONE.*:0 '
}
check 'the table shows the templates' says 4 0 templates

# ---- stop

stopped=$(script gate stop 2>&1) || true
check 'stop says so' is "$(tail -n 1 <<<"$stopped")" 'ipvsadm stoped'
check 'nothing is left of it' listing_is <<<"$header"
check 'nor of the VIP' is "$(ip -n "$testbed_id-gate" -o address show to "$vip")" ''
check 'status says stopped again' says 'ipvsadm stoped' 1 script gate status
for host in rs1 rs2; do
  check "$host stops" says 'RealServer Stoped' 0 script "$host" stop
  check "$host has let go" is "$(ip -n "$testbed_id-$host" -o address show to "$vip")" ''
done
check 'the script knows no other word' says 'Usage: ' 1 script gate what
check_here 'starts again' script gate start
# Connections of before are counted again, as they are with IPVS.
same_table() {
  diff - <(ipvsadm | sed -E 's/(Route   1      ).*/\10          0         /')
}
check 'the same table again' same_table <<<"$listing_of_the_manual"
check 'every change is in the audit log' says 'service add' 0 hg show audit --last 100
check_here 'clean end' stop_gate
check 'the interface has its address again' says 192.168.1.101/24 0 \
  ip -n "$testbed_id-gate" -o address show dev eth0
finish
