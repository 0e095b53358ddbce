# One throw-away cluster for all the files of this folder: three cordoned nodes on which no pod runs, and
# flannel's ConfigMap. KCNI_RESIDUE_WORLD, when set, is such a one that is running already.

setup_suite() {
  local cluster=$BATS_TEST_DIRNAME/../cluster
  KCNI_WORLD=${KCNI_RESIDUE_WORLD:-}
  if [ -z "$KCNI_WORLD" ]; then
    KCNI_WORLD=$(mktemp -d)/world
    export KCNI_OWN_WORLD=$KCNI_WORLD
    "$cluster/up" --bare --workers 3 --control-planes 0 --dir "$KCNI_WORLD" >&2
    "$cluster/in" --dir "$KCNI_WORLD" kubectl cordon w1 w2 w3 >&2
    "$cluster/in" --dir "$KCNI_WORLD" kubectl -n kube-flannel create configmap kube-flannel-cfg >&2
  fi
  export KCNI_WORLD
}

teardown_suite() {
  if [ -z "${KCNI_OWN_WORLD:-}" ]; then return; fi
  "$BATS_TEST_DIRNAME/../cluster/down" --dir "$KCNI_OWN_WORLD" >&2
  rmdir "$(dirname "$KCNI_OWN_WORLD")"
}
