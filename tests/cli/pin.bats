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
  contains "$output" 'deployment.apps/web pinned (cni=flannel)'
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

@test "a CNI's DaemonSet named as a workload is refused" {
  run_cni 4 pin daemonset/kube-flannel-ds -n kube-flannel --to flannel
  one_error_line '--cni'
}

@test "a CNI that nodes would lose is not pinned (trap 21)" {
  run_cni 4 pin --cni flannel --to flannel
  one_error_line 'node/w1' 'label the nodes first' --force
  [ -z "$(kubectl -n kube-flannel get ds kube-flannel-ds -o jsonpath='{.spec.template.spec.nodeSelector.cni}')" ]
  cni label --all --to flannel
  run_cni 0 pin --cni flannel --to flannel --wait
  contains "$output" 'daemonset.apps/kube-flannel-ds pinned (cni=flannel)'
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

@test "another value of the key is refused, replaced with --overwrite and put back by --remove" {
  kubectl -n shop patch deployment worker --type merge \
    -p '{"spec":{"paused":true,"template":{"spec":{"nodeSelector":{"cni":"mine"}}}}}'
  run_cni 4 pin deployment/worker -n shop --to flannel
  one_error_line 'cni=mine' --overwrite
  run_cni 0 pin deployment/worker -n shop --to flannel --overwrite
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
