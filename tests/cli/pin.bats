#!/usr/bin/env bats
# pin, on a real API server.

load prelude

setup() { need_world; }

teardown() {
  cni pin --remove --wait >/dev/null 2>&1 || true
  cni pin --cni flannel --remove --wait >/dev/null 2>&1 || true
  cni label --all --remove --force >/dev/null 2>&1 || true
}

selector() { kubectl -n "$1" get "$2" -o jsonpath='{.spec.template.spec.nodeSelector}'; }

@test "pin twice: the second run changes nothing and sends no PATCH" {
  cni label --all --to flannel
  run_cni 0 pin --to flannel --wait
  contains "$output" 'deployment.apps/web pinned (cni=flannel, in place)'
  contains "$errors" 'summary: '
  contains "$output" 'cronjob.batch/backup pinned (cni=flannel)'
  before=$(audit_count patch)
  run_cni 0 pin --to flannel
  contains "$output" 'deployment.apps/web unchanged'
  [ "$(audit_count patch)" = "$before" ]
}

@test "all workloads: never kube-system, never a CNI, never in kube-flannel, never the host network" {
  kubectl -n kube-flannel create deployment guest --image=pause
  run_cni 0 pin --to flannel --dry-run
  lacks "$output" coredns
  lacks "$output" kube-flannel-ds
  lacks "$output" guest
  lacks "$output" kube-proxy
  lacks "$output" node-exporter
  contains "$errors" 'daemonset.apps/node-exporter in namespace ops is on the host network'
  contains "$errors" 'pod/toolbox in namespace ops'
  kubectl -n kube-flannel delete deployment guest
}

uids() { kubectl get pods -A -o json | jq -r '.items[] | "\(.metadata.namespace)/\(.metadata.name) \(.metadata.uid)"' | sort; }
specs() { # of all workloads, ReplicaSets included
  kubectl get deployments,replicasets,statefulsets,daemonsets,cronjobs -A -o json |
    jq -S '[.items[] | {k: .kind, n: .metadata.name, s: .spec, a: (.metadata.annotations // {} | with_entries(select(.key | startswith("kubectl-cni/"))))}] | sort_by(.k, .n)'
}

@test "where pods may stay nothing is restarted, and taking it off leaves everything as it was" {
  cni label --all --to flannel
  rollouts_done shop
  specs >"$BATS_TEST_TMPDIR/specs"
  uids >"$BATS_TEST_TMPDIR/uids"
  run_cni 0 pin --to flannel --wait
  contains "$output" 'statefulset.apps/db pinned (cni=flannel, in place)'
  contains "$output" 'daemonset.apps/log-agent pinned (cni=flannel, in place)'
  [ "$(kubectl -n shop get deployment web -o jsonpath='{.spec.paused}')" = '' ]
  [ "$(kubectl -n data get statefulset db -o jsonpath='{.spec.updateStrategy.type}')" = OnDelete ]
  run_cni 0 pin --remove --in-place
  contains "$output" 'deployment.apps/web unpinned (in place)'
  contains "$errors" 'ControllerRevisions'
  specs | diff "$BATS_TEST_TMPDIR/specs" -
  uids | diff "$BATS_TEST_TMPDIR/uids" -
}

@test "a pod that starts later carries the pin; what was born with it is rolled, and only that" {
  cni label --all --to flannel
  run_cni 0 pin --to flannel
  kubectl -n data delete pod db-0
  kubectl -n data wait pod/db-0 --for=condition=Ready --timeout=60s
  [ "$(kubectl -n data get pod db-0 -o jsonpath='{.spec.nodeSelector.cni}')" = flannel ]
  kept=$(kubectl -n data get pod db-1 -o jsonpath='{.metadata.uid}')
  run_cni 4 pin statefulset/db -n data --remove --in-place
  contains "$errors" 'keeps updateStrategy OnDelete'
  run_cni 0 pin statefulset/db -n data --remove --wait
  [ "$(kubectl -n data get statefulset db -o jsonpath='{.spec.updateStrategy.type}')" = RollingUpdate ]
  kubectl -n data rollout status statefulset/db --timeout=60s
  [ "$(kubectl -n data get pod db-0 -o jsonpath='{.spec.nodeSelector.cni}')" = '' ]
  [ "$(kubectl -n data get pod db-1 -o jsonpath='{.metadata.uid}')" = "$kept" ]
}

