#!/usr/bin/env bash
# A thousand virtual routers on four interfaces, both boxes started cold at once: each becomes master
# on the better box, once, and never on the other; adverts are spread over the interval.
# seconds: 180
set -euo pipefail
# shellcheck source=tests/e2e/vrrp_rig.sh
source "$(dirname "$0")/vrrp_rig.sh"

roles_of "${1:-headgate/headgate}"
readonly lans=4 routers_on_each=250
readonly total=$((lans * routers_on_each))

# many PRIORITY
many() {
  local lan router
  printf 'vrrp:\n  instances:\n'
  for ((lan = 1; lan <= lans; lan++)); do
    for ((router = 1; router <= routers_on_each; router++)); do
      printf '    - {name: VI_%d_%d, interface: eth%d, virtual_router_id: %d, priority: %d, ' \
        "$lan" "$router" $((lan - 1)) "$router" "$1"
      printf 'addresses: [{address: 10.%d.1.%d/32}]}\n' "$lan" "$router"
    done
  done
}

vrrp_begin r1 r2
for ((lan = 1; lan <= lans; lan++)); do
  if ((lan > 1)); then
    add_lan "lan$lan"
    plug r1 "eth$((lan - 1))" "lan$lan" "10.$lan.0.1"
    plug r2 "eth$((lan - 1))" "lan$lan" "10.$lan.0.2"
  fi
  start_capture switch "lan$lan" "$testbed_dir/lan$lan.pcap" 'ip proto 112'
done
box r1 "$role1" < <(many 150)
box r2 "$role2" < <(many 100)

addresses_on() {
  ip -n "$testbed_id-$1" -o -4 address show to 10.0.0.0/8 | grep -c ' 10\.[0-9]*\.1\.' || true
}
addresses_are() {
  is "$(addresses_on "$1")" "$2"
}
sources() { printf '10.1.0.%d,10.2.0.%d,10.3.0.%d,10.4.0.%d' "$1" "$1" "$1" "$1"; }
adverts_all() {
  local lan
  for ((lan = 1; lan <= lans; lan++)); do capture_says "lan$lan" adverts; done
}
# masters_of HOST_NUMBER: virtual routers for which it sent an advert.
masters_of() {
  adverts_all | awk -v last="$1" '{split($2, octets, ".")}
    octets[4] == last && !seen[$2, $3]++ {routers++} END {print routers + 0}'
}
# captured SECONDS: of all adverts, by the size of the captures, as reading them costs time.
readonly bytes_of_advert=62
captured() {
  (($(cat "$testbed_dir"/lan*.pcap | wc -c) >= $1 * total * bytes_of_advert))
}

# Both configurations are there before either starts, and neither waits for the other.
start_box_later() {
  local host=$1 command=()
  mapfile -t command < <(box_command "$host")
  box_starts[$host]=1
  start_on "$host" "$host-1" "${command[@]}"
  box_pid[$host]=$started_pid
}
start_box_later r1
start_box_later r2
check "r1 holds all $total addresses" wait_for 30 addresses_are r1 "$total"
check 'and advertises for 15 seconds' wait_for 40 captured 15
check "r1 was master of all $total" is "$(masters_of 1)" "$total"
check 'r2 of none' is "$(masters_of 2)" 0
check 'r1 holds all still' addresses_are r1 "$total"
check 'r2 holds none' addresses_are r2 0

# The time between two adverts of a virtual router; a flap or a late one shows as more than the
# interval and a half.
adverts_all | sort -n | awk '{key = $2 " " $3} key in last {gap = $1 - last[key]
    if (gap > longest) longest = gap; if (gap > 1.5) late++; number++} {last[key] = $1}
  END {printf "%d %.3f %d\n", number, longest, late}' >"$testbed_dir/gaps"
read -r number longest late <"$testbed_dir/gaps"
printf 'note: %d times between two adverts, the longest %s s, %d longer than 1.5 s\n' "$number" \
  "$longest" "$late"
check 'no advert is later than half an interval' is "$late" 0

# told HOST FILTER: by headgate, of all virtual routers, each value once.
told() {
  hg_on "$1" --json show vrrp | jq -r "[.rows[] | $2] | unique | map(tostring) | join(\" \")"
}
even() {
  local busiest mean
  capture_all_spread >"$testbed_dir/spread" || return
  read -r busiest mean < <(awk '/^busiest/ {print $2, $4}' "$testbed_dir/spread")
  between 1 "$(awk -v mean="$mean" 'BEGIN {print 3 * mean}')" "$busiest"
}
# From the fifth to the fifteenth second, over all four LANs.
capture_all_spread() {
  adverts_all | sort -n | awk 'NR == 1 {first = $1}
    $1 - first >= 5 && $1 - first < 15 {tenths[int($1 * 10) % 10]++; number++}
    END {for (i = 0; i < 10; i++) {printf "0.%d s: %d\n", i, tenths[i]
        if (tenths[i] > busiest) busiest = tenths[i]}
      printf "busiest %d mean %.1f\n", busiest, number / 10}'
}
if [[ $role1 == headgate ]]; then
  check 'adverts are spread over the interval' even
  sed -n 's/^0/note: adverts at 0/p' "$testbed_dir/spread"
  check 'the master says that it became so once' is "$(told r1 '.state, .became_master')" '1 master'
  check 'and that no advert was late' is "$(told r1 .late_adverts)" 0
  printf 'note: the worst advert was %s us late\n' \
    "$(told r1 .worst_lateness_us | xargs -n 1 | tail -n 1)"
fi
if [[ $role2 == headgate ]]; then
  check 'the backup that it never was' is "$(told r2 '.state, .became_master')" '0 backup'
fi
for host in r1 r2; do
  check_here "$host ends cleanly" stop_box "$host"
done
check 'r1 holds none after its end' addresses_are r1 0
finish
