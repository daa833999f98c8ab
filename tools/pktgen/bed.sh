#!/usr/bin/env bash
# headgate's side of the two-port bed: client side, headgate, server side. README.md draws it.
#
#   bed.sh config MODE WAN LAN [--vips N] [--no-ipv6]
#       a configuration for MODE (dr, nat, fullnat, ipip) on standard output. WAN and LAN are what
#       follows the port's name: 'pci: 0000:3b:00.0', 'vdev: "net_memif0,..."'
#   bed.sh neighbours CLIENT_MAC SERVER_MAC
#       what a generator does not answer: the neighbours of both twins, for good. As root, once
#       headgated runs
#
# Services, all with the servers 10.2.0.11 to 10.2.0.14 (fd00:2::11 ...):
#   198.18.0.80, fd00:18::80   udp 9 and tcp 80 for load, udp 1028 for Pktgen's latency probes
#   10.253.0.0 and on          udp 1001, as many as --vips says (4): what testpmd's flowgen sends to
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

ports() {
  local addresses6=() routes6='' wan=$1 lan=$2
  if [[ $ipv6 == yes ]]; then
    addresses6=(', "fd00:1::1/64"' ', "fd00:2::1/64"')
    routes6=$'\n        - {to: "fd00:18::/64", via: "fd00:1::50"}'
  fi
  cat <<YAML
ports:
  - name: wan
    $wan
    twin:
      addresses: [10.1.0.1/24${addresses6[0]:-}]
      routes:  # to the addresses that generators send from
        - {to: 198.18.0.0/16, via: 10.1.0.50}
        - {to: 10.254.0.0/16, via: 10.1.0.50}$routes6
  - name: lan
    $lan
    twin: {addresses: [10.2.0.1/24${addresses6[1]:-}]}
YAML
}

# service NAME ADDRESS PORT PROTOCOL SERVER_PREFIX [SERVER_PORT_OFFSET]
service() {
  local port=$3 i separator=''
  # Where the mode can change it, it does.
  if [[ $mode == nat || $mode == fullnat ]]; then port=$((port + ${6:-10000})); fi
  printf '  - {name: %s, address: "%s", port: %s, protocol: %s, mode: %s, scheduler: rr,\n' \
    "$1" "$2" "$3" "$4" "$mode"
  printf '     backends: ['
  for i in 1 2 3 4; do
    printf '%s{address: "%s1%s", port: %s}' "$separator" "$5" "$i" "$port"
    separator=', '
  done
  printf ']}\n'
}

config() {
  local vip vips=4
  (($# >= 3)) || fail 'config wants MODE, WAN and LAN (--help tells)'
  mode=$1 ipv6=yes
  local wan=$2 lan=$3
  shift 3
  while (($#)); do
    case $1 in
      --vips) vips=${2:?--vips wants a number} && shift ;;
      --no-ipv6) ipv6=no ;;
      *) fail "unknown option '$1' (--help tells)" ;;
    esac
    shift
  done
  case $mode in dr | nat | fullnat | ipip) ;; *) fail "unknown mode '$mode'" ;; esac
  ((vips >= 0 && vips <= 16384)) || fail "$vips VIPs: from 0 to 16384"
  ports "$wan" "$lan"
  if [[ $mode == fullnat ]]; then
    local more=''
    if [[ $ipv6 == yes ]]; then more=', "fd00:2::200-fd00:2::203"'; fi
    printf 'forwarding: {local_addresses: [10.2.0.200-10.2.0.203%s]}\n' "$more"
  fi
  printf 'services:\n'
  service load4 198.18.0.80 9 udp 10.2.0.
  service load4-tcp 198.18.0.80 80 tcp 10.2.0.
  service probes 198.18.0.80 1028 udp 10.2.0.
  if [[ $ipv6 == yes ]]; then
    service load6 fd00:18::80 9 udp fd00:2::
    service load6-tcp fd00:18::80 80 tcp fd00:2::
  fi
  for ((vip = 0; vip < vips; vip++)); do
    # A port of its own on the servers: flowgen's client is the same for all of them, and NAT has to
    # tell the replies apart.
    service "flowgen-$vip" "10.253.$((vip / 256)).$((vip % 256))" 1001 udp 10.2.0. $((20000 + vip))
  done
}

neighbours() {
  (($# == 2)) || fail 'neighbours wants the MAC addresses of the client and the server side'
  local i
  ip neigh replace 10.1.0.50 lladdr "$1" dev wan nud permanent
  for i in 1 2 3 4; do
    ip neigh replace "10.2.0.1$i" lladdr "$2" dev lan nud permanent
  done
  if [[ -z $(ip -6 address show dev wan) ]]; then return; fi
  ip neigh replace fd00:1::50 lladdr "$1" dev wan nud permanent
  for i in 1 2 3 4; do
    ip neigh replace "fd00:2::1$i" lladdr "$2" dev lan nud permanent
  done
}

case ${1:-} in
  config | neighbours) "$@" ;;
  -h | --help) usage ;;
  *) usage >&2 && exit 2 ;;
esac
