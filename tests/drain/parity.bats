#!/usr/bin/env bats
# evict is `kubectl drain` made better: both are given the same state, and must leave the same behind,
# but for the improvements, which are named. The table is printed at the end.

load prelude

setup_file() {
  remove_namespaces --wait=true # of a run before this, in a world that is used by hand
  make_namespaces "$(grep -c '^@test' "$BATS_TEST_FILENAME")"
}

setup() {
  need_world
  nodes=(w1) flags=() drain_flags=() evict_flags=() also='' undo=''
}

teardown() {
  if [ -n "$undo" ]; then "$undo"; fi
  kubectl uncordon w1 w2 w3 >/dev/null
  kubectl delete namespace "parity-$BATS_TEST_NUMBER-drain" "parity-$BATS_TEST_NUMBER-evict" --ignore-not-found \
    --wait=false >/dev/null
}

teardown_file() {
  print_table
  remove_namespaces --wait=false
}

# --- What is moved --------------------------------------------------------------------------------

@test "a Deployment's pods" {
  given() { deployment web 2; }
  compare
  same 'exit 0, w1 cordoned, web replaced x2'
}

@test "a StatefulSet's pod, which is back under its name" {
  given() { statefulset db; }
  compare
  same 'exit 0, w1 cordoned, db replaced'
}

@test "a Job's running pod" {
  given() { job etl "$(ends_after 24h)"; }
  compare
  same 'exit 0, w1 cordoned, etl gone'
}

@test "--pod-selector: only those pods" {
  given() {
    deployment web 1
    deployment chosen 1 '.metadata.labels.pick = "yes"'
  }
  also=,pick=yes
  compare
  same 'exit 0, w1 cordoned, chosen replaced, web stays'
}

@test "a Deployment's pod that runs here only and tolerates the cordon" {
  given() { deployment web 1 "$(only_on w1) | .spec.tolerations = [{operator: \"Exists\"}]"; }
  compare
  differs 'pods that come back are told of' \
    'exit 0, w1 cordoned, web replaced where it was' \
    'exit 3, w1 cordoned, web replaced where it was'
  evict_says 'node/w1 is cordoned: pods keep coming to it' "$NS/web-"
}

# --- DaemonSets and static pods -------------------------------------------------------------------

@test "a DaemonSet's pod" {
  given() { daemonset agent; }
  compare
  differs "DaemonSets' pods ignored without a flag" \
    'exit 1, w1 cordoned, agent stays' \
    'exit 0, w1 cordoned, agent stays'
}

@test "a DaemonSet's pod, --ignore-daemonsets" {
  given() { daemonset agent; }
  flags=(--ignore-daemonsets)
  compare
  same 'exit 0, w1 cordoned, agent stays'
  evict_says 'ignoring DaemonSet-managed pods' "$NS/agent-"
}

