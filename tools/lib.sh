# Small helpers that the scripts of this folder and the end-to-end tests share. Source it; it runs
# nothing.
# shellcheck shell=bash

# The names set here are for those who source this.
# shellcheck disable=SC2034
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' plain=''
fi

# Says what went wrong and ends the script.
fail() {
  printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
  exit 1
}

need_root() {
  ((EUID == 0)) || fail "needs root, for network namespaces: run it with sudo"
}

# wait_for SECONDS COMMAND [ARGUMENT...]: polls until the command succeeds; status 1 when time is
# up.
wait_for() {
  local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@" >/dev/null 2>&1; do
    ((${EPOCHREALTIME/[.,]/} < deadline)) || return 1
    sleep 0.05
  done
}

# The processes with these ids are gone; a zombie counts as gone, its parent will see to it. One with
# threads that still run does not: they hold its files.
are_gone() {
  local pid state threads
  for pid in "$@"; do
    # The name in parentheses may hold blanks; the state is the letter behind it.
    state=$(sed -n 's/.*) \([A-Za-z]\) .*/\1/p' "/proc/$pid/stat" 2>/dev/null) || continue
    threads=("/proc/$pid/task"/*)
    [[ -z $state || ($state == [ZX] && ${#threads[@]} -le 1) ]] || return 1
  done
}

# end_processes SECONDS PID...: SIGTERM, and SIGKILL for what has not gone after so many seconds.
end_processes() {
  local patience=$1
  shift
  (($#)) || return 0
  kill -TERM "$@" 2>/dev/null || true
  wait_for "$patience" are_gone "$@" && return 0
  kill -KILL "$@" 2>/dev/null || true
  wait_for 5 are_gone "$@"
}
