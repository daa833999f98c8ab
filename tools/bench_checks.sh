#!/usr/bin/env bash
# What health checks cost: headgated with COUNT backends, each asked by TCP once a second, for some
# seconds; the time that its threads took, how late the latest attempt began, and how late the latest
# advert of a virtual router beside them, at ten a second. Then half of them are silent, and the
# others must not notice.
#
#   tools/bench_checks.sh [--backends N] [--seconds N] [--json FILE]
#
# All on the loopback of a network namespace of its own, with one port; 10,000 backends and 15
# seconds by default. Needs root. Fails when an attempt began more than 250 ms late.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

backends=10000 seconds=15 json=''
arguments=("$@")
while (($#)); do
  case $1 in
    --backends) backends=${2:?--backends wants a number} && shift ;;
    --seconds) seconds=${2:?--seconds wants a number} && shift ;;
    --json) json=${2:?--json wants a file} && shift ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit ;;
    *) fail "unknown option '$1' (--help tells)" ;;
  esac
  shift
done
need_root
if [[ -z ${HEADGATE_BENCH_ISOLATED:-} ]]; then
  HEADGATE_BENCH_ISOLATED=1 exec unshare --net "${BASH_SOURCE[0]}" "${arguments[@]}"
fi
build_dir=${HEADGATE_BUILD:-$repository/build}
folder=$(mktemp -d /tmp/headgate-bench-XXXXXX)
pids=()
clean_up() {
  ((${#pids[@]} == 0)) || end_processes 20 "${pids[@]}" || true
  rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
ip link set lo up
ip route add local 10.20.0.0/16 dev lo

# Backends 10.20.x.y, all of them this host (AnyIP) with one listener; and as many that never
# answer, in the network of a port that nobody else is in.
config() {
  local i silent=$1
  cat <<YAML
daemon: {run_dir: $folder/run, log_level: warning, idle: adaptive, file_prefix: $(basename "$folder")}
workers: {cores: [$worker_core]}
memory: {max_backends: 65536, huge_pages: none}
connections: {max_ipv4: 65536, max_ipv6: 1024}
ports:
  - {name: wan, interface: void, driver: af_packet, twin: {addresses: [198.19.255.254/15]}}
vrrp:
  instances:
    - {name: v, interface: wan, virtual_router_id: 1, advert_interval_ms: 100, priority: 200,
       addresses: [{address: 198.19.0.1/32}]}
services:
YAML
  for ((i = 0; i < backends; i++)); do
    if ((i % 100 == 0)); then
      printf '  - address: 10.0.%s.%s\n    port: 80\n    mode: nat\n' $((i / 100 / 256)) \
        $((i / 100 % 256))
      printf '    checks: [{type: tcp, interval_ms: 1000, timeout_ms: 900, retries: 1, '
      printf 'retry_delay_ms: 100}]\n    backends:\n'
    fi
    if ((i % 2 == 0 && silent)); then
      printf '      - {address: 198.18.%s.%s}\n' $((i / 250)) $((i % 250 + 1))
    else
      printf '      - {address: 10.20.%s.%s}\n' $((i / 250)) $((i % 250 + 1))
    fi
  done
}
hg() { "$build_dir/tools/headgate" --socket "$folder/run/headgate.sock" "$@"; }
answers() { hg version; }
ip link add name void type veth peer name far
ip link set void up
ip link set far up
mapfile -t cores < <(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0)), sep="\n")')
worker_core=${cores[-1]}

cat >"$folder/listen.py" <<'PY'
import socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", 80))
listener.listen(4096)
while True:
    listener.accept()[0].close()
PY
python3 "$folder/listen.py" &
pids+=($!)

# threads: "NAME USER SYSTEM" of each thread, in clock ticks.
threads() {
  local stat
  for stat in /proc/"$gate"/task/*/stat; do
    sed 's/^[0-9]* (\(.*\)) /\1 /' "$stat" | awk '{gsub(" ", "_", $1); print $1, $13, $14}'
  done
}
ticks_per_second=$(getconf CLK_TCK)

# measure WHAT: for so many seconds.
measure() {
  local before after attempts begun took
  attempts=$(hg --json show checks | jq '.result.attempts')
  before=$(threads)
  begun=$EPOCHREALTIME
  sleep "$seconds"
  after=$(threads)
  hg --json show checks >"$folder/checks"
  took=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN {print b - a}')
  attempts=$(($(jq '.result.attempts' "$folder/checks") - attempts))
  paste <(echo "$before") <(echo "$after") |
    awk -v hz="$ticks_per_second" -v s="$seconds" -v took="$took" -v what="$1" -v attempts="$attempts" \
      -v late="$(jq '.result.late_max_ms' "$folder/checks")" \
      -v advert="$(hg --json show vrrp | jq '.rows[0].worst_lateness_us')" \
      -v down="$(jq '[.rows[] | select(.state == "down")] | length' "$folder/checks")" '
      NR == 1 {user = $5 - $2; kernel = $6 - $3}
      NR > 1 {other += $5 - $2 + $6 - $3}
      END {
        printf "%-24s %9.0f %8.1f %8.1f %8.1f %8d %9.2f %6d\n", what, attempts / took, 100 * user / hz / s,
          100 * kernel / hz / s, 100 * other / hz / s, late, advert / 1000, down
        printf "{\"case\": \"%s\", \"attempts_per_second\": %.0f, \"control_user_percent\": %.1f, ",
          what, attempts / took, 100 * user / hz / s >"/dev/stderr"
        printf "\"control_kernel_percent\": %.1f, \"late_max_ms\": %d, ",
          100 * kernel / hz / s, late >"/dev/stderr"
        printf "\"advert_late_max_ms\": %.3f}\n", advert / 1000 >"/dev/stderr"
      }' 2>>"$folder/json"
  jq -e '.result.late_max_ms <= 250' "$folder/checks" >/dev/null ||
    fail "$1: an attempt began $(jq '.result.late_max_ms' "$folder/checks") ms late"
}
run() {
  config "$2" >"$folder/gate.yaml"
  "$build_dir/control/headgated" --config "$folder/gate.yaml" >"$folder/log" 2>&1 &
  gate=$!
  pids+=("$gate")
  wait_for 30 answers || fail "headgated does not start: $(tail -n 5 "$folder/log")"
  sleep 3 # the first attempts
  measure "$1"
  end_processes 20 "$gate" || fail "it does not end: $(tail -n 5 "$folder/log")"
  unset 'pids[-1]'
}

heads() { printf '%-24s %9s %8s %8s %8s %8s %9s %6s\n' "$@"; }
heads "$backends backends" attempts control control others latest advert down
heads '' '/s' 'user %' 'kernel %' '%' ms 'late ms' ''
run 'all answer' 0
run 'half of them silent' 1
if [[ -n $json ]]; then jq -s . "$folder/json" >"$json"; fi
