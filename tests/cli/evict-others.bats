#!/usr/bin/env bats
# evict, while somebody else changes what it works on, or interrupts it.

load prelude

setup() {
  need_world
  kubectl delete namespace others --ignore-not-found >/dev/null
  kubectl create namespace others >/dev/null
}

teardown() {
  [ -z "${command:-}" ] || kill -9 "$command" 2>/dev/null || true
  kubectl uncordon w1 w2 w3 >/dev/null
  kubectl -n others get pods -o name | while read -r pod; do
    kubectl -n others patch "$pod" --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null || true
  done
  kubectl delete namespace others --wait=false >/dev/null
}

# A Ready bare Pod, and whose node it is on in $node.
bare_pod() { # NAME [FINALIZER]
  kubectl -n others run "$1" --image=pause --labels="app=$1" --overrides="{\"metadata\":{\"finalizers\":[${2:+\"$2\"}]},
    \"spec\":{\"terminationGracePeriodSeconds\":1}}" >/dev/null
  kubectl -n others wait --for=condition=Ready "pod/$1" --timeout=30s >/dev/null
  node=$(kubectl -n others get pod "$1" -o jsonpath='{.spec.nodeName}')
}

# In the background, whose process is in $command; interrupt is heard though a script's jobs ignore it.
begin_evict() { # ARG...
  # shellcheck disable=SC2016 # expanded in there: the command's own process is to be signalled
  in_world setsid env --default-signal=INT sh -c 'echo $$ >"$1"; shift; exec kubectl-cni-evict "$@"' \
    sh "$BATS_TEST_TMPDIR/pid" "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  job=$!
  for _ in $(seq 50); do [ ! -s "$BATS_TEST_TMPDIR/pid" ] || break; sleep 0.1; done
  command=$(cat "$BATS_TEST_TMPDIR/pid")
}

says() { # TEXT: waits until the command has
  for _ in $(seq 150); do
    ! grep -qF -- "$1" "$BATS_TEST_TMPDIR/err" || return 0
    sleep 0.1
  done
  cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err" >&2
  return 1
}