@test "a pod on a node that the pin excludes makes it a rollout" {
  cni label --workers --to flannel
  node=$(kubectl -n shop get pods -l app=web -o jsonpath='{.items[0].spec.nodeName}')
  cni label "$node" --to none
  run_cni 4 pin daemonset/log-agent -n ops --to flannel --in-place
  one_error_line 'cannot be pinned in place' '--rollout'
  run_cni 0 pin deployment/web -n shop --to flannel --max-concurrent-rollouts 1
  contains "$output" 'pinned (cni=flannel, rolling)'
  [ -z "$(kubectl -n shop get pods -l app=web -o json | jq -r --arg node "$node" '.items[] | select(.spec.nodeName == $node and .metadata.deletionTimestamp == null) | .metadata.name')" ]
}

@test "a rolled-back pin leaves no pinned ReplicaSet behind (trap 22)" {
  cni label --all --to flannel
  run_cni 0 pin deployment/web -n shop --to flannel --rollout --wait
  run_cni 4 pin deployment/web -n shop --remove --in-place
  one_error_line 'deployment.apps/web' 'an older ReplicaSet' --rollout
  run_cni 0 pin deployment/web -n shop --remove --rollout --wait
  contains "$output" 'deleted (scaled down'
  [ -z "$(kubectl -n shop get replicasets -o json | jq -r '.items[] | select(.spec.template.spec.nodeSelector.cni) | .metadata.name')" ]
}

@test "no node with the label: refused, nothing is changed" {
  run_cni 4 pin --to flannel
  one_error_line 'no node is labelled cni=flannel' --force
  [ "$(selector shop deployment/web)" = '' ]
}

@test "bare and scheduling-gated pods: named, or made anew with the pin and without it" {
  kubectl create namespace bare
  printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","labels":{"a":"b"}},"spec":{%s"containers":[{"name":"c","image":"pause"}]}}' \
    gated '"schedulingGates":[{"name":"example.com/later"}],' | kubectl -n bare create -f -
  printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"lone","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"pause"}]}}' | kubectl -n bare create -f -
  kubectl -n bare wait pod/lone --for=condition=Ready --timeout=60s
  cni label --all --to flannel
  run_cni 0 pin -n bare --to flannel
  contains "$output" 'pod/gated pinned (cni=flannel)'
  contains "$errors" 'pod/lone in namespace bare'
  run_cni 0 pin -n bare --to flannel --recreate-bare-pods
  contains "$output" 'pod/lone recreated (cni=flannel)'
  [ "$(kubectl -n bare get pod lone -o jsonpath='{.spec.nodeSelector.cni}{.metadata.labels.a}')" = flannelb ]
  run_cni 0 pin -n bare --to flannel --recreate-bare-pods
  lacks "$output" recreated
  run_cni 0 pin -n bare --remove
  contains "$errors" 'still pinned'
  contains "$errors" 'pod/gated in namespace bare'
  run_cni 0 pin -n bare --remove --recreate-bare-pods
  [ "$(kubectl -n bare get pod lone -o jsonpath='{.spec.nodeSelector.cni}')" = '' ]
  [ -z "$(kubectl -n bare get secrets -o name)" ]
  kubectl delete namespace bare --wait=false
}

@test "what is to change is shown by --diff, and nothing else of the object" {
  cni label --all --to flannel
  run_cni 0 pin deployment/web -n shop --to flannel --dry-run --diff
  contains "$output" '+      nodeSelector:'
  contains "$output" '+        cni: flannel'
  lacks "$output" containers
  contains "$output" 'deployment.apps/web pinned (cni=flannel, in place) (dry run)'
  run_cni 0 pin --to flannel --dry-run=server
  contains "$output" '(server dry run)'
  [ "$(selector shop deployment/web)" = '' ]
}

@test "own affinity against the pin is named" {
  cni label --all --to flannel
  kubectl -n shop create deployment picky --image=pause --replicas=0
  kubectl -n shop patch deployment picky --type merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"no-such"}}}}}'
  run_cni 4 pin deployment/picky -n shop --to flannel
  one_error_line 'deployment.apps/picky' 'would fit no node'
  kubectl -n shop delete deployment picky
}

