#!/usr/bin/env bats
# svc-recreate's flags and arguments. What becomes of Services of each kind, of killed runs, thieves and edits:
# tests/services.

load prelude

setup() {
  need_world
  ns=svc-$BATS_TEST_NUMBER-$$
  kubectl create namespace "$ns" >/dev/null
}

teardown() {
  [ -n "${ns:-}" ] || return 0
  kubectl delete namespace "$ns" --wait=false >/dev/null
}

recreate() { cni svc-recreate -n "$ns" "$@"; }

# What of a Service must be the same afterwards.
shape() { # NAME
  kubectl -n "$ns" get service "$1" -o json | jq -S '
    del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp,
        .metadata.managedFields)'
}

uid() { kubectl -n "$ns" get "$1" "$2" -o jsonpath='{.metadata.uid}'; }
backups() { kubectl -n "$ns" get secrets -l kubectl-cni/backup=true -o name; }

@test "a Service is recreated as it was" {
  kubectl -n "$ns" create service clusterip web --tcp=80:8080
  before=$(shape web) old=$(uid service web) ip=$(jq -r .spec.clusterIP <<<"$before")
  run recreate web
  [ "$status" -eq 0 ]
  [[ $output == *"service/web recreated ($ip)"* ]]
  [ "$(shape web)" = "$before" ]
  [ "$(uid service web)" != "$old" ]
  [ -z "$(backups)" ]
}

@test "nothing selected is wrong usage, an unknown name an error" {
  run recreate
  [ "$status" -eq 2 ]
  run recreate web -l app=web
  [ "$status" -eq 2 ]
  kubectl -n "$ns" create service clusterip web --tcp=80
  old=$(uid service web)
  run recreate web nosuch
  [ "$status" -eq 1 ]
  [[ $output == *'services "nosuch" not found'* ]]
  [ "$(uid service web)" = "$old" ]
}

@test "a dry run changes nothing" {
  kubectl -n "$ns" create service clusterip web --tcp=80
  old=$(uid service web)
  for mode in client server; do
    run recreate web --dry-run=$mode
    [ "$status" -eq 0 ]
    [[ $output == *"service/web recreated ("*" dry run)"* || $output == *"(dry run)"* ]]
  done
  [ "$(uid service web)" = "$old" ]
  [ -z "$(backups)" ]
}

@test "--backup-dir keeps a private copy that kubectl can create" {
  kubectl -n "$ns" create service clusterip web --tcp=80
  before=$(shape web)
  run recreate web --backup-dir "$BATS_TEST_TMPDIR/keep"
  [ "$status" -eq 0 ]
  file=$BATS_TEST_TMPDIR/keep/$ns.Service.web.json
  [ "$(stat -c %a "$file")" = 600 ]
  kubectl -n "$ns" delete service web
  kubectl create -f "$file"
  [ "$(shape web)" = "$before" ]
}

@test "a Service that may not be created anew is not deleted" {
  kubectl -n "$ns" create service clusterip web --tcp=80
  old=$(uid service web)
  kubectl -n "$ns" create serviceaccount weak
  kubectl -n "$ns" create role weak --verb=get,list,watch,delete --resource=services,endpoints
  kubectl -n "$ns" create rolebinding weak --role=weak --serviceaccount="$ns:weak"
  run recreate web --as "system:serviceaccount:$ns:weak"
  [ "$status" -eq 1 ]
  [[ $output == *"left alone"* ]]
  [ "$(uid service web)" = "$old" ]
}

@test "--only-broken recreates the one whose endpoints are stale" {
  kubectl -n "$ns" create service clusterip good --tcp=80
  kubectl -n "$ns" create service clusterip bad --tcp=80
  kubectl -n "$ns" create -f - <<YAML
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: bad-stale, labels: {kubernetes.io/service-name: bad}}
addressType: IPv4
endpoints: [{addresses: [10.244.9.9], targetRef: {kind: Pod, name: gone, namespace: $ns}}]
ports: [{port: 80}]
YAML
  old=$(uid service good)
  run recreate --only-broken
  [ "$status" -eq 0 ]
  [[ $output == *"endpoint 10.244.9.9 is of pod gone, which is gone"* ]]
  [[ $output == *"service/bad recreated"* ]]
  [ "$(uid service good)" = "$old" ]
}
