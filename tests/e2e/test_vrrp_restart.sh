#!/usr/bin/env bash
# Kill, restart, reload and commands on kernel interfaces: no address stays where it does not belong,
# and no mastership moves that need not.
# seconds: 240
set -euo pipefail
# shellcheck source=tests/e2e/vrrp_rig.sh
source "$(dirname "$0")/vrrp_rig.sh"

roles_of "${1:-headgate/headgate}"
vip=10.1.0.100 vip_v6=fd00:1::100 vip_two=10.1.0.105 vip_more=10.1.0.110
own=10.1.0.190 # of the host itself

# routers PRIORITY PREEMPT [MORE_ADDRESSES]: VI_1 and VI_6
routers() {
  cat <<YAML
vrrp:
  instances:
    - {name: VI_1, interface: eth0, virtual_router_id: 51, priority: $1, preempt: $2,
       addresses: [{address: $vip/24}${3:-}]}
    - {name: VI_6, interface: eth0, virtual_router_id: 52, priority: $1, preempt: $2,
       addresses: [{address: "fe80::100/64"}, {address: "$vip_v6/64"}]}
YAML
}
second_router() {
  cat <<YAML
    - {name: VI_2, interface: eth0, virtual_router_id: 52, priority: $1,
       addresses: [{address: $vip_two/24}]}
YAML
}
three() {
  routers "$1" "$2" "${3:-}"
  second_router "$1"
}

vrrp_begin r1 r2
capture lan
ip -n "$testbed_id-r1" address add "$own/24" dev eth0
box r1 "$role1" < <(three 150 true)
box r2 "$role2" < <(three 100 true)
start_box r1
start_box r2
check 'r1 is master of all' becomes_master 8 r1 "$vip" "$vip_v6" "$vip_two"

# ---- killed: what the kernel still holds goes at the next start, also of what is configured no more
if [[ $role1 == headgate ]]; then
  crash_box r1
  check 'killed, the kernel still holds its addresses' holds_all r1 "$vip" "$vip_v6" "$vip_two"
  check 'the other one takes over' wait_for 8 holds_all r2 "$vip" "$vip_v6" "$vip_two"
  box r1 "$role1" < <(routers 150 false)
  start_box r1
  check 'started again as backup it holds none of them' wait_for 3 \
    holds_none r1 "$vip" "$vip_v6" "$vip_two" fe80::100
  check "the host's own address stays" holds r1 "$own"
  check 'the other one is master still' master_is r2 "$vip" "$vip_v6" "$vip_two"

  # Killed as master and started as master: the address stays without a second one.
  check_here 'r2 ends cleanly' stop_box r2
  check 'r1 takes over' becomes_master 3 r1 "$vip" "$vip_v6"
  crash_box r1
  start_box r1
  check 'killed and started alone it is master again' becomes_master 8 r1 "$vip" "$vip_v6"
  check 'and holds each address once' is \
    "$(ip -n "$testbed_id-r1" -o address show to "$vip" | wc -l)" 1
  start_box r2
  box r1 "$role1" < <(three 150 true)
  reload_box r1
fi
check 'with both boxes r1 is master of all' becomes_master 8 r1 "$vip" "$vip_v6" "$vip_two"

# ---- reload: what does not change does not move
# deleted ADDRESS: how often it went.
monitor=$testbed_dir/monitor.log
start_on r1 monitor ip -o monitor address
deleted() {
  grep -c "^Deleted.* $1/" "$monitor" || true
}
sent_with() {
  capture_says lan adverts | awk -v since="$1" -v vrid="$2" -v priority="$3" \
    '$1 >= since && $2 == "10.1.0.1" && $3 == vrid && $4 == priority {found = 1}
     END {exit !found}'
}
masters_since() {
  is "$(capture_says lan masters "$1" "$2")" "$3"
}
reloaded=$(now)
box r1 "$role1" < <(three 150 true ", {address: $vip_more/24}")
reload_box r1
check 'reload: an address more is there' wait_for 5 holds r1 "$vip_more"
check 'reload: it is announced' wait_for 8 eval \
  "[[ -n \$(capture_says lan announced $vip_more 10.1.0.1 $reloaded) ]]"
box r1 "$role1" < <(three 200 true ", {address: $vip_more/24}")
reload_box r1
check 'reload: another priority is advertised' wait_for 5 sent_with "$reloaded" 51 200
box r1 "$role1" < <(three 120 true)
reload_box r1
check 'reload: a lower one, that is the highest still, too' wait_for 5 sent_with "$reloaded" 51 120
check 'reload: an address less is gone' wait_for 5 holds_none r1 "$vip_more"
box r1 "$role1" < <(routers 120 true)
reload_box r1
check 'reload: the addresses of an instance less are gone' wait_for 5 holds_none r1 "$vip_two"
check 'reload: the other box has them soon' wait_for 3 holds r2 "$vip_two"
check 'reload: the rest stays' master_is r1 "$vip" "$vip_v6"
check 'reload: it never went' is "$(deleted "$vip") $(deleted "$vip_v6")" '0 0'
check 'reload: no other master meanwhile' masters_since 51 "$reloaded" 10.1.0.1
box r1 "$role1" < <(three 150 true)
reload_box r1
check 'reload: an instance more becomes master' wait_for 8 master_is r1 "$vip_two"

# ---- commands
state_is() {
  [[ $(instance_on "$1" "$2" .state) == "$3" ]]
}
states_of() {
  hg_on "$1" --json show vrrp | jq -r '[.rows[] | .name + " " + .state] | sort | join(", ")'
}
if [[ $role1 == headgate ]]; then
  check 'show vrrp: the master of all' is "$(states_of r1)" 'VI_1 master, VI_2 master, VI_6 master'
  moved=$(now)
  check 'failover of one' hg_on r1 vrrp failover VI_1
  check 'failover: the other box has it' becomes_master 3 r2 "$vip"
  check 'failover: the others stay' master_is r1 "$vip_v6" "$vip_two"
  check 'failover: it does not come back by itself' wait_for 9 adverts_came lan 51 10.1.0.2 \
    "$moved" 6
  check 'failover: it is backup' state_is r1 VI_1 backup
  check 'failover: the address stays over there' master_is r2 "$vip"
  check 'failover of one that is not there is refused' eval '! hg_on r1 vrrp failover VI_7'
fi
if [[ $role1 == headgate && $role2 == headgate ]]; then
  check 'failover back' hg_on r2 vrrp failover VI_1
  check 'failover back: it is here again' becomes_master 3 r1 "$vip"
fi
if [[ $role1 == headgate ]]; then
  check 'maintenance on' hg_on r1 vrrp maintenance on
  check 'maintenance: the other box has all' becomes_master 3 r2 "$vip" "$vip_v6" "$vip_two"
  check 'maintenance: nothing is master here' is "$(states_of r1)" \
    'VI_1 fault, VI_2 fault, VI_6 fault'
  check 'maintenance off' hg_on r1 vrrp maintenance off
  # What was handed over by hand, and not back, stays where it is.
  returning=("$vip_v6" "$vip_two")
  if [[ $role2 == headgate ]]; then returning+=("$vip"); fi
  check 'maintenance off: all are here again' becomes_master 8 r1 "${returning[@]}"
fi

# ---- the end
check_here 'the master ends cleanly' stop_box r1
check 'it holds none of the addresses' holds_none r1 "$vip" "$vip_v6" "$vip_two" fe80::100
check "and the host's own is there" holds r1 "$own"
check_here 'the other one ends cleanly' stop_box r2
check 'it holds none either' holds_none r2 "$vip" "$vip_v6" "$vip_two" fe80::100
finish
