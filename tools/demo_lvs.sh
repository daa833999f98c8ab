# An LVS site in the demo: its keepalived.conf and its ipvsadm script run as they are. Sourced by
# demo.sh; brings the testbed.
# shellcheck shell=bash
# build_dir, failed and the functions that are not here are demo.sh's.
# shellcheck disable=SC2154,SC2034
# shellcheck source=tools/testbed.sh
source "$(dirname "${BASH_SOURCE[0]}")/testbed.sh"
# shellcheck source=tools/lvs_environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lvs_environment.sh"

readonly lvs_configurations=$repository/tests/unit/config/data/keepalived
readonly lvs_scripts=$repository/tests/e2e/lvs_text

explain_lvs() {
  echo 'Two directors with the keepalived.conf that a manual of LVS has, master and backup, DR and'
  echo 'TCP_CHECK, read by headgated as it is; the port takes eth1 over, with its name and addresses.'
  echo 'Then a director that has no such file, but the init script of the manual: ifconfig, route and'
  echo 'ipvsadm, which is ours.'
}

# shows HOST COMMAND...: with what it prints.
shows() {
  local host=$1
  shift
  printf '%s%s# %s%s\n' "$dim" "$host" "$*" "$plain"
  lvs_on "$host" "$@" 2>&1 | sed 's/^/  /' || true
}

# lvs_director NAME DEVICE ADDRESS/LENGTH
lvs_director() {
  add_host "$1"
  lvs_host "$1"
  plug "$1" "$2" lan1 "10.1.0.${1#gate}"
  ip -n "$testbed_id-$1" address add "$3" dev "$2"
  cat >"$testbed_dir/$1-root/etc/keepalived/headgate.yaml" <<YAML
daemon: {file_prefix: $testbed_id-$1, idle: adaptive}
workers: {cores: [$(last_core)]}
connections: {max_ipv4: 65536, max_ipv6: 1024}
YAML
}

# lvs_real_server NAME ADDRESS/LENGTH: with the script of the manual for its own VIP, or by hand.
lvs_real_server() {
  add_host "$1"
  lvs_host "$1"
  plug "$1" eth0 lan1 "10.1.0.1${1#rs}"
  ip -n "$testbed_id-$1" address add "$2" dev eth0
  server_names+=("$1")
  start_web "$1"
}

# lvs_start HOST FILE: its process in $started_pid.
lvs_start() {
  printf '%s%s# headgated --config %s%s\n' "$dim" "$1" "$2" "$plain"
  lvs_start_on "$1" "$1" "$build_dir/control/headgated" --config "$2" \
    --settings /etc/keepalived/headgate.yaml
  wait_for 20 lvs_answers "$1" || { tail -n 20 "$testbed_dir/$1.log" && fail "$1 did not come up"; }
}
lvs_answers() { lvs_on "$1" "$build_dir/tools/headgate" version; }
lvs_holds() { [[ -n $(ip -n "$testbed_id-$1" -o address show to "$2") ]]; }

# lvs_requests VIP ADDRESS...: a request from each address; who answered.
lvs_requests() {
  local vip=$1 address answers=$testbed_dir/answers-$RANDOM
  shift
  for address; do
    if ! on client curl -sS --fail --max-time 5 --interface "$address" "http://$vip/" >>"$answers"; then
      printf '%sa request to %s failed%s\n' "$red" "$vip" "$plain"
      failed=1
    fi
  done
  printf '%d requests answered\n' "$(grep -c answered "$answers")"
  show_shares "$answers"
}

