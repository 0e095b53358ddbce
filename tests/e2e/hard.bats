#!/usr/bin/env bats
# Whole migrations where something is in the way: each ends right, or refuses and says why.

load ../cli/prelude

setup_file() {
  KCNI_WORLD=$(mktemp -d)/world
  export KCNI_WORLD
  "$BATS_TEST_DIRNAME/../cluster/up" --workers 1 --dir "$KCNI_WORLD" >&2
}

teardown_file() {
  "$BATS_TEST_DIRNAME/../cluster/down" --dir "$KCNI_WORLD" >&2
  rmdir "$(dirname "$KCNI_WORLD")"
}

migrate() { in_world kubectl cni migrate --yes --cilium "$KCNI_WORLD/cilium.yaml" "$@"; }

broken_deployment() {
  kubectl apply -f - <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: broken, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: broken}}
  template:
    metadata:
      labels: {app: broken}
      annotations: {kubectl-cni.test/never-ready: "true"}
    spec: {containers: [{name: a, image: registry.example/broken:1}]}
YAML
}

nothing_was_changed() {
  [ -z "$(kubectl get nodes -o json | jq -r '.items[] | select(.metadata.labels.cni or .spec.unschedulable) | .metadata.name')" ]
}

@test "without the right to change anything: said before the first step" {
  run migrate --kubeconfig "$KCNI_WORLD/kubeconfig.d/viewer.yaml"
  [ "$status" -ne 0 ]
  contains "$output" 'orbidden'
  contains "$output" 'Stopped before the first step; nothing was changed in this run.'
  nothing_was_changed
}

@test "a node that lets nobody in: said before the first step, with its name" {
  touch "$KCNI_WORLD/nodes/w1/no-ssh"
  sleep 1
  run migrate --accept-outage --ssh-timeout 2s
  rm "$KCNI_WORLD/nodes/w1/no-ssh"
  [ "$status" -ne 0 ]
  contains "$output" w1
  contains "$output" 'Stopped before the first step; nothing was changed in this run.'
  nothing_was_changed
}

@test "a webhook served by pods is named before the API server's node leaves flannel (trap 17)" {
  kubectl apply -f - <<'YAML'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: guard}
webhooks:
- name: guard.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {namespace: shop, name: web, path: /check}}
  rules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [nothing]}]
YAML
  run migrate --accept-outage
  [ "$status" -eq 4 ]
  contains "$output" 'validatingwebhookconfigurations/guard (Service shop/web)'
  contains "$output" --accept-webhook-outage
  nothing_was_changed
  kubectl patch validatingwebhookconfiguration guard --type=json -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]'
  run migrate --accept-outage --dry-run
  [ "$status" -eq 0 ]
  kubectl delete validatingwebhookconfiguration guard
}

@test "SIGTERM to the playbook alone: it ends within seconds and says where" {
  broken_deployment
  # Not by way of a function: the signal is for the playbook, not for a shell around it.
  "$CLUSTER/in" --dir "$KCNI_WORLD" kubectl cni migrate --yes --cilium "$KCNI_WORLD/cilium.yaml" --accept-outage \
    >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
  pid=$!
  for _ in $(seq 600); do
    if grep -q '^\[5/14\]' "$BATS_TEST_TMPDIR/log"; then break; fi
    sleep 0.1
  done
  kill -TERM "$pid"
  begun=$SECONDS code=0
  wait "$pid" || code=$?
  cat "$BATS_TEST_TMPDIR/log"
  [ "$code" = 130 ]
  contains "$(cat "$BATS_TEST_TMPDIR/log")" 'deployment.apps/broken in namespace shop was not ready before the migration and is left as it is'
  [ $((SECONDS - begun)) -le 15 ]
  contains "$(cat "$BATS_TEST_TMPDIR/log")" 'Stopped in step 5/14'
}

@test "one worker, a workload that never was ready: outage accepted, migrated, purged" {
  run migrate
  [ "$status" -eq 4 ]
  contains "$output" --accept-outage
  migrate --accept-outage --purge --timeout 3m >"$BATS_TEST_TMPDIR/log" 2>&1 || { cat "$BATS_TEST_TMPDIR/log" && false; }
  log=$(cat "$BATS_TEST_TMPDIR/log")
  contains "$log" 'not ready, as before the migration: deployment/shop/broken'
  lacks "$(kubectl get deployments -A -o json | jq 'del(.items[] | select(.metadata.name == "broken"))')" kubectl-cni/
  run kubectl get namespace kube-flannel
  [ "$status" -ne 0 ]
  run kubectl get clusterrole,clusterrolebinding -o name
  lacks "$output" flannel
}

@test "once more after that: proved again, the workload mended meanwhile is forgotten" {
  before=$(audit_count patch)
  run migrate --accept-outage --timeout 1m
  [ "$status" -eq 0 ]
  contains "$output" 'every node runs Cilium, nothing of flannel is left'
  lacks "$output" 'address range is known no more'
  [ "$(audit_count patch)" = "$before" ]
  kubectl -n shop patch deployment broken --type=json -p '[{"op": "remove", "path": "/spec/template/metadata/annotations"}]'
  kubectl -n shop rollout status deployment/broken --timeout=60s
  run migrate --accept-outage --timeout 1m
  [ "$status" -eq 0 ]
  lacks "$(kubectl get deployments -A -o json)" kubectl-cni/
}
