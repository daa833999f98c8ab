#!/usr/bin/env bash
# tools/realserver.sh in a namespace of its own: VIPs on lo that ARP keeps silent about, and nothing
# left after stop.
set -euo pipefail
# shellcheck source=tests/e2e/cases.sh
source "$(dirname "$0")/cases.sh"

testbed_begin one-arm 1
start_web rs1
export HEADGATE_BUILD=$build_dir
state=$testbed_dir/realserver

realserver() {
  on rs1 "$repository/tools/realserver.sh" "$1" --state "$state" "${@:2}"
}
sysctl_is() {
  [[ $(on rs1 cat "/proc/sys/net/$1") == "$2" ]]
}
set_sysctl() {
  on rs1 bash -c "echo $2 >/proc/sys/net/$1"
}
answers() {
  on client curl -sS -o /dev/null --connect-timeout 1 "http://$1/"
}
is_silent_about() {
  ! answers "$1" || return 1
  [[ $(ip -n "$testbed_id-client" neigh show "${1//[\[\]]/}") =~ FAILED|INCOMPLETE ]]
}
forget_neighbours() {
  ip -n "$testbed_id-client" neigh flush all
}
on_lo() {
  [[ $(ip -n "$testbed_id-rs1" -o address show dev lo to "$1") == *" $1/$2 "* ]]
}
not_on_lo() {
  [[ -z $(ip -n "$testbed_id-rs1" -o address show dev lo to "$1") ]]
}
program_count() {
  local id count=0
  for id in $(ip netns pids "$testbed_id-rs1"); do
    if [[ $(readlink "/proc/$id/exe") == */ipip_decap ]]; then count=$((count + 1)); fi
  done
  [[ $count == "$1" ]]
}
program_has() {
  local id
  id=$(cat "$state/ipip_decap.pid")
  [[ $(tr '\0' ' ' <"/proc/$id/cmdline") == *"$1"* ]]
}
complains() {
  local said
  said=$(realserver "${@:2}" 2>&1) && return 1
  grep -qF -- "$1" <<<"$said" || { printf '%s\n' "$said" && return 1; }
}
status_fails() {
  ! realserver status "$@"
}

# What start is there to prevent.
ip -n "$testbed_id-rs1" address add "$vip4/32" dev lo
check 'without start, a VIP on lo answers ARP' answers "$vip4"
ip -n "$testbed_id-rs1" address del "$vip4/32" dev lo
forget_neighbours

set_sysctl ipv4/conf/all/arp_announce 1
check 'start' realserver start "$vip4" "$vip6"
check 'the IPv4 VIP is on lo as /32' on_lo "$vip4" 32
check 'the IPv6 VIP is on lo as /128' on_lo "$vip6" 128
check 'arp_ignore is 1' sysctl_is ipv4/conf/all/arp_ignore 1
check 'arp_announce is 2' sysctl_is ipv4/conf/all/arp_announce 2
check 'ARP for the VIP gets no answer' is_silent_about "$vip4"
check 'neighbour solicitations for the VIP get no answer' is_silent_about "[$vip6]"
check 'the own address answers as before' answers "${server4[0]}"
check 'status is good after start' realserver status
check 'start again changes nothing' realserver start "$vip4" "$vip6"
check 'start takes one more VIP' realserver start 10.1.0.81
check 'status is good with all three' realserver status "$vip4" "$vip6" 10.1.0.81
set_sysctl ipv4/conf/all/arp_ignore 0
check 'status says that ARP would be answered' status_fails
check 'start mends it' realserver start "$vip4"
check 'status is good again' realserver status
check 'stop takes one VIP away' realserver stop 10.1.0.81
check 'that VIP is gone' not_on_lo 10.1.0.81
check 'the others stay' on_lo "$vip4" 32
check 'arp_ignore stays while there are VIPs' sysctl_is ipv4/conf/all/arp_ignore 1

check 'start --ipip=program' realserver start --ipip=program --director 10.1.0.1 "$vip4"
check 'ipip_decap runs for all VIPs' program_has "--vip $vip4 --vip $vip6"
check 'ipip_decap knows the director' program_has '--director 10.1.0.1'
check 'start --ipip with one more VIP' realserver start --ipip=program 10.1.0.82
check 'ipip_decap runs once' program_count 1
check 'ipip_decap knows the new VIP and the director' \
  program_has '--vip 10.1.0.82 --director 10.1.0.1'
check 'status is good with tunnels' realserver status
check 'start without --ipip says that the tunnels would miss the VIP' \
  complains 'add --ipip' start 10.1.0.83
check 'stop of one VIP tells ipip_decap' realserver stop 10.1.0.83
program=$(cat "$state/ipip_decap.pid")
end_processes 2 "$program"
check 'status says that ipip_decap has ended' status_fails

check 'start --ipip chooses what the kernel can do' realserver start --ipip "$vip4"
check 'status is good with either' realserver status
check 'stop' realserver stop
check 'no ipip_decap is left' program_count 0
check 'the VIPs are gone' not_on_lo "$vip4"
check 'the IPv6 VIP is gone' not_on_lo "$vip6"
check 'arp_announce is what it was' sysctl_is ipv4/conf/all/arp_announce 1
check 'arp_ignore is what it was' sysctl_is ipv4/conf/all/arp_ignore 0
check 'no file is left' test ! -e "$state"
check 'stop again changes nothing' realserver stop

check 'a prefix length is refused' complains 'without a prefix length' start 10.1.0.80/32
check 'a number above 255 is refused' complains "'10.1.0.256' is not" start 10.1.0.256
check 'a short address is refused' complains "'10.1' is not" start 10.1
check 'a name is refused' complains "'example.org' is not" start example.org
check 'a VIP on another device is refused' complains 'is on eth0 already' start "${server4[0]}"
check 'and nothing was changed before' test ! -e "$state"
check 'start without a VIP is refused' complains 'at least one VIP' start
check 'an unknown option is refused' complains "unknown option '--tunnel'" start --tunnel "$vip4"
check 'a director without tunnels is refused' \
  complains 'needs --ipip=program' start --director 10.1.0.1 "$vip4"
check 'an unknown command is refused' complains 'one of start, stop, status' restart
finish
