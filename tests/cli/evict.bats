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
  deletion_begun evict victim
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
  contains "$errors" 'they will be Pending until one does'
  [ "$(audit_count create)" = "$writes" ]
  [ "$(kubectl get pods -A -o jsonpath='{.items[*].metadata.uid}')" = "$pods" ]
  contains "$output" 'node/w1 cordoned (dry run)'
  contains "$output" 'pod/dry recreated (dry run)'
  contains "$output" 'node/w2 drained (dry run)'
  [ -z "$(kubectl get nodes -o jsonpath='{.items[*].spec.unschedulable}')" ]
  kubectl -n evict get pod dry
}

# A Deployment of one pod behind a Service, and whose node it is on in $node.
singleton() { # NAME
  kubectl -n evict create deployment "$1" --image=pause --replicas=1 >/dev/null
  kubectl -n evict expose deployment "$1" --port=80 >/dev/null
  kubectl -n evict rollout status deployment "$1" --timeout=30s >/dev/null
  node=$(kubectl -n evict get pods -l "app=$1" -o jsonpath='{.items[0].spec.nodeName}')
}

# moments_without_endpoint NAME COMMAND...: how often the Service had no ready endpoint while the command ran.
moments_without_endpoint() {
  local service=$1 watch code=0
  shift
  in_world kubectl -n evict get endpointslices -l "kubernetes.io/service-name=$service" --watch \
    -o go-template='{{range .endpoints}}{{if .conditions.ready}}ready{{end}}{{end}}{{"\n"}}' >"$BATS_TEST_TMPDIR/endpoints" 3>&- &
  watch=$!
  for _ in $(seq 50); do [ ! -s "$BATS_TEST_TMPDIR/endpoints" ] || break; sleep 0.1; done
  "$@" >"$BATS_TEST_TMPDIR/said" 2>&1 || code=$?
  kubectl -n evict rollout status deployment "$service" --timeout=30s >/dev/null
  sleep 1
  kill "$watch"
  wait "$watch" || true
  [ "$code" = 0 ] || { cat "$BATS_TEST_TMPDIR/said" >&2 && return 1; }
  grep -c '^$' "$BATS_TEST_TMPDIR/endpoints" || true
}

@test "--surge: a singleton's Service is never without a ready endpoint; drained by kubectl, it is" {
  singleton only
  [ "$(moments_without_endpoint only in_world kubectl-cni-evict "$node" --surge --pod-selector app=only --timeout 60s)" = 0 ]
  contains "$(cat "$BATS_TEST_TMPDIR/said")" 'deployment.apps/only restarted'
  [ "$(kubectl -n evict get pods -l app=only -o jsonpath='{.items[*].spec.nodeName}')" != "$node" ]
  kubectl uncordon "$node"
  node=$(kubectl -n evict get pods -l app=only -o jsonpath='{.items[0].spec.nodeName}')
  [ "$(moments_without_endpoint only in_world kubectl drain "$node" --pod-selector app=only --timeout 60s)" -gt 0 ]
}

@test "--surge: who cannot is named and evicted; who has a pod elsewhere is not restarted" {
  singleton solo
  kubectl -n evict patch deployment solo --type merge -p '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'
  kubectl -n evict create deployment pair --image=pause --replicas=2
  kubectl -n evict rollout status deployment pair --timeout=30s
  before=$(kubectl -n evict get deployments -o jsonpath='{.items[*].metadata.generation}')
  run_cni 0 evict "$node" --surge --pod-selector 'app in (solo, pair)' --timeout 60s
  contains "$errors" 'deployment.apps/solo in namespace evict cannot surge: its strategy is Recreate'
  [ "$(kubectl -n evict get deployments -o jsonpath='{.items[*].metadata.generation}')" = "$before" ]
}

@test "--wait-for-replacements: ends when the owners are whole again, or says what they miss" {
  kubectl -n evict create deployment many --image=pause --replicas=4
  kubectl -n evict rollout status deployment many --timeout=30s
  run_cni 0 evict w1 --pod-selector app=many --wait-for-replacements --timeout 60s
  [ "$(kubectl -n evict get deployment many -o jsonpath='{.status.readyReplicas}')" = 4 ]
  kubectl cordon w2 w3
  run_cni 3 evict w2 --pod-selector app=many --wait-for-replacements --timeout 8s
  contains "$errors" 'node/w2 is empty and stays cordoned, but timed out waiting for replacements: replicaset.apps/evict/many-'
}

