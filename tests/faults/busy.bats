#!/usr/bin/env bats
# pin in a cluster where others write too: what is created meanwhile, operators that put back what
# they own, rollouts under way.

load prelude

setup_file() { cni label --all --to flannel >/dev/null; }

setup() {
  need_world
  NS=busy-$BATS_TEST_NUMBER-$RANDOM # another one each time: its end need not be waited for
  kubectl create namespace "$NS" >/dev/null
}

teardown() {
  if [ -n "${background:-}" ]; then
    kill "$background" 2>/dev/null || true
    wait "$background" 2>/dev/null || true
  fi
  kubectl delete namespace "$NS" --wait=false >/dev/null
}

teardown_file() {
  kubectl delete crd apps.example.com >/dev/null 2>&1 || true
  cni label --all --remove --force >/dev/null 2>&1 || true
}

# deployment NAME: with two ready pods.
deployment() {
  kubectl -n "$NS" create deployment "$1" --image=example.com/app:1 --replicas=2 >/dev/null
  kubectl -n "$NS" rollout status "deployment/$1" --timeout=60s >/dev/null
}

pin_of() { kubectl -n "$NS" get "$1" -o jsonpath='{.spec.template.spec.nodeSelector.cni}'; }
now() { look "$NS" "$BATS_TEST_TMPDIR/$1.json"; }

# How many pods have ever been created here, by the server's own audit log.
pods_created() {
  jq -r --arg namespace "$NS" 'select(.verb == "create" and .responseStatus.code == 201
    and .objectRef.resource == "pods" and (.objectRef.subresource // "") == ""
    and .objectRef.namespace == $namespace) | .auditID' "$KCNI_WORLD/log/audit.jsonl" | wc -l
}

@test "what is created between the plan and its application is pinned as well" {
  deployment early
  run_faults 0 --before-first-write "kubectl -n $NS create deployment late --image=example.com/app:1
    kubectl -n $NS rollout status deployment/late" -- kubectl-cni-pin --to flannel -n "$NS"
  [ "$(pin_of deployment/early)" = flannel ]
  [ "$(pin_of deployment/late)" = flannel ]
}

@test "with --wait, also what is still rolling out then" {
  deployment early
  run_faults 0 --before-first-write "kubectl -n $NS create deployment late --image=example.com/app:1 --replicas=3" \
    -- kubectl-cni-pin --to flannel --wait -n "$NS"
  [ "$(pin_of deployment/early)" = flannel ]
  [ "$(pin_of deployment/late)" = flannel ]
}

# An App, which an operator would reconcile, and the Deployment it controls.
app_owns() {
  kubectl apply -f - >/dev/null <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: apps.example.com
spec:
  group: example.com
  scope: Namespaced
  names: {kind: App, plural: apps, singular: app}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object}
YAML
  kubectl wait --for=condition=Established crd/apps.example.com --timeout=30s >/dev/null
  for _ in $(seq 50); do # established is not yet served
    if kubectl -n "$NS" create -f - >/dev/null 2>&1 <<<'{"apiVersion": "example.com/v1", "kind": "App", "metadata": {"name": "shop"}}'; then break; fi
    sleep 0.2
  done
  kubectl -n "$NS" patch deployment "$1" --type merge -p '{"metadata": {"ownerReferences": [{"controller": true,
    "apiVersion": "example.com/v1", "kind": "App", "name": "shop",
    "uid": "'"$(kubectl -n "$NS" get apps.example.com shop -o jsonpath='{.metadata.uid}')"'"}]}}' >/dev/null
}

# put_back NAME...: an operator that lets these Deployments have no pin, again and again.
put_back() {
  "$CLUSTER/in" --dir "$KCNI_WORLD" bash -c 'while sleep 0.3; do
    kubectl -n "$0" patch deployment "$@" --type merge \
      -p "{\"spec\": {\"paused\": null, \"template\": {\"spec\": {\"nodeSelector\": null}}}}"
  done' "$NS" "$@" >/dev/null 2>&1 3>&- &
  background=$!
}

