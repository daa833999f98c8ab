# Health in the demo: a server is killed under a client's eyes, then the other one. Sourced by
# demo.sh, after the testbed.
# shellcheck shell=bash
# build_dir, failed and the functions that are not here are demo.sh's.
# shellcheck disable=SC2154,SC2034

explain_health() {
  echo 'Two servers, asked for a page five times a second each, and a sorry server for when neither'
  echo 'answers. A client fetches every 50 ms, each time on a new connection, by NAT. One server is'
  echo 'killed, then the other one. Then both come back, the second one beside a warm first one.'
}

health_configuration() {
  cat <<YAML
daemon: {run_dir: $testbed_dir/run, file_prefix: $testbed_id, idle: adaptive}
workers: {cores: [$(last_core)]}
connections: {max_ipv4: 65536, max_ipv6: 65536}
ports:
  - {name: wan, interface: net0, driver: af_packet, twin: {addresses: [10.1.0.1/24]}}
  - {name: lan, interface: net1, driver: af_packet, twin: {addresses: [10.2.0.1/24]}}
services:
  - name: web
    address: $vip4
    port: 80
    mode: nat
    scheduler: wrr
    checks: [{type: http, interval_ms: 200, timeout_ms: 300, retries: 1, retry_delay_ms: 100}]
    sorry_server: {address: ${server4[2]}}
    slow_start_s: 3
    backends:
      - {name: rs1, address: ${server4[0]}, weight: 10}
      - {name: rs2, address: ${server4[1]}, weight: 10}
YAML
}

# A mark for each request, in the order they were sent: who answered, or nobody; what happened
# between them. The arguments are times: rs1 is killed, and found down; rs2 as well; rs1 is up, rs2
# is up. Fails when something was not as explained.
show_answers() {
  sort -n "$testbed_dir/client.log" | awk -v times="$*" -v green="$green" -v red="$red" \
    -v bold="$bold" -v plain="$plain" '
    function put(mark, colour) {
      if (column % 60 == 0) printf "%s  ", column ? "\n" : ""
      column++
      printf "%s%s%s", colour, mark, plain
    }
    function complain(what) {
      complaints = complaints "\n  " red what plain
    }
    # From the kill, with what was on its way then, to the snapshot that leaves the server out; a
    # busy machine may be late.
    function may_fail(at) {
      return at > time[1] - 0.5 && at < time[2] + 0.5 || at > time[3] - 0.5 && at < time[4] + 0.5
    }
    BEGIN {split(times, time); next_time = 1}
    {
      while (next_time <= 6 && $1 > time[next_time]) {
        if (next_time == 1 || next_time == 3) put("▼", red)
        if (next_time > 4) put("▲", green)
        next_time++
      }
    }
    $4 == "failed" {
      put("×", red)
      failed++
      after = $1 - ($1 > time[3] - 0.5 ? time[3] : time[1])
      if (after > longest) longest = after
      if (!may_fail($1)) complain("a request failed at " $1 ", when nothing had just died")
      next
    }
    {
      answers[$4]++
      put($4 == "rs3" ? "s" : substr($4, 3), $4 == "rs3" ? bold : green)
      if ($4 == "rs3" && ($1 < time[3] || $1 > time[5] + 0.5))
        complain("the sorry server answered at " $1 ", when others were up")
      # Half of the slow start.
      if ($1 > time[6] && $1 < time[6] + 1.5) early[$4]++
    }
    END {
      printf "\n  1 rs1 answered: %d   2 rs2: %d   s the sorry server: %d   ▼ killed   ▲ back",
        answers["rs1"], answers["rs2"], answers["rs3"]
      printf "   × failed: %d", failed
      if (failed) printf ", the last one sent %.2f s after a kill", longest
      for (i = 1; i <= 3; i++) if (!answers["rs" i]) complain("rs" i " never answered")
      if (early["rs2"] >= early["rs1"]) complain("rs2 had no slow start")
      print complaints
      exit complaints != ""
    }'
}

# backend_word NAME WORD: one of its state, its weight in use, since when (in seconds since the
# epoch), its reason.
backend_word() {
  headgate --json show backends web | python3 -c '
import datetime, json, sys
name, word = sys.argv[1:]
row = next(row for row in json.load(sys.stdin)["rows"] if row["name"] == name)
if word == "since":
    print("%.3f" % datetime.datetime.fromisoformat(row["since"]).timestamp())
else:
    print(row[word])' "$@"
}

