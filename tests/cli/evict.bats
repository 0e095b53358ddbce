#!/usr/bin/env bats
# evict, on a real API server.

load prelude

setup() {
  need_world
  kubectl delete namespace evict --ignore-not-found >/dev/null
  kubectl create namespace evict >/dev/null
}

teardown() {
  kubectl uncordon w1 w2 w3 >/dev/null
  kubectl delete namespace evict --wait=false >/dev/null
  for i in 1 2 3; do rollouts_done shop; rollouts_done data; done
}

# A bare Pod on w1.
bare_pod() { # NAME [MORE SPEC]
  kubectl -n evict run "$1" --image=pause --labels=app=keep --annotations=who=me --overrides="{\"spec\":{
    \"affinity\":{\"nodeAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[
      {\"weight\":100,\"preference\":{\"matchExpressions\":[{\"key\":\"kubernetes.io/hostname\",
       \"operator\":\"In\",\"values\":[\"w1\"]}]}}]}}${2:+,$2}}}" >/dev/null
  kubectl -n evict wait --for=condition=Ready "pod/$1" --timeout=30s >/dev/null
}

node_of() { kubectl -n evict get pod "$1" -o jsonpath='{.spec.nodeName}'; }

@test "evict drains a node, ignores DaemonSets and leaves it cordoned" {
  run_cni 0 evict w1 --recreate-bare-pods --timeout 60s
  contains "$output" 'node/w1 cordoned'
  contains "$output" 'node/w1 drained'
  contains "$errors" 'ignoring DaemonSet-managed pods'
  [ "$(kubectl get node w1 -o jsonpath='{.spec.unschedulable}')" = true ]
  left=$(kubectl get pods -A --field-selector spec.nodeName=w1,status.phase=Running -o json |
    jq -r '.items[] | select(.metadata.ownerReferences[0].kind != "DaemonSet") | .metadata.name')
  [ -z "$left" ]
  run_cni 0 evict w1 --timeout 60s
  contains "$output" 'node/w1 already cordoned'
}

@test "a bare Pod is refused before anything is touched" {
  bare_pod lonely
  node=$(node_of lonely)
  run_cni 4 evict "$node"
  one_error_line evict/lonely --recreate-bare-pods --force
  [ -z "$(kubectl get node "$node" -o jsonpath='{.spec.unschedulable}')" ]
}

@test "a bare Pod is made anew elsewhere with its spec, and its backup is gone" {
  bare_pod keeper '"nodeSelector":{"kubernetes.io/os":"linux"},"terminationGracePeriodSeconds":1'
  node=$(node_of keeper)
  uid=$(kubectl -n evict get pod keeper -o jsonpath='{.metadata.uid}')
  shape='del(.status, .metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.managedFields, .spec.nodeName) | walk(if type == "string" then gsub("kube-api-access-[a-z0-9]+"; "T") else . end)'
  before=$(kubectl -n evict get pod keeper -o json | jq -S "$shape")
  run_cni 0 evict "$node" --recreate-bare-pods --timeout 60s
  contains "$output" 'pod/keeper recreated'
  kubectl -n evict wait --for=condition=Ready pod/keeper --timeout=30s
  [ "$(kubectl -n evict get pod keeper -o json | jq -S "$shape")" = "$before" ]
  [ "$(kubectl -n evict get pod keeper -o jsonpath='{.metadata.uid}')" != "$uid" ]
  [ "$(node_of keeper)" != "$node" ]
  [ -z "$(kubectl get secrets -A -l kubectl-cni/backup=true -o name)" ]
  kubectl uncordon "$node"
}

@test "a bare Pod that was deleted by a killed run is put back by the next" {
  bare_pod victim
  node=$(node_of victim)
  # Slow to stop, so that the kill falls between the eviction and the create.
  kubectl -n evict annotate pod victim kubectl-cni.test/stops-after=5s
  # shellcheck disable=SC2016 # expanded in there: the command's own process is to be killed
  in_world sh -c 'echo $$ >"$1"; exec kubectl-cni-evict "$2" --recreate-bare-pods --pod-selector app=keep' \
    sh "$BATS_TEST_TMPDIR/pid" "$node" >/dev/null 2>&1 &
  for _ in $(seq 50); do
    [ -z "$(kubectl -n evict get pod victim -o jsonpath='{.metadata.deletionTimestamp}')" ] || break
    sleep 0.1
  done
  kill -9 "$(cat "$BATS_TEST_TMPDIR/pid")"
  wait "$!" || true
  kubectl -n evict wait --for=delete pod/victim --timeout=30s
  [ -n "$(kubectl -n evict get secrets -l kubectl-cni/backup=true -o name)" ]
  run_cni 0 evict "$node" --recreate-bare-pods --pod-selector app=keep --timeout 60s
  contains "$errors" 'pod/victim'
  kubectl -n evict wait --for=condition=Ready pod/victim --timeout=30s
  [ -z "$(kubectl get secrets -A -l kubectl-cni/backup=true -o name)" ]
  kubectl uncordon "$node"
}

@test "emptyDir data is refused unless its loss is accepted" {
  bare_pod scratchy '"volumes":[{"name":"d","emptyDir":{}}]'
  node=$(node_of scratchy)
  run_cni 4 evict "$node" --recreate-bare-pods --pod-selector app=keep
  one_error_line evict/scratchy --delete-emptydir-data
  run_cni 0 evict "$node" --recreate-bare-pods --pod-selector app=keep --delete-emptydir-data --timeout 30s
  kubectl uncordon "$node"
}

@test "a budget that blocks is named, exit code 3, and the node's state is said" {
  kubectl -n evict create deployment tight --image=pause --replicas=1
  kubectl -n evict create poddisruptionbudget tight --selector=app=tight --min-available=1
  kubectl -n evict rollout status deployment tight --timeout=30s
  node=$(kubectl -n evict get pods -l app=tight -o jsonpath='{.items[0].spec.nodeName}')
  sleep 1
  run_cni 3 evict "$node" --pod-selector app=tight --timeout 2s
  contains "$errors" 'disruption budget tight needs 1 healthy pods and has 1'
  contains "$errors" "node/$node stays cordoned: 1 of 1 pod left: evict/tight-"
  kubectl uncordon "$node"
}

@test "a StatefulSet's pod that comes back under its name elsewhere ends the wait" {
  kubectl -n data get pod cache-0
  node=$(kubectl -n data get pod cache-0 -o jsonpath='{.spec.nodeName}')
  run_cni 0 evict "$node" --pod-selector statefulset.kubernetes.io/pod-name=cache-0 --timeout 30s
  contains "$output" 'pod/cache-0 evicted'
  kubectl uncordon "$node"
}

@test "Ctrl-C: exit code 130, and what is left is said" {
  kubectl -n evict create deployment slow --image=pause --replicas=1
  kubectl -n evict create poddisruptionbudget slow --selector=app=slow --min-available=1
  kubectl -n evict rollout status deployment slow --timeout=30s
  node=$(kubectl -n evict get pods -l app=slow -o jsonpath='{.items[0].spec.nodeName}')
  sleep 1
  code=0
  # A background job of a script ignores SIGINT; timeout hands ours on.
  in_world timeout --foreground --preserve-status -s INT 2 kubectl-cni-evict "$node" --pod-selector app=slow \
    2>"$BATS_TEST_TMPDIR/err" || code=$?
  [ "$code" = 130 ]
  contains "$(cat "$BATS_TEST_TMPDIR/err")" "interrupted: node/$node stays cordoned: 1 of 1 pod left"
  kubectl uncordon "$node"
}

@test "--dry-run says what would happen and changes nothing" {
  bare_pod dry
  pods=$(kubectl get pods -A -o jsonpath='{.items[*].metadata.uid}')
  writes=$(audit_count create)
  run_cni 0 evict --all --recreate-bare-pods --dry-run
  [ "$(audit_count create)" = "$writes" ]
  [ "$(kubectl get pods -A -o jsonpath='{.items[*].metadata.uid}')" = "$pods" ]
  contains "$output" 'node/w1 cordoned (dry run)'
  contains "$output" 'pod/dry recreated (dry run)'
  contains "$output" 'node/w2 drained (dry run)'
  [ -z "$(kubectl get nodes -o jsonpath='{.items[*].spec.unschedulable}')" ]
  kubectl -n evict get pod dry
}
