#!/usr/bin/env bash
# Times the packet path: the real worker loop, pipeline and tables, fed by a generator on the
# worker's own core. docs/performance.md says how, and what the columns mean.
#
#   tools/bench.sh [--full] [--list] [--only TEXT] [--json FILE] [--slices N] [--packets N] [--seconds N]
#
# A minute or two, with --full the whole matrix. Installs what is missing, builds, and as root reserves
# huge pages for as long as it runs, where the kernel has them to give. Wants a machine that does
# nothing else. Ends with status 1 when a packet was lost or a frame was wrong, not for a time.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pages_file=/proc/sys/vm/nr_hugepages
pages_wanted=1500 # of 2 MB: ten million connections and what is around them

give_pages_back() {
  local status=$?
  echo "$pages_before" >"$pages_file" || true
  exit "$status"
}

"$repository/tools/packages.sh" build
cd "$repository"
[[ -f build/build.ninja ]] || meson setup build >/dev/null
ninja -C build tests/headgate_bench >/dev/null || fail 'the build failed: ninja -C build tests/headgate_bench'

if ((EUID == 0)); then
  pages_before=$(<"$pages_file")
  trap give_pages_back EXIT
  trap 'exit 130' INT TERM
  if ((pages_before < pages_wanted)) && ! echo "$pages_wanted" 2>/dev/null >"$pages_file"; then
    echo 'no huge pages to be had: expect worse times with many flows' >&2
  fi
fi
build/tests/headgate_bench "$@"
