# Sourced by the Bats file: the same state made twice, for `kubectl drain` and for `kubectl cni evict`,
# and what either leaves behind.
#
# A test defines `given`, which says with the functions below which objects there are, calls `compare`,
# and says what is to come of it with `same` or `differs`. It may set nodes, flags, drain_flags,
# evict_flags and also (more of the pod selector), and define `before` and `meanwhile`, which run just
# before a tool and beside it, with its namespace in $NS and what it says in the file $said.

load ../cli/prelude

# await WHAT COMMAND...: for up to half a minute.
await() {
  local end=$((SECONDS + 30))
  until "${@:2}"; do
    if ((SECONDS >= end)); then echo "in vain waited for: $1" && return 1; fi
    sleep 0.2
  done
}

# --- Namespaces: two for each test, made at once, for each request takes its time -----------------

make_namespaces() { # TESTS
  jq -n --argjson tests "$1" '{apiVersion: "v1", kind: "List", items: [range(1; $tests + 1) as $number
    | ("drain", "evict") as $tool | {apiVersion: "v1", kind: "Namespace",
      metadata: {name: "parity-\($number)-\($tool)", labels: {parity: "yes"}}}]}' | kubectl create -f - >/dev/null
  await 'the ServiceAccounts, without which no pod is created' have_accounts "$((2 * $1))"
}

have_accounts() { # HOW_MANY
  [ "$(kubectl get serviceaccounts -A --field-selector metadata.name=default -o json |
    jq '[.items[] | select(.metadata.namespace | startswith("parity-"))] | length')" = "$1" ]
}

# remove_namespaces FLAG...: of kubectl delete.
remove_namespaces() {
  local ns name
  kubectl delete namespace -l parity=yes --wait=false >/dev/null
  kubectl get pods -A -l held=yes --no-headers -o custom-columns=:.metadata.namespace,:.metadata.name |
    while read -r ns name; do
      kubectl -n "$ns" patch pod "$name" --type merge -p '{"metadata": {"finalizers": null}}' </dev/null >/dev/null
    done
  kubectl delete namespace -l parity=yes "$@" >/dev/null
}

# --- The objects of a case, for the namespace in $NS ----------------------------------------------

# emit NAME FILTER: what stdin becomes by this jq filter is one of them.
emit() {
  jq -c --arg ns "$NS" --arg name "$1" "$2 | .metadata += {namespace: \$ns, name: \$name}
    | .metadata.labels.case = \$ns" >>"$BATS_TEST_TMPDIR/objects"
}

# template APP [FILTER]: of a pod.
template() {
  jq -nc --arg ns "$NS" --arg app "$1" '{metadata: {labels: {case: $ns, app: $app}},
    spec: {containers: [{name: "app", image: "example.com/app:1"}]}}' | jq -c "${2:-.}"
}

# What may be given as FILTER, or as a part of it.
EMPTY_DIR='.spec.volumes = [{name: "data", emptyDir: {}}]'
HELD='.metadata.finalizers = ["example.com/hold"] | .metadata.labels.held = "yes"'
NEVER_READY='.metadata.annotations."kubectl-cni.test/never-ready" = "yes"'

stops_after() { echo ".metadata.annotations.\"kubectl-cni.test/stops-after\" = \"$1\""; }

# A Job's pod ends so long after its start.
ends_after() { echo ".metadata.annotations.\"pod-complete.stage.kwok.x-k8s.io/delay\" = \"$1\""; }

