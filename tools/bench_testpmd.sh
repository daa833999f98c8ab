#!/usr/bin/env bash
# headgate in dpdk-testpmd's place: one process generates and counts what comes back, another one
# sends it back over the same memif: testpmd's macswap, its 5tswap, or headgated (DR, one port).
#
#   tools/bench_testpmd.sh [--seconds N] [--json FILE]
#
# The generator (testpmd's flowgen, 64-byte frames) has the first core, the other program's polling
# thread the last; all use ordinary pages. memif copies each frame on both sides, and so costs most
# of what is seen: it is the difference between the programs that tells. When the generator could
# not send all it made, the other side was the limit. Needs root and two cores; runs in a network
# namespace of its own; about half a minute.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

testpmd=$repository/tools/pktgen/testpmd.sh
gate_mac=00:01:02:03:04:01 # where flowgen sends to
client_mac=02:00:00:00:00:50
patience=30 # seconds for a program to start or to end

seconds=3 json=''
arguments=("$@")
while (($#)); do
  case $1 in
    --seconds) seconds=${2:?--seconds wants a number} && shift ;;
    --json) json=${2:?--json wants a file} && shift ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit ;;
    *) fail "unknown option '$1' (--help tells)" ;;
  esac
  shift
done
need_root
command -v dpdk-testpmd >/dev/null || fail 'no dpdk-testpmd here: apt-get install dpdk-dev'
mapfile -t cores < <(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0)), sep="\n")')
((${#cores[@]} >= 2)) || fail 'needs two cores'
if [[ -z ${HEADGATE_BENCH_ISOLATED:-} ]]; then
  HEADGATE_BENCH_ISOLATED=1 exec unshare --net "${BASH_SOURCE[0]}" "${arguments[@]}"
fi

folder=$(mktemp -d /tmp/headgate-bench-XXXXXX)
name=$(basename "$folder")
other_pid=''
clean_up() {
  if [[ -n $other_pid ]]; then end_processes "$patience" "$other_pid" || true; fi
  rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

memif() {
  printf 'net_memif0,role=%s,id=0,socket=%s/memif.sock,socket-abstract=no,rsize=12' "$1" "$folder"
}
eal() { printf -- '--no-huge -m 256 --file-prefix %s-%s' "$name" "$1"; }

# ---- the other side

forwards() { grep -q 'packet forwarding - ports=' "$folder/other.log"; }
hg() { "$repository/build/tools/headgate" --socket "$folder/run/headgate.sock" "$@"; }

start_testpmd() {
  taskset -c "${cores[-1]}" "$testpmd" "$1" --cores any --vdev "$(memif server)" \
    --eal "$(eal other)" >"$folder/other.log" 2>&1 &
  other_pid=$!
  wait_for "$patience" forwards || fail "testpmd does not start: $(tail -n 5 "$folder/other.log")"
}

# One service for each flow: flowgen's flows differ in their destination.
config() {
  local flow
  cat <<YAML
daemon: {run_dir: $folder/run, file_prefix: $name-gate, idle: busy}
workers: {cores: [${cores[-1]}]}
memory: {huge_pages: none, max_services: 4096, max_backends: 4096}
connections: {max_ipv4: 65536, max_ipv6: 1024}
ports:
  - name: wan
    vdev: "$(memif server),mac=$gate_mac"
    twin: {addresses: [10.1.0.1/24]}
services:
YAML
  for ((flow = 0; flow < $1; flow++)); do
    printf '  - {name: f%s, address: "10.253.%s.%s", port: 1001, protocol: udp, mode: dr, ' \
      "$flow" $((flow / 256)) $((flow % 256))
    printf 'scheduler: rr, backends: [{address: 10.1.0.11, port: 1001}]}\n'
  done
}

start_headgate() {
  config "$1" >"$folder/gate.yaml"
  "$repository/build/control/headgated" --config "$folder/gate.yaml" >"$folder/other.log" 2>&1 &
  other_pid=$!
  wait_for "$patience" hg version || fail "headgated does not start: $(tail "$folder/other.log")"
  ip neigh replace 10.1.0.11 lladdr "$client_mac" dev wan nud permanent
  wait_for "$patience" knows_backend || fail 'headgated does not know its backend'
}
knows_backend() { hg show neighbours | grep -q "$client_mac"; }

end_other() {
  end_processes "$patience" "$other_pid" || fail "it does not end: $(tail -n 5 "$folder/other.log")"
  other_pid=''
}

# ---- the figures

# measure WHAT FLOWS: what came back, from the generator's counters.
measure() {
  local log=$folder/generator.log sent received dropped
  timeout $((seconds + 2 * patience)) taskset -c "${cores[0]}" "$testpmd" flowgen \
    --cores any --vdev "$(memif client)" --eal "$(eal generator)" --flows "$2" \
    --seconds "$seconds" >"$log" 2>&1 ||
    fail "the generator failed with status $? (124: no end in time): $(tail -n 15 "$log")"
  read -r sent received < <(awk '/^testpmd: sent / {print $3, $5}' "$log")
  # The first of testpmd's own sums: before it was told to receive only.
  dropped=$(awk '/TX-dropped:/ {for (i = 1; i < NF; i++)
    if ($i == "TX-dropped:") {print $(i + 1); exit}}' "$log")
  ((received > 0)) || fail "$1: nothing came back"
  awk -v what="$1" -v flows="$2" -v sent="$sent" -v received="$received" \
    -v dropped="${dropped:-0}" -v seconds="$seconds" 'BEGIN {
    printf "%-22s %6d %7.2f %7.1f %15.1f %9.2f\n", what, flows, received / seconds / 1e6,
      seconds * 1e9 / received, 100 * dropped / (sent + dropped), 100 * (sent - received) / sent
  }' | tee -a "$folder/figures"
}

write_json() {
  awk 'BEGIN {printf "["} {
    n = NF
    what = $1; for (i = 2; i <= n - 5; i++) what = what " " $i
    printf "%s{\"program\": \"%s\", \"flows\": %s, \"mpps\": %s, \"ns_per_packet\": %s, ",
      (NR > 1 ? ", " : ""), what, $(n - 4), $(n - 3), $(n - 2)
    printf "\"generator_blocked_percent\": %s, \"lost_percent\": %s}", $(n - 1), $n
  } END {print "]"}' "$folder/figures" >"$1"
}

printf '%-22s %6s %7s %7s %15s %9s\n' 'over memif' flows Mpps ns 'could not send %' 'lost %'
for mode in macswap echo; do
  what=$mode
  if [[ $mode == echo ]]; then what=5tswap; fi
  start_testpmd "$mode"
  measure "testpmd $what" 1000
  end_other
done
for flows in 1 1000; do
  start_headgate "$flows"
  measure 'headgate dr' "$flows"
  end_other
done
if [[ -n $json ]]; then write_json "$json"; fi
