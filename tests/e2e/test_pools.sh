#!/usr/bin/env bash
# Who of a service's backends serves: backup pools by priority, quorum with its commands and mails,
# panic, inhibit_on_failure, slow start, weights by script, what counts before the first result, and
# checks that traffic itself hurries. Servers are healthy while a file of theirs is there.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin two-arm 3
start_servers
health=$testbed_dir/health
mkdir "$health"
chmod 755 "$testbed_dir" "$health"

# A check's status is what stands in the file of the backend's name.
cat >"$health/check.sh" <<SH
#!/bin/sh
read -r status <"$health/\$1" || exit 1
exit "\$status"
SH
cat >"$health/notify.sh" <<SH
#!/bin/sh
echo "\$@" >>"$health/told"
SH
chmod 755 "$health"/*.sh
: >"$health/told"
set_health() { # NAME STATUS...: of the servers in turn
  local name=$1 i=0 status
  shift
  for status; do
    i=$((i + 1))
    echo "$status" >"$health/$name-$i.new"
    mv "$health/$name-$i.new" "$health/$name-$i"
  done
}

start_on gate mails /usr/bin/python3 -u -m aiosmtpd -n -l 127.0.0.1:2525 \
  -c aiosmtpd.handlers.Debugging stdout
ready_or_fail 'the mail server' mails listens gate tcp 2525

# pool NAME PORT KEYS BACKEND_KEYS...: a service with a server for each of the last arguments, as
# the pool_* say.
pool() {
  local name=$1 i=0 keys
  cat <<YAML
  - name: $name
    address: $vip4
    port: $2
    mode: fullnat
    scheduler: wrr
$(printf '    %s\n' "$3")
    backends:
YAML
  shift 3
  for keys; do
    i=$((i + 1))
    cat <<YAML
      - address: ${server4[i - 1]}
        port: ${pool_port:-80}
        checks: [{type: script, interval_ms: 200, timeout_ms: 5000,
          ${pool_check:-retries: 0, warmup_ms: 0},
          script: {command: "$health/check.sh $name-$i"${pool_script:-}}}]
        ${keys:-weight: 1}
YAML
  done
}
{
  pool backup 8001 '' '' '' 'priority: 1'
  pool quorum 8002 "quorum: 2
    quorum_hysteresis: 1
    sorry_server: {address: ${server4[2]}, port: 80}
    notify: {quorum_up: $health/notify.sh quorum reached,
      quorum_down: $health/notify.sh quorum lost, any: $health/notify.sh, mail: on}" \
    'weight: 2' 'weight: 2'
  pool panic 8003 'panic_percent: 50' '' '' ''
  pool_port=7000 pool inhibit 8004 'inhibit_on_failure: on' '' ''
  pool slow 8005 'slow_start_s: 5' 'weight: 100' 'weight: 100'
  pool_script=', dynamic_weight: on' pool weights 8006 '' 'weight: 2' 'weight: 2'
  pool_check='start: down, warmup_ms: 3600000' pool late 8007 '' '' ''
  pool_check='first_failure_decides: on, warmup_ms: 0, retry_delay_ms: 99, retries: 999, fall: 9' \
    pool first 8008 '' '' ''
  cat <<YAML
  - name: passive
    address: $vip4
    port: 8009
    mode: nat
    scheduler: rr
    checks: [{type: tcp, interval_ms: 60000, warmup_ms: 0, timeout_ms: 500, retries: 1,
      retry_delay_ms: 100}]
    passive: {failures: 3, window_ms: 5000}
    backends:
$(printf '      - {address: %s, port: 7000}\n' "${server4[@]}")
YAML
} >"$testbed_dir/services"
# FULLNAT: in NAT, connections of two services to the same server may have the same 4-tuple there, and
# the second is refused.
gate_more="forwarding: {local_addresses: [10.2.0.200-10.2.0.203]}
vrrp:
  script_user: root
  mail: {server: 127.0.0.1:2525, from: gate@example.com, to: [ops@example.com]}
"
configure <"$testbed_dir/services" >"$(gate_config)"
for name in backup panic late; do set_health "$name" 0 0 0; done
for name in quorum inhibit slow weights; do set_health "$name" 0 0; done
set_health first 0 1
start_gate

# of SERVICE FIELD: the field of its backends in turn, the sorry server's as the last.
of() { ask show backends "$1" "[.rows[].$2] | join(\" \")"; }
is_of() { is "$(of "$1" "$2")" "$3"; }
comes_of() {
  wait_for 10 is_of "$@" || { is_of "$@" || { hg show backends "$1" && return 1; }; }
}
service_is() { is "$(ask show services "$1" ".rows[0].$2")" "$3"; }

check_gate 'all of a pool are up' comes_of backup state 'up up up'

# ---- before the first result, and at it
check 'start: down serves nobody before the first result' is_of late use 'out out'
check 'who is asked out of turn' hg backend check late "${server4[1]}"
check_gate 'is up with that' comes_of late use 'out serves'
check 'and serves' web_is 'rs2 3' "$vip4" 8007 3
check_gate 'the very first failure decides' comes_of first state 'up down'
set_health first 1 1
failures_are_counted() {
  local progress
  progress=$(ask show checks first '.rows[0].progress')
  [[ $progress =~ ^([0-9]+)\ of\ 9000\  ]] && ((BASH_REMATCH[1] >= 5))
}
check_gate 'later ones are counted' wait_for 10 failures_are_counted
check 'and decide nothing until they are enough' is_of first state 'up down'

# ---- pools
check 'the second pool waits' is_of backup use 'serves serves standby'
check 'the first serves' web_is 'rs1 5 rs2 5' "$vip4" 8001 10
set_health backup 1 0 0
check_gate 'one of the first pool is down' comes_of backup use 'out serves standby'
check 'the other has all' web_is 'rs2 10' "$vip4" 8001 10
set_health backup 1 1 0
check_gate 'the second pool steps in' comes_of backup use 'out out serves'
check 'and serves' web_is 'rs3 10' "$vip4" 8001 10
set_health backup 0 1 0
check_gate 'and steps back' comes_of backup use 'serves out standby'
check 'the first serves again' web_is 'rs1 10' "$vip4" 8001 10

# ---- quorum
check 'with its quorum the backends serve' is_of quorum use 'serves serves standby'
set_health quorum 1 0
check_gate 'half of the weight is enough' comes_of quorum use 'out serves standby'
check 'the quorum is not lost' service_is quorum quorum true
set_health quorum 1 1
check_gate 'nothing is not: the sorry server' comes_of quorum use 'out out serves'
check 'serves' web_is 'rs3 10' "$vip4" 8002 10
set_health quorum 0 1
check_gate 'with one of them back, it needs one more' comes_of quorum use 'standby out serves'
set_health quorum 0 0
check_gate 'with the other it is reached' comes_of quorum use 'serves serves standby'
check 'and they serve' web_is 'rs1 5 rs2 5' "$vip4" 8002 10
vs="VS [$vip4]:tcp:8002"
rs1="RS [${server4[0]}]:tcp:80 [$vip4]:tcp:8002" rs2="RS [${server4[1]}]:tcp:80 [$vip4]:tcp:8002"
all_told() {
  is "$(<"$health/told")" "$(printf '%s\n' "$rs1 DOWN" "$rs2 DOWN" 'quorum lost' "$vs DOWN" \
    "$rs1 UP" "$rs2 UP" 'quorum reached' "$vs UP")"
}
told_in_time() { wait_for 5 all_told || all_told; }
check_gate 'commands were told, in order' told_in_time
# mails: backends and service of each mail, in order.
mails_are() {
  is "$(sed -n 's/^Subject: \[headgate\] //p' "$testbed_dir/mails.log")" "$(printf '%s\n' \
    "Realserver [${server4[0]}]:tcp:80 of virtual server [$vip4]:tcp:8002 - DOWN" \
    "Realserver [${server4[1]}]:tcp:80 of virtual server [$vip4]:tcp:8002 - DOWN" \
    "Virtual server [$vip4]:tcp:8002 - DOWN" \
    "Realserver [${server4[0]}]:tcp:80 of virtual server [$vip4]:tcp:8002 - UP" \
    "Realserver [${server4[1]}]:tcp:80 of virtual server [$vip4]:tcp:8002 - UP" \
    "Virtual server [$vip4]:tcp:8002 - UP")"
}
mails_in_time() { wait_for 10 mails_are || mails_are; }
check_gate 'a mail for each, in order' mails_in_time

# ---- panic
set_health panic 1 0 0
check_gate 'one of three is out' comes_of panic use 'out serves serves'
set_health panic 1 1 0
check_gate 'two of three: all are used' comes_of panic use 'serves serves serves'
check 'down as they are' is_of panic state 'down down up'
check 'they serve' web_is 'rs1 3 rs2 3 rs3 3' "$vip4" 8003 9
check 'and it is shown' service_is panic panic true
set_health panic 1 0 0
check_gate 'with two it is over' comes_of panic use 'out serves serves'

# ---- inhibit_on_failure
start_on client hold "$peer" hold "$vip4" 8004 4
hold_pid=$started_pid
check_gate 'connections to both' wait_for 5 grep -qx 'holding rs1 2 rs2 2' "$testbed_dir/hold.log"
set_health inhibit 1 0
check_gate 'a server that is down stays with weight 0' comes_of inhibit use 'inhibited serves'
check 'as is shown' is_of inhibit effective_weight '0 1'
check_gate 'it gets nothing new' peer_is 'rs2 6' lines "$vip4" 8004 6
rounds() { grep -c '^round ' "$testbed_dir/hold.log"; }
has_rounds() { (($(rounds) >= $1)); }
check 'its connections go on' wait_for 5 has_rounds $(($(rounds) + 5))
kill -TERM "$hold_pid"
wait_for 5 are_gone "$hold_pid" || true
check 'to their own end' grep -q '^held ' "$testbed_dir/hold.log"
set_health inhibit 0 0
check_gate 'and it is back' comes_of inhibit use 'serves serves'

# ---- weights
weights_go_up() {
  local before=0 now lowest=100
  local deadline=$((SECONDS + 20))
  while ((SECONDS < deadline)); do
    now=$(ask show backends slow '.rows[0].effective_weight')
    ((now >= before)) || { echo "$before was followed by $now" && return 1; }
    if ((now > 0 && now < lowest)); then lowest=$now; fi
    before=$now
    if ((now == 100)); then break; fi
    sleep 0.1
  done
  ((lowest <= 50 && now == 100)) || { echo "from $lowest to $now" && return 1; }
}
set_health slow 1 0
check_gate 'one with slow start is down' comes_of slow effective_weight '0 100'
set_health slow 0 0
check_gate 'up again, it gets its weight bit by bit' weights_go_up

check 'scripts that say 0 leave the weights' web_is 'rs1 4 rs2 4' "$vip4" 8006 8
set_health weights 8 0
check_gate 'a script says 6' comes_of weights effective_weight '6 2'
check 'the scheduler heeds it' web_is 'rs1 6 rs2 2' "$vip4" 8006 8
set_health weights 2 0
check_gate 'it says 0' comes_of weights effective_weight '0 2'
check 'and that too' web_is 'rs2 4' "$vip4" 8006 4
set_health weights 1 0
check_gate 'it fails' comes_of weights state 'down up'
set_health weights 0 0
check_gate 'it is well again' comes_of weights effective_weight '2 2'

# ---- what traffic tells
check_gate 'three are up' comes_of passive state 'up up up'
# Connections that fail are what is looked for.
connect_often() {
  local i clients=()
  for i in {1..12}; do
    # So long that it repeats its SYN twice.
    on client timeout 4 bash -c "exec 3<>/dev/tcp/$vip4/8009" 2>/dev/null &
    clients+=($!)
  done
  wait "${clients[@]}" || true
}
down_by_traffic() {
  local deadline=$((SECONDS + $1))
  while ((SECONDS < deadline)); do
    connect_often
    if is_of passive state "$2" >/dev/null; then return; fi
  done
  is_of passive state "$2"
}
on rs1 fuser -k -TERM -s -n tcp 7000
check_gate 'one that refuses is down long before its check is due' down_by_traffic 20 'down up up'
on rs2 nft -f - <<'NFT'
table inet shut {
  chain in { type filter hook input priority -10; tcp dport 7000 drop; }
}
NFT
check_gate 'and one that is silent' down_by_traffic 30 'down down up'
check 'the third serves' peer_is 'rs3 4' lines "$vip4" 8009 4

check_gate 'every packet has one verdict' sum_rule_holds
check_here 'clean end' stop_gate
finish