@test "a static pod's mirror" {
  local uid
  uid=$(kubectl get node w1 -o jsonpath='{.metadata.uid}')
  # The one kind of pod that must name its node.
  given() {
    pod static ".spec.nodeName = \"w1\" | .metadata.annotations.\"kubernetes.io/config.mirror\" = \"static\"
      | .metadata.ownerReferences = [{apiVersion: \"v1\", kind: \"Node\", name: \"w1\", uid: \"$uid\", controller: true}]"
  }
  compare
  same 'exit 0, w1 cordoned, static stays'
}

# --- What would be lost ---------------------------------------------------------------------------

@test "emptyDir" {
  given() { deployment web 1 "$EMPTY_DIR"; }
  compare
  differs 'a cordon is not left behind by a refusal' \
    'exit 1, w1 cordoned, web stays' \
    'exit 4, nothing cordoned, web stays'
  evict_says "$NS/web-" --delete-emptydir-data
}

@test "emptyDir, --delete-emptydir-data" {
  given() { deployment web 1 "$EMPTY_DIR"; }
  flags=(--delete-emptydir-data)
  compare
  same 'exit 0, w1 cordoned, web replaced'
}

@test "a bare pod" {
  given() { pod solo; }
  compare
  differs 'a cordon is not left behind by a refusal' \
    'exit 1, w1 cordoned, solo stays' \
    'exit 4, nothing cordoned, solo stays'
  evict_says "$NS/solo" --recreate-bare-pods --force
}

@test "a bare pod, --force" {
  given() { pod solo; }
  flags=(--force)
  compare
  same 'exit 0, w1 cordoned, solo gone'
}

@test "a bare pod, --force and --recreate-bare-pods" {
  given() { pod solo; }
  drain_flags=(--force)
  evict_flags=(--recreate-bare-pods)
  compare
  differs recreate-bare-pods \
    'exit 0, w1 cordoned, solo gone' \
    'exit 0, w1 cordoned, solo replaced'
  [ -z "$(kubectl -n "$NS" get secrets -l kubectl-cni/backup=true -o name)" ]
}

@test "one that is refused among others: none of them goes" {
  given() {
    deployment web 1
    pod solo
  }
  compare
  differs 'a cordon is not left behind by a refusal' \
    'exit 1, w1 cordoned, solo stays, web stays' \
    'exit 4, nothing cordoned, solo stays, web stays'
}

# --- What has ended already -----------------------------------------------------------------------

@test "a Job's finished pod, with an emptyDir" {
  given() { job etl "$(ends_after 1s) | $EMPTY_DIR"; }
  before() { kubectl -n "$NS" wait job/etl --for=condition=Complete --timeout=30s; }
  compare
  differs 'finished pods are kept with their logs' \
    'exit 0, w1 cordoned, etl gone' \
    'exit 0, w1 cordoned, etl stays'
}

@test "a finished bare pod" {
  given() { pod solo; }
  before() { kubectl -n "$NS" patch pod solo --subresource=status --type merge -p '{"status": {"phase": "Succeeded"}}'; }
  compare
  differs 'finished pods are kept with their logs' \
    'exit 0, w1 cordoned, solo gone' \
    'exit 0, w1 cordoned, solo stays'
}

# --- Budgets --------------------------------------------------------------------------------------

@test "a tight budget, --timeout" {
  given() {
    deployment web 2
    budget web '{minAvailable: 2}'
  }
  flags=(--timeout 3s)
  compare
  differs 'exit code 3' \
    'exit 1, w1 cordoned, web stays x2' \
    'exit 3, w1 cordoned, web stays x2'
  evict_says 'disruption budget web needs 2 healthy pods and has 2' 'node/w1 stays cordoned: 2 of 2 pods left'
}

@test "a loose budget: one after the other" {
  given() {
    deployment web 2
    budget web '{maxUnavailable: 1}'
  }
  flags=(--timeout 60s)
  compare
  same 'exit 0, w1 cordoned, web replaced x2'
}

@test "a tight budget, --disable-eviction" {
  given() {
    deployment web 2
    budget web '{minAvailable: 2}'
  }
  flags=(--disable-eviction --timeout 60s)
  compare
  same 'exit 0, w1 cordoned, web replaced x2'
}

@test "two budgets for one pod" {
  given() { deployment web 1; }
  before() { # it has arrived: a pod's coming and going is told to one of them only
    kubectl -n "$NS" create poddisruptionbudget one --selector=app=web --min-available=0
    kubectl -n "$NS" create poddisruptionbudget two --selector=app=web --min-available=0
  }
  flags=(--timeout 20s)
  compare
  differs 'exit code 3' \
    'exit 1, w1 cordoned, web stays' \
    'exit 3, w1 cordoned, web stays'
  evict_says 'more than one PodDisruptionBudget selects it: one, two' 'change their selectors'
}

@test "a pod that is not ready, whose budget lets it go (AlwaysAllow)" {
  given() {
    deployment web 1 "$NEVER_READY"
    budget web '{minAvailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow"}'
  }
  flags=(--timeout 30s)
  compare
  same 'exit 0, w1 cordoned, web replaced'
}

@test "a pod that is not ready, whose budget holds it (IfHealthyBudget)" {
  given() {
    deployment web 1 "$NEVER_READY"
    budget web '{minAvailable: 1}'
  }
  flags=(--timeout 3s)
  compare
  differs 'exit code 3' \
    'exit 1, w1 cordoned, web stays' \
    'exit 3, w1 cordoned, web stays'
  evict_says 'disruption budget web needs 1 healthy pods and has 0'
}

@test "a StatefulSet's pod that a budget holds, and somebody else deletes" {
  given() {
    statefulset db
    budget db '{minAvailable: 1}'
  }
  meanwhile() { # once the budget has refused
    local try
    for try in $(seq 200); do
      if grep -q 'disruption budget' "$said"; then break; fi
      sleep 0.1
    done
    kubectl -n "$NS" delete pod db-0 --force --grace-period=0
  }
  flags=(--timeout 9s)
  compare
  # It is back on another node, and the budget holds that one as well.
  differs 'knows pods by UID' \
    'exit 1, w1 cordoned, db replaced' \
    'exit 0, w1 cordoned, db replaced'
}

# --- Pods that do not go, or are going already ----------------------------------------------------

@test "a finalizer, --timeout" {
  given() { pod solo "$HELD"; }
  flags=(--force --timeout 4s)
  compare
  differs 'exit code 3' \
    'exit 1, w1 cordoned, solo leaving (30 s)' \
    'exit 3, w1 cordoned, solo leaving (30 s)'
  evict_says 'not gone after 4s' 'its finalizers have not been taken off: example.com/hold'
}

@test "--grace-period" {
  given() { pod solo "$HELD"; }
  flags=(--force --grace-period 1 --timeout 4s)
  compare
  differs 'exit code 3' \
    'exit 1, w1 cordoned, solo leaving (1 s)' \
    'exit 3, w1 cordoned, solo leaving (1 s)'
}

@test "--grace-period 0: no kubelet is waited for" {
  given() { pod solo "$(stops_after 60s)"; }
  flags=(--force --grace-period 0 --timeout 20s)
  compare
  same 'exit 0, w1 cordoned, solo gone'
}

@test "a pod that its kubelet does not end, --timeout" {
  given() { pod solo "$(stops_after 60s)"; }
  flags=(--force --timeout 4s)
  compare
  differs 'exit code 3' \
    'exit 1, w1 cordoned, solo leaving (30 s)' \
    'exit 3, w1 cordoned, solo leaving (30 s)'
  evict_says 'still running: container app'
}

@test "a pod that takes its time within --timeout" {
  given() { pod solo "$(stops_after 4s)"; }
  flags=(--force --timeout 60s)
  compare
  same 'exit 0, w1 cordoned, solo gone'
}

@test "a StatefulSet's pod that is being deleted already" {
  given() { statefulset db "$(stops_after 5s)"; }
  before() { kubectl -n "$NS" delete pod db-0 --wait=false; }
  flags=(--timeout 60s)
  compare
  same 'exit 0, w1 cordoned, db replaced'
}

@test "a bare pod that is being deleted already" {
  given() { pod solo "$(stops_after 8s)"; }
  before() { kubectl -n "$NS" delete pod solo --wait=false; }
  flags=(--timeout 60s)
  compare
  differs 'what is being deleted already is waited for' \
    'exit 1, w1 cordoned, solo leaving (30 s)' \
    'exit 0, w1 cordoned, solo gone'
}

@test "a pod that has been in deletion for long, --skip-wait-for-delete-timeout" {
  given() { pod solo "$(stops_after 60s)"; }
  before() {
    kubectl -n "$NS" delete pod solo --wait=false --grace-period=1
    sleep 4 # the time stamp is that of the grace period's end
  }
  flags=(--force --skip-wait-for-delete-timeout 1 --timeout 20s)
  compare
  same 'exit 0, w1 cordoned, solo leaving (1 s)'
}

@test "a pod that comes to be so while it is waited for, --skip-wait-for-delete-timeout" {
  given() { pod solo "$(stops_after 60s)"; }
  flags=(--force --grace-period 2 --skip-wait-for-delete-timeout 2 --timeout 20s)
  compare
  same 'exit 0, w1 cordoned, solo leaving (2 s)'
  # Its grace period is not counted.
  [ "${took[drain]}" -ge 4 ]
  [ "${took[evict]}" -ge 4 ]
}

@test "a pod in a namespace that is being deleted" {
  given() { pod solo "$(stops_after 6s)"; }
  before() {
    kubectl delete namespace "$NS" --wait=false
    kubectl -n "$NS" wait pod/solo --for=jsonpath='{.metadata.deletionTimestamp}' --timeout=20s
  }
  flags=(--force --timeout 60s)
  compare
  same 'exit 0, w1 cordoned, solo gone'
}

# --- Nodes ----------------------------------------------------------------------------------------

# One on w1 and one on w2, which both can go to w3, and each to nowhere else.
on_two_nodes() {
  kubectl uncordon w2 >/dev/null
  deployment first 1 "$(only_on w1 w3)"
  deployment second 1 "$(only_on w2 w3)"
}

@test "several nodes: all are cordoned" {
  given() { on_two_nodes; }
  nodes=(w1 w2)
  compare
  same 'exit 0, w1 w2 cordoned, first replaced, second replaced'
}

@test "several nodes, by a selector" {
  given() { on_two_nodes; }
  nodes=(-l 'kubernetes.io/hostname in (w1, w2)')
  compare
  same 'exit 0, w1 w2 cordoned, first replaced, second replaced'
}

@test "a node that is cordoned already" {
  given() { deployment web 1; }
  before() { kubectl cordon w1; }
  compare
  same 'exit 0, w1 cordoned, web replaced'
}

@test "an unknown node among others" {
  given() { deployment web 1; }
  nodes=(w1 w9)
  compare
  same 'exit 1, nothing cordoned, web stays'
  evict_says 'nodes "w9" not found'
}

@test "--dry-run=client" {
  given() { deployment web 1; }
  flags=(--dry-run=client)
  compare
  same 'exit 0, nothing cordoned, web stays'
}

@test "--dry-run=server" {
  given() { deployment web 1; }
  flags=(--dry-run=server)
  compare
  same 'exit 0, nothing cordoned, web stays'
}

# --- A node whose kubelet is dead: late, for it takes a while until it is alive again --------------

@test "a pod on an unreachable node, --timeout" {
  given() { deployment web 1; }
  before() { kubelet_dies; }
  flags=(--timeout 4s)
  compare
  differs 'exit code 3' \
    'exit 1, w1 cordoned, web leaving (30 s)' \
    'exit 3, w1 cordoned, web leaving (30 s)'
  evict_says 'not gone after 4s' 'the kubelet of node/w1 does not confirm it: not Ready (Kubelet stopped posting' \
    'node/w1 stays cordoned'
}

@test "a pod on an unreachable node that has been in deletion for long, --skip-wait-for-delete-timeout" {
  given() { pod solo; }
  before() {
    kubelet_dies
    kubectl -n "$NS" delete pod solo --wait=false --grace-period=1
    sleep 4 # the time stamp is that of the grace period's end
  }
  flags=(--force --skip-wait-for-delete-timeout 1 --timeout 20s)
  compare
  same 'exit 0, w1 cordoned, solo leaving (1 s)'
}

# --- A cordon that somebody forbids: the last, for it takes a while until it is allowed again ------

forbid_cordon() {
  undo=allow_cordon
  forbid '{apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [nodes]}' \
    'object.metadata.name != "w1" || !has(object.spec.unschedulable) || !object.spec.unschedulable' \
    'w1 is needed'
  await 'the policy to hold' cordon_is_forbidden
}

allow_cordon() {
  allow
  await 'the policy to be gone' may_cordon
}

may_cordon() { kubectl patch node w1 --dry-run=server -p '{"spec": {"unschedulable": true}}' >/dev/null 2>&1; }
cordon_is_forbidden() { ! may_cordon; }

@test "a node that may not be cordoned" {
  given() { pod solo; }
  forbid_cordon
  flags=(--force)
  compare
  differs 'goes on only when the cordon holds' \
    'exit 0, nothing cordoned, solo gone' \
    'exit 1, nothing cordoned, solo stays'
  evict_says 'w1 is needed'
}
