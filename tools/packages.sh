#!/usr/bin/env bash
# Installs what headgate needs on Debian 12, and is the one list of it.
#
#   tools/packages.sh [--list | --missing] [build|run|test|demo|lint ...]
#
# Without a group: all of them. Does nothing, quickly, where everything is there; needs root else.
# No service is started, and those of nginx, iperf3 and keepalived are left disabled: the demo and
# the tests run these programs by themselves, in their own namespaces.
set -euo pipefail

# What a build with its tests needs.
build_packages=(
  g++ meson ninja-build ccache pkg-config
  libdpdk-dev libboost1.81-dev libyaml-cpp-dev libfmt-dev libcli11-dev libnl-route-3-dev libssl-dev
  libcurl4-openssl-dev libre2-dev libldns-dev
  libgtest-dev libgmock-dev
)
# What the built programs need, for a machine or an image that only runs them.
run_packages=(
  libfmt9 libyaml-cpp0.7 libnl-route-3-200 librte-meta-net librte-meta-bus librte-meta-mempool
  libcurl4 libre2-9 libldns3 libssl3 iproute2
)
# What the demo adds: real servers, a client, and eyes.
demo_packages=(nginx curl tcpdump ethtool python3)
# What the tests add to that.
test_packages=(
  libbenchmark-dev python3-scapy python3-yaml wrk iperf3 jq valgrind dpdk-dev lua5.4
  keepalived psmisc nftables openssl net-tools dnsmasq-base python3-aiosmtpd "${demo_packages[@]}"
)
# The compiler's run-time library is for the fuzz targets.
lint_packages=(
  git clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev shellcheck python3
)
# Only there for their programs; Debian would start them as services on installation.
service_packages=(nginx iperf3 keepalived)

readonly policy_file=/usr/sbin/policy-rc.d
readonly policy_mark='# headgate: tools/packages.sh, while it installs'

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

packages_of_group() {
  case $1 in
    build) printf '%s\n' "${build_packages[@]}" ;;
    run) printf '%s\n' "${run_packages[@]}" ;;
    demo) printf '%s\n' "${demo_packages[@]}" ;;
    test) printf '%s\n' "${test_packages[@]}" ;;
    lint) printf '%s\n' "${lint_packages[@]}" ;;
    *) fail "unknown group '$1': one of build, run, test, demo, lint" ;;
  esac
}

# Prints those of the given packages that are not installed.
missing_of() {
  local installed
  # dpkg-query's status is 1 when it does not know one of the names; what it knows it prints all the
  # same.
  installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null || true)
  local package
  for package in "$@"; do
    grep -qx "ii  *$package" <<<"$installed" || printf '%s\n' "$package"
  done
}

# Maintainer scripts ask policy-rc.d whether they may start a service. Where the machine has one, it
# stands.
forbid_service_starts() {
  remove_policy
  [[ -e $policy_file ]] && return
  trap remove_policy EXIT
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy_file"
  chmod 755 "$policy_file"
}

# Ours only: also one that a killed run left behind.
remove_policy() {
  if [[ -f $policy_file ]] && grep -qxF "$policy_mark" "$policy_file"; then rm -f "$policy_file"; fi
}

# A service that came with a package just installed would start at the next boot, and hold port 80.
disable_new_services() {
  command -v systemctl >/dev/null || return 0
  local package
  for package in "${service_packages[@]}"; do
    [[ " $* " == *" $package "* ]] || continue
    # --now needs a running systemd; without one the link that enables it goes all the same.
    systemctl disable --now "$package.service" >/dev/null 2>&1 ||
      systemctl disable "$package.service" >/dev/null 2>&1 || true
    printf 'the system service %s is left disabled (systemctl enable --now %s to use it)\n' \
      "$package" "$package"
  done
}

install() {
  command -v apt-get >/dev/null || fail "no apt-get here: install the equivalent of: $*"
  ((EUID == 0)) || fail "not root; run: sudo apt-get install --no-install-recommends $*"
  printf 'installing: %s\n' "$*"
  forbid_service_starts
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -q -y)
  # One stale or unreachable source must not stop an installation that the others can serve.
  "${apt[@]}" update </dev/null ||
    printf 'apt-get update had errors; going on with the lists there are\n' >&2
  # --no-remove: Debian's boost versions exclude each other, and another program's is not ours to
  # remove.
  "${apt[@]}" install --no-install-recommends --no-remove "$@" </dev/null ||
    fail "apt-get could not install: $*
  If it would have to remove packages (libboost1.74-dev excludes libboost1.81-dev), do that first."
  disable_new_services "$@"
}

main() {
  local action=install groups=()
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --list | --missing) action=${1#--} ;;
      -*) fail "unknown option '$1' (--help tells)" ;;
      *) groups+=("$1") ;;
    esac
    shift
  done
  ((${#groups[@]})) || groups=(build run test demo lint)

  local group names=() wanted missing
  for group in "${groups[@]}"; do
    names+=("$(packages_of_group "$group")")
  done
  mapfile -t wanted < <(printf '%s\n' "${names[@]}" | sort -u)
  if [[ $action == list ]]; then
    printf '%s\n' "${wanted[@]}"
    return
  fi
  if ! command -v dpkg-query >/dev/null; then
    fail "this is not Debian; headgate needs the equivalent of: ${wanted[*]}"
  fi
  mapfile -t missing < <(missing_of "${wanted[@]}")
  if ((${#missing[@]} == 0)); then return; fi
  if [[ $action == missing ]]; then
    printf '%s\n' "${missing[@]}"
    exit 1
  fi
  install "${missing[@]}"
}

main "$@"
