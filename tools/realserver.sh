#!/usr/bin/env bash
# Makes a machine a real server of DR or IPIP services: it holds the VIPs without answering ARP for
# them.
#
#   realserver.sh start [--ipip[=kernel|program]] [--director ADDRESS ...] VIP ...
#   realserver.sh stop [VIP ...]       without a VIP: all, and the machine is as it was before
#   realserver.sh status [VIP ...]     exit status 0 when everything is in place
#
# Each VIP goes on lo, as /32 or /128. For IPv4 arp_ignore=1 and arp_announce=2 keep ARP silent
# about it; IPv6 answers neighbour solicitations only for addresses of the interface they come in
# on, so nothing needs to be set.
#
#   --ipip         also take IPIP tunnels apart: by the kernel's tunl0, sit0 and ip6tnl0 where the
#                  kernel has them, else by headgate's program ipip_decap; =kernel or =program
#                  leaves no choice
#   --director A   take tunnels only from this address (may be repeated; ipip_decap only: with the
#                  kernel's devices use a firewall rule)
#   --state DIR    where to remember what to undo, default /run/headgate-realserver
#
# Can be run again at any time. Nothing survives a reboot: call it at boot, after the network is up.
# Needs root and `ip` (iproute2), nothing else.
set -euo pipefail

readonly arp_settings=(
  ipv4/conf/all/arp_ignore=1 ipv4/conf/lo/arp_ignore=1
  ipv4/conf/all/arp_announce=2 ipv4/conf/lo/arp_announce=2
)
readonly program_device=hgdecap0
state=/run/headgate-realserver

