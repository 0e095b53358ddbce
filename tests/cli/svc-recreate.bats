#!/usr/bin/env bats
# svc-recreate against a real API server. KCNI_WORLD is the directory of a running tests/cluster.
# shellcheck disable=SC2030,SC2031 # each test is a subshell of its own, and meant to be

setup() {
  [ -n "${KCNI_WORLD:-}" ] || skip "KCNI_WORLD names no running cluster (scripts/test starts one)"
  here=$(cd "$BATS_TEST_DIRNAME/../cluster" && pwd)
  ns=svc-$BATS_TEST_NUMBER-$$
  kubectl create namespace "$ns" >/dev/null
}

teardown() {
  [ -n "${ns:-}" ] || return 0
  kill_recreate
  local name
  for name in $(kubectl -n "$ns" get services -o name); do release "${name#service/}"; done
  kubectl delete namespace "$ns" --wait=false >/dev/null
}

in_world() { "$here/in" --dir "$KCNI_WORLD" "$@"; }
kubectl() { in_world kubectl "$@"; }
recreate() { in_world kubectl-cni-svc-recreate -n "$ns" "$@"; }

# What of a Service must be the same afterwards.
shape() { # NAME
  kubectl -n "$ns" get service "$1" -o json | jq -S '
    del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp,
        .metadata.managedFields)'
}

uid() { kubectl -n "$ns" get "$1" "$2" -o jsonpath='{.metadata.uid}'; }
backups() { kubectl -n "$ns" get secrets -l kubectl-cni/backup=true -o name; }

# A balancer whose finalizer nobody takes off: its delete is held back until release.
make_held() { # NAME
  kubectl -n "$ns" create service loadbalancer "$1" --tcp=80 >/dev/null
  kubectl -n "$ns" patch service "$1" -p \
    '{"metadata":{"finalizers":["service.kubernetes.io/load-balancer-cleanup"]}}' >/dev/null
}

release() { # NAME
  kubectl -n "$ns" patch service "$1" --type=merge -p '{"metadata":{"finalizers":null}}' \
    >/dev/null 2>&1 || true
}

# recreate_behind ARG…: starts it; recreate_pid is the command itself, for `in` only execs.
recreate_behind() {
  "$here/in" --dir "$KCNI_WORLD" kubectl-cni-svc-recreate -n "$ns" "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  recreate_pid=$!
}

kill_recreate() {
  [ -n "${recreate_pid:-}" ] || return 0
  kill -KILL "$recreate_pid" 2>/dev/null || true
  wait "$recreate_pid" 2>/dev/null || true
  recreate_pid=
}

wait_until_deleted() { # NAME: being deleted, held back
  local i
  for i in $(seq 200); do
    [ -z "$(kubectl -n "$ns" get service "$1" -o jsonpath='{.metadata.deletionTimestamp}')" ] ||
      return 0
    sleep 0.05
  done
  return 1
}

@test "a ClusterIP Service is recreated as it was, and no backup stays" {
  kubectl -n "$ns" create service clusterip web --tcp=80:8080
  before=$(shape web) old=$(uid service web) ip=$(jq -r .spec.clusterIP <<<"$before")
  run recreate web
  [ "$status" -eq 0 ]
  [[ $output == *"service/web recreated ($ip)"* ]]
  [[ $output == *"absent for "*" ms"* ]]
  [ "$(shape web)" = "$before" ]
  [ "$(uid service web)" != "$old" ]
  [ -z "$(backups)" ]
}

@test "everything that a client relies on is kept" {
  kubectl create -f - <<YAML
apiVersion: v1
kind: Service
metadata:
  name: full
  namespace: $ns
  labels: {app: full}
  annotations: {note: "ä \"quoted\"", big: "$(head -c 200000 /dev/zero | tr '\0' x)"}
spec:
  type: NodePort
  selector: {app: full}
  externalTrafficPolicy: Local
  internalTrafficPolicy: Local
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 77}}
  publishNotReadyAddresses: true
  externalIPs: [198.51.100.7]
  trafficDistribution: PreferClose
  ports:
    - {name: http, port: 80, targetPort: web, appProtocol: http}
    - {name: dns, port: 53, protocol: UDP}
