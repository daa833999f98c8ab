# A host as the scripts of an LVS site expect it: an /etc with init scripts of its own, `ipvsadm` in
# /sbin, /var/lock/subsys, a /run of its own. All of it in a mount namespace; the machine's own is
# not touched. Source it after testbed.sh.
#
#   lvs_host HOST             makes the host's /etc, /run and /sbin; once, after add_host
#   lvs_init_script HOST FILE NAME   installs an init script
#   lvs_on HOST COMMAND...    runs it there, as `on` does
#   lvs_start_on HOST LOG COMMAND...   like start_on
# shellcheck shell=bash
# shellcheck disable=SC2154  # build_dir and testbed_dir are the caller's and testbed.sh's

lvs_host() {
  local at=$testbed_dir/$1-root
  mkdir -p "$at/run/lock/subsys" "$at/run/headgate" "$at/keepalived"
  cp -a /etc "$at/etc"
  mkdir -p "$at/etc/rc.d/init.d" "$at/etc/keepalived"
  # What `. /etc/init.d/functions` brings on a Red Hat system, of which the scripts use nothing.
  : >"$at/etc/init.d/functions"
  cp -a /usr/sbin "$at/sbin"
  ln -sf "$build_dir/tools/headgate-ipvsadm" "$at/sbin/ipvsadm"
  cat >"$at/enter" <<SH
#!/bin/bash
mount --bind '$at/etc' /etc && mount --bind '$at/sbin' /usr/sbin && mount --bind '$at/run' /run ||
  exit
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec "\$@"
SH
  chmod +x "$at/enter"
}

lvs_init_script() {
  local etc=$testbed_dir/$1-root/etc
  # Where the text copies it to, and where Debian's service looks for it.
  install -m 755 "$2" "$etc/rc.d/init.d/$3"
  install -m 755 "$2" "$etc/init.d/$3"
}

lvs_on() {
  local host=$1
  shift
  on "$host" unshare --mount "$testbed_dir/$host-root/enter" "$@"
}

lvs_start_on() {
  local host=$1 log=$2
  shift 2
  start_on "$host" "$log" unshare --mount "$testbed_dir/$host-root/enter" "$@"
}