backend_is() {
  [[ $(backend_word "$1" state) == "$2" ]]
}

both_are_up() {
  backend_is rs1 up && backend_is rs2 up
}

has_whole_weight() {
  [[ $(backend_word "$1" effective_weight) == 10 ]]
}

# The client goes on for so many requests.
watch_client() {
  wait_for 15 fetches_since "${EPOCHREALTIME/,/.}" "$1" || fail 'the client has stopped'
}

# kill_web NAME: when, and when it was found out, in $killed_at and $down_at.
kill_web() {
  local name=$1 workers
  printf '\n%s$ kill -KILL %s   # nginx of %s%s\n' "$dim" "${web_pids[$name]}" "$name" "$plain"
  mapfile -t workers < <(pgrep -P "${web_pids[$name]}") # they would outlive it
  killed_at=${EPOCHREALTIME/,/.}
  kill -KILL "${web_pids[$name]}" "${workers[@]}"
  wait "${web_pids[$name]}" 2>/dev/null || true
  wait_for 10 backend_is "$name" down || fail "$name is not found to be down"
  down_at=$(backend_word "$name" since)
  [[ $(backend_word "$name" reason) == *refused* ]] || fail "the reason is not that $name refuses"
  awk -v name="$name" -v kill="$killed_at" -v down="$down_at" \
    'BEGIN {printf "Found to be down %.2f s later.\n", down - kill}'
}

# web_comes_back NAME: since when it is up in $up_at.
web_comes_back() {
  local name=$1
  printf '\n%s$ nginx   # on %s%s\n' "$dim" "$name" "$plain"
  rm -rf "${testbed_dir:?}/$name-nginx"
  start_web "$name"
  web_pids[$name]=$started_pid
  wait_for 10 backend_is "$name" up || fail "$name is not up again"
  up_at=$(backend_word "$name" since)
}

run_health() {
  local client name killed_at down_at up_at times=()
  declare -gA web_pids=()
  printf '\n%s━━ HEALTH ━━%s\n' "$bold" "$plain"
  explain_health
  testbed_begin two-arm 3
  for name in "${server_names[@]}"; do
    start_web "$name"
    web_pids[$name]=$started_pid
  done
  health_configuration >"$testbed_dir/headgate.yaml"
  start_on gate headgated "$build_dir/control/headgated" --config "$testbed_dir/headgate.yaml"
  ready_or_fail headgated headgated headgate version
  wait_for 10 both_are_up || fail 'the servers are not up'
  start_on client client "$repository/tools/steady_client.py" --period 50 "http://$vip4/"
  client=$started_pid
  wait_for 10 fetches_since 0 30 || fail 'the client gets no answers'

  kill_web rs1
  times+=("$killed_at" "$down_at")
  watch_client 20
  show_headgate show backends web
  echo
  show_headgate show checks web

  kill_web rs2
  times+=("$killed_at" "$down_at")
  watch_client 20
  show_headgate show backends web

  web_comes_back rs1
  times+=("$up_at")
  wait_for 15 has_whole_weight rs1 || fail 'the slow start of rs1 does not end'
  web_comes_back rs2
  times+=("$up_at")
  watch_client 10
  show_headgate show backends web
  wait_for 15 has_whole_weight rs2 || fail 'the slow start of rs2 does not end'
  watch_client 15
  kill -TERM "$client"
  wait_for 15 are_gone "$client" || true

  printf '\nWhat the client saw, a mark for each request\n'
  show_answers "${times[@]}" || failed=1
  echo
  show_headgate show audit --last 6
  [[ $(headgate show audit --last 6) == *health*': down:'*': up:'* ]] ||
    fail 'the audit log does not have it'
}

say_what_to_try_health() {
  local inside="ip netns exec $testbed_id"
  cat <<TEXT

${bold}Left running.${plain} Try, in a shell of root:

  alias headgate='$build_dir/tools/headgate --socket $testbed_dir/run/headgate.sock'
  headgate show checks
  $inside-client $repository/tools/steady_client.py http://$vip4/
  headgate backend drain web rs1 && headgate show backends web

Take it down with
  $repository/tools/demo.sh stop $testbed_id
TEXT
}