@test "a CNI's DaemonSet is pinned by its name, when no node loses it" {
  cni label w1 --to flannel
  run_cni 4 pin daemonset/kube-flannel-ds -n kube-flannel --to flannel
  one_error_line 'node/w2' 'label the nodes first'
  cni label --all --to flannel
  run_cni 0 pin daemonset/kube-flannel-ds -n kube-flannel --to flannel
  run_cni 0 pin daemonset/kube-flannel-ds -n kube-flannel --remove
}

@test "a CNI that nodes would lose is not pinned (trap 21)" {
  run_cni 4 pin --cni flannel --to flannel
  one_error_line 'node/w1' 'label the nodes first' --force
  [ -z "$(kubectl -n kube-flannel get ds kube-flannel-ds -o jsonpath='{.spec.template.spec.nodeSelector.cni}')" ]
  cni label --all --to flannel
  run_cni 0 pin --cni flannel --to flannel --wait
  contains "$output" 'daemonset.apps/kube-flannel-ds pinned (cni=flannel, in place)'
}

@test "pin --remove takes off what pin put on and leaves a user's own" {
  kubectl -n shop patch deployment api --type merge \
    -p '{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/os":"linux"}}}}}'
  cni label --all --to flannel
  before=$(kubectl get deployments,statefulsets,daemonsets,cronjobs -A -o json | jq -S '[.items[] | {k: .kind, n: .metadata.name, s: .spec}]')
  run_cni 0 pin --to flannel --wait
  run_cni 0 pin --remove --wait
  after=$(kubectl get deployments,statefulsets,daemonsets,cronjobs -A -o json | jq -S '[.items[] | {k: .kind, n: .metadata.name, s: .spec}]')
  [ "$before" = "$after" ]
  [ "$(selector shop deployment/api)" = '{"kubernetes.io/os":"linux"}' ]
  kubectl -n shop patch deployment api --type merge -p '{"spec":{"template":{"spec":{"nodeSelector":null}}}}'
}

@test "pinned by one key, a second one is refused until the first is off" {
  cni label --all --to flannel
  run_cni 0 pin deployment/web -n shop --to flannel
  run_cni 4 pin deployment/web -n shop --to flannel --key network --force
  one_error_line 'deployment.apps/web in namespace shop' '--remove --key cni'
  run_cni 0 pin deployment/web -n shop --remove
  [ -z "$(kubectl -n shop get deployment web -o jsonpath='{.metadata.annotations.kubectl-cni/pinned}')" ]
}

@test "another value of the key is refused, replaced with --overwrite and put back by --remove" {
  kubectl -n shop patch deployment worker --type merge \
    -p '{"spec":{"paused":true,"template":{"spec":{"nodeSelector":{"cni":"mine"}}}}}'
  cni label --all --to flannel
  run_cni 4 pin deployment/worker -n shop --to flannel
  one_error_line 'cni=mine' --overwrite
  run_cni 4 pin deployment/worker -n shop --to flannel --overwrite
  one_error_line 'deployment.apps/worker' 'paused with a change that was not rolled out'
  run_cni 0 pin deployment/worker -n shop --to flannel --overwrite --rollout
  contains "$errors" 'it is paused: its pods follow when it is resumed'
  run_cni 0 pin deployment/worker -n shop --remove
  [ "$(selector shop deployment/worker)" = '{"cni":"mine"}' ]
  kubectl -n shop patch deployment worker --type merge \
    -p '{"spec":{"paused":false,"template":{"spec":{"nodeSelector":null}}}}'
}

@test "a conflict is read again and planned again" {
  cni label --all --to flannel
  (for _ in $(seq 40); do
    kubectl -n shop annotate deployment web "noise=$RANDOM" --overwrite >/dev/null
  done) &
  noise=$!
  for _ in 1 2 3 4 5; do
    run_cni 0 pin deployment/web -n shop --to flannel
    run_cni 0 pin deployment/web -n shop --remove
  done
  wait "$noise"
}

@test "-f: the Cilium agent's DaemonSet in a manifest, without any server" {
  run_cni 0 pin -f "$KCNI_WORLD/cilium.yaml" --to cilium --kubeconfig /nonexistent
  added=$(diff "$KCNI_WORLD/cilium.yaml" - <<<"$output" | grep -c '^>') || true
  [ "$added" -le 2 ]
  lacks "$(diff "$KCNI_WORLD/cilium.yaml" - <<<"$output" | grep "^<")" "<"
}

