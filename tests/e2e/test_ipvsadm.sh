#!/usr/bin/env bash
# headgate-ipvsadm against a running daemon: the recorded commands and listings of the real one, saving
# and restoring, one transaction of many lines, hostile input, connections and counters of real
# requests, and what headgate has not.
# seconds: 90
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 2
start_servers
hold_vips "$vip4" "$vip6"
gate_more='forwarding: {local_addresses: [10.1.0.200]}'
printf '  []\n' | configure |
  sed 's/max_services: 256, max_backends: 1024/max_services: 2048, max_backends: 16384/' \
    >"$(gate_config)"
export HEADGATE_SOCKET
HEADGATE_SOCKET=$(gate_run_dir)/headgate.sock
mkdir "$testbed_dir/bin"
for name in ipvsadm ipvsadm-save ipvsadm-restore; do
  ln -s "$build_dir/tools/headgate-ipvsadm" "$testbed_dir/bin/$name"
done
PATH=$testbed_dir/bin:$PATH

# said STATUS TEXT COMMAND...: the command ends so, and says exactly this on standard error.
said() {
  local wanted_status=$1 wanted=$2 status=0 text
  shift 2
  text=$("$@" 2>&1 >/dev/null) || status=$?
  is "$status $text" "$wanted_status $wanted"
}
# shows TEXT COMMAND...: it succeeds, and prints exactly this.
shows() {
  local wanted=$1 text
  shift
  text=$("$@") || return
  is "$text" "$wanted"
}
# What went before may be reclaimed meanwhile, by a snapshot of its own.
few_snapshots() { (($1 >= 1 && $1 <= 3)) || { echo "$1 snapshots" && return 1; }; }
generation() { ask show stats .result.details.generation; }

no_daemon_is_one_sentence() {
  local status=0 text
  text=$(ipvsadm "$@" 2>&1) || status=$?
  is "$status $(wc -l <<<"$text")" '255 1' || return
  grep -qF "$HEADGATE_SOCKET: no daemon listens here" <<<"$text"
}
for words in -L -C -Z -S '-A -t 192.0.2.1:80' '-L -c' '-L --timeout' '--set 0 0 0'; do
  # shellcheck disable=SC2086
  check "without a daemon: $words" no_daemon_is_one_sentence $words
done
check 'without a daemon: wrong usage is found all the same' \
  said 2 'illegal virtual server address[:port] specified' ipvsadm -A -t bad
start_gate

# ---- as recorded
if ! "$repository/tests/e2e/ipvsadm_vectors.py" ipvsadm \
  "$repository/tests/packet/data/ipvs_vectors.json" >"$testbed_dir/vectors" 2>&1; then
  printf 'FAIL the recordings are played to their end\n' >>"$testbed_dir/vectors"
fi
cat "$testbed_dir/vectors"
failed_cases=$((failed_cases + $(grep -c '^FAIL' "$testbed_dir/vectors" || true)))

# ---- services, servers and their flags
check '-A' ipvsadm -At 192.0.2.1:80 -s wrr
check '-A again' said 255 'Service already exists' ipvsadm -At 192.0.2.1:80
check '-a' ipvsadm -at 192.0.2.1:80 -r 10.1.0.11:8080 -mw3
check '-a again' said 255 'Destination already exists' ipvsadm -at 192.0.2.1:80 -r 10.1.0.11:8080 -m
check '-e without a method is DR' said 255 'No such destination' \
  ipvsadm -e -t 192.0.2.1:80 -r 10.1.0.11:8080
check '-e' ipvsadm -e -t 192.0.2.1:80 -r 10.1.0.11:8080 -m -w 5 -x 9
check '-a of no service' said 255 'Service not defined' ipvsadm -a -t 192.0.2.9:80 -r 10.1.0.11
check '-d of no server' said 255 'No such destination' ipvsadm -d -t 192.0.2.1:80 -r 10.1.0.99
check '-D of no service' said 255 'No such service' ipvsadm -D -u 192.0.2.1:80
check '-E of no service' said 255 'No such service' ipvsadm -E -t 192.0.2.9:80
check '-Z of no service' said 255 'No such service' ipvsadm -Z -t 192.0.2.9:80
check '-L of no service' said 1 'No such service' ipvsadm -L -t 192.0.2.9:80
check 'a DR server has its service'\''s port' ipvsadm -at 192.0.2.1:80 -r 10.1.0.12:99
check '-L of a service' shows "Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.1:80 wrr
  -> 10.1.0.11:8080               Masq    5      0          0         
  -> 10.1.0.12:80                 Route   1      0          0         " ipvsadm -Lnt 192.0.2.1:80