only_on() { # NODE...
  echo ".spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms =
    [{matchExpressions: [{key: \"kubernetes.io/hostname\", operator: \"In\", values: $(jq -nc '$ARGS.positional' --args "$@")}]}]"
}

pod() { # NAME [FILTER]
  template "$@" | emit "$1" '{apiVersion: "v1", kind: "Pod"} + .'
}

deployment() { # NAME REPLICAS [FILTER]
  template "$1" "${3:-.}" | emit "$1" "{apiVersion: \"apps/v1\", kind: \"Deployment\",
    spec: {replicas: $2, selector: {matchLabels: .metadata.labels}, template: .}}"
}

statefulset() { # NAME [FILTER]
  template "$@" | emit "$1" '{apiVersion: "apps/v1", kind: "StatefulSet",
    spec: {replicas: 1, serviceName: $name, selector: {matchLabels: .metadata.labels}, template: .}}'
}

# On w1 only, so that there is one pod.
daemonset() { # NAME [FILTER]
  template "$@" | jq -c '.spec.nodeSelector = {"kubernetes.io/hostname": "w1"}' |
    emit "$1" '{apiVersion: "apps/v1", kind: "DaemonSet", spec: {selector: {matchLabels: .metadata.labels}, template: .}}'
}

job() { # NAME [FILTER]
  template "$@" | jq -c '.spec.restartPolicy = "Never"' |
    emit "$1" '{apiVersion: "batch/v1", kind: "Job", spec: {template: .}}'
}

budget() { # APP SPEC
  jq -nc --arg app "$1" "{apiVersion: \"policy/v1\", kind: \"PodDisruptionBudget\",
    spec: ({selector: {matchLabels: {app: \$app}}} + $2)}" | emit "$1" .
}

# --- What the API server refuses ------------------------------------------------------------------

# forbid RULES EXPRESSION MESSAGE: of the requests that match, those for which it is not true. A test
# sets undo to what is to be called when it has ended, however it ends.
forbid() {
  kubectl apply -f - >/dev/null <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: parity}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [$1]
  validations:
  - expression: '$2'
    message: $3
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: parity}
spec:
  policyName: parity
  validationActions: [Deny]
YAML
}

allow() {
  kubectl delete validatingadmissionpolicybinding/parity validatingadmissionpolicy/parity --ignore-not-found >/dev/null
}

# kubelet_dies: that of w1. One process plays the kubelets of all nodes, so it goes on, but is not heard:
# neither that the node is ready, nor that a pod's containers have ended. What the node controller then
# says of the node it would say only after ten minutes (see tests/cluster/world/plane/flags.go).
kubelet_dies() {
  undo=kubelet_lives
  forbid '{apiGroups: [""], apiVersions: [v1], operations: [UPDATE, DELETE], resources: [nodes/status, pods, pods/status]}' \
    'request.userInfo.username != "kubelets" || "w1" != (request.resource.resource == "nodes" ? request.name : oldObject.spec.nodeName)' \
    'nobody hears the kubelet of w1'
  await 'the kubelet to be dead' kubelet_is_unheard
  kubectl patch node w1 --subresource=status -p '{"status": {"conditions": [{"type": "Ready", "status": "Unknown",
    "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}]}}' >/dev/null
  await 'w1 to be called unreachable' is_unreachable w1
}

# Until nothing of it is left that another case would see.
kubelet_lives() {
  allow
  await 'w1 to be ready again' is_ready w1
}

kubelet_is_unheard() {
  kubectl patch node w1 --subresource=status --as=kubelets --as-group=system:masters --dry-run=server -p '{}' 2>&1 |
    grep -q 'nobody hears'
}

is_unreachable() { # NODE
  kubectl get node "$1" -o json |
    jq -e 'any(.spec.taints[]?; .key == "node.kubernetes.io/unreachable" and .effect == "NoExecute")' >/dev/null
}

# Its condition comes first, the taint goes some seconds later.
is_ready() { # NODE
  kubectl get node "$1" -o json |
    jq -e 'all(.spec.taints[]?; .key != "node.kubernetes.io/unreachable")
      and any(.status.conditions[]; .type == "Ready" and .status == "True")' >/dev/null
}

# --- Both tools -----------------------------------------------------------------------------------

