#!/usr/bin/env bats
# A controller manager that hears of ReplicaSets three seconds late: whoever lets a Deployment go on
# before its controller has seen the ReplicaSet's new template, gets a second ReplicaSet.

load prelude

NS=slow

setup_file() {
  export KCNI_WORLD=$BATS_FILE_TMPDIR/world
  "$CLUSTER/up" --slow-watch replicasets=3s --workers 1 --control-planes 0 --dir "$KCNI_WORLD" >&2 3>&-
  cni label --all --to flannel >/dev/null
  fill "$NS" "$manifests/three.yaml"
  look "$NS" "$BATS_FILE_TMPDIR/before.json"
}

teardown_file() { "$CLUSTER/down" --dir "$KCNI_WORLD"; }

# unmoved: the pods are those from before, and so are the ReplicaSets, also after a while.
unmoved() {
  sleep 5 # longer than the controller is late
  look "$NS" "$BATS_TEST_TMPDIR/now.json"
  diff <(uids "$BATS_FILE_TMPDIR/before.json") <(uids "$BATS_TEST_TMPDIR/now.json")
  diff <(replica_sets "$BATS_FILE_TMPDIR/before.json") <(replica_sets "$BATS_TEST_TMPDIR/now.json")
}

replica_sets() { jq -r '.items[] | select(.kind == "ReplicaSet") | "\(.metadata.name) \(.metadata.uid)"' "$1" | sort; }

pins() { jq -r '.items[] | select(.kind == "Deployment") | .spec.template.spec.nodeSelector.cni' "$1" | sort -u; }

@test "the controllers are who they always are, and late" {
  jq -r 'select(.userAgent | startswith("kube-controller-manager/")) | .user.username' "$KCNI_WORLD/log/audit.jsonl" |
    sort -u >"$BATS_TEST_TMPDIR/users"
  grep -qx system:kube-controller-manager "$BATS_TEST_TMPDIR/users"
  grep -qx system:serviceaccount:kube-system:deployment-controller "$BATS_TEST_TMPDIR/users"
  # A ReplicaSet that becomes ready makes its Deployment so only after the three seconds.
  local begun=${EPOCHREALTIME/[.,]/} took
  kubectl -n "$NS" create deployment late --image=example.com/late:1 >/dev/null
  kubectl -n "$NS" rollout status deployment/late --timeout=60s >/dev/null
  took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
  [ "$took" -ge 3000 ]
  kubectl -n "$NS" delete deployment late --cascade=foreground >/dev/null
}

@test "in place, of three Deployments: no second ReplicaSet, no other pod" {
  run_cni 0 pin --to flannel --in-place -n "$NS"
  unmoved
  [ "$(pins "$BATS_TEST_TMPDIR/now.json")" = flannel ]
}

@test "and its removal" {
  run_cni 0 pin --remove --in-place -n "$NS"
  unmoved
  [ "$(pins "$BATS_TEST_TMPDIR/now.json")" = null ]
  [ "$(state "$BATS_FILE_TMPDIR/before.json")" = "$(state "$BATS_TEST_TMPDIR/now.json")" ]
}

@test "who does not wait for the controller gets a second ReplicaSet" {
  local pin='"template": {"spec": {"nodeSelector": {"cni": "flannel"}}}' set
  set=$(kubectl -n "$NS" get replicasets --selector=app=one -o name)
  kubectl -n "$NS" patch deployment one --type merge -p "{\"spec\": {\"paused\": true, $pin}}"
  kubectl -n "$NS" patch "$set" --type merge -p "{\"spec\": {$pin}}"
  kubectl -n "$NS" patch deployment one --type merge -p '{"spec": {"paused": null}}'
  for _ in $(seq 50); do
    if [ "$(kubectl -n "$NS" get replicasets --selector=app=one -o name | wc -l)" = 2 ]; then return; fi
    sleep 0.2
  done
  return 1
}

# meanwhile NAME COMMAND...: pins that Deployment in place, and does so while it is paused. What pin said is
# in $output, its exit code in $code.
meanwhile() {
  local name=$1 pid try
  "$CLUSTER/in" --dir "$KCNI_WORLD" kubectl-cni-pin "deployment/$name" -n "$NS" --to flannel --in-place \
    >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
  pid=$!
  for try in $(seq 100); do
    if [ "$(kubectl -n "$NS" get deployment "$name" -o jsonpath='{.spec.paused}')" = true ]; then break; fi
    sleep 0.05
  done
  "${@:2}" >&2
  code=0
  wait "$pid" || code=$?
  output=$(<"$BATS_TEST_TMPDIR/said")
  echo "$output (exit code $code)"
}

@test "what its user changes meanwhile is rolled out at once" {
  local begun=$SECONDS
  meanwhile two kubectl -n "$NS" set image deployment/two '*=example.com/two:newer'
  [ "$code" = 0 ]
  contains "$output" 'changed by somebody else meanwhile'
  [ $((SECONDS - begun)) -lt 30 ]
  [ "$(kubectl -n "$NS" get deployment two -o jsonpath='{.spec.paused}')" = '' ]
  kubectl -n "$NS" rollout status deployment/two --timeout=60s
}

@test "what its user deletes meanwhile is not waited for" {
  local begun=$SECONDS
  meanwhile three kubectl -n "$NS" delete deployment three --wait=false
  [ "$code" = 1 ]
  contains "$output" 'deployment.apps/three in namespace slow was deleted meanwhile'
  [ $((SECONDS - begun)) -lt 30 ]
}
