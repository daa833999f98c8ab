# What every end-to-end script shares. Source it: it brings the testbed and the way results are
# printed.
#
# A script prints one line per case, `PASS name`, `FAIL name` or `SKIP name reason`; what a failed
# command said stands above its line. tools/test.sh counts these lines, and counts a script that
# ends with a bad status without a FAIL of its own as one failure more.
# shellcheck shell=bash
# shellcheck source=tools/testbed.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/testbed.sh"

# shellcheck disable=SC2034  # for the scripts
build_dir=${HEADGATE_BUILD:-$repository/build}
failed_cases=0

# check NAME COMMAND [ARGUMENT...]: a case that passes when the command succeeds.
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    printf 'PASS %s\n' "$name"
  else
    printf '%s\nFAIL %s\n' "$said" "$name"
    failed_cases=$((failed_cases + 1))
  fi
}

# Like check, but in this shell: for commands that wait for its children or set its variables.
check_here() {
  local name=$1 status=0
  shift
  "$@" >"$testbed_dir/said" 2>&1 || status=$?
  check "$name" tell "$status" "$testbed_dir/said"
}
tell() {
  cat "$2"
  return "$1"
}

# in_parts PART...: the script once with each as its argument, for a testbed of its own: one ends
# with its script. Interrupted, it waits for the part to clean up.
in_parts() {
  local part status=0
  trap 'exit 143' TERM INT HUP
  for part; do
    "$0" "$part" || status=1
  done
  exit "$status"
}

# parts_side_by_side PART...: the same, all at once, for parts that mostly wait. Their lines come
# when they have ended, part by part.
parts_side_by_side() {
  local part status=0 i pids=() said
  said=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$said'" EXIT
  trap 'wait; exit 143' TERM INT HUP
  for part; do
    "$0" "$part" >"$said/${#pids[@]}" 2>&1 &
    pids+=($!)
  done
  for i in "${!pids[@]}"; do
    wait "${pids[i]}" || status=1
    cat "$said/$i"
  done
  exit "$status"
}

skip() {
  printf 'SKIP %s %s\n' "$1" "$2"
}

# The last line of a script.
finish() {
  ((failed_cases == 0))
}
