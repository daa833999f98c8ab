#!/usr/bin/env bash
# The set-ups that people copy from the manuals: two boxes that are master of one address each, a
# tracked service, the maintenance file, a tracked interface, a sync group, and both of the usual
# notify scripts, word by word as they stand in vrrp_text.
# seconds: 300
set -euo pipefail
# shellcheck source=tests/e2e/vrrp_rig.sh
source "$(dirname "$0")/vrrp_rig.sh"

if (($# == 0)); then parts_side_by_side headgate/headgate headgate/keepalived; fi
roles_of "$1"
pair=$1
vip1=172.16.100.1 vip2=172.16.100.2

vrrp_begin r1 r2

# ---- a box's own /etc, with what the scripts call

furnish_box() {
  local host=$1 etc=$testbed_dir/$1-etc service
  cp -a /etc "$etc"
  mkdir -p "$etc/keepalived" "$etc/rc.d/init.d" "$testbed_dir/$host-bin"
  cp "$(dirname "$0")/vrrp_text/notify_first" "$etc/keepalived/notify_first.sh"
  cp "$(dirname "$0")/vrrp_text/notify_second" "$etc/keepalived/notify.sh"
  for service in haproxy nginx; do
    cat >"$etc/rc.d/init.d/$service" <<'SH'
#!/bin/bash
echo "${0##*/} $1" >>/etc/said.services
SH
  done
  cat >"$testbed_dir/$host-bin/mail" <<'SH'
#!/bin/bash
echo "$2 | $3 | $(cat)" >>/etc/said.mails
SH
  cat >"$etc/keepalived/any" <<'SH'
#!/bin/bash
echo "$*" >>/etc/said.any
SH
  chmod +x "$etc/rc.d/init.d/"* "$testbed_dir/$host-bin/"* "$etc/keepalived/any"
  touch "$etc/said.services" "$etc/said.mails" "$etc/said.any"
}

# furnished HOST: start it there, in its own mount and host name's namespace.
furnished() {
  # shellcheck disable=SC2016  # the inner shell expands it
  start_box "$1" unshare --mount --uts bash -c '
    hostname "$1" && mount --bind "$2-etc" /etc && mount --bind "$2-bin" /usr/local/bin || exit
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    shift 2
    exec "$@"' furnished "$1" "$testbed_dir/$1"
}

# The tracked service; killall looks for it in both boxes, so each has a name of its own.
service_of() { printf '%s%s' "$testbed_id" "$1"; }
declare -A service_pid=()
start_service() {
  local program
  program=$testbed_dir/$(service_of "$1")
  cp "$(command -v sleep)" "$program"
  start_on "$1" "service-$1" "$program" 100000
  service_pid[$1]=$started_pid
}
end_service() {
  end_processes 5 "${service_pid[$1]}"
  wait "${service_pid[$1]}" 2>/dev/null || true
}

# ---- two masters

# crosswise HOST PRIORITY_OF_VI_1 PRIORITY_OF_VI_2
crosswise() {
  cat <<YAML
vrrp:
  scripts:
    - name: chk_haproxy
      command: /usr/bin/killall -0 $(service_of "$1")
      interval_ms: 1000
    - name: chk_mantaince_down
      command: /bin/bash -c '[[ -f /etc/keepalived/down ]] && exit 1 || exit 0'
      interval_ms: 1000
  instances:
    - name: VI_1
      interface: eth0
      virtual_router_id: 51
      version: 2
      priority: $2
      auth_password: password
      gratuitous: {delay_s: 1}
      addresses: [{address: $vip1/16, label: "eth0:0"}]
      interfaces: [{name: eth0}]
      scripts: [{name: chk_haproxy, weight: 2}, {name: chk_mantaince_down, weight: 2}]
      notify:
        master: /etc/keepalived/notify_first.sh master
        backup: /etc/keepalived/notify_first.sh backup
        fault: /etc/keepalived/notify_first.sh fault
        any: /etc/keepalived/any
    - name: VI_2
      interface: eth0
      virtual_router_id: 52
      version: 2
      priority: $3
      auth_password: password
      gratuitous: {delay_s: 1}
      addresses: [{address: $vip2/16, label: "eth0:1"}]
      interfaces: [{name: eth0}]
      scripts: [{name: chk_haproxy, weight: 2}, {name: chk_mantaince_down, weight: 2}]
      notify:
        master: /etc/keepalived/notify.sh -n master -a $vip2 -s nginx -m mb
        backup: /etc/keepalived/notify.sh -n backup -a $vip2 -s nginx -m mb
        fault: /etc/keepalived/notify.sh -n fault -a $vip2
YAML
}

said_by() { printf '%s' "$testbed_dir/$1-etc/said.$2"; }
# The lines of a kind since the last call, "; " between them.
declare -A said_lines=()
heard() {
  local host=$1 kind=$2 pattern=$3 before=${said_lines[$1 $2 $3]:-0}
  grep "$pattern" "$(said_by "$host" "$kind")" | tail -n +$((before + 1)) | paste -sd';'
}
remember_all() {
  local host kind pattern
  for host in r1 r2; do
    for kind in services mails any; do
      for pattern in haproxy nginx FAULT .; do
        said_lines[$host $kind $pattern]=$(grep -c "$pattern" "$(said_by "$host" "$kind")" || true)
      done
    done
  done
}
heard_is() {
  [[ $(heard "$1" "$2" "$3") == "$4" ]]
}
# check_heard NAME HOST KIND PATTERN WANTED
check_heard() {
  check "$pair: $1" heard_in_time "${@:2}"
}
heard_in_time() {
  wait_for 5 heard_is "$@" || is "$(heard "${@:1:3}")" "$4"
}
# The dates in the mails' text differ; subject, receiver and the rest do not.
check_mail() {
  check "$pair: $1" mail_in_time "$2" "$3"
}
mail_of() {
  # shellcheck disable=SC2001  # a pattern
  heard "$1" mails . | sed -E 's/[0-9]{4}(-[0-9]{2}){2} [0-9:]{8}/DATE/g'
}
mail_is() { [[ $(mail_of "$1") == "$2" ]]; }
mail_in_time() {
  wait_for 5 mail_is "$@" || is "$(mail_of "$1")" "$2"
}
# mail_text HOST STATE
mail_text() {
  printf '%s to be %s: %s floating | root@localhost | DATE, vrrp transition, %s changed to be %s.' \
    "$1" "$2" "$vip2" "$1" "$2"
}
labelled() {
  [[ -n $(ip -n "$testbed_id-$1" -o address show label "$2" to "$3") ]]
}

for host in r1 r2; do furnish_box "$host" && start_service "$host"; done
box r1 "$role1" < <(crosswise r1 101 100)
box r2 "$role2" < <(crosswise r2 100 101)
furnished r1
furnished r2
each_has_one() { master_is r1 "$vip1" && master_is r2 "$vip2"; }
settles() {
  wait_for "$1" "${@:2}" || { show_boxes && return 1; }
}
check "$pair: each box is master of one address" settles 12 each_has_one
check "$pair: under its label" labelled r1 eth0:0 "$vip1"
check "$pair: each under its label" labelled r2 eth0:1 "$vip2"
check_heard 'the first script starts its service on the master' r1 services haproxy \
  'haproxy restart;haproxy start'
check_heard 'and restarts it on the backup' r2 services haproxy 'haproxy restart'
check_heard 'the second script restarts its service on the master' r2 services nginx \
  'nginx stop;nginx restart'
# The first box may have been master of both while the second one started.
last_is() {
  [[ $(heard "$1" "$2" "$3") == *"$4" ]]
}
last_mail_is() {
  [[ $(mail_of "$1") == *"$2" ]]
}
check "$pair: and stops it on the backup" wait_for 5 last_is r1 services nginx 'nginx stop'
check_mail 'the second script writes of backup and of master' r2 \
  "$(mail_text r2 backup);$(mail_text r2 master)"
check "$pair: and on the other box of backup" wait_for 5 last_mail_is r1 \
  "$(mail_text r1 backup)"
check_heard 'the general script gets kind, name, state and priority' r1 any . \
  "INSTANCE VI_1 BACKUP 101;INSTANCE VI_1 MASTER 105"

all_on_r2() { master_is r2 "$vip1" "$vip2"; }
remember_all
end_service r1
check "$pair: without the tracked service the other box has both" settles 12 all_on_r2
check_heard 'the first script is told backup on the one' r1 services haproxy 'haproxy restart'
check_heard 'and master on the other' r2 services haproxy 'haproxy start'
start_service r1
check "$pair: with it each has one again" settles 12 each_has_one

remember_all
touch "$testbed_dir/r1-etc/keepalived/down"
check "$pair: under maintenance the other box has both" settles 12 all_on_r2
rm "$testbed_dir/r1-etc/keepalived/down"
check "$pair: after it each has one again" settles 12 each_has_one

remember_all
pull r1 lan1 down
check "$pair: without its cable the other box has both" settles 12 all_on_r2
check_mail 'the second script writes of fault' r1 "$(mail_text r1 fault)"
check_heard 'the general script is told of it' r1 any FAULT 'INSTANCE VI_1 FAULT 105'
pull r1 lan1 up
check "$pair: with its cable each has one again" settles 12 each_has_one
check_mail 'the second script writes of the end of fault' r1 \
  "$(mail_text r1 fault);$(mail_text r1 backup)"
remember_all
check_here "$pair: a box ends cleanly" stop_box r1
check "$pair: the other one has both" settles 5 all_on_r2
check_here "$pair: and ends cleanly" stop_box r2
for host in r1 r2; do check "$pair: $host has let go" holds_none "$host" "$vip1" "$vip2"; done

# ---- a sync group: outside and inside move together

add_lan lan2
plug r1 eth1 lan2 10.2.0.1
plug r2 eth1 lan2 10.2.0.2
group() {
  cat <<YAML
vrrp:
  sync_groups:
    - name: G1
      instances: [VI_OUT, VI_IN]
      notify: {any: /etc/keepalived/any}
  instances:
    - {name: VI_OUT, interface: eth0, virtual_router_id: 61, priority: $1,
       addresses: [{address: 10.1.0.100/24}]}
    - {name: VI_IN, interface: eth1, virtual_router_id: 62, priority: $1,
       addresses: [{address: 10.2.0.100/24}]}
YAML
}
box r1 "$role1" < <(group 150)
box r2 "$role2" < <(group 100)
remember_all
furnished r1
furnished r2
group_on() { master_is "$1" 10.1.0.100 10.2.0.100; }
check "$pair: a sync group is master together" settles 12 group_on r1
check_heard 'the group'"'"'s script is told once a move' r1 any . 'GROUP G1 BACKUP 0;GROUP G1 MASTER 0'
pull r1 lan2 down
check "$pair: inside down moves outside, too" settles 12 group_on r2
pull r1 lan2 up
check "$pair: and back" settles 12 group_on r1
pull r1 lan1 down
check "$pair: outside down moves inside, too" settles 12 group_on r2
pull r1 lan1 up
check "$pair: and back again" settles 12 group_on r1
check_here "$pair: the group's master ends cleanly" stop_box r1
check "$pair: both move at once" settles 3 group_on r2
check_here "$pair: the other one ends cleanly" stop_box r2
finish
