#!/usr/bin/env bash
# Memory on 2 MB huge pages: where the file asks for them, where they just happen to be there, and
# what is said where there are too few. The machine reserves as many afterwards as before.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

reserve_file=/proc/sys/vm/nr_hugepages
pages_file=/sys/kernel/mm/hugepages/hugepages-2048kB
pages_before=$(<"$reserve_file")
pages_wanted=640

testbed_begin one-arm 2
end_with_pages() {
  local status=$?
  echo "$pages_before" >"$reserve_file"
  testbed_end "$status"
}
trap end_with_pages EXIT

if ! echo "$pages_wanted" >"$reserve_file" || (($(<"$pages_file/free_hugepages") < pages_wanted)); then
  skip 'huge pages' "the kernel gives no $pages_wanted pages of 2 MB: vm.nr_hugepages"
  finish
  exit
fi

start_servers
hold_vips "$vip4" "$vip6"
free_pages() { cat "$pages_file/free_hugepages"; }
all_pages_free() { is "$(free_pages)" "$reserved"; }
reserved=$(free_pages)

configured() {
  {
    services web dr tcp 80 80
    } | configure | sed "s/huge_pages: none/huge_pages: $1/" >"$(gate_config)"
}

for wanted in 2M auto; do
  configured "$wanted"
  start_gate
  check "$wanted: the log says which pages" grep -qE 'MB of 2 MB pages' "$gate_log"
  check "$wanted: pages are in use" test "$(free_pages)" -lt "$reserved"
  check_gate "$wanted: servers answer" web_is 'rs1 2 rs2 2' "$vip4" 80 4
  check_gate "$wanted: over IPv6 as well" web_is 'rs1 2 rs2 2' "$vip6" 80 4
  check_here "$wanted: clean end" stop_gate
  check "$wanted: all pages are free again" wait_for 10 all_pages_free
  start_gate
  kill -KILL "$gate_pid"
  wait "$gate_pid" 2>/dev/null || true
  check "$wanted: after a kill, too" wait_for 10 all_pages_free
done

# Too few.
echo 8 >"$reserve_file"
configured 2M
check 'too few pages: status 1, how much is needed and what to do' says 'vm.nr_hugepages' 1 \
  on gate timeout 20 "$build_dir/control/headgated" --config "$(gate_config)"
configured auto
start_gate
check 'auto: too few pages are no obstacle' grep -q 'ordinary pages' "$gate_log"
check_gate 'auto: servers answer without them' web_is 'rs1 2 rs2 2' "$vip4" 80 4
check_here 'auto: clean end without them' stop_gate
finish