@test "an unknown workload is named" {
  run_cni 1 pin deployment/moon -n shop --to flannel
  one_error_line 'deployments.apps "moon" not found'
  run_cni 2 pin web -n shop --to flannel
  contains "$errors" KIND/NAME
}

@test "a user without rights on ReplicaSets or watches leaves nothing paused" {
  cni label --all --to flannel
  kubectl create clusterrole half-pinner --verb=get,list,watch --resource=pods,nodes,deployments.apps,replicasets.apps
  kubectl create clusterrole half-writer --verb=patch --resource=deployments.apps
  kubectl create clusterrolebinding half-pinner --clusterrole=half-pinner --user=half
  kubectl create clusterrolebinding half-writer --clusterrole=half-writer --user=half
  before=$(kubectl -n shop get deployment web -o json | jq -S '.spec, .metadata.annotations')
  run_cni 1 pin deployment/web -n shop --to flannel --as half
  contains "$errors" 'deployment.apps/web in namespace shop was left as it was'
  contains "$errors" 'cannot patch resource "replicasets"'
  [ "$(kubectl -n shop get deployment web -o json | jq -S '.spec, .metadata.annotations')" = "$before" ]
  kubectl delete clusterrolebinding half-pinner half-writer
  kubectl delete clusterrole half-pinner half-writer
}

@test "Ctrl-C: what is begun is finished, nothing more is begun" {
  cni label --all --to flannel
  "$CLUSTER/in" --dir "$KCNI_WORLD" kubectl-cni-pin --to flannel --v=6 2>"$BATS_TEST_TMPDIR/log" >/dev/null 3>&- &
  pin=$! # the command itself, for `in` only execs
  for _ in $(seq 200); do if grep -q PATCH "$BATS_TEST_TMPDIR/log"; then break; fi; sleep 0.01; done
  kill -INT "$pin" || true
  code=0
  wait "$pin" || code=$?
  [ "$code" = 130 ] || [ "$code" = 0 ] # it may have been quicker than we were
  [ -z "$(kubectl get deployments -A -o json | jq -r '.items[] | select(.spec.paused) | .metadata.name')" ]
}

# A bare pod with these volumes and nodeSelector.
bare_pod() { # NAMESPACE NAME VOLUMES NODE-SELECTOR
  kubectl -n "$1" create -f - <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"'"$2"'"},
    "spec":{"volumes":'"$3"',"nodeSelector":'"$4"',"containers":[{"name":"c","image":"pause"}]}}' >/dev/null
  kubectl -n "$1" wait "pod/$2" --for=condition=Ready --timeout=60s >/dev/null
}

@test "bare pods that would lose data, or fit no node with the label, are left alone and named" {
  kubectl create namespace picky
  cni label w1 w2 --to flannel
  bare_pod picky keeps '[{"name":"d","emptyDir":{}}]' '{}'
  bare_pod picky tied '[]' '{"kubernetes.io/hostname":"w3"}'
  before=$(kubectl -n picky get pods -o jsonpath='{.items[*].metadata.uid}')
  run_cni 0 pin -n picky --to flannel --recreate-bare-pods
  contains "$errors" 'emptyDir volumes would be lost (--delete-emptydir-data accepts that): pod/keeps in namespace picky'
  contains "$errors" 'no node with the label suits these bare pods, by their nodeSelector or affinity, so they are left alone: pod/tied in namespace picky'
  [ "$(kubectl -n picky get pods -o jsonpath='{.items[*].metadata.uid}')" = "$before" ]
  run_cni 0 pin -n picky --to flannel --recreate-bare-pods --delete-emptydir-data
  contains "$output" 'pod/keeps recreated (cni=flannel)'
  lacks "$output" 'pod/tied'
  kubectl delete namespace picky --wait=false
}