fail() {
  printf 'realserver.sh: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

# ---- addresses

family_of() {
  if [[ $1 == *:* ]]; then echo 6; else echo 4; fi
}

check_address() {
  [[ $1 != */* ]] || fail "'$1': give the address without a prefix length; it becomes a /32 or /128"
  # ip takes 10.1 for 10.1.0.0, so the dots are counted here and the numbers left to ip.
  if [[ $1 != *:* && ! $1 =~ ^([0-9]+\.){3}[0-9]+$ ]] ||
    ! ip "-$(family_of "$1")" route list exact "$1" >/dev/null 2>&1; then
    fail "'$1' is not an IPv4 or IPv6 address"
  fi
}

# The devices that hold the address.
devices_of() {
  ip -o "-$(family_of "$1")" address show to "$1" | awk '{print $2}'
}

length_of() {
  if [[ $1 == *:* ]]; then echo 128; else echo 32; fi
}

# Before anything is changed.
check_vip() {
  local devices
  devices=$(devices_of "$1")
  [[ -z $devices || $devices == lo ]] ||
    fail "$1 is on ${devices//$'\n'/ } already, where it answers ARP: take it off there first"
}

# ARP is silent by now. Duplicate address detection would find the director, which has the address
# too.
add_vip() {
  local options=()
  if [[ $1 == *:* ]]; then options=(nodad); fi
  if [[ -z $(devices_of "$1") ]]; then
    ip address add "$1/$(length_of "$1")" dev lo "${options[@]}" || fail "cannot put $1 on lo"
  fi
  grep -qxF "$1" "$state/vips" 2>/dev/null || printf '%s\n' "$1" >>"$state/vips"
}

remove_vip() {
  if [[ $(devices_of "$1") == lo ]]; then ip address del "$1/$(length_of "$1")" dev lo; fi
  if [[ -e $state/vips ]]; then
    local rest
    rest=$(grep -vxF "$1" "$state/vips" || true)
    printf '%s' "${rest:+$rest$'\n'}" >"$state/vips"
  fi
}

recorded_vips() {
  cat "$state/vips" 2>/dev/null || true
}

# ---- kernel settings

# set_sysctl PATH VALUE: remembers the value that was there before the first time.
set_sysctl() {
  local file=/proc/sys/net/$1 old
  old=$(<"$file")
  [[ $old != "$2" ]] || return 0
  grep -q "^$1=" "$state/sysctls" 2>/dev/null || printf '%s=%s\n' "$1" "$old" >>"$state/sysctls"
  printf '%s\n' "$2" >"$file" || fail "cannot set net/$1 to $2"
}

restore_sysctls() {
  local setting
  [[ -e $state/sysctls ]] || return 0
  while read -r setting; do
    # A device may have gone with its settings.
    if [[ -e /proc/sys/net/${setting%=*} ]]; then
      printf '%s\n' "${setting#*=}" >"/proc/sys/net/${setting%=*}"
    fi
  done <"$state/sysctls"
  rm "$state/sysctls"
}

silence_arp() {
  local setting
  for setting in "${arp_settings[@]}"; do
    set_sysctl "${setting%=*}" "${setting#*=}"
  done
}

# ---- tunnels

# The kernel's devices that receive tunnels from anyone, for the families of the VIPs.
kernel_devices() {
  local vips
  vips=$(recorded_vips)
  echo ip6tnl0
  if [[ $vips == *.* ]]; then echo tunl0; fi
  if [[ $vips == *:* ]]; then echo sit0; fi
}

device_exists() {
  [[ -e /sys/class/net/$1 ]] || ip link show dev "$1" >/dev/null 2>&1
}

# Loads the driver by asking for a device of its kind, which may exist already.
kernel_can() {
  local device kind
  for device in $(kernel_devices); do
    device_exists "$device" && continue
    case $device in
      tunl0) kind=ipip ;;
      sit0) kind=sit ;;
      ip6tnl0) kind=ip6tnl ;;
    esac
    ip link add name "$device" type "$kind" >/dev/null 2>&1 || true
    device_exists "$device" || return 1
  done
}

start_kernel_tunnels() {
  local device filter=0
  # The kernel takes the larger of `all` and the device's value: 2, the loose check, where `all` is
  # strict.
  [[ $(</proc/sys/net/ipv4/conf/all/rp_filter) == 0 ]] || filter=2
  for device in $(kernel_devices); do
    set_sysctl "ipv4/conf/$device/rp_filter" "$filter"
    [[ $(ip -o link show dev "$device") == *[\<,]UP[,\>]* ]] && continue
    ip link set dev "$device" up || fail "cannot set $device up"
    printf '%s\n' "$device" >>"$state/devices"
  done
}

find_program() {
  local folder candidate
  folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  for candidate in "${HEADGATE_BUILD:-$folder/../build}/tools/ipip_decap" "$folder/ipip_decap"; do
    if [[ -x $candidate ]]; then realpath "$candidate" && return; fi
  done
  command -v ipip_decap || fail "the program ipip_decap is not here: build it with
  meson setup build && ninja -C build tools/ipip_decap"
}

# Its id, if it runs; another program may have been given the number since.
program_id() {
  local id
  id=$(cat "$state/ipip_decap.pid" 2>/dev/null) || return 1
  [[ $(readlink "/proc/$id/exe" 2>/dev/null) == */ipip_decap* ]] && echo "$id"
}

# Starts it anew when it runs already: the VIPs may be others.
start_program() {
  local program arguments=(--device "$program_device") address
  program=$(find_program)
  stop_program
  while read -r address; do arguments+=(--vip "$address"); done <"$state/vips"
  if [[ -e $state/directors ]]; then
    while read -r address; do arguments+=(--director "$address"); done <"$state/directors"
  fi
  # 9 is the lock, which must not outlive this script.
  setsid "$program" "${arguments[@]}" </dev/null >"$state/ipip_decap.log" 2>&1 9>&- &
  echo $! >"$state/ipip_decap.pid"
  local i
  for ((i = 0; i < 100; i++)); do
    grep -q '^ready' "$state/ipip_decap.log" && return
    program_id >/dev/null || ((i < 5)) || break
    sleep 0.05
  done
  fail "ipip_decap did not start: $(cat "$state/ipip_decap.log")"
}

stop_program() {
  local id i
  id=$(program_id) || return 0
  kill "$id"
  for ((i = 0; i < 100; i++)); do
    program_id >/dev/null || break
    sleep 0.05
  done
  rm -f "$state/ipip_decap.pid"
}

start_tunnels() {
  if [[ $tunnels == kernel || ($tunnels == auto && ${#directors[@]} == 0) ]] && kernel_can; then
    # Both at once would deliver every packet twice.
    stop_program
    start_kernel_tunnels
  elif [[ $tunnels == kernel ]]; then
    fail "this kernel lacks one of the devices $(kernel_devices | tr '\n' ' '): use --ipip=program"
  else
    stop_kernel_tunnels
    start_program
  fi
}

stop_kernel_tunnels() {
  local device
  [[ -e $state/devices ]] || return 0
  while read -r device; do
    ip link set dev "$device" down 2>/dev/null || true
  done <"$state/devices"
  rm "$state/devices"
}

# ---- commands

start() {
  local vip
  (($#)) || fail "start needs at least one VIP (--help tells)"
  for vip; do check_vip "$vip"; done
  mkdir -p "$state"
  if [[ $* == *.* ]]; then silence_arp; fi
  for vip; do add_vip "$vip"; done
  if ((${#directors[@]})); then printf '%s\n' "${directors[@]}" >"$state/directors"; fi
  if [[ -n $tunnels ]]; then
    start_tunnels
  elif program_id >/dev/null; then
    fail "ipip_decap runs for the earlier VIPs: add --ipip so that it learns the new ones"
  fi
}

stop() {
  local vip vips=("$@")
  [[ -d $state || $# -gt 0 ]] || return 0
  (($#)) || mapfile -t vips < <(recorded_vips)
  for vip in "${vips[@]}"; do remove_vip "$vip"; done
  if [[ -n $(recorded_vips) ]]; then
    # It must not take packets for the address that is gone.
    if program_id >/dev/null; then start_program; fi
    return
  fi
  stop_program
  stop_kernel_tunnels
  restore_sysctls
  rm -rf "$state"
}

status() {
  local vip devices setting value bad=0 vips=("$@")
  (($#)) || mapfile -t vips < <(recorded_vips)
  ((${#vips[@]})) || { echo 'no VIP was started here' && return 1; }
  for vip in "${vips[@]}"; do
    devices=$(devices_of "$vip")
    if [[ $devices == lo ]]; then echo "$vip on lo"; else
      echo "$vip ${devices:+is on ${devices//$'\n'/ }, }not on lo alone"
      bad=1
    fi
  done
  for setting in "${arp_settings[@]}"; do
    [[ ${vips[*]} == *.* ]] || break
    value=$(<"/proc/sys/net/${setting%=*}")
    # The kernel takes the larger of `all` and the interface's value; lo's own is only tradition.
    [[ $setting == */lo/* || $value -ge ${setting#*=} ]] && continue
    echo "net/${setting%=*} is $value, not ${setting#*=}: this machine answers ARP for the VIPs"
    bad=1
  done
  if [[ -e $state/devices ]]; then echo "tunnels: $(tr '\n' ' ' <"$state/devices")"; fi
  if program_id >/dev/null; then
    echo "tunnels: ipip_decap, process $(program_id)"
  elif [[ -e $state/ipip_decap.pid ]]; then
    echo "tunnels: ipip_decap has ended: $(tail -n 1 "$state/ipip_decap.log")"
    bad=1
  fi
  return "$bad"
}

main() {
  local command=${1:-} vips=()
  # What the options say, for the functions above.
  tunnels='' directors=()
  case $command in
    start | stop | status) shift ;;
    -h | --help) usage && exit 0 ;;
    '') usage >&2 && exit 2 ;;
    *) fail "unknown command '$command': one of start, stop, status" ;;
  esac
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --ipip) tunnels=auto ;;
      --ipip=kernel | --ipip=program) tunnels=${1#*=} ;;
      --director | --state)
        (($# >= 2)) || fail "$1 needs a value"
        if [[ $1 == --state ]]; then state=$2; else directors+=("$2"); fi
        shift
        ;;
      -*) fail "unknown option '$1' (--help tells)" ;;
      *) vips+=("$1") ;;
    esac
    shift
  done
  command -v ip >/dev/null || fail "the command ip is not here: install iproute2"
  local address
  for address in "${vips[@]}" "${directors[@]}"; do check_address "$address"; done
  ((${#directors[@]} == 0)) || [[ $tunnels == auto || $tunnels == program ]] ||
    fail "--director needs --ipip=program: the kernel's devices take tunnels from anyone"
  if [[ $command == status ]]; then
    status "${vips[@]}"
    return
  fi
  ((EUID == 0)) || fail "$command needs root"
  # One at a time. The lock is on this file, so that none is left behind.
  exec 9<"${BASH_SOURCE[0]}"
  flock 9
  "$command" "${vips[@]}"
}

main "$@"
