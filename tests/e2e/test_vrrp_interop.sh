#!/usr/bin/env bash
# headgate and keepalived in one virtual router, each as master and as backup, and two headgates:
# version 2 with a password, version 3 on IPv4 and IPv6, and unicast, all four side by side. Take-overs
# are timed in a capture.
# seconds: 400
set -euo pipefail
# shellcheck source=tests/e2e/vrrp_rig.sh
source "$(dirname "$0")/vrrp_rig.sh"

if (($# == 0)); then parts_side_by_side headgate/keepalived keepalived/headgate headgate/headgate; fi
roles_of "$1"
pair=$1

declare -A vrid_of=([v2]=51 [v3]=52 [v6]=53 [unicast]=54)
variants=(v2 v3 v6 unicast)
declare -A vips_of=([v2]="10.1.0.100 10.1.0.101" [v3]=10.1.0.110 [v6]="fe80::100 fd00:1::100"
  [unicast]=10.1.0.120)
all_vips=(10.1.0.100 10.1.0.101 10.1.0.110 fe80::100 fd00:1::100 10.1.0.120)
all_prefixes=(10.1.0.100/24 10.1.0.101/24 10.1.0.110/24 fe80::100/64 fd00:1::100/64 10.1.0.120/24)
extra=10.1.0.130 # of v3, added later

# routers HOST PRIORITY PREEMPT [MORE_ADDRESSES]: the section for a box.
routers() {
  local host=$1 priority=$2 preempt=$3 more=${4:-} other=r1
  if [[ $host == r1 ]]; then other=r2; fi
  cat <<YAML
vrrp:
  instances:
    - name: VI_v2
      interface: eth0
      virtual_router_id: 51
      version: 2
      priority: $priority
      preempt: $preempt
      auth_password: "12345678"
      addresses: [{address: 10.1.0.100/24}, {address: 10.1.0.101/24}]
    - name: VI_v3
      interface: eth0
      virtual_router_id: 52
      version: 3
      priority: $priority
      preempt: $preempt
      addresses: [{address: 10.1.0.110/24}$more]
    - name: VI_v6
      interface: eth0
      virtual_router_id: 53
      version: 3
      priority: $priority
      preempt: $preempt
      addresses: [{address: "fe80::100/64"}, {address: "fd00:1::100/64"}]
    - name: VI_unicast
      interface: eth0
      virtual_router_id: 54
      version: 3
      priority: $priority
      preempt: $preempt
      source: $(address_of "$host")
      unicast_peers: [$(address_of "$other")]
      addresses: [{address: 10.1.0.120/24}]
YAML
}

source_of() {
  if [[ $2 == v6 ]]; then link_local_of "$1"; else address_of "$1"; fi
}

# took_over VARIANT FROM TO PRIORITY LOW HIGH SINCE: times it from the last advert, which had this
# priority.
took_over() {
  local variant=$1 said seconds last
  said=$(capture_says lan takeover "${vrid_of[$variant]}" "$(source_of "$2" "$variant")" \
    "$(source_of "$3" "$variant")" "$7") || { echo "$said" && return 1; }
  read -r seconds last <<<"$said"
  printf '%s\n' "$seconds" >"$testbed_dir/seconds"
  [[ $4 == any ]] || is "$last" "$4" || return
  between "$5" "$6" "$seconds"
}
# Like check took_over, with what was measured.
check_takeover() {
  local name=$1 variant=$2
  check "$pair, $variant: $name" took_over "${@:2}"
  printf 'note: %s, %s: %s: %s s after the last advert\n' "$pair" "$variant" "$name" \
    "$(cat "$testbed_dir/seconds" 2>/dev/null || echo '?')"
}

# sent VARIANT HOST SINCE NUMBER: so many adverts.
sent() {
  adverts_came lan "${vrid_of[$1]}" "$(source_of "$2" "$1")" "$3" "$4"
}
masters_are() {
  is "$(capture_says lan masters "${vrid_of[$1]}" "$2")" "$3"
}
# announced_well VARIANT HOST ADDRESS SINCE: five and five more, five seconds later.
announced_well() {
  local said
  said=$(capture_says lan announced "$3" "$(source_of "$2" "$1")" "$4")
  [[ $said =~ ^5@0\.[0-2][0-9]*\ 5@(4\.9|5\.[0-3])[0-9]*$ ]] ||
    { echo "'$said' and should be 5@0.0.. 5@5.0.." && return 1; }
}

vrrp_begin r1 r2
capture lan
box r1 "$role1" < <(routers r1 150 true)
box r2 "$role2" < <(routers r2 100 true)

# ---- from a cold start the higher priority wins, and the other never speaks
cold=$(now)
start_box r1
start_box r2
check "$pair: the higher priority becomes master of all" becomes_master 8 r1 "${all_vips[@]}"
for variant in "${variants[@]}"; do
  check "$pair, $variant: it advertises" wait_for 10 sent "$variant" r1 "$cold" 7
  check "$pair, $variant: the other one is silent" masters_are "$variant" "$cold" \
    "$(source_of r1 "$variant")"
  for vip in ${vips_of[$variant]}; do
    check "$pair, $variant: $vip is announced 5 times, and 5 times after 5 s" \
      announced_well "$variant" r1 "$vip" "$cold"
  done
done

# ---- killed, and back
crash=$(now)
crash_box r1
clean_after_crash r1 "${all_prefixes[@]}"
check "$pair: the backup takes over when the master is killed" wait_for 8 holds_all r2 "${all_vips[@]}"
for variant in "${variants[@]}"; do
  check_takeover 'master killed' "$variant" r1 r2 150 3.5 4.6 "$cold"
done
start_box r1
check "$pair: the killed one is master again, and the other lets go" becomes_master 8 r1 \
  "${all_vips[@]}"
for variant in "${variants[@]}"; do
  check "$pair, $variant: mastership moved twice" wait_for 3 masters_are "$variant" "$crash" \
    "$(source_of r2 "$variant") $(source_of r1 "$variant")"
done

# ---- a clean stop
stop=$(now)
check_here "$pair: the master ends cleanly" stop_box r1
check "$pair: the backup takes over at once" becomes_master 3 r2 "${all_vips[@]}"
for variant in "${variants[@]}"; do
  check_takeover 'clean stop' "$variant" r1 r2 0 0.5 1.5 "$stop"
done

# ---- without preemption the higher priority waits
box r1 "$role1" < <(routers r1 150 false)
waits=$(now)
start_box r1
for variant in "${variants[@]}"; do
  check "$pair, $variant: nopreempt: the master goes on" wait_for 10 sent "$variant" r2 "$waits" 6
  check "$pair, $variant: nopreempt: the higher priority is silent" masters_are "$variant" "$waits" \
    "$(source_of r2 "$variant")"
done
check "$pair: nopreempt: the addresses stay" master_is r2 "${all_vips[@]}"
check_here "$pair: nopreempt: the master ends cleanly" stop_box r2
check "$pair: nopreempt: then the other one takes over" becomes_master 3 r1 "${all_vips[@]}"
check_here "$pair: nopreempt: it ends cleanly" stop_box r1

# ---- equal priorities: of two masters the one with the higher address stays
box r1 "$role1" < <(routers r1 100 true)
box r2 "$role2" < <(routers r2 100 true)
partition on
start_box r1
start_box r2
both_hold() {
  holds_all r1 "${all_vips[@]}" && holds_all r2 "${all_vips[@]}"
}
check "$pair: parted, both become master" wait_for 8 both_hold
whole=$(now)
partition off
check "$pair: equal priorities: the higher address stays master" becomes_master 5 r2 "${all_vips[@]}"
for variant in "${variants[@]}"; do
  check "$pair, $variant: equal priorities: it goes on" wait_for 5 sent "$variant" r2 "$whole" 3
done
check_here "$pair: one of equals ends cleanly" stop_box r1
check_here "$pair: so does the other" stop_box r2

# ---- an address more, on one box first
if [[ $role2 == headgate ]]; then
  box r1 "$role1" < <(routers r1 150 true)
  box r2 "$role2" < <(routers r2 100 true)
  start_box r1
  start_box r2
  check "$pair: r1 is master again" becomes_master 8 r1 "${all_vips[@]}"
  added=$(now)
  box r1 "$role1" < <(routers r1 150 true ", {address: $extra/24}")
  reload_box r1
  check "$pair: an address is added on the master first" wait_for 5 holds r1 "$extra"
  check "$pair: the master goes on, with one address more" wait_for 9 sent v3 r1 "$added" 6
  box r2 "$role2" < <(routers r2 100 true ", {address: $extra/24}")
  reload_box r2
  both=$(now)
  check "$pair: so it does when the backup has it, too" wait_for 6 sent v3 r1 "$both" 3
  for variant in "${variants[@]}"; do
    check "$pair, $variant: mastership does not move meanwhile" masters_are "$variant" "$added" \
      "$(source_of r1 "$variant")"
  done
  check "$pair: and the master holds all" master_is r1 "${all_vips[@]}" "$extra"
  check_here "$pair: the master ends cleanly after that" stop_box r1
  check_here "$pair: and the backup" stop_box r2
  for host in r1 r2; do
    check "$pair: $host has let go of all" holds_none "$host" "${all_vips[@]}" "$extra"
  done
fi

# ---- the shortest take-over: 40 ms between adverts
if [[ $pair == headgate/headgate ]]; then
  for host in r1 r2; do
    priority=150
    if [[ $host == r2 ]]; then priority=100; fi
    box "$host" headgate <<YAML
vrrp:
  instances:
    - name: VI_fast
      interface: eth0
      virtual_router_id: 60
      version: 3
      priority: $priority
      advert_interval_ms: 40
      addresses: [{address: 10.1.0.140/24}]
YAML
  done
  vrid_of[fast]=60
  fast=$(now)
  start_box r1
  start_box r2
  check "$pair, 40 ms: the higher priority becomes master" becomes_master 5 r1 10.1.0.140
  crash_box r1
  check "$pair, 40 ms: the backup takes over" wait_for 3 holds r2 10.1.0.140
  check_takeover 'master killed, 40 ms' fast r1 r2 any 0.13 1 "$fast"
  check_here "$pair, 40 ms: it ends cleanly" stop_box r2
fi
finish
