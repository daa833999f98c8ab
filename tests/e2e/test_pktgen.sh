#!/usr/bin/env bash
# The bed of tools/pktgen with vdevs in place of NICs: dpdk-testpmd on both sides of headgated, each
# over a memif. In each mode headgate's counters are what the generators sent and received.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

bed=$repository/tools/pktgen/bed.sh
gate_mac=00:01:02:03:04:01  # where flowgen sends to
client_mac=02:00:00:00:00:50 server_mac=02:00:00:00:02:01

if ! command -v dpdk-testpmd >/dev/null; then
  skip 'testpmd on both sides' 'no dpdk-testpmd here (Debian: dpdk-dev)'
  exit
fi
testbed_begin one-arm 1
# What a twin sends of its own accord is in nobody's sums.
# shellcheck disable=SC2016  # the inner shell expands it
on gate bash -c 'for scope in all default; do
  echo 1 >/proc/sys/net/ipv6/conf/$scope/disable_ipv6
done'

# memif ROLE SIDE: one end of a cable.
memif() {
  local number=0
  if [[ $2 == lan ]]; then number=1; fi
  printf 'net_memif%s,role=%s,id=%s,socket=%s,socket-abstract=no,rsize=12' \
    "$number" "$1" "$number" "$testbed_dir/$2.sock"
}

# The bed's configuration, with what a small machine needs besides.
bed_config() {
  cat <<YAML
daemon: {run_dir: $(gate_run_dir), file_prefix: $testbed_id, idle: adaptive, log_level: debug}
workers: {cores: $(cores 1)}
memory: {huge_pages: none, max_services: 256, max_backends: 1024}
connections: {max_ipv4: 65536, max_ipv6: 65536}
YAML
  "$bed" config "$1" "vdev: \"$(memif server wan),mac=$gate_mac\"" \
    "vdev: \"$(memif server lan)\"" --no-ipv6
}

neighbours_are_known() {
  [[ $(ask show neighbours "[.rows[] | select(.mac == \"$client_mac\" or .mac == \"$server_mac\")]
    | length") == 5 ]]
}

# start_testpmd LOG SIDE ROLE [OPTION...]
start_testpmd() {
  start_on client "$1" "$repository/tools/pktgen/testpmd.sh" "$3" --cores any \
    --vdev "$(memif client "$2")" --eal "--no-huge -m 128 --file-prefix $testbed_id-$1" "${@:4}"
}
forwards() { grep -q 'packet forwarding - ports=' "$testbed_dir/$1.log"; }
ends_well() {
  wait "$2" || { tail -n 20 "$testbed_dir/$1.log" && return 1; }
}

# counted LOG sent|received: by testpmd's last line.
counted() {
  awk -v word="$2" '/^testpmd: / {for (i = 1; i < NF; i++) if ($i == word) print $(i + 1)}' \
    "$testbed_dir/$1.log"
}
verdict() {
  ask show stats "[.result.verdicts[] | select(.verdict == \"$1\") | .count] | add // 0"
}
# in.received, out.sent, ...
total() { ask show stats ".result.$1"; }
connections_of() {
  ask show services "[.rows[] | select(.name | startswith(\"$1\")) | .connections] | add"
}

declare -A before=()
remember() {
  before=([received]=$(total in.received) [sent]=$(total out.sent) [dropped]=$(total out.dropped)
    [full]=$(drops_of drop_tx_full) [forwarded]=$(verdict "sent_$1") [replied]=$(verdict "sent_$1_reply"))
}
# since NAME NOW
since() { echo $(($2 - before[$1])); }

# between_testpmds SERVER_ROLE CLIENT_ROLE [OPTION...]: until all has arrived.
between_testpmds() {
  local server client
  rm -f "$testbed_dir"/{server,client}.log
  start_testpmd server lan "$1"
  server=$started_pid
  ready_or_fail "testpmd as $1" server forwards server
  start_testpmd client wan "${@:2}"
  client=$started_pid
  ends_well client "$client" || return 1
  kill -TERM "$server"
  ends_well server "$server"
}

# counters_agree OF MODE: after a run, by both sides' own counters.
counters_agree() {
  local of=$1 mode=$2 client_sent client_got server_sent server_got
  client_sent=$(counted client sent) client_got=$(counted client received)
  server_sent=$(counted server sent) server_got=$(counted server received)
  check "$of: packets went through" test "$server_got" -ge 256
  check_gate "$of: received is what both sides sent" \
    is "$(since received "$(total in.received)")" $((client_sent + server_sent))
  check_gate "$of: sent is what both sides got" \
    is "$(since sent "$(total out.sent)")" $((client_got + server_got))
  check_gate "$of: forwarded is what the servers' side got" \
    is "$(since forwarded "$(verdict "sent_$mode")")" "$server_got"
  check_gate "$of: replies are what the client's side got" \
    is "$(since replied "$(verdict "sent_${mode}_reply")")" "$client_got"
  check_gate "$of: the rest found a full queue, and nothing else" \
    is "$(since dropped "$(total out.dropped)")" "$(since full "$(drops_of drop_tx_full)")"
  check_gate "$of: every packet has one verdict" sum_rule_holds
}

for mode in "${modes[@]}"; do
  bed_config "$mode" >"$(gate_config)"
  start_gate
  on gate "$bed" neighbours "$client_mac" "$server_mac"
  check_gate "$mode: the bed's neighbours are known" wait_for 10 neighbours_are_known
  # Where replies come back through headgate, the servers' side sends them.
  server=sink
  if [[ $mode == nat || $mode == fullnat ]]; then server='echo'; fi
  clients=('burst --packets 6400 --seconds 1' 'flowgen --seconds 0.5')
  # To headgate the same as burst: once is enough.
  if [[ $mode == dr ]]; then clients+=('txonly --seconds 0.5'); fi
  for client in "${clients[@]}"; do
    read -ra role <<<"$client"
    of="$mode, ${role[0]}"
    if [[ ${role[0]} != flowgen ]]; then role+=(--peer "$gate_mac"); fi
    remember "$mode"
    check_here "$of: testpmd on both sides ends well" between_testpmds "$server" "${role[@]}"
    counters_agree "$of" "$mode"
  done
  check "$mode: txonly and burst make 256 flows" is "$(connections_of load4)" 256
  check "$mode: flowgen makes one to each VIP" is "$(connections_of flowgen)" 4
  check_here "$mode: clean end" stop_gate
done
finish
