#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. The last line counts the cases:
# `N passed, N failed`, and `, N skipped` where so; the exit status is 0 when none failed.
#
#   tools/test.sh [--full] [--only PATTERN] [GROUP ...]
#
# Groups: lint build unit packet instructions race e2e tidy leftovers. Without one: all.
# --full adds the long runs. --only runs the tests whose name the pattern matches.
#
# As root it works in mount, process and network namespaces of its own: no process, namespace, mount
# or device outlives it, however it ends, and two runs do not meet. What the programs said is in
# build/test-logs.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repository"

own_namespaces=(--mount --pid --net --fork --kill-child --mount-proc)

# Ends with the status of the same script, run in the namespaces. unshare itself does not hand on
# signals; --pdeathsig and --kill-child see to it that nothing outlives this shell.
isolate() {
  export HEADGATE_TEST_ISOLATED=1
  setpriv --pdeathsig KILL unshare "${own_namespaces[@]}" "$repository/tools/test.sh" "$@" \
    </dev/null &
  wait_and_hand_on_signals $! first_child_of $!
}

first_child_of() {
  cat "/proc/$1/task/$1/children"
}

# wait_and_hand_on_signals PID COMMAND...: waits for the process; whoever asks this script to end
# asks the process that the command prints.
wait_and_hand_on_signals() {
  local process=$1 status=0
  shift
  # shellcheck disable=SC2064  # the arguments of now
  trap "kill -TERM \$($*) 2>/dev/null" TERM INT HUP
  wait "$process" || status=$?
  # A signal interrupts the wait, not the closing of what is waited for.
  while kill -0 "$process" 2>/dev/null; do
    wait "$process" || status=$?
  done
  return "$status"
}

# In the namespaces: an own /run, so that `ip netns`, DPDK and daemons leave nothing in the
# machine's, and the view of /sys that belongs to the network namespace.
furnish() {
  mount -t tmpfs headgate-test /run
  mkdir /run/netns
  mount --bind /run/netns /run/netns
  mount --make-shared /run/netns
  mount -t sysfs sysfs /sys
  ip link set lo up
}

if [[ -z ${HEADGATE_TEST_ISOLATED:-} ]]; then
  case " $* " in
    *' -h '* | *' --help '*) exec tools/run_tests.py --help ;;
  esac
  tools/packages.sh
  HEADGATE_TEST_RUN=$$-${EPOCHREALTIME/[.,]/}
  export HEADGATE_TEST_RUN
  if unshare "${own_namespaces[@]}" true 2>/dev/null; then
    isolate "$@"
    exit
  fi
  echo 'note: no namespaces of our own are allowed here; running on the machine itself'
else
  furnish
fi

TMPDIR=$(mktemp -d /tmp/headgate-test-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# In the namespaces this shell is the first process, and takes care of orphans.
tools/run_tests.py "$@" </dev/null &
wait_and_hand_on_signals $! echo $!
