#!/usr/bin/env bash
# Times the packet path: the real worker loop, pipeline and tables, fed by a generator on the
# worker's own core. docs/performance.md says how, and what the columns mean.
#
#   tools/bench.sh [--full] [--list] [--only TEXT] [--json FILE] [--slices N] [--packets N] [--seconds N]
#
# About two minutes, with --full the whole matrix, and headgated in dpdk-testpmd's place
# (tools/bench_testpmd.sh; --json writes FILE.memif too). Instructions are counted beside the times
# where valgrind is installed. Installs what is missing, builds, and as root reserves huge pages for
# as long as it runs, where the kernel has them to give. Wants a machine that does nothing else. Ends
# with status 1 when a packet was lost or a frame was wrong, not for a time.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pages_file=/proc/sys/vm/nr_hugepages
pages_wanted=1500 # of 2 MB: ten million connections and what is around them

clean_up() {
  local status=$?
  if [[ -n $pages_before ]]; then echo "$pages_before" >"$pages_file" || true; fi
  rm -rf "$folder"
  exit "$status"
}

arguments=("$@") full=no json='' timed=yes
while (($#)); do
  case $1 in
    --full) full=yes ;;
    --json) json=${2:-} ;;
    --only) full=no && break ;; # some cases of its own choice
    --list | --help | -h) timed=no ;;
  esac
  shift
done

"$repository/tools/packages.sh" build
cd "$repository"
[[ -f build/build.ninja ]] || meson setup build >/dev/null
targets=(tests/headgate_bench)
if [[ $full == yes ]]; then targets+=(control/headgated tools/headgate); fi
ninja -C build "${targets[@]}" >/dev/null || fail "the build failed: ninja -C build ${targets[*]}"

folder=$(mktemp -d) pages_before=''
trap clean_up EXIT
trap 'exit 130' INT TERM
if [[ $timed == yes ]]; then
  if command -v valgrind >/dev/null; then
    tools/count_instructions.py --only-count --json "$folder/instructions.json"
    arguments+=(--instructions "$folder/instructions.json")
  fi
  if ((EUID == 0)); then
    pages_before=$(<"$pages_file")
    if ((pages_before < pages_wanted)) && ! echo "$pages_wanted" 2>/dev/null >"$pages_file"; then
      echo 'no huge pages to be had: expect worse times with many flows' >&2
    fi
  fi
fi
status=0
build/tests/headgate_bench "${arguments[@]}" || status=$?
if [[ $full == yes && $timed == yes ]]; then
  printf '\n'
  if ((EUID != 0)) || ! command -v dpdk-testpmd >/dev/null; then
    echo 'beside dpdk-testpmd: not measured, needs root and dpdk-testpmd (Debian: dpdk-dev)'
  else
    tools/bench_testpmd.sh ${json:+--json "$json.memif"} || status=1
  fi
fi
exit "$status"
