#!/usr/bin/env bash
# dpdk-testpmd (Debian: dpdk-dev) as generator, sink or echo beside headgate. README.md draws the bed
# and says what each role can and cannot do.
#
#   testpmd.sh ROLE (--pci ADDRESS | --vdev ARGUMENTS) [OPTION...]
#
# Client side, which ends by itself:
#   burst       --packets N (6400) to 198.18.0.80, then receives and counts for --seconds
#   txonly      the same stream for --seconds; receives nothing meanwhile
#   flowgen     one flow to each of --flows (4) VIPs from 10.253.0.0 on for --seconds, and receives
# Server side, which runs until SIGINT or SIGTERM:
#   sink        receives and counts
#   echo        sends everything back, addresses and ports swapped
#   macswap     the same, MAC addresses only
#
#   --peer MAC          of headgate's port, for burst and txonly; flowgen's is always
#                       00:01:02:03:04:01, by testpmd's own source
#   --seconds N         10; may have a fraction
#   --size BYTES        60: of a frame, without its checksum
#   --cores LIST        0,1: the first for testpmd's prompt, the others forward; `any`: two threads
#                       that share all cores, for a small machine
#   --eal 'OPTION...'   more for DPDK: '--no-huge -m 128'
#
# At the end one line says what the port did: "testpmd: sent 6400 received 0". What the port did not
# take is not in it (testpmd's own lines above say TX-dropped).
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

# testpmd's output, and at its end what the port counted. Notes when the link is up.
report() {
  local line word of_the_port=no sent='' received=''
  while IFS= read -r line; do
    printf '%s\n' "$line"
    read -r _ word _ <<<"$line"
    case $line in
      'Link status: up'*) : >"$notes/up" ;;
      *'NIC statistics for port'*) of_the_port=yes ;;
      *RX-packets:*) if [[ $of_the_port == yes ]]; then received=$word; fi ;;
      *TX-packets:*) if [[ $of_the_port == yes ]]; then sent=$word; fi ;;
    esac
  done
  [[ -n $sent && -n $received ]] || fail 'testpmd ended without its statistics'
  printf 'testpmd: sent %s received %s\n' "$sent" "$received"
}

role=${1:-}
case $role in
  burst | txonly | flowgen | sink | echo | macswap) shift ;;
  -h | --help) usage && exit ;;
  *) usage >&2 && exit 2 ;;
esac
device=() peer='' packets=6400 seconds=10 size=60 flows=4 cores=0,1 eal=()
while (($#)); do
  (($# >= 2)) || fail "$1 wants a value, or is unknown (--help tells)"
  case $1 in
    --pci) device=(--allow "$2") ;;
    --vdev) device=(--no-pci --vdev "$2") ;;
    --peer) peer=$2 ;;
    --packets) packets=$2 ;;
    --seconds) seconds=$2 ;;
    --size) size=$2 ;;
    --flows) flows=$2 ;;
    --cores) cores=$2 ;;
    --eal) read -ra eal <<<"$2" ;;
    *) fail "unknown option '$1' (--help tells)" ;;
  esac
  shift 2
done
((${#device[@]})) || fail 'which port? --pci ADDRESS or --vdev ARGUMENTS'
command -v dpdk-testpmd >/dev/null || fail 'no dpdk-testpmd here: apt-get install dpdk-dev'

burst_frames=32
if [[ $cores == any ]]; then
  all=$(awk '/^Cpus_allowed_list/ {print $2}' /proc/self/status)
  lcores=(--lcores "0@($all),1@($all)")
else
  lcores=(-l "$cores")
fi
# What 198.18.0.80 gets: UDP to port 9, from 256 addresses for each forwarding core.
stream=('--tx-ip=198.18.0.81,198.18.0.80' '--tx-udp=9,9' --txonly-multi-flow "--txpkts=$size")
start=start
case $role in
  burst)
    # testpmd sends whole bursts before it goes on with its mode.
    ((packets > 0 && packets % burst_frames == 0)) || fail "--packets: a multiple of $burst_frames"
    mode=(--forward-mode=rxonly "${stream[@]}")
    start="start tx_first $((packets / burst_frames))"
    ;;
  txonly) mode=(--forward-mode=txonly "${stream[@]}") ;;
  # flowgen takes the size with the frame's checksum.
  flowgen) mode=(--forward-mode=flowgen "--flowgen-flows=$flows" "--txpkts=$((size + 4))") ;;
  sink) mode=(--forward-mode=rxonly) ;;
  echo) mode=(--forward-mode=5tswap) ;;
  macswap) mode=(--forward-mode=macswap) ;;
esac
if [[ $role == burst || $role == txonly ]]; then
  [[ -n $peer ]] || fail "$role wants --peer, the MAC address of headgate's port"
  mode+=("--eth-peer=0,$peer")
fi

# In a session of its own: an interrupt is for this script, which stops it in order.
notes=$(mktemp -d)
trap 'rm -rf "$notes"; kill "${sleeping:-}" 2>/dev/null || true' EXIT
trap exit INT TERM
# A pipe by name and an ordinary job: bash sometimes waits without end for a process substitution
# that is over. report says whether it went well: testpmd may crash in its own clean-up, once its
# figures are told.
mkfifo "$notes/keys"
(
  set +o pipefail
  setsid stdbuf -oL dpdk-testpmd "${lcores[@]}" --no-telemetry --no-shconf \
    "${eal[@]}" "${device[@]}" -- --interactive --port-topology=loop --burst=$burst_frames \
    --total-num-mbufs=16384 "${mode[@]}" <"$notes/keys" 2>&1 | report
) &
testpmd=$!
exec {keys}>"$notes/keys"
server_side=no
case $role in sink | echo | macswap) server_side=yes seconds=infinity ;; esac
# A link that comes up while it sends would leave frames in no counter. Who only answers is there
# first.
has_link() {
  printf 'show port info all\n' >&"$keys"
  sleep 0.1
  [[ -e $notes/up ]]
}
[[ $server_side == yes ]] || wait_for 20 has_link || fail 'the link stays down'
sleep "$seconds" &
sleeping=$!
trap 'kill "$sleeping" 2>/dev/null || true' INT TERM
printf '%s\n' "$start" >&"$keys"
wait "$sleeping" || true
# What is still on its way back is counted as well.
printf 'stop\nset fwd rxonly\nstart\n' >&"$keys"
sleep 0.5
printf 'stop\nshow port stats all\nquit\n' >&"$keys"
exec {keys}>&-
wait "$testpmd"
