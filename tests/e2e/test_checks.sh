#!/usr/bin/env bash
# Each kind of check against real servers: nginx, openssl s_server, dnsmasq, an SMTP server, a UDP
# echo, ping and scripts; what is right is up, what is wrong is down, with the reason in words.
set -euo pipefail
# shellcheck source=tests/e2e/gate.sh
source "$(dirname "$0")/gate.sh"

testbed_begin one-arm 1
start_servers
server=${server4[0]}
home=$testbed_dir/checks
mkdir -p "$home"
chmod 755 "$testbed_dir" "$home"

# ---- servers on rs1

# certificate NAME SUBJECT [OPTION...]: signed by the CA.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout "$home/ca.key" \
  -out "$home/ca.pem" 2>/dev/null
certificate() {
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "$home/$1.key" \
    -out "$home/$1.csr" 2>/dev/null
  openssl x509 -req -in "$home/$1.csr" -CA "$home/ca.pem" -CAkey "$home/ca.key" -CAcreateserial \
    -extfile <(echo "subjectAltName=DNS:$2") "${@:3}" -out "$home/$1.pem" 2>/dev/null
}
certificate good www.example.com -days 2
certificate expired www.example.com -not_before 20200101000000Z -not_after 20200102000000Z ||
  certificate expired www.example.com -days -1
serve_tls() {
  start_on rs1 "tls-$1" openssl s_server -accept "$2" -cert "$home/$1.pem" -key "$home/$1.key" \
    -www -quiet
  ready_or_fail "openssl s_server ($1)" "tls-$1" listens rs1 tcp "$2"
}
serve_tls good 8443
serve_tls expired 8444
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=www.example.com \
  -addext subjectAltName=DNS:www.example.com -keyout "$home/self.key" \
  -out "$home/self.pem" 2>/dev/null
serve_tls self 8445

