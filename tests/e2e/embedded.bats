#!/usr/bin/env bats
# flannel that is part of k3s: it has no DaemonSet, so no node label can move it (trap 3).

load ../cli/prelude

setup_file() {
  KCNI_WORLD=$(mktemp -d)/world
  export KCNI_WORLD
  "$BATS_TEST_DIRNAME/../cluster/up" --workers 2 --bare --dir "$KCNI_WORLD" >&2
  "$BATS_TEST_DIRNAME/../cluster/in" --dir "$KCNI_WORLD" kubectl annotate nodes --all flannel.alpha.coreos.com/backend-type=vxlan >&2
}

teardown_file() {
  "$BATS_TEST_DIRNAME/../cluster/down" --dir "$KCNI_WORLD" >&2
  rmdir "$(dirname "$KCNI_WORLD")"
}

@test "the playbook refuses and says so" {
  run in_world kubectl cni migrate --yes --cilium "$KCNI_WORLD/cilium.yaml"
  [ "$status" -eq 4 ]
  contains "$output" 'embedded'
  contains "$output" 'nothing was changed'
}

@test "pin --cni refuses and says so" {
  run_cni 4 pin --cni flannel --to flannel
  one_error_line 'without a DaemonSet'
}
