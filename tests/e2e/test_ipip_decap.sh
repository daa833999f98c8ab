#!/usr/bin/env bash
# ipip_decap against packets made by scapy, in namespaces: what it unwraps, refuses, counts and
# leaves behind.
set -euo pipefail
# shellcheck source=tests/e2e/cases.sh
source "$(dirname "$0")/cases.sh"

testbed_begin one-arm 1
# The director of this test is a plain host with an address: 10.1.0.1 sends the tunnels, 10.1.0.2 is
# a stranger.
ip -n "$testbed_id-gate" -batch - <<'BATCH'
link set net0 up
address add 10.1.0.1/24 dev net0
address add 10.1.0.2/24 dev net0
address add fd00:1::1/64 dev net0 nodad
BATCH
ip -n "$testbed_id-rs1" address add "$vip4/32" dev lo
ip -n "$testbed_id-rs1" address add "$vip6/128" dev lo nodad
start_udp_echo rs1 5353
start_on rs1 decap "$build_dir/tools/ipip_decap" --device decap0 --vip "$vip4" --vip "$vip6" \
  --director 10.1.0.1 --director fd00:1::1
decap=$started_pid
ready_or_fail ipip_decap decap grep -q ^ready "$testbed_dir/decap.log"

status=0
"$(dirname "$0")/ipip_decap_packets.py" "$testbed_id" "$testbed_dir/expected.txt" || status=1

counts_match() {
  diff "$testbed_dir/expected.txt" <(grep -v ^ready "$testbed_dir/decap.log")
}
device_is_gone() {
  ! ip -n "$testbed_id-rs1" link show decap0
}
refuses() {
  local said
  said=$("$build_dir/tools/ipip_decap" "${@:2}" 2>&1) && return 1
  grep -qF -- "$1" <<<"$said"
}

check 'ipip_decap ends within a second of SIGTERM' end_processes 1 "$decap"
check 'ipip_decap counts every packet once, by reason' counts_match
check 'ipip_decap leaves no device behind' device_is_gone
check 'ipip_decap refuses a VIP that is no address' refuses "'10.1.0' is not an IPv4" --vip 10.1.0
check 'ipip_decap refuses a device name that is too long' refuses \
  '1 to 15 characters' --device a234567890123456
finish && exit "$status"