# compare: what `given` says is made in two namespaces, all of it on w1; then each tool empties that node
# of what is in its own.
compare() {
  local tool
  declare -gA took=()
  kubectl cordon w2 w3 >/dev/null
  for tool in drain evict; do
    NS=parity-$BATS_TEST_NUMBER-$tool
    given
  done
  jq -s '{apiVersion: "v1", kind: "List", items: .}' "$BATS_TEST_TMPDIR/objects" | kubectl create -f - >/dev/null
  await 'the pods of the case, and their budgets to have counted them' arrived
  kubectl uncordon w2 w3 >/dev/null
  try drain kubectl drain "${drain_flags[@]}"
  try evict kubectl-cni-evict "${evict_flags[@]}"
}

arrived() {
  kubectl get pods,poddisruptionbudgets -A -l "case in (parity-$BATS_TEST_NUMBER-drain, parity-$BATS_TEST_NUMBER-evict)" \
    -o json | jq -e --slurpfile objects "$BATS_TEST_TMPDIR/objects" '
      ([$objects[] | select(.kind != "PodDisruptionBudget") | .spec.replicas // 1] | add) as $wanted
      | [.items[] | select(.kind == "Pod")] as $pods
      | ($pods | length) == $wanted and ($pods | all(.status.phase != "Pending"))
        and ([.items[] | select(.kind == "PodDisruptionBudget")] | all(. as $budget
          | [$pods[] | select(.metadata.namespace == $budget.metadata.namespace
              and .metadata.labels.app == $budget.spec.selector.matchLabels.app)] as $its
          | .status.observedGeneration == .metadata.generation and .status.expectedPods == ($its | length)
            and .status.currentHealthy == ([$its[] | select(any(.status.conditions[]?;
              .type == "Ready" and .status == "True"))] | length)))' >/dev/null
}

# try TOOL COMMAND...: on $nodes, with $flags; what it leaves goes into TOOL.record, in one line.
try() {
  local tool=$1 code=0 beside='' begun
  NS=parity-$BATS_TEST_NUMBER-$tool said=$BATS_TEST_TMPDIR/$tool.said
  if declare -F before >/dev/null; then before >/dev/null; fi
  kubectl -n "$NS" get pods -o json >"$BATS_TEST_TMPDIR/$tool.before"
  : >"$said"
  if declare -F meanwhile >/dev/null; then
    meanwhile >/dev/null 2>&1 3>&- &
    beside=$!
  fi
  begun=$SECONDS
  in_world timeout 90 "${@:2}" "${nodes[@]}" --pod-selector "case=$NS$also" "${flags[@]}" >"$said" 2>&1 || code=$?
  took[$tool]=$((SECONDS - begun))
  if [ -n "$beside" ]; then
    kill "$beside" 2>/dev/null || true
    wait "$beside" || true
  fi
  settle "$tool"
  record "$tool" "exit $code" >"$BATS_TEST_TMPDIR/$tool.record"
  kubectl uncordon w1 w2 w3 >/dev/null
}

# settle TOOL: what there is afterwards into TOOL.after, once Deployments and StatefulSets have as many
# pods as before, or after a while. (A Job pauses for ten seconds before it makes a new one.)
settle() {
  local end=$((SECONDS + 15))
  while true; do
    kubectl -n "$NS" get nodes,pods -o json >"$BATS_TEST_TMPDIR/$1.after"
    if ((SECONDS >= end)) || jq -e --slurpfile before "$BATS_TEST_TMPDIR/$1.before" '
      def replaced: select(any(.metadata.ownerReferences[]?; .kind == "ReplicaSet" or .kind == "StatefulSet"));
      [.items[] | select(.kind == "Pod" and .metadata.deletionTimestamp == null)] as $pods
      | ($pods | all(.status.phase != "Pending"))
        and ([$pods[] | replaced] | length) >= ([$before[0].items[] | replaced] | length)' \
      "$BATS_TEST_TMPDIR/$1.after" >/dev/null; then
      return
    fi
    sleep 0.3
  done
}

# record TOOL ENDED: that, the nodes that are cordoned, and what became of each pod that there was.
record() {
  jq -r --arg ended "$2" --slurpfile before "$BATS_TEST_TMPDIR/$1.before" '
    [.items[] | select(.kind == "Node" and .spec.unschedulable) | .metadata.name] as $cordoned
    | [.items[] | select(.kind == "Pod")] as $pods
    | [$before[0].items[].metadata.uid] as $old
    | def fate:
        . as $pod
        | ([$pods[] | select(.metadata.uid == $pod.metadata.uid)] | first) as $now
        | [$pods[] | select(.metadata.labels.app == $pod.metadata.labels.app and .metadata.deletionTimestamp == null)
            | select(.metadata.uid as $uid | $old | index($uid) | not)] as $new
        | if $now.metadata.deletionTimestamp then "leaving (\($now.metadata.deletionGracePeriodSeconds) s)"
          elif $now then "stays"
          elif any($pod.metadata.ownerReferences[]?; .kind == "Job") or $new == [] then "gone"
          elif any($new[]; .spec.nodeName == $pod.spec.nodeName) then "replaced where it was"
          else "replaced" end;
      [$before[0].items[] | "\(.metadata.labels.app) \(fate)"] | group_by(.)
      | map(.[0] + if length > 1 then " x\(length)" else "" end)
    | [$ended, "\(if $cordoned == [] then "nothing" else $cordoned | join(" ") end) cordoned"] + .
    | join(", ")' "$BATS_TEST_TMPDIR/$1.after"
}

# --- What is asserted, and the table --------------------------------------------------------------

# same RECORD: both have left this.
same() { verdict same "$1" "$1"; }

# differs IMPROVEMENT DRAIN EVICT: the records of either, and what the difference is called.
differs() { verdict "$@"; }

verdict() { # WORD DRAIN EVICT
  local word=$1 drain evict
  drain=$(<"$BATS_TEST_TMPDIR/drain.record")
  evict=$(<"$BATS_TEST_TMPDIR/evict.record")
  if [ "$drain" != "$2" ] || [ "$evict" != "$3" ]; then word="not as expected ($1)"; fi
  printf '%s\t%s\t%s\t%s\n' "$BATS_TEST_DESCRIPTION" "$drain" "$evict" "$word" >>"$BATS_FILE_TMPDIR/table"
  [ "$word" != "$1" ] || return 0
  printf 'expected of drain: %s\n   it has come to: %s\nexpected of evict: %s\n   it has come to: %s\n' \
    "$2" "$drain" "$3" "$evict"
  printf -- '--- drain said:\n%s\n--- evict said:\n%s\n' \
    "$(<"$BATS_TEST_TMPDIR/drain.said")" "$(<"$BATS_TEST_TMPDIR/evict.said")"
  return 1
}

# evict_says PART...: and drain need not.
evict_says() {
  local part
  for part in "$@"; do contains "$(<"$BATS_TEST_TMPDIR/evict.said")" "$part"; done
}

# The table, to the terminal and to the file that KCNI_PARITY_TABLE names.
print_table() {
  [ -s "$BATS_FILE_TMPDIR/table" ] || return 0
  {
    printf 'case\tkubectl drain\tkubectl cni evict\tdifference\n'
    cat "$BATS_FILE_TMPDIR/table"
  } | awk -F '\t' '{ line[NR] = $0; for (i = 1; i < 4; i++) if (length($i) > width[i]) width[i] = length($i) }
    END {
      for (n = 1; n <= NR; n++) {
        split(line[n], field, "\t")
        row = ""
        for (i = 1; i < 4; i++) row = row sprintf("%-" width[i] "s | ", field[i])
        print row field[4]
      }
    }' >"$BATS_FILE_TMPDIR/printed"
  sed 's/^/# /' "$BATS_FILE_TMPDIR/printed" >&3
  if [ -n "${KCNI_PARITY_TABLE:-}" ]; then cp "$BATS_FILE_TMPDIR/printed" "$KCNI_PARITY_TABLE"; fi
}