ends_with() { # EXIT_CODE
  local code=0
  wait "$job" || code=$?
  [ "$code" = "$1" ] || { cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err" >&2 && return 1; }
  command='' output=$(cat "$BATS_TEST_TMPDIR/out") errors=$(cat "$BATS_TEST_TMPDIR/err")
}

backups() { kubectl get secrets -A -l kubectl-cni/backup=true -o name; }

@test "what a user changes on a bare pod while a budget holds it is not lost" {
  bare_pod changed
  tight_budget others changed
  begin_evict "$node" --recreate-bare-pods --pod-selector app=changed --timeout 60s
  says 'pod/changed in namespace others may not go yet'
  kubectl -n others label pod changed by=hand
  kubectl -n others delete poddisruptionbudget changed
  ends_with 0
  contains "$output" 'pod/changed recreated'
  [ "$(kubectl -n others get pod changed -o jsonpath='{.metadata.labels.by}')" = hand ]
  [ -z "$(backups)" ]
}

@test "a bare pod that its user deletes while a budget holds it does not come back" {
  bare_pod unwanted
  tight_budget others unwanted
  begin_evict "$node" --recreate-bare-pods --pod-selector app=unwanted --timeout 60s
  says 'may not go yet'
  kubectl -n others delete pod unwanted --wait=false
  ends_with 0
  contains "$errors" 'pod/unwanted in namespace others is deleted by somebody else, so it is not made anew'
  lacks "$output" 'recreated'
  [ -z "$(kubectl -n others get pods -o name)" ]
  [ -z "$(backups)" ]
}

@test "a node that somebody uncordons before its turn is left alone, and that is said" {
  kubectl cordon w2 w3
  bare_pod slow
  kubectl -n others annotate pod slow kubectl-cni.test/stops-after=5s
  kubectl uncordon w2
  kubectl cordon w1
  bare_pod next
  kubectl uncordon w1 w3
  uid=$(kubectl -n others get pod next -o jsonpath='{.metadata.uid}')
  begin_evict w1 w2 --recreate-bare-pods --pod-selector 'app in (slow, next)' --timeout 60s
  says 'evicting pod others/slow'
  kubectl uncordon w2
  ends_with 1
  contains "$errors" 'node/w2 was uncordoned by somebody else meanwhile'
  contains "$output" 'node/w1 drained'
  [ "$(kubectl -n others get pod next -o jsonpath='{.metadata.uid}')" = "$uid" ]
}

@test "Ctrl-C while a surge waits: the pods that are left are said" {
  kubectl -n others create deployment still --image none --replicas 1 >/dev/null
  kubectl -n others rollout status deployment/still --timeout 30s >/dev/null
  node=$(kubectl -n others get pods -l app=still -o jsonpath='{.items[0].spec.nodeName}')
  # Its next pod could go nowhere else.
  kubectl -n others patch deployment still --type merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/hostname":"'"$node"'"}}}}}' >/dev/null
  kubectl -n others rollout status deployment/still --timeout 30s >/dev/null
  begin_evict "$node" --surge --pod-selector app=still
  says 'waiting:'
  kill -INT "$command"
  ends_with 130
  contains "$errors" "node/$node stays cordoned: 1 pod left: others/still-"
  kubectl -n others delete deployment still >/dev/null
  kubectl uncordon "$node"
}

@test "Ctrl-C while a bare pod is on its way: it is said, and the pod is back" {
  bare_pod going example.com/hold
  begin_evict "$node" --recreate-bare-pods --pod-selector app=going
  deletion_begun others going
  kill -INT "$command"
  says 'interrupted: pod/going in namespace others is on its way and is still made anew'
  kubectl -n others patch pod going --type merge -p '{"metadata":{"finalizers":null}}'
  ends_with 130
  kubectl -n others wait --for=condition=Ready pod/going --timeout=30s
  [ -z "$(backups)" ]
}

@test "a pod that a killed run left going: the next run waits a few seconds, goes on, and puts it back when it has gone" {
  bare_pod killed example.com/hold
  begin_evict "$node" --recreate-bare-pods --pod-selector app=killed
  deletion_begun others killed
  kill -9 "$command"
  wait "$job" || true
  run_cni 0 label w1 --to flannel
  contains "$errors" 'pod/killed in namespace others, which an interrupted run took away, is still being deleted; it is kept in secret/'
  run_cni 1 evict w1 w2 w3 --recreate-bare-pods --pod-selector app=nobody --timeout 30s
  contains "$errors" 'error: pod/killed in namespace others, which an interrupted run took away, is still being deleted'
  kubectl uncordon w1 w2 w3
  begin_evict "$node" --recreate-bare-pods --pod-selector app=killed --timeout 60s
  says 'pod others/killed is being deleted already'
  kubectl -n others patch pod killed --type merge -p '{"metadata":{"finalizers":null}}'
  ends_with 0
  contains "$errors" 'pod/killed recreated from a backup left by an interrupted run'
  kubectl -n others wait --for=condition=Ready pod/killed --timeout=30s
  [ -z "$(backups)" ]
  cni label w1 --remove
}

@test "a bare pod that no other node takes now: it is said before, and --wait-for-replacements waits for one that does" {
  bare_pod pending
  others=$(kubectl get nodes -o name | grep -v "/$node\$")
  # shellcheck disable=SC2086 # a list
  kubectl cordon $others
  begin_evict "$node" --recreate-bare-pods --pod-selector app=pending --wait-for-replacements --timeout 60s
  says 'no node takes these bare pods now, so they will be Pending until one does: others/pending'
  says 'waiting: pod/others/pending: it is not ready'
  # shellcheck disable=SC2086 # a list
  kubectl uncordon $others
  ends_with 0
  [ "$(kubectl -n others get pod pending -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

@test "a server's dry run asks for each eviction; what a surge would move is named once" {
  kubectl -n others create deployment one --image=pause --replicas=1
  kubectl -n others rollout status deployment one --timeout=30s
  node=$(kubectl -n others get pods -l app=one -o jsonpath='{.items[0].spec.nodeName}')
  run_cni 0 evict "$node" --pod-selector app=one --surge --uncordon --dry-run=server
  contains "$output" 'deployment.apps/one restarted (server dry run)'
  lacks "$output" evicted
  contains "$output" "node/$node uncordoned (server dry run)"
  run_cni 0 evict "$node" --pod-selector app=one --uncordon --dry-run
  contains "$output" "node/$node uncordoned (dry run)"
  bare_pod tight
  tight_budget others tight
  run_cni 3 evict "$node" --recreate-bare-pods --pod-selector app=tight --dry-run=server
  contains "$errors" 'pod/tight in namespace others could not be evicted now'
}

@test "flags that name nothing, or ask for the opposite, are not overlooked" {
  run_cni 1 evict w1 --wait-for-cni-gone --flannel-daemonset kube-flannel/typo --pod-selector app=none
  one_error_line 'there is no DaemonSet kube-flannel/typo'
  run_cni 4 evict w1 --ignore-daemonsets=false --recreate-bare-pods
  one_error_line 'nothing was evicted' 'pods of DaemonSets' --daemonset-pods
  [ -z "$(kubectl get node w1 -o jsonpath='{.spec.unschedulable}')" ]
}

@test "two runs at once: the bare pod is there once, and neither's backup stays or is taken from the other" {
  bare_pod both
  kubectl -n others annotate pod both kubectl-cni.test/stops-after=2s
  begin_evict "$node" --recreate-bare-pods --pod-selector app=both --timeout 60s
  run_cni 0 evict "$node" --recreate-bare-pods --pod-selector app=both --timeout 60s
  ends_with 0
  kubectl -n others wait --for=condition=Ready pod/both --timeout=30s
  [ -z "$(backups)" ]
}
