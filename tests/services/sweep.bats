#!/usr/bin/env bats
# svc-recreate killed with SIGKILL before and after each of its writes, and at other moments: nothing is lost,
# and whatever comes next brings back what was there. No Service is made anew twice for one command.

load prelude

# The ways in which what a killed run has left is mended; each is about another Service, or none.
next_run() { recreate 0 other "$@"; }
restore() { recreate 0 --restore "$@"; }

# in_doubt NAME...: a line for each that is not there and of which no backup is.
in_doubt() {
  jq -r --args '[.items[] | if .kind == "Secret" then .metadata.annotations["kubectl-cni/name"] // empty
      elif .kind == "Service" then .metadata.name else empty end] as $safe
    | $ARGS.positional - $safe | .[] | "service/\(.) is gone and there is no backup of it"' "$@" <"$BATS_TEST_TMPDIR/killed.json"
}

uids() { # LOOK NAME...
  jq -r --args '.items[] | select(.kind == "Service" and (.metadata.name | IN($ARGS.positional[])))
    | "\(.metadata.name) \(.metadata.uid)"' "${@:2}" <"$BATS_TEST_TMPDIR/$1.json"
}

every_uid() { jq -r '.items[] | select(.kind == "Service") | .metadata.uid' "$BATS_TEST_TMPDIR/$1.json" | sort; }

# step WAY FAULT N NAME...: svc-recreate NAME... meets its end at its Nth write, and WAY mends. What went
# wrong is printed. code is what the first one ended with.
step() {
  local way=$1 fault=$2 n=$3 wrong
  shift 3
  code=0
  faults "$fault" "$n" -- kubectl-cni-svc-recreate -n "$ns" "$@" --concurrency 1 >"$BATS_TEST_TMPDIR/killed.log" 2>&1 || code=$?
  look killed
  wrong=$(
    [ "$code" = 0 ] || [ "$code" = 137 ] || echo "it ended with $code"
    in_doubt "$@"
    "$way" || true
    as_before || true
    # Those that were there at its end, the new ones among them, are not made anew again.
    diff <(uids killed "$@") <(uids after "$@") | grep '^<' || true
  )
  wrong=$(grep -v -e '^$' <<<"$wrong" || true)
  [ -z "$wrong" ] || printf -- '--- %s at write %s %s, then %s:\n%s\nthe first said:\n%s\n' "$fault" "$n" "$*" "$way" "$wrong" "$(<"$BATS_TEST_TMPDIR/killed.log")"
  [ -z "$wrong" ]
}

# sweep LEAST WAY NAME...: at each write, of which there are so many at least: for one without companions the
# create that only tries, the backup, the delete, the create, and the backup's delete.
sweep() {
  local least=$1 fault n code kills=0 problems=0
  shift
  service other 'ports: [{port: 80}]'
  settled before
  for fault in --kill-before --kill-after; do
    for ((n = 1; n <= 60; n++)); do
      step "$1" "$fault" "$n" "${@:2}" || problems=$((problems + 1))
      [ "$problems" -lt 3 ]
      if [ "$code" = 0 ]; then break; fi
      kills=$((kills + 1))
    done
  done
  echo "# $kills kills" >&3
  [ "$problems" = 0 ]
  [ "$kills" -ge $((2 * least)) ]
}

node_port() { service node 'type: NodePort, sessionAffinity: ClientIP, ports: [{name: a, port: 80}, {name: b, port: 81}]'; }

manual_slices() {
  service manual 'ports: [{port: 5432}]'
  slice manual-1 manual 192.0.2.11
  slice manual-2 manual 192.0.2.21 "$(owned_by Service manual)"
}

legacy() {
  service legacy 'ports: [{port: 5432}]'
  endpoints legacy 192.0.2.31
}

@test "a NodePort Service, then another run" {
  node_port
  sweep 5 next_run node
}

@test "a NodePort Service, then --restore" {
  node_port
  sweep 5 restore node
}