@test "--uncordon, and --uncordon-on-failure for what this run has cordoned" {
  singleton held
  tight_budget evict held
  run_cni 3 evict "$node" --pod-selector app=held --timeout 2s --uncordon-on-failure
  contains "$output" "node/$node uncordoned"
  [ -z "$(kubectl get node "$node" -o jsonpath='{.spec.unschedulable}')" ]
  kubectl cordon "$node"
  run_cni 3 evict "$node" --pod-selector app=held --timeout 2s --uncordon-on-failure
  contains "$errors" "node/$node stays cordoned"
  kubectl -n evict delete poddisruptionbudget held
  run_cni 0 evict "$node" --pod-selector app=held --timeout 30s --uncordon
  contains "$output" "node/$node uncordoned"
  [ -z "$(kubectl get node "$node" -o jsonpath='{.spec.unschedulable}')" ]
}

@test "several nodes: all are cordoned before the first eviction, and those that had no turn are named" {
  kubectl -n evict create deployment wide --image=pause --replicas=6
  kubectl -n evict rollout status deployment wide --timeout=30s
  run_cni 0 evict w1 w2 --pod-selector app=wide --max-nodes-in-parallel 2 --timeout 60s
  [ "$(kubectl -n evict get pods -l app=wide -o jsonpath='{range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort -u)" = w3 ]
  contains "$(head -n 2 <<<"$output" | sort)" $'node/w1 cordoned\nnode/w2 cordoned'
}

@test "--daemonset-pods: those on the pod network are deleted too, those on the host's stay" {
  uids() { kubectl get pods -A --field-selector spec.nodeName=w1 -o json | jq -r '.items[]
    | select(.metadata.ownerReferences[0].kind == "DaemonSet" and ((.spec.hostNetwork // false) == '"$1"')) | .metadata.uid' | sort; }
  pods=$(uids false) host=$(uids true)
  [ -n "$pods" ]
  run_cni 0 evict w1 --daemonset-pods --recreate-bare-pods --delete-emptydir-data --timeout 60s
  contains "$output" ' deleted'
  [ -z "$(comm -12 <(echo "$pods") <(uids false))" ]
  [ "$(uids true)" = "$host" ]
}

@test "--wait-for-cni-gone: refused where flannel would stay, else it has gone first" {
  run_cni 4 evict w1 --wait-for-cni-gone --pod-selector app=none
  one_error_line 'node/w1' 'kubectl cni label w1 --to none' --wait-for-cni-gone
  [ -z "$(kubectl get node w1 -o jsonpath='{.spec.unschedulable}')" ]
  cni label --all --to flannel >/dev/null
  cni pin --cni flannel --to flannel --wait >/dev/null
  cni label w1 --to none >/dev/null
  run_cni 0 evict w1 --wait-for-cni-gone --pod-selector app=none --timeout 60s
  [ -z "$(kubectl -n kube-flannel get pods --field-selector spec.nodeName=w1 -o name)" ]
  cni label w1 --to flannel --wait >/dev/null
  cni pin --cni flannel --remove --wait >/dev/null
  cni label --all --remove >/dev/null
}

@test "a pod that does not go is named with the reason after --stuck-after" {
  singleton sticky
  pod=$(kubectl -n evict get pods -l app=sticky -o name)
  kubectl -n evict patch "$pod" --type merge -p '{"metadata":{"finalizers":["example.com/hold"]},"spec":{"terminationGracePeriodSeconds":1}}' 2>/dev/null ||
    kubectl -n evict patch "$pod" --type merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
  run_cni 3 evict "$node" --pod-selector app=sticky --grace-period 1 --stuck-after 1s --timeout 6s
  contains "$errors" "stuck: $pod in namespace evict is being deleted; its finalizers have not been taken off: example.com/hold"
  contains "$errors" 'not gone after 6s; its finalizers'
  kubectl -n evict patch "$pod" --type merge -p '{"metadata":{"finalizers":null}}'
}

@test "-o json: events, one a line" {
  singleton told
  run_cni 0 evict "$node" --pod-selector app=told --timeout 30s -o json
  [ "$(jq -r '"\(.event) \(.kind)"' <<<"$output")" = $'cordoned Node\nevicted Pod\ndrained Node' ]
  [ "$(jq -r 'select(.kind == "Pod") | .node' <<<"$output")" = "$node" ]
  [ "$(jq -s 'all(.time != null and .uid != null)' <<<"$output")" = true ]
}

@test "on a terminal: one line a node, which is gone at the end" {
  singleton shown
  kubectl -n evict annotate pod -l app=shown kubectl-cni.test/stops-after=4s
  typescript=$BATS_TEST_TMPDIR/typescript
  TERM=xterm script -qefc "'$CLUSTER/in' --dir '$KCNI_WORLD' kubectl-cni-evict '$node' --pod-selector app=shown --timeout 30s" "$typescript" >/dev/null
  contains "$(cat "$typescript")" "node/$node [....................] 0/1 pods  evicting pod evict/shown-"
  contains "$(cat "$typescript")" $'\x1b[1A\x1b[J'
  contains "$(tr -d '\r' <"$typescript")" "
node/$node drained
"
}
