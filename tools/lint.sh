#!/usr/bin/env bash
# Everything about the source that needs no running program: format, layout, shell, clang-tidy.
#
#   tools/lint.sh [--budget SECONDS] [--product] [format|layout|shell|tidy ...]
#
# Without a name: all. Prints `PASS name` or `FAIL name` for each, with the findings above it.
# clang-tidy needs a configured build folder (build, or $HEADGATE_BUILD); with a budget it looks at
# what changed last and leaves the rest for another time, with --product at all but the tests.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$repository"

build_dir=${HEADGATE_BUILD:-$repository/build}
failed=0

# Tracked and new files; an unpacked archive has no list, and every file counts.
source_files() {
  local name
  { git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null || find_files "$@"; } |
    while read -r name; do if [[ -f $name ]]; then printf '%s\n' "$name"; fi; done | sort -u
}

find_files() {
  local pattern
  for pattern; do
    find . -path './build*' -prune -o -path "./$pattern" -print | sed 's,^\./,,'
  done
}

verdict() {
  local name=$1
  shift
  if "$@"; then
    printf 'PASS %s\n' "$name"
  else
    printf 'FAIL %s\n' "$name"
    failed=1
  fi
}

check_format() {
  local files
  mapfile -t files < <(source_files '*.cpp' '*.h')
  clang-format-19 --dry-run -Werror "${files[@]}"
}

check_shell() {
  local files
  mapfile -t files < <(source_files '*.sh' .ci/run)
  shellcheck "${files[@]}"
}

check_tidy() {
  "$repository/tools/tidy.py" --build "$build_dir" "${tidy_options[@]}"
}

tidy_options=()
while [[ ${1:-} == --* ]]; do
  case $1 in
    --budget)
      (($# >= 2)) || fail '--budget needs a number of seconds'
      tidy_options+=("$1" "$2")
      shift
      ;;
    --product) tidy_options+=("$1") ;;
    *) fail "unknown option '$1': --budget SECONDS or --product" ;;
  esac
  shift
done
if (($# == 0)); then set -- format layout shell tidy; fi
for name; do
  case $name in
    format) verdict clang-format check_format ;;
    layout) "$repository/tools/check_layout.py" || failed=1 ;;
    shell) verdict shellcheck check_shell ;;
    tidy) verdict clang-tidy check_tidy ;;
    *) fail "unknown check '$name': one of format, layout, shell, tidy" ;;
  esac
done
exit "$failed"
