#!/usr/bin/env bash
# The kernel next door: who answers ARP, ND and ping for VIPs and for the host, services of the host
# behind the twin, and how soon routes and neighbours of the kernel count.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin routed 2
start_servers
hold_vips "$vip4" "$vip6"
# A server on the client's LAN, next to the two behind the router; it is not up yet.
add_host late
plug late eth0 lan1 10.1.0.60
ip -n "$testbed_id-late" link set eth0 down
start_web late
start_on client client-peer "$peer" serve client 7000
ready_or_fail 'the service of the client' client-peer listens client tcp 7000

lan_mac=$(on gate cat /sys/class/net/net0/address)
knows_gate_by() {
  is "$(ip -n "$testbed_id-client" neigh show "$1" | sed -n 's/.*lladdr \([^ ]*\).*/\1/p')" "$lan_mac"
}
# Services of the host, through the twin: bound to the twin's address and to all.
gate_line() {
  peer_is 'host 5' lines "$1" 2222 5
}
# Frames on the client's cable that match, since start_capture.
captured() {
  on client tcpdump -n -r "$testbed_dir/$1.pcap" 2>/dev/null | wc -l
}
one_answer_each() {
  local counted
  counted=$(captured "$1")
  is "$counted" "$2"
}
kernel() {
  ip -n "$testbed_id-gate" "$@"
}
reaches() {
  [[ $(web_answers "$@" 2>/dev/null) ]]
}

# Its cable may not pass frames at once.
announced_late_reaches() {
  on late "$peer" announce eth0 10.1.0.60
  reaches "$vip4" 81 1 --max-time 0.5
}

for gate_driver in af_xdp af_packet; do
  {
    service_section far "$vip4" 80 tcp fullnat '' \
      "{address: ${server4[0]}, port: 80}" "{address: ${server4[1]}, port: 80}"
    service_section far6 "$vip6" 80 tcp fullnat '' "{address: \"${server6[0]}\", port: 80}"
    service_section late "$vip4" 81 tcp fullnat '' "{address: 10.1.0.60, port: 80}"
  } | gate_more='forwarding: {local_addresses: [10.1.0.200, "fd00:1::200"]}' \
    configure >"$(gate_config)"
  ip -n "$testbed_id-late" link set eth0 down
  ip -n "$testbed_id-client" neigh flush all
  start_gate
  start_on gate host-peer "$peer" serve host 2222
  host_peer=$started_pid
  ready_or_fail 'the service of the host' host-peer listens gate tcp 2222

  # VIPs: workers answer.
  for vip in "$vip4" "$vip6"; do
    of="$gate_driver, $vip"
    check_gate "$of: a ping gets exactly one answer" on client "$peer" ping "$vip" 3
    check "$of: the VIP is at the port's MAC" knows_gate_by "$vip"
  done
  # The host: the kernel answers, through the twin, and the kernel beneath does not.
  rm -f "$testbed_dir"/*.pcap
  start_capture client eth0 "$testbed_dir/syn.pcap" \
    'src 10.1.0.1 and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0'
  syn_capture=$started_pid
  start_capture client eth0 "$testbed_dir/arp.pcap" "arp[6:2] = 2 and ether src $lan_mac"
  arp_capture=$started_pid
  ip -n "$testbed_id-client" neigh flush all
  for address in 10.1.0.1 fd00:1::1; do
    of="$gate_driver, host $address"
    check_gate "$of: a ping gets exactly one answer" on client "$peer" ping "$address" 3
    check_gate "$of: a service of the host answers" gate_line "$address"
  done
  end_processes 2 "$syn_capture" "$arp_capture"
  check "$gate_driver: one SYN-ACK to each SYN, no RST" one_answer_each syn 5
  check "$gate_driver: one ARP reply" one_answer_each arp 1
  check_gate "$gate_driver: the host reaches others through the twin" \
    on gate "$peer" ping "$client4" 2
  check_gate "$gate_driver: the host connects to others through the twin" \
    on gate "$peer" lines "$client4" 7000 5
  check_gate "$gate_driver: and over IPv6" on gate "$peer" lines "$client6" 7000 5
  end_processes 2 "$host_peer"

  # Routes of the kernel.
  check "$gate_driver: without a route there is no answer" web_fails "$vip4" 80
  check "$gate_driver: an IPv4 route" kernel route add 10.3.0.0/24 via 10.1.0.2
  check "$gate_driver: an IPv6 route" kernel route add fd00:3::/64 via fd00:1::2
  check_gate "$gate_driver: a route takes effect" wait_for 3 reaches "$vip4" 80 1 --max-time 1
  check_gate "$gate_driver: an IPv6 route takes effect" wait_for 3 reaches "$vip6" 80 1 --max-time 1
  check_gate "$gate_driver: and all backends answer" web_is 'rs1 5 rs2 5' "$vip4" 80 10
  check "$gate_driver: a blackhole route" kernel route replace blackhole 10.3.0.0/24
  check_gate "$gate_driver: a blackhole route takes effect" wait_for 3 web_fails "$vip4" 80 0.3
  check "$gate_driver: another route" kernel route replace 10.3.0.0/24 via 10.1.0.2
  check_gate "$gate_driver: and the route back" wait_for 3 reaches "$vip4" 80 1 --max-time 1

  # Neighbours of the kernel.
  check "$gate_driver: a neighbour set by hand" \
    kernel neigh replace 10.1.0.2 lladdr 02:00:00:00:00:99 dev wan nud permanent
  check_gate "$gate_driver: it takes effect" \
    wait_for 3 web_fails "$vip4" 80 0.3
  check "$gate_driver: it is deleted" kernel neigh delete 10.1.0.2 dev wan
  check_gate "$gate_driver: and is asked for when it is gone" \
    wait_for 3 reaches "$vip4" 80 1 --max-time 1

  # A server that was not there at start, and then moves to another network card.
  check "$gate_driver: a server that is not up does not answer" web_fails "$vip4" 81 1
  ip -n "$testbed_id-late" link set eth0 up
  check_gate "$gate_driver: it answers soon after it came up" \
    wait_for 5 reaches "$vip4" 81 1 --max-time 1
  ip -n "$testbed_id-late" link set eth0 down
  ip -n "$testbed_id-late" link set eth0 address 02:00:10:01:00:$((60 + ${#gate_driver}))
  ip -n "$testbed_id-late" link set eth0 up
  check_gate "$gate_driver: it answers soon with another MAC that it announces" \
    wait_for 5 announced_late_reaches
  check "$gate_driver: every packet has one verdict" sum_rule_holds
  check_here "$gate_driver: clean end" stop_gate
done
finish
