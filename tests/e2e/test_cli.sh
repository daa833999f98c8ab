#!/usr/bin/env bash
# headgate against a running daemon: each show command as table and as JSON, changes, refusals that
# say what to do, exit statuses, time-outs set at run time, and clients that get stuck.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
hold_vips "$vip4" "$vip6"
{
  services web dr tcp 80 80
  services echo dr udp 5353 5353
} | configure >"$(gate_config)"
socket=$(gate_run_dir)/headgate.sock

check 'without a daemon: status 3, and what to do' says "$socket" 3 hg show services
start_gate
on client "$peer" udp "$vip4" 5353 4 >/dev/null
web_answers "$vip4" 80 4 >/dev/null

# ---- show
declare -A shows=(
  ['show services']=web4 ['show backends']="${server4[0]}:80" ['show connections']="$client4"
  ['show ports']=wan ['show workers']=CORE ['show stats']='received from ports'
  ['show neighbours']="${server4[0]}" ['show config']='services:' [timeouts]=udp
  [version]=headgated ['show drops --all']=drop_tx_full
)
for command in "${!shows[@]}"; do
  read -ra words <<<"$command"
  check "$command" says "${shows[$command]}" 0 hg "${words[@]}"
  check "$command --json is JSON" is "$(hg --json "${words[@]}" | jq .code)" 0
done
check 'show drops' hg show drops
check 'show services of one' says echo4 0 hg show services echo4
check 'show backends of one' is "$(ask show backends web4 '.rows | length')" 2
check 'show connections of a service' is "$(ask show connections --service echo4 '.rows | length')" 4
check 'show connections with a limit' is "$(ask show connections --limit 3 '.rows | length')" 3
check 'show connections of a client' is \
  "$(ask show connections --client 10.1.0.0/24 '.rows | length')" 8
check 'show connections of another client' is \
  "$(ask show connections --client 10.7.0.0/16 '.rows | length')" 0
check 'show connections of a backend' is \
  "$(ask show connections --service echo4 --backend "${server4[1]}" '.rows | length')" 2
config_is_usable() {
  hg show config >"$testbed_dir/shown.yaml"
  "$build_dir/control/headgated" --check "$testbed_dir/shown.yaml"
}
check 'show config is a usable file' config_is_usable
check 'the environment names the socket' env HEADGATE_SOCKET="$socket" \
  "$build_dir/tools/headgate" version

# ---- changes
check 'service add' hg service add "$vip4:81" --mode fullnat --scheduler wrr --name second \
  --local-address 10.1.0.200
check 'backend add' hg backend add second "${server4[0]}:80" --weight 3
check_gate 'the new service works at once' web_is 'rs1 4' "$vip4" 81 4
check 'backend edit' hg backend edit second "${server4[0]}:80" --weight 7
check 'the weight is there' is "$(ask show backends second '.rows[0].weight')" 7
check 'backend drain' says 'takes no new connections' 0 hg backend drain second "${server4[0]}:80"
check 'a drained service refuses at once' web_fails "$vip4" 81
check 'backend delete' hg backend delete second "${server4[0]}:80"
check 'service edit' hg service edit second --scheduler mh --no-fallback
check 'the scheduler is there' is "$(ask show services second '.rows[0].scheduler')" mh
check 'service delete' hg service delete second
check 'it is gone' is "$(ask show services '.rows | length')" 4
check 'zero' hg zero echo4
check 'the counters are' is "$(ask show services echo4 '.rows[0].connections')" 0
check "the others' counters are not" is "$(ask show services web4 '.rows[0].connections')" 4
check 'reload' says 'nothing differs' 0 hg reload

# ---- refusals
check 'an unknown service' says 'headgate show services' 1 \
  hg service edit 192.0.2.1:80 --scheduler rr
check 'an unknown backend' says 'headgate show backends web4' 1 \
  hg backend delete web4 192.0.2.9
check 'a service that exists' says "$vip4:80/tcp" 1 hg service add "$vip4:80"
check 'a backend that exists' says "${server4[0]}:80" 1 hg backend add web4 "${server4[0]}"
check 'a family that does not fit' says "${server6[0]}" 1 hg backend add web4 "${server6[0]}"
check 'an unknown scheduler' says 'rr, wrr, lc' 1 hg service edit web4 --scheduler fair
check 'an unknown time-out gets the nearest one' says 'did you mean udp_s?' 1 hg timeouts set udq=3
check 'a FULLNAT service without backends needs no local addresses' \
  hg service add "$vip4:82" --mode fullnat
check 'with backends it does' says 'forwarding.local_addresses' 1 \
  hg backend add "$vip4:82" "${server4[0]}"
check 'nothing else has changed' says '10.1.0.80:82/tcp removed' 0 hg reload

# ---- usage
check 'no command' says 'one of show, service' 2 hg
check 'an unknown command' says 'no command "sho"; one of show, service' 2 hg sho
check 'a missing argument' says service 2 hg service add
check 'a number that is none' says 'x is no number' 2 hg show connections --limit x
check 'a time that is none' says 'is no time' 2 hg timeouts set udp=soon
check '--help' says 'Exit status' 0 hg --help

# ---- time-outs at run time
udp_connections() {
  is "$(ask show connections --service echo4 '.rows | length')" "$1"
}
on client "$peer" udp "$vip4" 5353 2 >/dev/null
check_gate 'UDP connections are there' wait_for 2 udp_connections 6
check 'timeouts set' hg timeouts set udp=2s tcp_close=1
check 'timeouts shows it' is "$(ask timeouts .result.timeouts.udp_s)" 2
check_gate 'they go within the new time' wait_for 15 udp_connections 0
check 'timeouts set back' hg timeouts set udp=5m
check_gate 'live counts are zero' is "$(ask show services echo4 '.rows[0] | .active + .inactive')" 0

# ---- clients that get stuck
cat >"$testbed_dir/stuck.py" <<'PYTHON'
import socket, struct, sys, time
request = b'{"command": "show connections"}'
held = []
for number in range(20):
    client = socket.socket(socket.AF_UNIX)
    client.connect(sys.argv[1])
    if number % 4 == 0:
        pass  # says nothing
    elif number % 4 == 1:
        client.sendall(b"HG\x01\x01\x00\x00")  # half a header
    elif number % 4 == 2:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    else:
        for _ in range(200):  # asks, and never reads
            try:
                client.settimeout(0.2)
                client.sendall(struct.pack("!2sBBI", b"HG", 1, 1, len(request)) + request)
            except OSError:
                break
    held.append(client)
print("stuck", flush=True)
time.sleep(30)
PYTHON
start_on gate stuck /usr/bin/python3 "$testbed_dir/stuck.py" "$socket"
ready_or_fail 'clients that get stuck' stuck grep -q stuck "$testbed_dir/stuck.log"
answers_soon() {
  local begin=${EPOCHREALTIME/[.,]/}
  hg show services >/dev/null
  # At once, next to clients that would be waited for much longer.
  ((${EPOCHREALTIME/[.,]/} - begin < 5000000))
}
check_gate 'others are answered at once' answers_soon
check_gate 'changes go through' hg backend edit web4 "${server4[0]}" --weight 2
check_gate 'traffic flows' web_answers "$vip4" 80 4
check_here 'the daemon ends next to them' stop_gate
finish
