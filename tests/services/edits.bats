#!/usr/bin/env bats
# Somebody changes a Service after svc-recreate has read it: the change is not lost.

load prelude

# edited EXIT_CODE COMMAND ARG...: svc-recreate ARG..., and COMMAND runs between its reading and its first write.
edited() {
  local expected=$1 code=0
  output=$(faults --before-first-write "$2" -- kubectl-cni-svc-recreate -n "$ns" "${@:3}" 2>"$BATS_TEST_TMPDIR/stderr") || code=$?
  errors=$(<"$BATS_TEST_TMPDIR/stderr")
  [ "$code" = "$expected" ] || { printf 'exit code %s, not %s\nstdout: %s\nstderr: %s\n' "$code" "$expected" "$output" "$errors" && return 1; }
}

field() { kubectl -n "$ns" get service web -o json | jq -c "$1"; }

# old is its UID.
setup_web() {
  service web 'type: NodePort, selector: {app: web}, ports: [{name: a, port: 80}]'
  old=$(uid service web)
}

@test "an annotation" {
  setup_web
  edited 0 "kubectl -n $ns annotate service web edited=yes" web
  contains "$output" 'service/web recreated'
  [ "$(uid service web)" != "$old" ]
  [ "$(field .metadata.annotations.edited)" = '"yes"' ]
  [ -z "$(backups)" ]
}

@test "a port, the selector and the session affinity" {
  setup_web
  edited 0 "kubectl -n $ns patch service web --type=merge -p '{\"spec\": {\"selector\": {\"app\": \"new\"}, \"sessionAffinity\": \"ClientIP\",
    \"ports\": [{\"name\": \"b\", \"port\": 81, \"nodePort\": 32181}]}}'" web
  [ "$(uid service web)" != "$old" ]
  [ "$(field '[.spec.selector.app, .spec.sessionAffinity, .spec.ports[].nodePort]')" = '["new","ClientIP",32181]' ]
  [ -z "$(backups)" ]
}

@test "a label taken away" {
  service web 'ports: [{port: 80}]' 'labels: {going: "yes", staying: "yes"}'
  old=$(uid service web)
  edited 0 "kubectl -n $ns label service web going-" web
  [ "$(uid service web)" != "$old" ]
  [ "$(field '.metadata.labels')" = '{"staying":"yes"}' ]
}

@test "an edit of one of several, in bulk" {
  setup_web
  service first 'ports: [{port: 80}]'
  edited 0 "kubectl -n $ns annotate service web edited=yes" --all --concurrency 1
  [ "$(grep -c ' recreated' <<<"$output")" = 2 ]
  [ "$(uid service web)" != "$old" ]
  [ "$(field .metadata.annotations.edited)" = '"yes"' ]
}

@test "one that a later Service of the run meets while it waits" {
  held first
  service second 'ports: [{port: 80}]'
  old=$(uid service second)
  behind first second --allow-load-balancer --concurrency 1
  being_deleted first
  kubectl -n "$ns" annotate service second edited=yes
  release first
  ended 0
  [ "$(uid service second)" != "$old" ]
  [ "$(kubectl -n "$ns" get service second -o jsonpath='{.metadata.annotations.edited}')" = yes ]
}

# kept_for_the_edit PART...: refused for what it is now, and it is that.
kept_for_the_edit() {
  one_error_line "service/web in namespace $ns left alone: " "$@"
  [ -z "$output" ]
  [ "$(uid service web)" = "$old" ]
  [ -z "$(backups)" ]
}

@test "an edit after which it may not be recreated: an owner" {
  setup_web
  kubectl -n "$ns" create configmap owner
  edited 4 "kubectl -n $ns patch service web --type=merge -p '{\"metadata\": {\"ownerReferences\": [
    {\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"name\": \"owner\", \"uid\": \"$(uid configmap owner)\"}]}}'" web
  kept_for_the_edit ConfigMap/owner --allow-owned
  [ "$(field '.metadata.ownerReferences | length')" = 1 ]
}

@test "an edit after which it may not be recreated: a balancer, a finalizer" {
  setup_web
  edited 4 "kubectl -n $ns patch service web -p '{\"spec\": {\"type\": \"LoadBalancer\"}}'" web
  kept_for_the_edit LoadBalancer --allow-load-balancer
  edited 4 "kubectl -n $ns patch service web -p '{\"metadata\": {\"finalizers\": [\"example.com/lease\"]}}'" web --allow-load-balancer
  kept_for_the_edit example.com/lease --allow-finalizers
}

@test "deleted by somebody: it stays deleted" {
  setup_web
  edited 1 "kubectl -n $ns delete service web" web
  contains "$errors" 'somebody else deleted it'
  lacks "$errors" 'no backup could be made'
  [ -z "$(uid service web)" ]
  [ -z "$(backups)" ]
}

@test "deleted and made anew by somebody: theirs is not touched" {
  setup_web
  edited 1 "kubectl -n $ns delete service web && kubectl -n $ns create service clusterip web --tcp=81" web
  contains "$errors" 'made anew by somebody else'
  [ "$(field '.spec.ports[0].port')" = 81 ]
}

@test "an edit while its finalizers hold the delete back: it is in the new one" {
  held web
  old=$(uid service web)
  behind web --allow-load-balancer
  being_deleted web
  kubectl -n "$ns" annotate service web edited=yes >/dev/null
  kubectl -n "$ns" patch service web --type=merge -p '{"spec": {"sessionAffinity": "ClientIP"}}' >/dev/null
  release web
  ended 0
  contains "$output" "service/web in namespace $ns was changed in "
  contains "$output" 'while its delete was held back: it is made anew with that'
  [ "$(uid service web)" != "$old" ]
  [ "$(field '[.metadata.annotations.edited, .spec.sessionAffinity, .metadata.finalizers]')" = \
    '["yes","ClientIP",["service.kubernetes.io/load-balancer-cleanup"]]' ]
  [ -n "$(field '.status.loadBalancer.ingress[0].ip // empty')" ]
  [ -z "$(backups)" ]
}

@test "somebody labels the backup meanwhile: it is taken away all the same" {
  held web
  settled before
  behind web --allow-load-balancer
  being_deleted web
  kubectl -n "$ns" label "$(backups)" seen=yes >/dev/null
  release web
  ended 0
  as_before
}

@test "an edit of its slice by hand" {
  service db 'ports: [{port: 5432}]'
  slice db-1 db 192.0.2.11 "$(owned_by Service db)"
  edited 0 "kubectl -n $ns annotate endpointslice db-1 edited=yes" db
  [ "$(kubectl -n "$ns" get endpointslice db-1 -o jsonpath='{.metadata.annotations.edited}')" = yes ]
}
