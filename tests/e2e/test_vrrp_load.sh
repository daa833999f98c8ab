#!/usr/bin/env bash
# A master at 100 ms whose control thread is kept busy: reloads of 40,000 backends, listings of all of
# them, a flood on the wire. The other box, which would take
# over after 361 ms without an advert, never does. How late the worst advert was is printed.
# seconds: 240
set -euo pipefail
# shellcheck source=tests/e2e/vrrp_rig.sh
source "$(dirname "$0")/vrrp_rig.sh"

hg_patience=60s
readonly services=200 backends_each=200
vip=10.1.0.80

# gate1 PRIORITY SERVICES
gate1() {
  local service backend
  cat <<YAML
daemon:
  run_dir: $testbed_dir/gate1-run
  file_prefix: $testbed_id-gate1
  idle: adaptive
memory: {huge_pages: none, max_services: 1024, max_backends: 65536}
connections: {max_ipv4: 65536, max_ipv6: 1024}
ports:
  - {name: wan, interface: net0, driver: af_packet, queues: 1, twin: {addresses: [10.1.0.1/24]}}
vrrp:
  instances:
    - name: VI_1
      interface: wan
      virtual_router_id: 51
      priority: 150
      advert_interval_ms: 100
      addresses: [{address: $vip/32}]
services:
YAML
  for ((service = 1; service <= $1; service++)); do
    printf '  - {name: s%d, address: %s, port: %d, mode: dr, scheduler: mh, backends: [' \
      "$service" "$vip" "$service"
    for ((backend = 1; backend <= backends_each; backend++)); do
      printf '{address: 10.1.%d.%d}, ' $((service % 250 + 1)) "$backend"
    done
    printf ']}\n'
  done
}

vrrp_begin r2
add_host gate1
plug gate1 net0 lan1 10.1.0.1
boxes=(gate1 r2)
box_role[gate1]=headgate
gate1 1 >"$testbed_dir/few.yaml"
gate1 "$services" >"$testbed_dir/many.yaml"
cp "$testbed_dir/few.yaml" "$testbed_dir/gate1.yaml"
box r2 headgate <<YAML
vrrp:
  instances:
    - {name: VI_1, interface: eth0, virtual_router_id: 51, priority: 100, advert_interval_ms: 100,
       addresses: [{address: $vip/32}]}
YAML
# Not the flood: a capture that cannot keep up would show gaps that are none.
start_capture switch lan1 "$testbed_dir/lan.pcap" 'ip proto 112 and src host 10.1.0.1'
start_box gate1
is_master() {
  is "$(instance_on gate1 VI_1 .state)" master
}
check 'the box with the port is master' wait_for 10 is_master
start_box r2

# ---- what keeps the control thread busy

reloads() {
  for _ in 1 2 3; do
    hg_on gate1 reload "$testbed_dir/many.yaml" >/dev/null || return 1
    hg_on gate1 reload "$testbed_dir/few.yaml" >/dev/null || return 1
  done
  hg_on gate1 reload "$testbed_dir/many.yaml" >/dev/null
}
cat >"$testbed_dir/flood.py" <<'PY'
"""Broadcast ARP questions and VRRP look-alikes, as fast as it goes, for so many seconds."""
import socket
import sys
import time

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
source = bytes.fromhex("020010010050")
arp = (b"\xff" * 6 + source + bytes.fromhex("0806000108000604000102001001005000000a0100fa"
       "0000000000000a0100fb")).ljust(60, b"\0")


def with_checksum(header):
    total = sum(int.from_bytes(header[i:i + 2], "big") for i in range(0, len(header), 2))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + (0xFFFF - (total & 0xFFFF) - (total >> 16)).to_bytes(2, "big") + header[12:]


# Priority 200, but its own checksum is wrong.
vrrp = (bytes.fromhex("01005e000012") + source + bytes.fromhex("0800")
        + with_checksum(bytes.fromhex("45c0002000010000ff7000000a0100fae0000012"))
        + bytes.fromhex("3133c801000a12340a010050")).ljust(60, b"\0")
end = time.monotonic() + float(sys.argv[1])
sent = 0
while time.monotonic() < end:
    for frame in (arp, vrrp) * 16:
        try:
            wire.send(frame)
            sent += 1
        except OSError:  # the queue is full
            time.sleep(0.001)
print(sent)
PY
listings() {
  while hg_on gate1 --json show backends >/dev/null 2>&1; do :; done
}

start_on client flood /usr/bin/python3 "$testbed_dir/flood.py" 15
flood_pid=$started_pid
listings &
first=$!
listings &
second=$!
check 'seven reloads between 200 and 40,000 backends are made' reloads
check 'the flood ended' wait_for 30 are_gone "$flood_pid"
kill "$first" "$second" 2>/dev/null || true
printf 'note: %s frames of the flood\n' "$(tail -n 1 "$testbed_dir/flood.log")"

all_are_there() {
  is "$(hg_on gate1 --json show backends | jq '.rows | length')" \
    $((services * backends_each))
}
check 'all backends are there' all_are_there
check 'the master was it all the time' is "$(instance_on gate1 VI_1 .became_master)" 1
check 'the other box never was' is "$(instance_on r2 VI_1 .became_master)" 0
discarded() {
  (($(instance_on gate1 VI_1 '.discards.checksum // 0') > 0))
}
check 'adverts with a wrong checksum were counted' discarded
printf 'note: the worst advert was %s us late, %s were late by more than half an interval\n' \
  "$(instance_on gate1 VI_1 .worst_lateness_us)" "$(instance_on gate1 VI_1 .late_adverts)"
capture_says lan adverts | awk '{if (last && $1 - last > longest) longest = $1 - last
    last = $1; number++}
  END {printf "note: %d adverts, the longest time between two %.3f s\n", number, longest}'
check_here 'the master ends cleanly' stop_box gate1
check_here 'the other one ends cleanly' stop_box r2
finish
