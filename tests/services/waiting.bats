#!/usr/bin/env bats
# svc-recreate is done with a Service when it has as many ready endpoints as before.

load prelude

setup_pods() {
  web_with_pods
  settled before
  old=$(uid service web)
}

# made_anew: waits until it is.
made_anew() {
  local i now
  for i in $(seq 100); do
    now=$(uid service web)
    if [ -n "$now" ] && [ "$now" != "$old" ]; then return; fi
    sleep 0.1
  done
  return 1
}

@test "it waits while the controller has not written the slices yet" {
  setup_pods
  controllers STOP
  behind web --timeout 60s
  made_anew
  sleep 2
  kill -0 "$behind"
  controllers CONT
  ended 0
  contains "$output" 'service/web recreated'
  look after
  same controller before after
  [ -z "$(backups)" ]
}

@test "killed while it waits: the Service is there, and the next run leaves no backup" {
  local now
  setup_pods
  controllers STOP
  behind web --timeout 60s
  made_anew
  now=$(uid service web)
  end_behind
  controllers CONT
  service other 'ports: [{port: 80}]'
  recreate 0 other
  [ "$(uid service web)" = "$now" ]
  kubectl -n "$ns" delete service other
  as_before
}

@test "an interrupt ends the wait: the Service is there, and no backup is left" {
  setup_pods
  controllers STOP
  behind web --timeout 60s
  made_anew
  sleep 1
  kill -TERM "$behind"
  ended 130
  [ -z "$(backups)" ]
  [ -n "$(uid service web)" ]
}

@test "the terminal is closed between delete and create: the Service comes back, as after Ctrl-C" {
  held web
  service other 'ports: [{port: 80}]'
  settled before
  behind web other --allow-load-balancer --concurrency 1
  being_deleted web
  kill -HUP "$behind"
  sleep 1
  kill -HUP "$behind"
  sleep 0.5
  release web
  ended 130
  contains "$output" 'interrupted: 1 of 2 Services recreated'
  as_before
}

@test "an answer to the delete that does not come within --request-timeout: asked again, and it comes back" {
  service web 'ports: [{port: 80}]'
  settled before
  output=$(faults --slow-first-delete 30s -- kubectl-cni-svc-recreate -n "$ns" web --request-timeout 2s 2>&1)
  contains "$output" "service/web recreated ($(address web))"
  as_before
}

@test "an answer to the delete that is lost: it comes back, nobody else is said to have deleted it" {
  service web 'ports: [{port: 80}]'
  settled before
  output=$(faults --lose-answer 'DELETE services' -- kubectl-cni-svc-recreate -n "$ns" web 2>&1)
  contains "$output" "service/web recreated ($(address web))"
  as_before
}

@test "an answer to the create that is lost: it is known again by its name, though its address is taken" {
  service web 'ports: [{port: 80}]'
  endpoints web 192.0.2.7
  settled before
  output=$(faults --lose-answer 'POST services' -- kubectl-cni-svc-recreate -n "$ns" web 2>&1)
  contains "$output" "service/web recreated ($(address web))"
  as_before
}

@test "an answer to the backup, and to its removal, that is lost: nothing is left behind, or it is said" {
  service web 'ports: [{port: 80}]'
  settled before
  output=$(faults --lose-answer 'DELETE secrets' -- kubectl-cni-svc-recreate -n "$ns" web 2>&1)
  contains "$output" "service/web recreated ($(address web))"
  as_before
  settled before
  output=$(faults --lose-answer 'POST secrets' -- kubectl-cni-svc-recreate -n "$ns" web 2>&1) || true
  recreate 0 web
  as_before
}

@test "endpoints that do not come until --timeout are told; the Service is back as it was" {
  setup_pods
  controllers STOP
  recreate 3 web --timeout 3s
  contains "$errors" "service/web in namespace $ns"
  contains "$errors" ready
  [ "$(uid service web)" != "$old" ]
  [ -z "$(backups)" ]
  controllers CONT
  as_before
}

@test "it does not wait for what was not there" {
  service web 'selector: {app: web}, ports: [{port: 80}]'
  settled before
  controllers STOP
  recreate 0 web --timeout 20s
  contains "$output" 'service/web recreated'
  controllers CONT
  as_before
}

@test "one whose endpoints are late does not keep the others from being done" {
  local i
  setup_pods
  for i in 1 2 3; do service "x$i" 'ports: [{port: 80}]'; done
  settled before
  controllers STOP
  behind --all --concurrency 1 --timeout 10s
  ended 3
  controllers CONT
  [ "$(grep -c 'service/x[123] recreated' <<<"$output")" = 3 ]
  as_before
}