YAML
  before=$(shape full)
  run recreate full
  [ "$status" -eq 0 ]
  [ "$(shape full)" = "$before" ]
}

@test "manual EndpointSlices and legacy Endpoints come back" {
  kubectl -n "$ns" create -f - <<YAML
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Service, metadata: {name: db}, spec: {ports: [{port: 5432}]}}
  - {apiVersion: v1, kind: Endpoints, metadata: {name: db}, subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 5432}]}]}
  - {apiVersion: v1, kind: Service, metadata: {name: own}, spec: {ports: [{port: 80}]}}
YAML
  kubectl -n "$ns" create -f - <<YAML
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: own-1
  labels: {kubernetes.io/service-name: own}
  ownerReferences: [{apiVersion: v1, kind: Service, name: own, uid: $(uid service own)}]
addressType: IPv4
endpoints: [{addresses: [192.0.2.2]}]
ports: [{port: 80}]
YAML
  run recreate db own
  [ "$status" -eq 0 ]
  [[ $output != *deprecated* ]]
  [ "$(kubectl -n "$ns" get endpoints db -o jsonpath='{.subsets[0].addresses[0].ip}')" = 192.0.2.1 ]
  slice=$(kubectl -n "$ns" get endpointslice own-1 -o json)
  [ "$(jq -r '.endpoints[0].addresses[0]' <<<"$slice")" = 192.0.2.2 ]
  [ "$(jq -r '.metadata.ownerReferences[0].uid' <<<"$slice")" = "$(uid service own)" ]
}

@test "what must not be recreated is refused by name and skipped in bulk" {
  kubectl -n "$ns" create service clusterip headless --clusterip=None --tcp=80
  kubectl -n "$ns" create service externalname away --external-name=example.com
  kubectl -n "$ns" create service loadbalancer cloud --tcp=80
  for name in headless away cloud; do
    old=$(uid service "$name")
    run recreate "$name"
    [ "$status" -eq 4 ]
    [[ $output == *"service/$name in namespace $ns left alone"* ]]
    [ "$(uid service "$name")" = "$old" ]
  done
  [[ $output == *--allow-load-balancer* ]]
  run recreate --all
  [ "$status" -eq 0 ]
  [[ $output == *"warning: service/cloud"* ]]
  [[ $output != *" recreated "* ]]
}

@test "default/kubernetes is never recreated" {
  run in_world kubectl-cni-svc-recreate -n default kubernetes --allow-owned
  [ "$status" -eq 4 ]
  [[ $output == *never* ]]
}

@test "Services of kube-system only by name" {
  old=$(kubectl -n kube-system get service kube-dns -o jsonpath='{.metadata.uid}')
  run in_world kubectl-cni-svc-recreate -n kube-system --all
  [ "$status" -eq 0 ]
  [ "$(kubectl -n kube-system get service kube-dns -o jsonpath='{.metadata.uid}')" = "$old" ]
}

