# Sourced by the Bats files: commands whose way to the API server has faults, and what a namespace
# must look like afterwards.

load ../cli/prelude

manifests=$BATS_TEST_DIRNAME/manifests

# faults FLAG... -- COMMAND ARG...: see `world faults` in tests/cluster/world/faults.
faults() { in_world world faults "$@"; }

# run_faults EXIT_CODE FLAG... -- COMMAND ARG...: stdout in $output, stderr in $errors.
run_faults() {
  local expected=$1 code=0
  shift
  output=$(faults "$@" 2>"$BATS_TEST_TMPDIR/stderr") || code=$?
  errors=$(cat "$BATS_TEST_TMPDIR/stderr")
  if [ "$code" != "$expected" ]; then
    printf 'exit code %s, not %s\nstdout: %s\nstderr: %s\n' "$code" "$expected" "$output" "$errors"
    return 1
  fi
}

# fill NAMESPACE FILE: a namespace with these objects, all ready.
fill() {
  kubectl create namespace "$1" >/dev/null
  for _ in $(seq 100); do # bare pods need it
    if kubectl -n "$1" get serviceaccount default >/dev/null 2>&1; then break; fi
    sleep 0.2
  done
  kubectl -n "$1" create -f "$2" >/dev/null
  settle "$1"
}

# settle NAMESPACE: until its rollouts are complete and its pods ready.
settle() {
  local name
  for name in $(kubectl -n "$1" get deployments,statefulsets,daemonsets -o name); do
    kubectl -n "$1" rollout status "$name" --timeout=120s >/dev/null
  done
  kubectl -n "$1" wait pods --all --for=condition=Ready --timeout=120s >/dev/null
}

# look NAMESPACE FILE: all that is asked about below, as it is at one time.
look() {
  local try
  for try in 1 2 3 4 5; do # one that failed half-way has written the half, and would be believed
    if kubectl -n "$1" get deployments,replicasets,statefulsets,daemonsets,cronjobs,pods,secrets -o json >"$2"; then return; fi
    sleep "$try"
  done
  echo "namespace $1 could not be read"
  exit 1
}

# state FILE: what the user wrote, and we, without what the server and its controllers add. (That of
# Deployments copies annotations to ReplicaSets and never takes one away: ours are looked at there.)
state() {
  jq -S '[.items[] | select(.kind != "Secret")
    | select(.kind != "Pod" or .metadata.ownerReferences == null)
    | {kind, name: .metadata.name, labels: .metadata.labels,
       annotations: (.kind as $kind | .metadata.annotations // {}
         | if $kind == "ReplicaSet" then with_entries(select(.key | startswith("kubectl-cni/"))) else . end
         | del(."deployment.kubernetes.io/revision", ."deprecated.daemonset.template.generation")),
       spec: (.spec | if .template == null then del(.nodeName) else . end)}]' "$1"
}

# uids FILE: of the pods that a workload has; those being deleted too, for they should not be.
uids() {
  jq -r '.items[] | select(.kind == "Pod" and .metadata.ownerReferences != null)
    | "\(.metadata.name) \(.metadata.uid)"' "$1" | sort
}

# unsafe FILE: a line for everything that a run that goes on from here could not know any more.
unsafe() {
  jq -r '([.items[] | select(.kind == "Secret" and .metadata.labels."kubectl-cni/backup" == "true")]
      | length) as $backups
    | .items[] | (.metadata.annotations."kubectl-cni/in-place" != null) as $remembered
    | "\(.kind) \(.metadata.name)" as $name
    | if .kind == "Deployment" and .spec.paused == true and ($remembered | not)
      then "\($name) is paused and does not remember why" else empty end,
      if .spec.updateStrategy.type == "OnDelete" and ($remembered | not)
      then "\($name) has another strategy and does not remember its own" else empty end' "$1"
  jq -r 'if [.items[] | select((.kind == "Pod" and .metadata.name == "lone")
        or (.kind == "Secret" and .metadata.labels."kubectl-cni/backup" == "true"))] == []
    then "the bare pod is gone and there is no backup of it" else empty end' "$1"
}

# unfinished FILE: a line for everything that must not be there when a command has ended well.
unfinished() {
  unsafe "$1"
  jq -r '.items[] | "\(.kind) \(.metadata.name)" as $name
    | if .kind == "Deployment" and .spec.paused == true then "\($name) is paused" else empty end,
      if (.kind == "Deployment" or .kind == "ReplicaSet") and .metadata.annotations."kubectl-cni/in-place" != null
      then "\($name) has the annotation kubectl-cni/in-place" else empty end,
      if .kind == "Secret" and .metadata.labels."kubectl-cni/backup" == "true"
      then "a backup is left: \($name)" else empty end' "$1"
  jq -r '[.items[] | select(.kind == "Pod" and .metadata.labels.app == "lone")] | length
    | if . == 1 then empty else "there are \(.) of the bare pod" end' "$1"
}
