# One throw-away cluster for all the files of this folder: two nodes with flannel, and no workloads but
# those of the tests. KCNI_SERVICES_WORLD, when set, is such a one that is running already.

setup_suite() {
  local cluster=$BATS_TEST_DIRNAME/../cluster
  KCNI_WORLD=${KCNI_SERVICES_WORLD:-}
  if [ -z "$KCNI_WORLD" ]; then
    KCNI_WORLD=$(mktemp -d)/world
    export KCNI_OWN_WORLD=$KCNI_WORLD
    "$cluster/up" --bare --workers 2 --control-planes 0 --dir "$KCNI_WORLD" >&2
  fi
  export KCNI_WORLD
  "$cluster/in" --dir "$KCNI_WORLD" kubectl apply -f "$cluster/manifests/10-flannel.yaml" >&2
}

teardown_suite() {
  if [ -z "${KCNI_OWN_WORLD:-}" ]; then return; fi
  "$BATS_TEST_DIRNAME/../cluster/down" --dir "$KCNI_OWN_WORLD" >&2
  rmdir "$(dirname "$KCNI_OWN_WORLD")"
}