@test "a pin that an operator puts back is told of: --rollout" {
  deployment owned
  deployment argo
  deployment free
  app_owns owned
  kubectl -n "$NS" label deployment argo argocd.argoproj.io/instance=shop
  put_back owned argo
  run_cni 1 pin --to flannel --rollout -n "$NS" --timeout 90s
  contains "$errors$output" owned
  contains "$errors$output" argo
  lacks "$errors" free
  [ "$(pin_of deployment/free)" = flannel ]
}

@test "a pin that an operator puts back is told of: in place, where it stops half-way" {
  deployment owned
  deployment free
  app_owns owned
  put_back owned
  run_cni 1 pin --to flannel --in-place -n "$NS" --timeout 90s
  contains "$errors$output" owned
  lacks "$errors" free
  [ "$(pin_of deployment/free)" = flannel ]
  now after
  run jq -r '.items[] | select(.kind == "Deployment")
    | select(.spec.paused == true or .metadata.annotations."kubectl-cni/in-place" != null) | .metadata.name' \
    "$BATS_TEST_TMPDIR/after.json"
  [ -z "$output" ]
}

@test "what has an owner that puts nothing back is pinned" {
  deployment owned
  app_owns owned
  run_cni 0 pin --to flannel -n "$NS"
  [ "$(pin_of deployment/owned)" = flannel ]
}

# stuck NAME: a rollout whose first new pod does not become ready.
stuck() {
  kubectl -n "$NS" patch deployment "$1" --type merge -p '{"spec": {"template": {"metadata":
    {"annotations": {"kubectl-cni.test/never-ready": "yes"}}}}}' >/dev/null
  kubectl -n "$NS" wait deployment "$1" --for=jsonpath='{.status.updatedReplicas}'=1 --timeout=60s >/dev/null
}

@test "a rollout under way: in place is refused, and nothing is changed" {
  deployment rolling
  stuck rolling
  now before
  run_cni 4 pin deployment/rolling -n "$NS" --to flannel --in-place
  one_error_line rolling
  now after
  [ "$(state "$BATS_TEST_TMPDIR/before.json")" = "$(state "$BATS_TEST_TMPDIR/after.json")" ]
}

@test "a rollout under way: with --wait its end is waited for, and no pod restarts once more" {
  deployment rolling
  stuck rolling
  "$CLUSTER/in" --dir "$KCNI_WORLD" kubectl-cni-pin deployment/rolling -n "$NS" --to flannel --in-place --wait \
    --timeout 120s >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
  background=$!
  sleep 4
  kill -0 "$background"
  [ -z "$(pin_of deployment/rolling)" ]
  while kill -0 "$background" 2>/dev/null; do # each new pod becomes ready after all
    kubectl -n "$NS" annotate pods --all kubectl-cni.test/never-ready- >/dev/null 2>&1 || true
    sleep 0.3
  done
  local code=0
  wait "$background" || code=$?
  background=
  cat "$BATS_TEST_TMPDIR/said"
  [ "$code" = 0 ]
  [ "$(pin_of deployment/rolling)" = flannel ]
  [ "$(kubectl -n "$NS" get replicasets -o name | wc -l)" = 2 ]
  [ "$(pods_created)" = 4 ]
}

@test "a StatefulSet with a partition is refused" {
  kubectl -n "$NS" create -f - >/dev/null <<'YAML'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: canary}
spec:
  replicas: 2
  serviceName: canary
  updateStrategy: {rollingUpdate: {partition: 1}}
  selector: {matchLabels: {app: canary}}
  template:
    metadata: {labels: {app: canary}}
    spec:
      containers: [{name: canary, image: example.com/canary:1}]
YAML
  kubectl -n "$NS" rollout status statefulset/canary --timeout=60s >/dev/null
  now before
  run_cni 4 pin statefulset/canary -n "$NS" --to flannel --in-place
  one_error_line canary
  now after
  [ "$(state "$BATS_TEST_TMPDIR/before.json")" = "$(state "$BATS_TEST_TMPDIR/after.json")" ]
}