check '-L with names' says 'TCP  192.0.2.1:http wrr' 0 ipvsadm
check '-E without flags takes all back' ipvsadm -E -t 192.0.2.1:80
check '-d' ipvsadm -d -t 192.0.2.1:80 -r 10.1.0.11:8080
check '-D' ipvsadm -D -t 192.0.2.1:80
for flags in '' sh-fallback sh-port sh-fallback,sh-port; do
  listed=${flags:+ ($flags)}
  ipvsadm -A -t 192.0.2.2:80 -s sh ${flags:+-b "$flags"}
  check "flags '$flags' are listed as they were given" says "TCP  192.0.2.2:80 sh$listed" 0 \
    ipvsadm -Ln
  check "flags '$flags' are saved as they were given" \
    shows "-A -t 192.0.2.2:80 -s sh${flags:+ -b $flags}" ipvsadm -Sn
  check "with flags '$flags' it falls back" is "$(ask show services '.rows[0].fallback')" true
  ipvsadm -C
done

# ---- what headgate has not
check 'SCTP' said 255 'headgate balances TCP and UDP, not SCTP: leave its services to IPVS' \
  ipvsadm -A --sctp-service 192.0.2.1:80
check 'GUE' said 255 'headgate tunnels with IPIP alone: leave out --tun-type, or say ipip' \
  ipvsadm -a -t 192.0.2.1:80 -r 10.1.0.11 -i --tun-type gue --tun-port 6080
check 'persistence engines' said 255 'headgate has no persistence engines: leave out --pe sip' \
  ipvsadm -A -u 192.0.2.1:5060 -p --pe sip
check '--start-daemon' says 'no connection synchronisation' 255 ipvsadm --start-daemon master
check '--stop-daemon' said 255 'No daemon is running' ipvsadm --stop-daemon master
check 'a mask with holes' says 'give a netmask like 255.255.255.0 instead of 255.0.255.0' 255 \
  ipvsadm -A -t 192.0.2.1:80 -p -M 255.0.255.0
check 'an unknown scheduler' said 255 'Scheduler or persistence engine not found' \
  ipvsadm -A -t 192.0.2.1:80 -s fair

# ---- time-outs
check '--set' ipvsadm --set 0 60 0
check '--timeout' shows 'Timeout (tcp tcpfin udp): 900 60 300' ipvsadm -L --timeout
ipvsadm --set 900 120 300

# ---- save and restore
cat >"$testbed_dir/saved" <<'SAVED'
-A -t 192.0.2.1:80 -s wlc -p 360 -M 255.255.255.0
-a -t 192.0.2.1:80 -r 10.2.0.11:8080 -m -w 3 -x 100 -y 50
-a -t 192.0.2.1:80 -r 10.2.0.12:80 -g -w 0
-a -t 192.0.2.1:80 -r 10.2.0.13:80 -i -w 65535 --tun-type ipip
-A -t 192.0.2.1:81 -s sh -b sh-fallback,sh-port
-A -t 192.0.2.1:82 -s mh
-a -t 192.0.2.1:82 -r 10.2.0.11:8080 --fullnat -w 1
-A -u 192.0.2.1:53 -s mh -o -b mh-fallback,mh-port
-a -u 192.0.2.1:53 -r 10.2.0.11:5353 -m -w 1
-A -t [2001:db8::1]:80 -s wrr -p 360 -M 64
-a -t [2001:db8::1]:80 -r [2001:db8:1::11]:8080 -m -w 1
-A -f 7 -s rr
-a -f 7 -r 10.2.0.11:0 -g -w 1
-A -f 7 -6 -s lc
SAVED
restores() {
  ipvsadm -C || return
  "$@" <"$testbed_dir/saved" || return
  diff "$testbed_dir/saved" <(ipvsadm -Sn)
}
check '-R, and -S gives the same' restores ipvsadm -R
check '-R --atomic, and -S gives the same' restores ipvsadm -R --atomic
check 'ipvsadm-restore, and -S gives the same' restores ipvsadm-restore
check 'ipvsadm-restore again, since it clears first' ipvsadm-restore <"$testbed_dir/saved"
check 'ipvsadm-save -n' shows "$(<"$testbed_dir/saved")" ipvsadm-save -n
check 'ipvsadm-save names ports' says '-A -t 192.0.2.1:http -s wlc' 0 ipvsadm-save
named_round_trip() {
  ipvsadm-save >"$testbed_dir/named" || return
  restores_named() { ipvsadm-restore --atomic <"$testbed_dir/named"; }
  restores_named || return
  diff "$testbed_dir/saved" <(ipvsadm -Sn)
}
check 'what was saved with names restores' named_round_trip
check 'ipvsadm-save with another option' says 'writes the services' 1 ipvsadm-save -x