# nginx with two sites on a port each way, by their names in
# HTTP and in TLS, and statuses of all kinds.
sites=$testbed_dir/sites
mkdir "$sites"
cat >"$sites/nginx.conf" <<NGINX
daemon off;
user root;
pid $sites/pid;
error_log stderr warn;
events {}
http {
  access_log $sites/access.log;
  default_type text/plain;
  client_body_temp_path $sites/body;
  proxy_temp_path $sites/proxy;
  fastcgi_temp_path $sites/fastcgi;
  uwsgi_temp_path $sites/uwsgi;
  scgi_temp_path $sites/scgi;
  server {
    listen 8080 default_server;
    listen 8446 ssl default_server;
    ssl_certificate $home/self.pem;
    ssl_certificate_key $home/self.key;
    location / { return 421 "another site\n"; }
    location /moved { return 302 http://www.example.com/; }
    location /teapot { return 418; }
    location /loop { return 301 /loop; }
  }
  server {
    listen 8080;
    listen 8446 ssl;
    server_name www.example.com;
    ssl_certificate $home/good.pem;
    ssl_certificate_key $home/good.key;
    location / { return 200 "the site itself\n"; }
  }
}
NGINX
start_on rs1 sites nginx -e stderr -p "$sites" -c "$sites/nginx.conf"
ready_or_fail 'nginx with two sites' sites listens rs1 tcp 8446
site_sha256=$(printf 'the site itself\n' | sha256sum | cut -d' ' -f1)
start_on rs1 dns dnsmasq --no-daemon --no-resolv --no-hosts --port=53 --user=root \
  --address=/www.example.com/192.0.2.1 --local=/example.com/ --conf-file=/dev/null
ready_or_fail dnsmasq dns listens rs1 udp 53
start_on rs1 smtp /usr/bin/python3 -m aiosmtpd -n -l 0.0.0.0:25 -c aiosmtpd.handlers.Sink
ready_or_fail aiosmtpd smtp listens rs1 tcp 25
page_md5=$(printf 'rs1 answered 10.1.0.1\n' | md5sum | cut -d' ' -f1)

# ---- one service for each check

cat >"$home/status.sh" <<'SH'
#!/bin/sh
exit "$1"
SH
cat >"$home/stubborn.sh" <<'SH'
#!/bin/sh
trap '' TERM
sleep 60
SH
cat >"$home/loud.sh" <<'SH'
#!/bin/sh
head -c 5000000 /dev/zero | tr '\0' x
sleep 30 &
exit 0
SH
chmod 755 "$home"/*.sh

names=() wanted=() words=()
number=0
# a_check NAME WANTED WORDS YAML: what the check is to come to, and its reason to hold.
a_check() {
  names+=("$1") wanted+=("$2") words+=("$3")
  number=$((number + 1))
  cat <<YAML
  - name: $1
    address: 10.1.0.200
    port: $((1000 + number))
    mode: nat
    checks: [{interval_ms: 500, timeout_ms: 1500, retries: 0, $4}]
    backends: [{address: ${5:-$server}, port: 80}]
YAML
}
{
  a_check tcp up '' 'type: tcp'
  a_check tcp-refused down refused 'type: tcp, port: 81'
  a_check http up 'status 200' 'type: http'
  a_check http-1.0 up '' 'type: http, port: 8080, http: {version: "1.0", host: www.example.com,
      urls: [{path: /1.0}]}'
  a_check http-1.1 up '' 'type: http, port: 8080, http: {version: "1.1", host: www.example.com,
      urls: [{path: "/1.1?full=1"}]}'
  a_check http-two-pages up '' 'type: http, http: {urls: [{path: /}, {path: /again}]}'
  a_check http-missing down '404' 'type: http, http: {urls: [{path: /}, {path: /files/none}]}'
  a_check http-404-wanted up '' 'type: http, http: {urls: [{path: /files/none, status: [404]}]}'
  a_check http-digest up '' "type: http, http: {urls: [{digest: $page_md5}]}"
  a_check http-other-digest down MD5 \
    'type: http, http: {urls: [{digest: 00000000000000000000000000000000}]}'
  a_check http-regex up '' 'type: http, http: {urls: [{regex: "rs1 answ.red"}]}'
  a_check http-no-regex down '' 'type: http, http: {urls: [{regex: "rs2"}]}'
  a_check http-no-such-text up '' 'type: http, http: {urls: [{regex: rs2, regex_absent: on}]}'
  a_check http-host up '' "type: http, port: 8080, http: {host: www.example.com,
      urls: [{digest: $site_sha256}]}"
  a_check http-host-of-page up '' "type: http, port: 8080, http: {host: www.example.com,
      urls: [{path: /}, {path: /, host: other.example.com, status: [421]}]}"
  a_check http-no-host down 'status 421 from /, expected 200-299' 'type: http, port: 8080'
  a_check http-redirect down 'status 302 from /moved' \
    'type: http, port: 8080, http: {urls: [{path: /moved}]}'
  a_check http-redirect-wanted up '' \
    'type: http, port: 8080, http: {urls: [{path: /moved, status: [200, 301-302]}]}'
  a_check http-redirect-to-itself up '' \
    'type: http, port: 8080, http: {urls: [{path: /loop, status: [301]}]}'
  a_check http-ranges up '' 'type: http, port: 8080,
      http: {urls: [{path: /teapot, status: [400-417, 418-420]}]}'
  a_check http-other-ranges down 'status 418 from /teapot, expected 400-417, 419-421' \
    'type: http, port: 8080, http: {urls: [{path: /teapot, status: [400-417, 419-421]}]}'
  a_check http-one-of-two down '421' "type: http, port: 8080,
      http: {urls: [{path: /, host: www.example.com}, {path: /}]}"
  a_check https up '' 'type: https, port: 8443'
  a_check https-sni up '' "type: https, port: 8446, http: {host: www.example.com, verify: on,
      ca_file: $home/ca.pem}"
  a_check https-sni-apart up '' "type: https, port: 8446, http: {host: other.example.com,
      server_name: www.example.com, verify: on, ca_file: $home/ca.pem, urls: [{status: [421]}]}"
  a_check https-self-signed down 'self' "type: https, port: 8445, http: {host: www.example.com,
      verify: on, ca_file: $home/ca.pem}"
  a_check https-self-signed-any up '' 'type: https, port: 8445'
  a_check https-expired-any up '' 'type: https, port: 8444'
  a_check https-verified up '' "type: https, port: 8443, http: {host: www.example.com, verify: on,
      ca_file: $home/ca.pem}"
  a_check https-other-name down 'www.example.org is not in it' "type: https, port: 8443,
      http: {host: www.example.org, verify: on, ca_file: $home/ca.pem}"
  a_check https-unknown-ca down '' 'type: https, port: 8443,
      http: {host: www.example.com, verify: on}'
  a_check https-expired down expired "type: https, port: 8444, http: {host: www.example.com,
      verify: on, ca_file: $home/ca.pem}"
  a_check https-plain down '' 'type: https'
  a_check dns up '' 'type: dns, port: 53, dns: {name: www.example.com, type: A, answer: 192.0.2.1}'
  a_check dns-other down 'no record reads 192.0.2.2; there is 192.0.2.1' 'type: dns, port: 53,
      dns: {name: www.example.com, type: A, answer: 192.0.2.2}'
  a_check dns-nxdomain up '' 'type: dns, port: 53, dns: {name: none.example.com, type: A,
      rcode: NXDOMAIN}'
  a_check dns-other-rcode down 'rcode NXDOMAIN, expected NOERROR' 'type: dns, port: 53,
      dns: {name: none.example.com, type: A}'
  a_check dns-nobody down 'port unreachable' 'type: dns, port: 54'
  a_check smtp up '' 'type: smtp, port: 25'
  a_check smtp-silent down 'no answer' 'type: smtp, port: 7000'
  a_check udp up '' 'type: udp, port: 5353, udp: {send: hello, require_reply: on}'
  a_check udp-expected up '' 'type: udp, port: 5353, udp: {send: hello, expect: "rs1 hel"}'
  a_check udp-unexpected down 'other than expected' \
    'type: udp, port: 5353, udp: {send: hello, expect: "rs2"}'
  a_check udp-unreachable down 'port unreachable' 'type: udp, port: 5354, udp: {send: hello}'
  a_check ping up '' 'type: ping'
  a_check ping-nobody down '10.1.0.99' 'type: ping' 10.1.0.99
  a_check script up '' "type: script, script: {command: $home/status.sh 0}"
  a_check script-failed down 'status 1' "type: script, script: {command: $home/status.sh 1}"
  a_check script-weight up '' "type: script, script: {command: $home/status.sh 9,
      dynamic_weight: on}"
  # No file of the test's: its directory may be closed to other users.
  i_am_nobody="command: \"/bin/sh -c 'test \$(id -un) = nobody'\""
  a_check script-user up '' "type: script, script: {$i_am_nobody, user: nobody}"
  a_check script-other-user down 'status 1' "type: script, script: {$i_am_nobody}"
  a_check script-not-there down '' "type: script, script: {command: $home/gone.sh}"
  a_check script-stubborn down 'timed out' "type: script, script: {command: $home/stubborn.sh}"
  a_check script-loud up '' "type: script, script: {command: $home/loud.sh}"
} >"$home/services"
gate_more='vrrp: {script_user: root}'
configure <"$home/services" >"$(gate_config)"
start_gate

check_of() {
  ask show checks "$1" ".rows[0].$2"
}
has_come_to() {
  is "$(check_of "$1" state)" "$2" && grep -qF -- "$3" <<<"$(check_of "$1" reason)"
}
comes_to() {
  wait_for 15 has_come_to "$@" || { check_of "$1" 'state, .rows[0].reason' && return 1; }
}
for ((i = 0; i < ${#names[@]}; i++)); do
  check "${names[i]} is ${wanted[i]}${words[i]:+: ${words[i]}}" \
    comes_to "${names[i]}" "${wanted[i]}" "${words[i]}"
done
check 'the weight of a script counts' is \
  "$(ask show backends script-weight '.rows[0].effective_weight')" 7

was_asked() {
  grep -qF -- "\"GET $1\" " "$sites/access.log"
}
check 'HTTP 1.0 is spoken' was_asked '/1.0 HTTP/1.0'
check 'and 1.1' was_asked '/1.1?full=1 HTTP/1.1'

no_zombies() {
  [[ -z $(pgrep -P "$gate_pid" --runstates Z) ]]
}
check 'no child is left unreaped' wait_for 5 no_zombies
check_here 'clean end' stop_gate
finish
