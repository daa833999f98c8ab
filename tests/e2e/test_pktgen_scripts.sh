#!/usr/bin/env bash
# The Pktgen scripts of tools/pktgen, without Pktgen: they parse, they call what Pktgen has, with what
# it takes, and find the rate of a wire that loses above one. The commands of the .pkt file are those
# of Pktgen's command line.
set -euo pipefail
# shellcheck source=tests/e2e/cases.sh
source "$(dirname "$0")/cases.sh"

scripts=$repository/tools/pktgen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GATE_MAC=02:00:00:00:00:01

if ! command -v lua5.4 >/dev/null; then
  skip 'Pktgen scripts' 'no lua5.4 here'
  exit
fi

# run SCRIPT [SETTING...]: what it says and calls, in $work/said.
run() {
  env "${@:2}" lua5.4 "$repository/tests/e2e/pktgen_stub.lua" "$scripts/$1" >"$work/said" 2>&1
}
result_is() {
  is_in "RESULT $1" || { cat "$work/said" && return 1; }
}
is_in() { grep -qF -- "$1" "$work/said"; }
finds() {
  run throughput.lua "${@:2}" && result_is "$1"
}
calls() {
  local wanted
  for wanted; do is_in "CALL $wanted" || { echo "no call $wanted" && return 1; }; done
}
refuses() {
  ! run throughput.lua "${@:2}" && is_in "$1"
}
probes_are_read() {
  run latency.lua "OUTPUT=$work/latency" &&
    result_is '100 probes, us: min 1.00 median 50.00 p99 99.00 max 100.00'
}
no_probe_is_no_result() {
  run latency.lua "OUTPUT=$work/latency" NO_PROBES=1 && result_is 'none: no probe came back'
}

check 'a wire that takes the whole line' finds '100.00 % of the line, 14.881 Mpps'
check 'the stream is 1,000 clients to the VIP' calls 'range.dst_ip 0 start 198.18.0.80' \
  'range.src_ip 0 min 198.18.1.0' 'range.src_ip 0 max 198.18.4.231' 'range.src_ip 0 inc 0.0.0.1' \
  'range.dst_port 0 start 9' "range.dst_mac 0 start $GATE_MAC" 'set_range 0 on'
check 'a wire that takes 37 % of it' finds '36.72 % of the line' WIRE_PERCENT=37
check 'a loss that is allowed' finds '38.28 % of the line' WIRE_PERCENT=37 LOSS=4 PRECISION=0.4
check 'a wire that takes nothing' finds 'none' WIRE_PERCENT=0 PRECISION=10
check 'IPv6 and TCP' finds '100.00 % of the line' FAMILY=6 PROTOCOL=tcp FLOWS=32768
check 'their stream' calls 'range.set_type 0 ipv6' 'range.src_ip 0 max fd00:18::1:7fff' \
  'range.ip_proto 0 tcp' 'range.dst_port 0 start 80'
check 'connections are asked for' is_in 'COMMAND range 0 tcp flags syn'
check 'no headgate to send to' refuses 'GATE_MAC is not set' GATE_MAC=
check 'more flows than Pktgen has buffers' refuses 'FLOWS is from 1 to 32768' FLOWS=40000
check 'latency from the samples' probes_are_read
check 'probes go out from one port and are looked for on the other' calls 'latency 0 rate 1000' \
  'latency 0 enable' 'latency 1 enable' 'latsampler 1 on' 'set_ipaddr 0 dst 198.18.0.80'
check 'no probe came back' no_probe_is_no_result

# From the command maps of app/cli-functions.c.
range_value='(type ipv[46]|proto (udp|tcp)|(src|dst) mac( [0-9a-f:]{17}){4}|(src|dst) ip( [0-9.]+){4}'
range_value+='|(src|dst) port( [0-9]+){4}|size( [0-9]+){4})'
commands="^((start|stop) [0-9]+|range [0-9]+ $range_value|set [0-9]+ (count|rate|size) [0-9]+"
commands+='|enable [0-9]+ range|clear [0-9]+ stats|page stats|#.*)$'
unknown_commands() { grep -vE "$commands" "$scripts/bed.pkt"; }
only_known_commands() { ! unknown_commands; }
check 'bed.pkt: only what the command line knows' only_known_commands
finish