restore_says() {
  local wanted=$1 lines=$2
  shift 2
  said "${wanted%% *}" "${wanted#* }" "$@" <<<"$lines"
}
ipvsadm -C
check '-R goes on behind what is refused' restore_says '0 Service not defined' \
  $'-a -t 192.0.2.1:80 -r 10.0.0.1\n\nipvsadm -A -t 192.0.2.1:80' ipvsadm -R
check '-R ends with the last status' restore_says '255 Service already exists' \
  $'-A -t 192.0.2.1:81\n-A -t 192.0.2.1:81' ipvsadm -R
check '-R stops at wrong usage' restore_says '2 illegal weight specified' \
  $'-A -t 192.0.2.1:82\n-a -t 192.0.2.1:82 -r 10.0.0.1 -w x\n-A -t 192.0.2.1:83' ipvsadm -R
check 'what stood before it was done' says 192.0.2.1:82 0 ipvsadm -Ln
check 'what stood behind it was not' says 'No such service' 1 ipvsadm -Ln -t 192.0.2.1:83
check '-R takes no comments' says "Try" 255 ipvsadm -R <<<'# comment'
check 'ipvsadm-restore does' ipvsadm-restore <<<$'# comment\n-A -t 192.0.2.1:80'
check '-R lists between changes' says 'TCP  192.0.2.1:84 wlc' 0 \
  ipvsadm -R <<<$'-A -t 192.0.2.1:84\n-Ln\n-D -t 192.0.2.1:84'

# ---- one transaction
refused_whole() {
  local before
  before=$(generation)
  restore_says "$@" ipvsadm -R --atomic || return
  few_snapshots $(($(generation) - before + 1))
}
check '--atomic: a refused line undoes all' refused_whole \
  '255 line 2: Service already exists; nothing was changed' \
  $'-A -t 192.0.2.1:85\n-A -t 192.0.2.1:80\n-A -t 192.0.2.1:86'
check '--atomic: a wrong line as well' refused_whole \
  '2 line 3: illegal weight specified; nothing was changed' \
  $'-A -t 192.0.2.1:85\n\n-a -t 192.0.2.1:85 -r 10.0.0.1 -w x'
check '--atomic: none of it is there' shows '-A -t 192.0.2.1:80 -s wlc' ipvsadm -Sn
check '--atomic takes changes only' refused_whole \
  '2 line 1: --atomic takes commands that change something; nothing was changed' '-L'
{
  for ((i = 0; i < 1000; ++i)); do
    vip=192.0.$((2 + i / 250)).$((1 + i % 250))
    printf -- '-A -t %s:80 -s wrr\n' "$vip"
    for ((j = 1; j < 10; ++j)); do
      printf -- '-a -t %s:80 -r 10.%d.%d.%d:8080 -m -w %d\n' "$vip" $((100 + j)) $((i / 250)) \
        $((1 + i % 250)) "$j"
    done
  done
} >"$testbed_dir/large"
restores_large() {
  "$@" <"$testbed_dir/large" || return
  diff "$testbed_dir/large" <(ipvsadm -Sn)
}
ipvsadm -C
before=$(generation)
begun=${EPOCHREALTIME/[.,]/}
check '--atomic of 10,000 lines' restores_large ipvsadm -R --atomic
echo "10,000 lines as one transaction, and saved: $(((${EPOCHREALTIME/[.,]/} - begun) / 1000)) ms"
check 'is no snapshot for each line' few_snapshots $(($(generation) - before))
check 'and one line of the audit log' says 'transaction of 10000:' 0 hg show audit --last 1
ipvsadm -C
begun=${EPOCHREALTIME/[.,]/}
check '-R of 10,000 lines' restores_large ipvsadm -R
echo "10,000 lines each for itself, and saved: $(((${EPOCHREALTIME/[.,]/} - begun) / 1000)) ms"
check '-C is one snapshot' ipvsadm -C
check 'and all are gone' shows '' ipvsadm -Sn

