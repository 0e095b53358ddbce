#!/usr/bin/env bats
# cleanup --via pod when its Job is taken away in the middle.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
}

the_job() { kubectl get jobs -A -o json | jq -er '.items[] | select(.metadata.name | startswith("kubectl-cni-cleanup-")) | "\(.metadata.namespace) \(.metadata.name)"'; }

@test "somebody deletes the Job: the wait ends, and says so" {
  local ns name command code=0
  cni cleanup w1 --check --via pod --image none --timeout 60s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  command=$!
  until read -r ns name < <(the_job); do sleep 0.2; done
  kubectl -n "$ns" delete job "$name" --cascade=foreground --wait=false >/dev/null
  wait "$command" || code=$?
  [ "$code" = 1 ]
  contains "$(cat "$BATS_TEST_TMPDIR/out")" "node/w1: job.batch/$name in namespace $ns has failed: somebody has deleted it"
}

@test "Ctrl-C: the Job goes" {
  local ns name command code=0
  "$CLUSTER/in" --dir "$KCNI_WORLD" kubectl-cni-cleanup w1 --check --via pod --image none 2>"$BATS_TEST_TMPDIR/out" 3>&- &
  command=$!
  until read -r ns name < <(the_job); do sleep 0.2; done
  kill -INT "$command"
  wait "$command" || code=$?
  [ "$code" = 130 ]
  run the_job
  [ "$status" != 0 ]
}