@test "an owned Service needs --allow-owned and keeps its owner" {
  kubectl -n "$ns" create configmap owner
  kubectl -n "$ns" create service clusterip mine --tcp=80
  kubectl -n "$ns" patch service mine -p "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",
    \"kind\":\"ConfigMap\",\"name\":\"owner\",\"uid\":\"$(uid configmap owner)\",\"controller\":true}]}}"
  run recreate mine
  [ "$status" -eq 4 ]
  [[ $output == *--allow-owned* ]]
  before=$(shape mine)
  run recreate mine --allow-owned
  [ "$status" -eq 0 ]
  [ "$(shape mine)" = "$before" ]
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

@test "killed between delete and create: the next run puts the Service back" {
  make_held web
  before=$(shape web | jq 'del(.metadata.finalizers)')
  recreate_behind web --allow-load-balancer
  wait_until_deleted web
  kill_recreate
  release web
  run kubectl -n "$ns" get service web
  [ "$status" -ne 0 ]
  [ -n "$(backups)" ]
  kubectl -n "$ns" create service clusterip other --tcp=80
  run recreate other
  [ "$status" -eq 0 ]
  [[ $output == *"service/web recreated from a backup left by an interrupted run"* ]]
  [ "$(shape web)" = "$before" ]
  [ -z "$(backups)" ]
}

@test "an interrupt between delete and create does not break off" {
  make_held web
  recreate_behind web --allow-load-balancer
  wait_until_deleted web
  kill -TERM "$recreate_pid"
  sleep 0.3
  kill -0 "$recreate_pid"
  release web
  wait "$recreate_pid" || true
  recreate_pid=
  grep "service/web recreated" "$BATS_TEST_TMPDIR/out"
  kubectl -n "$ns" get service web
  [ -z "$(backups)" ]
}

@test "a thief of the clusterIP is named, the backup kept, and the Service comes back later" {
  make_held web
  ip=$(kubectl -n "$ns" get service web -o jsonpath='{.spec.clusterIP}')
  recreate_behind web --allow-load-balancer --timeout 3s
  wait_until_deleted web
  kill -STOP "$recreate_pid"
  release web
  kubectl -n "$ns" create service clusterip thief --clusterip="$ip" --tcp=80
  kill -CONT "$recreate_pid"
  status=0
  wait "$recreate_pid" || status=$?
  recreate_pid=
  [ "$status" -eq 1 ]
  grep "taken meanwhile by service/thief in namespace $ns (clusterIP $ip)" "$BATS_TEST_TMPDIR/out"
  [ -n "$(backups)" ]
  run recreate --all --timeout 2s
  [ "$status" -eq 1 ]
  [[ $output == *"service/thief"* ]]
  kubectl -n "$ns" delete service thief
  run recreate --all
  [ "$(kubectl -n "$ns" get service web -o jsonpath='{.spec.clusterIP}')" = "$ip" ]
  [ -z "$(backups)" ]
}

@test "an edit between plan and delete is not lost" {
  make_held first
  kubectl -n "$ns" create service clusterip second --tcp=80
  recreate_behind first second --allow-load-balancer --concurrency 1
  wait_until_deleted first
  kubectl -n "$ns" annotate service second edited=yes
  old=$(uid service second)
  release first
  wait "$recreate_pid"
  recreate_pid=
  [ "$(uid service second)" != "$old" ]
  [ "$(kubectl -n "$ns" get service second -o jsonpath='{.metadata.annotations.edited}')" = yes ]
}

@test "a backup of a Service that somebody made anew otherwise is kept and named" {
  make_held web
  recreate_behind web --allow-load-balancer
  wait_until_deleted web
  kill_recreate
  release web
  kubectl -n "$ns" create service clusterip web --tcp=81
  old=$(uid service web)
  run recreate web
  [ "$status" -eq 4 ]
  [[ $output == *"it differs in"* ]]
  [[ $output == *"kubectl delete secret"* ]]
  [ "$(uid service web)" = "$old" ]
}

@test "killed at any moment, the next run leaves every Service as it was" {
  for i in 1 2 3 4 5; do kubectl -n "$ns" create service nodeport "s$i" --tcp=80 >/dev/null; done
  before=$(for i in 1 2 3 4 5; do shape "s$i"; done)
  for pause in 0.02 0.04 0.06 0.08 0.10 0.12 0.15 0.2; do
    recreate_behind --all
    sleep "$pause"
    kill_recreate
    run recreate --all
    echo "after a kill at $pause s: $output" # shown when this fails
    # The server itself may have been cut off, and keeps a port reserved for ten minutes: the command says so.
    if [ "$status" -ne 0 ] && [[ $output == *'no Service has it'*'--timeout 15m'* ]]; then run recreate --all --timeout 15m; fi
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(for i in 1 2 3 4 5; do shape "s$i"; done)" = "$before" ]
    [ -z "$(backups)" ]
  done
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
