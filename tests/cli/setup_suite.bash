# One throw-away cluster for all the files of this folder. KCNI_WORLD, when set, is one that is
# running already (to go on testing by hand).

setup_suite() {
  if [ -n "${KCNI_WORLD:-}" ]; then return; fi
  KCNI_WORLD=$(mktemp -d)/world
  export KCNI_WORLD
  export KCNI_OWN_WORLD=$KCNI_WORLD
  "$BATS_TEST_DIRNAME/../cluster/up" --workers 3 --dir "$KCNI_WORLD" >&2
}

teardown_suite() {
  if [ -z "${KCNI_OWN_WORLD:-}" ]; then return; fi
  "$BATS_TEST_DIRNAME/../cluster/down" --dir "$KCNI_OWN_WORLD" >&2
  rmdir "$(dirname "$KCNI_OWN_WORLD")"
}
