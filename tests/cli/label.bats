#!/usr/bin/env bats
# label, on a real API server.

load prelude

setup() { need_world; }

teardown() {
  cni label --all --remove --force --key "${KEY:-lab}" >/dev/null 2>&1 || true
  kubectl label nodes --all foreign- >/dev/null 2>&1 || true
}

KEY=lab
value_of() { kubectl get node "$1" -o jsonpath="{.metadata.labels.$KEY}"; }
mark_of() { kubectl get node "$1" -o jsonpath='{.metadata.annotations.kubectl-cni/label-key}'; }

@test "label gives, changes and takes off the label, with kubectl's words" {
  run_cni 0 label w1 --to flannel --key $KEY
  [ "$output" = 'node/w1 labeled (lab=flannel)' ]
  [ "$(value_of w1)" = flannel ]
  run_cni 0 label w1 --to none --key $KEY
  [ "$(value_of w1)" = none ]
  run_cni 0 label w1 --remove --key $KEY
  [ "$output" = 'node/w1 unlabeled' ]
  [ -z "$(value_of w1)" ] && [ -z "$(mark_of w1)" ]
}

@test "label twice: the second time nothing is sent" {
  run_cni 0 label --all --to flannel --key $KEY
  before=$(audit_count patch nodes)
  run_cni 0 label --all --to flannel --key $KEY
  contains "$output" 'node/w1 not labeled'
  [ "$(audit_count patch nodes)" = "$before" ]
}

@test "label --from acts only on nodes with that value" {
  run_cni 0 label w1 --to none --key $KEY
  run_cni 0 label --all --from '' --to flannel --key $KEY
  [ "$(value_of w1)" = none ] && [ "$(value_of w2)" = flannel ]
  run_cni 0 label --all --from none --to cilium --key $KEY
  [ "$(value_of w1)" = cilium ] && [ "$(value_of w2)" = flannel ]
}

@test "label --workers and --control-plane choose by role" {
  run_cni 0 label --workers --to flannel --key $KEY -o name
  lacks "$output" node/cp1
  run_cni 0 label --control-plane --to flannel --key $KEY -o name
  [ "$output" = node/cp1 ]
}

@test "a label that was there before is refused, unless taken over" {
  kubectl label node w2 foreign=yes
  KEY=foreign
  run_cni 4 label --all --to flannel --key foreign
  one_error_line node/w2 foreign=yes --key --overwrite
  [ -z "$(value_of w1)" ]
  run_cni 0 label w2 --to flannel --key foreign --overwrite
  [ "$(value_of w2)" = flannel ]
}

@test "the label is not taken off while a workload or a pod selects it" {
  run_cni 0 label --all --to flannel --key $KEY
  kubectl run selected --image=pause --overrides='{"spec":{"nodeSelector":{"lab":"flannel"}}}'
  run_cni 4 label --all --remove --key $KEY
  one_error_line 'pod/selected in namespace default' --force
  [ "$(value_of w1)" = flannel ]
  kubectl delete pod selected --now
  run_cni 0 label --all --remove --key $KEY
}

@test "--dry-run and --dry-run=server change nothing" {
  run_cni 0 label w1 --to flannel --key $KEY --dry-run
  [ "$output" = 'node/w1 labeled (lab=flannel) (dry run)' ]
  run_cni 0 label w1 --to flannel --key $KEY --dry-run=server
  [ "$output" = 'node/w1 labeled (lab=flannel) (server dry run)' ]
  [ -z "$(value_of w1)" ]
}

@test "-o json, yaml and name" {
  run_cni 0 label w1 --to flannel --key $KEY -o json
  [ "$(jq -r .metadata.name <<<"$output")" = w1 ]
  run_cni 0 label w1 --to flannel --key $KEY -o yaml
  contains "$output" 'name: w1'
  run_cni 0 label w1 w2 --to flannel --key $KEY -o name
  [ "$output" = $'node/w1\nnode/w2' ]
}

@test "every flag can be said by environment" {
  KUBECTL_CNI_KEY=$KEY KUBECTL_CNI_TO=flannel run_cni 0 label w1
  [ "$(value_of w1)" = flannel ]
}

@test "--count picks Ready nodes with the fewest pods to move, the same ones again" {
  cni label --all --remove --force
  kubectl cordon w1
  run_cni 0 label --workers --count 2 --to none --dry-run --diff
  contains "$output" '+    cni: none'
  lacks "$output" 'node/w1 '
  run_cni 0 label --workers --count half --to flannel
  lacks "$output" 'node/w1 '
  chosen=$(kubectl get nodes -l cni=flannel -o name | sort)
  [ "$(wc -l <<<"$chosen")" = 2 ]
  run_cni 0 label --workers --count half --to flannel
  [ "$(kubectl get nodes -l cni=flannel -o name | sort)" = "$chosen" ]
  run_cni 4 label --workers --count 3 --to none
  one_error_line 'only 2 nodes can be chosen, not 3' 'w1 (cordoned)'
  run_cni 2 label --workers --count few --to none
  kubectl uncordon w1
  cni label --all --remove --force
}

@test "--to none --wait says when a CNI does not follow the label" {
  run_cni 0 label w1 --to none --wait
  contains "$errors" "daemonset.apps/kube-flannel-ds does not select the label cni, so its pods stay on these nodes: 'kubectl cni pin --cni flannel --to flannel' makes them follow it"
  cni label --all --remove >/dev/null
}

@test "-o yaml shows the node as it is afterwards, also when only tried" {
  run_cni 0 label w1 --to none --key $KEY --dry-run -o json
  [ "$(jq -r '.kind + " " + .metadata.labels.lab + " " + .status.nodeInfo.operatingSystem' <<<"$output")" = 'Node none linux' ]
  run_cni 0 label w1 --to none --key $KEY -o json
  [ "$(jq -r '.kind + " " + .metadata.labels.lab + " " + .status.nodeInfo.operatingSystem' <<<"$output")" = 'Node none linux' ]
}
