#!/usr/bin/env bash
# Memory on huge pages of 2 MB and of 1 GB: where the file asks for them, where they just happen to be
# there, and what is said where there are too few. The machine reserves as many afterwards as before.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

declare -A pages=([2M]=/sys/kernel/mm/hugepages/hugepages-2048kB
  [1G]=/sys/kernel/mm/hugepages/hugepages-1048576kB)
declare -A wanted=([2M]=640 [1G]=2) named=([2M]='2 MB' [1G]='1 GB') before=()
for size in 2M 1G; do
  before[$size]=$(cat "${pages[$size]}/nr_hugepages" 2>/dev/null || echo none)
done

testbed_begin one-arm 2
reserve() {
  echo "$2" >"${pages[$1]}/nr_hugepages"
}
end_with_pages() {
  local status=$? size
  for size in 2M 1G; do
    [[ ${before[$size]} == none ]] || reserve "$size" "${before[$size]}"
  done
  testbed_end "$status"
}
trap end_with_pages EXIT

start_servers
hold_vips "$vip4" "$vip6"
free_pages() { cat "${pages[$1]}/free_hugepages"; }
all_pages_free() { is "$(free_pages "$1")" "$reserved"; }
configured() {
  services web dr tcp 80 80 | configure | sed "s/huge_pages: none/huge_pages: $1/" >"$(gate_config)"
}

# runs_on SIZE SETTING: from start to end and from start to kill, with SIZE pages.
runs_on() {
  local size=$1 setting=$2
  configured "$setting"
  start_gate
  check "$setting: the log says which pages" grep -q "MB of ${named[$size]} pages" "$gate_log"
  check "$setting: pages are in use" test "$(free_pages "$size")" -lt "$reserved"
  check_gate "$setting: servers answer" web_is 'rs1 2 rs2 2' "$vip4" 80 4
  check_gate "$setting: over IPv6 as well" web_is 'rs1 2 rs2 2' "$vip6" 80 4
  check_here "$setting: clean end" stop_gate
  check "$setting: all pages are free again" wait_for 10 all_pages_free "$size"
  start_gate
  kill -KILL "$gate_pid"
  wait "$gate_pid" 2>/dev/null || true
  check "$setting: after a kill, too" wait_for 10 all_pages_free "$size"
}

# with_pages SIZE SETTING...: as runs_on, if the kernel gives the pages.
with_pages() {
  local size=$1 setting
  shift
  if [[ ${before[$size]} == none ]] || ! reserve "$size" "${wanted[$size]}" ||
    (($(free_pages "$size") < wanted[$size])); then
    skip "huge pages of ${named[$size]}" "the kernel gives no ${wanted[$size]}: ${pages[$size]}"
    return
  fi
  reserved=$(free_pages "$size")
  for setting; do runs_on "$size" "$setting"; done
  reserve "$size" 0
}
# The larger ones first: the others would leave no room in one piece.
with_pages 1G 1G
with_pages 2M 2M auto

# Too few.
reserve 2M 8
configured 2M
check 'too few pages: status 1, how much is needed and what to do' says 'vm.nr_hugepages' 1 \
  on gate timeout 20 "$build_dir/control/headgated" --config "$(gate_config)"
configured auto
start_gate
check 'auto: too few pages are no obstacle' grep -q 'ordinary pages' "$gate_log"
check_gate 'auto: servers answer without them' web_is 'rs1 2 rs2 2' "$vip4" 80 4
check_here 'auto: clean end without them' stop_gate
finish