lvs_keepalived_part() {
  local vip=192.168.80.200 first i clients=()
  printf '\n%sThe file%s\n' "$bold" "$plain"
  sed -n '/^virtual_server/,/^    }/p' "$lvs_configurations/dr_master.conf" | sed 's/^/  /'
  lvs_director gate1 eth1 192.168.80.10/24
  lvs_director gate2 eth1 192.168.80.11/24
  cp "$lvs_configurations/dr_master.conf" "$testbed_dir/gate1-root/etc/keepalived/keepalived.conf"
  # As the manual says: the same with another vrrp_instance.
  {
    sed '/^vrrp_instance/,$d' "$lvs_configurations/dr_master.conf"
    cat "$lvs_configurations/dr_backup_instance.conf"
    sed '1,/^vrrp_instance/d' "$lvs_configurations/dr_master.conf" | sed '1,/^}/d'
  } >"$testbed_dir/gate2-root/etc/keepalived/keepalived.conf"
  lvs_real_server rs1 192.168.80.102/24
  lvs_real_server rs2 192.168.80.103/24
  for host in rs1 rs2; do
    sed "s/^SNS_VIP=.*/SNS_VIP=$vip/" "$lvs_scripts/lvs_dr_realserver" >"$testbed_dir/realserver"
    lvs_init_script "$host" "$testbed_dir/realserver" lvs_dr.sh
    shows "$host" service lvs_dr.sh start
  done
  for i in 50 51 52 53; do
    ip -n "$testbed_id-client" address add "192.168.80.$i/24" dev eth0
    clients+=("192.168.80.$i")
  done
  echo
  lvs_start gate1 /etc/keepalived/keepalived.conf
  first=$started_pid
  lvs_start gate2 /etc/keepalived/keepalived.conf
  wait_for 15 lvs_holds gate1 "$vip" || fail 'gate1 did not become master'
  shows gate1 ipvsadm -Ln
  shows gate1 ip -brief address show eth1
  lvs_requests "$vip" "${clients[@]}" "${clients[@]}"
  printf '\n%sgate1 is killed%s\n' "$bold" "$plain"
  kill -KILL "$first"
  wait "$first" 2>/dev/null || true
  wait_for 10 lvs_holds gate2 "$vip" || fail 'gate2 did not take over'
  # The LAN has to hear of it first.
  wait_for 5 on client curl -sS --fail --max-time 1 "http://$vip/" || true
  shows gate2 "$build_dir/tools/headgate" show vrrp
  lvs_requests "$vip" "${clients[@]}" "${clients[@]}"
  shows gate2 ipvsadm -Ln --stats
}

lvs_script_part() {
  local vip=192.168.1.181 i clients=()
  printf '\n%sThe script%s\n' "$bold" "$plain"
  sed -n '/^start)/,/;;/p' "$lvs_scripts/lvs_dr_director" | sed 's/^/  /'
  lvs_director gate3 eth0 192.168.1.101/24
  ip -n "$testbed_id-rs1" address add 192.168.1.103/24 dev eth0
  ip -n "$testbed_id-rs2" address add 192.168.1.104/24 dev eth0
  for i in 50 51 52 53; do
    ip -n "$testbed_id-client" address add "192.168.1.$i/24" dev eth0
    clients+=("192.168.1.$i")
  done
  lvs_init_script gate3 "$lvs_scripts/lvs_dr_director" lvs_dr.sh
  for host in rs1 rs2; do
    lvs_on "$host" service lvs_dr.sh stop >/dev/null 2>&1 || true
    lvs_init_script "$host" "$lvs_scripts/lvs_dr_realserver" lvs_dr.sh
    lvs_on "$host" service lvs_dr.sh start >/dev/null
  done
  {
    cat "$testbed_dir/gate3-root/etc/keepalived/headgate.yaml"
    echo 'ports: [{name: eth0, interface: eth0, take_over: on}]'
  } >"$testbed_dir/gate3-root/etc/headgate.yaml"
  printf '%sgate3# headgated --config /etc/headgate.yaml   # one port, no service%s\n' "$dim" "$plain"
  lvs_start_on gate3 gate3 "$build_dir/control/headgated" --config /etc/headgate.yaml
  wait_for 20 lvs_answers gate3 || fail 'gate3 did not come up'
  shows gate3 service lvs_dr.sh start
  shows gate3 service lvs_dr.sh status
  shows gate3 ipvsadm
  lvs_requests "$vip" "${clients[@]}" "${clients[@]}"
  shows gate3 ipvsadm -Lnc
  shows gate3 ipvsadm -S -n
  shows gate3 service lvs_dr.sh stop
  shows gate3 ipvsadm
}

run_lvs() {
  printf '\n%s━━ LVS ━━%s\n' "$bold" "$plain"
  explain_lvs
  testbed_open
  add_lan lan1
  add_host client
  plug client eth0 lan1 "$client4"
  lvs_keepalived_part
  lvs_script_part
}

say_what_to_try_lvs() {
  local host
  cat <<TEXT

${bold}Left running, with gate1 dead.${plain} Try, in a shell of root:

TEXT
  for host in gate2 gate3; do
    printf '  ip netns exec %s-%s unshare --mount %s-root/enter bash   # %s, with ipvsadm\n' \
      "$testbed_id" "$host" "$testbed_dir/$host" "$host"
  done
  cat <<TEXT
  ip netns exec $testbed_id-client curl http://192.168.80.200/

Take it down with

  tools/demo.sh stop $testbed_id
TEXT
}