# ---- hostile input
ends_well() {
  local status=0
  timeout 20 "$@" >"$testbed_dir/hostile" 2>&1 || status=$?
  ((status == 2 || status == 255)) || { echo "status $status" && return 1; }
}
long=$(printf 'x%.0s' {1..100000})
check 'a very long address' ends_well ipvsadm -A -t "$long"
check 'a very long scheduler' said 255 'Scheduler or persistence engine not found' \
  ipvsadm -A -t 192.0.2.1:80 -s "$long"
mapfile -t many < <(printf -- '-s\nrr\n%.0s' {1..5000})
check 'very many options' ends_well ipvsadm -A "${many[@]}"
check 'a line of 1 MB' ends_well ipvsadm -R < <(head -c 1048577 /dev/zero | tr '\0' x)
check 'a line of 3 MB, --atomic' ends_well ipvsadm -R --atomic \
  < <(head -c 3000000 /dev/zero | tr '\0' x)
check 'NUL' ends_well ipvsadm -R < <(printf 'a\0b\n')
# Among random bytes there may be -h, and that ends well.
survives() {
  local status=0
  timeout 20 "$@" >"$testbed_dir/hostile" 2>&1 || status=$?
  ((status == 0 || status == 2 || status == 255)) || { echo "status $status" && return 1; }
}
check 'random bytes' survives ipvsadm -R < <(head -c 100000 /dev/urandom | tr -d '\n')
check 'no bytes' ipvsadm -R </dev/null
check_gate 'the daemon is well' hg version

# ---- connections and counters
ipvsadm -A -t "$vip4:80" -s rr -p 100
for address in "${server4[@]}"; do ipvsadm -a -t "$vip4:80" -r "$address" -g; done
check_gate 'requests are served' requests_go_through "$vip4" 80 20
counted() {
  local line
  line=$(ipvsadm -Ln --stats | grep "^TCP  $vip4:80 ") || return
  read -ra words <<<"$line"
  ((words[2] >= 20 && words[3] > words[2] && words[4] == 0))
}
check_gate '--stats counts them' counted
template_is_listed() {
  ipvsadm -Lnc >"$testbed_dir/connections"
  grep -E "^TCP 01:[34][0-9]  NONE        $client4:0 +$vip4:80 +10\.1\.0\.1[12]:80$" \
    "$testbed_dir/connections" || { cat "$testbed_dir/connections" && return 1; }
}
check_gate '-c lists the template' template_is_listed
connections_are_listed() {
  ipvsadm -Lnc | grep -E "^TCP [0-9]{2}:[0-9]{2}  [A-Z_]+ +$client4:[0-9]+ +$vip4:80 +10\.1\.0\.1[12]:80$"
}
check_gate '-c lists connections' connections_are_listed
persistent_is_one() {
  ipvsadm -Ln --persistent-conn | awk '/->.*:80/ {sum += $4} END {exit sum != 1}'
}
check_gate '--persistent-conn counts the template' persistent_is_one
check '--rate has numbers' says 'CPS    InPPS   OutPPS    InBPS   OutBPS' 0 ipvsadm -Ln --rate
check '-Z' ipvsadm -Z
check 'the counters are zero' says "$(printf 'TCP  %-29s%8d %8d' "$vip4:80" 0 0)" 0 ipvsadm -Ln --stats
ipvsadm -C

# ---- FULLNAT with local addresses, as with DPVS
ipvsadm -A -t "$vip4:81" -s rr
check '-P' ipvsadm -P -z 10.1.0.201 -t "$vip4:81" -F dpdk0
check '-P again' said 255 'Local address already exists' ipvsadm -P -z 10.1.0.201 -t "$vip4:81"
check '-a -b is FULLNAT' ipvsadm -a -t "$vip4:81" -r "${server4[0]}:80" -b
check 'it is listed' says "  -> ${server4[0]}:80                 FullNat 1 " 0 ipvsadm -Ln
check 'it serves from the local address' web_is 'rs1 4' "$vip4" 81 4
check 'servers see the local address' is "$(seen_clients)" 10.1.0.201
check '-G' says "TCP  $vip4:81                 10.1.0.201" 0 ipvsadm -G
check '-Q' ipvsadm -Q -z 10.1.0.201 -t "$vip4:81"
check '-Q again' said 255 'No such local address' ipvsadm -Q -z 10.1.0.201 -t "$vip4:81"
ipvsadm -C

check 'the audit log tells who' says 'service add service=' 0 hg show audit --last 100
check_gate 'the sum rule holds' sum_rule_holds
check_here 'the daemon ends' stop_gate
finish
