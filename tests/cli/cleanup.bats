#!/usr/bin/env bats
# cleanup, over real ssh on the nodes of the throw-away cluster. What the script finds and removes is
# tested in residue.bats; here it is what the command makes of it.

load prelude

setup() { need_world; }

@test "--check finds flannel on a node that runs it: exit code 1, nothing changed" {
  run_cni 1 cleanup w1 --check
  contains "$output" 'node/w1 not clean ('
  contains "$output" cni0
  contains "$output" flannel.1
  on_node w1 ip link show cni0 >/dev/null
}

@test "cleaning is refused while flannel runs, while pods are on it, and without a cordon" {
  run_cni 4 cleanup w1
  one_error_line node/w1 'flannel still runs there' --force
  on_node w1 ip link show cni0 >/dev/null
}

@test "several nodes: one that cannot be reached does not stop the others" {
  printf 'w2 127.0.0.1:2\n' >"$BATS_TEST_TMPDIR/map"
  run_cni 1 cleanup w1 w2 --check --host-map "$BATS_TEST_TMPDIR/map"
  contains "$output" 'node/w1 not clean'
  contains "$errors" 'node/w2'
}

@test "a node leaves flannel: label, evict, cleanup, twice" {
  cni label --all --to flannel >/dev/null
  cni pin --cni flannel --to flannel --wait >/dev/null
  run_cni 0 label w3 --to none --wait --timeout 60s
  run_cni 0 evict w3 --recreate-bare-pods --timeout 60s
  run_cni 0 cleanup w3 --dry-run
  contains "$output" 'would run'
  on_node w3 ip link show cni0 >/dev/null
  run_cni 0 cleanup w3
  contains "$output" 'node/w3 cleaned ('
  lacks "$(on_node w3 ip -br link)" flannel.1
  # DaemonSets' pods are still there with flannel's addresses: the conf must stay for their teardown.
  kubectl -n ops delete pods --field-selector spec.nodeName=w3 --now >/dev/null
  run_cni 3 cleanup w3 --wait-conf --timeout 3s
  one_error_line node/w3
  run_cni 0 label w3 --to flannel --wait --timeout 60s
  kubectl uncordon w3
  cni pin --cni flannel --remove --wait >/dev/null
  cni label --all --remove >/dev/null
}