@test "a ClusterIP Service with slices by hand, then another run" {
  manual_slices
  sweep 6 next_run manual
}

@test "a ClusterIP Service with slices by hand, then --restore" {
  manual_slices
  sweep 6 restore manual
}

@test "a Service with legacy Endpoints, then another run" {
  legacy
  sweep 5 next_run legacy
}

@test "a Service with legacy Endpoints, then --restore" {
  legacy
  sweep 5 restore legacy
}

@test "all three in one run, then another one" {
  node_port && manual_slices && legacy
  sweep 16 next_run node manual legacy
}

@test "at any moment, several at a time: the next run leaves every Service as it was" {
  local pause i
  for i in 1 2 3 4 5; do service "s$i" 'type: NodePort, ports: [{port: 80}]'; done
  settled before
  for pause in 0.02 0.04 0.06 0.08 0.10 0.12 0.15 0.2; do
    behind --all
    sleep "$pause"
    end_behind
    run recreate 0 --all
    # The server itself may have been cut off, and keeps a port reserved for ten minutes: the command says so.
    if [ "$status" -ne 0 ] && [[ $output == *'no Service has it'*'--timeout 15m'* ]]; then
      run recreate 0 --all --timeout 15m
    fi
    echo "after a kill at $pause s: $output" # shown when this fails
    [ "$status" -eq 0 ]
    as_before
  done
}

@test "killed while the delete is held back: the next run puts the Service back" {
  held web
  settled before
  behind web --allow-load-balancer
  being_deleted web
  end_behind
  release web
  run kubectl -n "$ns" get service web
  [ "$status" -ne 0 ]
  [ -n "$(backups)" ]
  service other 'ports: [{port: 80}]'
  recreate 0 other
  contains "$errors" 'service/web recreated from a backup left by an interrupted run'
  kubectl -n "$ns" delete service other
  as_before
}

@test "an interrupt between delete and create does not break off" {
  held web
  settled before
  behind web --allow-load-balancer
  being_deleted web
  kill -TERM "$behind"
  sleep 3
  kill -0 "$behind"
  grep "waiting: service/web in namespace $ns is being deleted" "$BATS_TEST_TMPDIR/out"
  grep 'interrupted: finishing what is under way' "$BATS_TEST_TMPDIR/out"
  release web
  ended 0 # there was nothing else to do
  contains "$output" 'service/web recreated'
  as_before
}

@test "an interrupt in the middle of many: how many were recreated is said, and it is true" {
  local i told
  for i in $(seq 80); do echo "---
apiVersion: v1
kind: Service
metadata: {name: s$i}
spec: {ports: [{port: 80}]}"; done | make
  settled before
  behind --all --concurrency 2
  until grep -q recreated "$BATS_TEST_TMPDIR/out"; do sleep 0.02; done
  kill -INT "$behind"
  ended 130
  as_before
  told=$(sed -n 's/^interrupted: \([0-9]*\) of 80 Services recreated; the rest is as it was$/\1/p' <<<"$output")
  [ "$told" -gt 0 ] && [ "$told" -lt 80 ]
  [ "$told" = "$(grep -c '^service/.* recreated' <<<"$output")" ]
  [ "$told" = "$(diff <(every_uid before) <(every_uid after) | grep -c '^<')" ]
}

@test "what somebody made anew otherwise meanwhile is not touched; the backup is kept and named" {
  local old
  service web 'ports: [{port: 80}]'
  faults --kill-after 3 -- kubectl-cni-svc-recreate -n "$ns" web || [ $? = 137 ]
  [ -z "$(uid service web)" ]
  service web 'ports: [{port: 81}]'
  old=$(uid service web)
  recreate 4 web
  contains "$errors" 'it differs in'
  contains "$errors" 'kubectl delete secret'
  [ "$(uid service web)" = "$old" ]
  [ -n "$(backups)" ]
}