@test "a bare pod that its user could not make anew is not deleted" {
  kubectl create namespace rightless
  cni label --all --to flannel
  bare_pod rightless stays '[]' '{}'
  uid=$(kubectl -n rightless get pod stays -o jsonpath='{.metadata.uid}')
  kubectl create clusterrole mover --verb=get,list,watch --resource=pods,nodes,replicasets.apps,deployments.apps,statefulsets.apps,daemonsets.apps,replicationcontrollers,jobs.batch,cronjobs.batch
  kubectl create clusterrole keeper --verb=get,list,create,patch,delete --resource=secrets
  kubectl create clusterrole evictor --verb=create --resource=pods/eviction
  for role in mover keeper evictor; do kubectl create clusterrolebinding "$role" "--clusterrole=$role" --user=mover; done
  run_cni 1 pin -n rightless --to flannel --recreate-bare-pods --as mover
  contains "$errors" 'pod/stays in namespace rightless is left alone, for it could not be made anew: '
  [ "$(kubectl -n rightless get pod stays -o jsonpath='{.metadata.uid}{.metadata.deletionTimestamp}')" = "$uid" ]
  [ -z "$(kubectl -n rightless get secrets -o name)" ]
  for role in mover keeper evictor; do kubectl delete clusterrolebinding,clusterrole "$role"; done
  kubectl delete namespace rightless --wait=false
}

@test "in place, no old revision goes, even at the limit of the history" {
  kubectl create namespace short
  kubectl -n short create deployment web --image=one
  kubectl -n short patch deployment web --type merge -p '{"spec":{"revisionHistoryLimit":1}}'
  kubectl -n short rollout status deployment/web --timeout=60s
  kubectl -n short set image deployment/web '*=two'
  kubectl -n short rollout status deployment/web --timeout=60s
  cni label --all --to flannel
  sets=$(kubectl -n short get replicasets -o jsonpath='{.items[*].metadata.uid}')
  [ "$(wc -w <<<"$sets")" = 2 ]
  run_cni 0 pin -n short --to flannel
  contains "$output" 'deployment.apps/web pinned (cni=flannel, in place)'
  run_cni 0 pin -n short --remove --in-place
  [ "$(kubectl -n short get replicasets -o jsonpath='{.items[*].metadata.uid}')" = "$sets" ]
  [ "$(kubectl -n short get deployment web -o jsonpath='{.spec.revisionHistoryLimit}')" = 1 ]
  kubectl delete namespace short --wait=false
}

@test "unpinned in place, pods that were born with the pin are named, and evicted by --evict" {
  cni label --all --to flannel
  run_cni 0 pin deployment/web -n shop --to flannel
  kubectl -n shop delete pod "$(kubectl -n shop get pods -l app=web -o jsonpath='{.items[0].metadata.name}')"
  kubectl -n shop rollout status deployment/web --timeout=60s
  born() { kubectl -n shop get pods -l app=web -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null and .spec.nodeSelector.cni) | .metadata.name'; }
  pod=$(born)
  [ "$(wc -w <<<"$pod")" = 1 ]
  for _ in 1 2; do
    run_cni 0 pin deployment/web -n shop --remove --in-place
    contains "$errors" "pod/$pod in namespace shop keep the pin until they are evicted (--evict does so)"
  done
  run_cni 0 pin deployment/web -n shop --remove --evict --timeout 60s
  contains "$output" "pod/$pod evicted"
  kubectl -n shop rollout status deployment/web --timeout=60s
  [ -z "$(born)" ]
}

@test "a strategy that its user has set meanwhile is not put back over" {
  cni label --all --to flannel
  run_cni 0 pin statefulset/db -n data --to flannel
  kubectl -n data patch statefulset db --type merge -p '{"spec":{"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":2}}}}'
  run_cni 4 pin statefulset/db -n data --remove
  one_error_line 'its partition is 2' --rollout
  [ "$(kubectl -n data get statefulset db -o jsonpath='{.spec.updateStrategy.rollingUpdate.partition}')" = 2 ]
  run_cni 0 pin statefulset/db -n data --remove --rollout
  contains "$errors" 'its pods below its partition 2 do not follow'
  [ "$(kubectl -n data get statefulset db -o jsonpath='{.spec.updateStrategy.rollingUpdate.partition}')" = 2 ]
  kubectl -n data patch statefulset db --type merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'
}

@test "flags that would do nothing are wrong usage" {
  run_cni 2 pin deployment/web -n shop --to flannel --recreate-bare-pods
  contains "$errors" '--recreate-bare-pods concerns all pods'
  run_cni 2 pin --to flannel --select ds/cilium
  contains "$errors" 'say -f'
}
