#!/usr/bin/env bats
# The fault proxy itself, with kubectl and our simplest command.

load prelude

setup() { need_world; }

teardown() {
  kubectl delete configmap --selector=faults=yes >/dev/null 2>&1 || true
  cni label --all --remove --force >/dev/null 2>&1 || true
}

# Three objects that kubectl creates one after the other.
three() {
  jq -nc '{apiVersion: "v1", kind: "List", items: [("a", "b", "c") | {apiVersion: "v1", kind: "ConfigMap",
    metadata: {name: "faults-\(.)", labels: {faults: "yes"}}}]}'
}

created() { kubectl get configmap --selector=faults=yes -o name | sed 's/.*-//' | tr -d '\n'; }

@test "arguments, stdin, output and exit code are the command's own" {
  run_faults 37 -- sh -c 'printf "<%s>" "$@"; cat; exit 37' sh 'a  b' '*' '' <<<input
  [ "$output" = "<a  b><*><>input" ]
  [ -z "$errors" ]
  run_faults 143 -- sh -c 'kill -TERM $$'
  run_faults 125 -- /nonexistent
  contains "$errors" 'faults: '
  run_faults 2 --kill-after 1
  contains "$errors" 'usage: world faults'
}

@test "kubectl sees through it what it sees without, as the administrator or by its own token" {
  [ "$(faults -- kubectl get nodes -o json)" = "$(kubectl get nodes -o json)" ]
  [ "$(faults -- kubectl auth whoami -o 'jsonpath={.status.userInfo.username}')" = kubernetes-admin ]
  [ "$(faults -- kubectl auth whoami --token viewer-token-of-a-throw-away-cluster \
    -o 'jsonpath={.status.userInfo.username}')" = viewer-by-token ]
  run_faults 1 -- kubectl get nodes --token nobody-knows-this-token
  contains "$errors" 'logged in'
}

@test "reading is no write, and writes are counted" {
  run_faults 0 --count "$BATS_TEST_TMPDIR/count" -- kubectl get nodes
  [ "$(cat "$BATS_TEST_TMPDIR/count")" = 0 ]
  run_faults 0 --count "$BATS_TEST_TMPDIR/count" -- kubectl create -f - <<<"$(three)"
  [ "$(cat "$BATS_TEST_TMPDIR/count")" = 3 ]
  [ "$(created)" = abc ]
  run_faults 0 --count "$BATS_TEST_TMPDIR/count" -- kubectl delete configmap faults-a --dry-run=server
  [ "$(cat "$BATS_TEST_TMPDIR/count")" = 1 ]
}

@test "--kill-after: that write has happened, and no later one" {
  run_faults 137 --kill-after 2 --count "$BATS_TEST_TMPDIR/count" -- kubectl create -f - <<<"$(three)"
  [ "$(created)" = ab ]
  lacks "$output" faults-b
  [ "$(cat "$BATS_TEST_TMPDIR/count")" = 2 ]
}

@test "--kill-before: that write has not happened" {
  run_faults 137 --kill-before 2 -- kubectl create -f - <<<"$(three)"
  [ "$(created)" = a ]
  [ -z "$errors" ]
}

@test "a command with fewer writes ends by itself" {
  run_faults 0 --kill-after 4 -- kubectl create -f - <<<"$(three)"
  [ "$(created)" = abc ]
}

@test "our own command is killed, and the next run does what is missing" {
  run_faults 137 --kill-after 1 -- kubectl-cni-label --all --to flannel
  [ "$(kubectl get nodes --selector=cni=flannel -o name | wc -l)" -ge 1 ]
  run_faults 0 -- kubectl-cni-label --all --to flannel
  [ "$(kubectl get nodes --selector=cni=flannel -o name | wc -l)" = 4 ]
}

@test "--conflict-first-patch: once for each object, as the API server says it" {
  kubectl create -f - <<<"$(three)"
  run_faults 0 --conflict-first-patch -- sh -c 'for name in a a b; do
    kubectl annotate configmap "faults-$name" said=yes --overwrite; echo "$name=$?"; done'
  contains "$errors" 'Operation cannot be fulfilled on configmaps "faults-a": the object has been modified'
  [ "$(grep -c 'Operation cannot' <<<"$errors")" = 2 ]
  contains "$output" 'a=1'
  contains "$output" 'a=0'
  contains "$output" 'b=1'
}

@test "--before-first-write: once, before it, and past the proxy" {
  run_faults 0 --kill-after 9 --count "$BATS_TEST_TMPDIR/count" --before-first-write \
    "kubectl get configmap -l faults=yes -o name >>'$BATS_TEST_TMPDIR/before'; echo once >>'$BATS_TEST_TMPDIR/before'
     kubectl create configmap faults-x; kubectl label configmap faults-x faults=yes" \
    -- kubectl create -f - <<<"$(three)"
  [ "$(cat "$BATS_TEST_TMPDIR/before")" = once ]
  [ "$(created)" = abcx ]
  [ "$(cat "$BATS_TEST_TMPDIR/count")" = 3 ]
  lacks "$output" faults-x
}

@test "--before-first-write: its failure is told and ends the command" {
  run_faults 125 --before-first-write 'echo because >&2; exit 3' -- kubectl create -f - <<<"$(three)"
  contains "$errors" 'exit status 3'
  contains "$errors" because
  [ -z "$(created)" ]
}

# seconds_until_seen FLAG... -- WATCHED: from the creation of an object until a watch tells of it.
seconds_until_seen() {
  local begun
  : >"$BATS_TEST_TMPDIR/seen"
  "$CLUSTER/in" --dir "$KCNI_WORLD" world faults "$@" \
    --watch -o name >"$BATS_TEST_TMPDIR/seen" 2>&1 3>&- &
  watcher=$!
  sleep 5 # for kubectl to start; what it lists first is not looked at
  begun=${EPOCHREALTIME/[.,]/}
  kubectl create -f - <<<"$(three)" >/dev/null
  for _ in $(seq 200); do
    if grep -q faults-c "$BATS_TEST_TMPDIR/seen"; then break; fi
    sleep 0.1
  done
  echo $(((${EPOCHREALTIME/[.,]/} - begun) / 1000000))
  kill "$watcher"
  wait "$watcher" || true
  kubectl delete configmap --selector=faults=yes >/dev/null
}

@test "watches stream; a slow one keeps all its events, in their order, and delays no other one" {
  [ "$(seconds_until_seen -- kubectl get configmaps)" -lt 6 ]
  [ "$(seconds_until_seen --slow-watch secrets=30s -- kubectl get configmaps)" -lt 6 ]
  local slow
  slow=$(seconds_until_seen --slow-watch configmaps=6s -- kubectl get configmaps)
  [ "$slow" -ge 6 ]
  [ "$slow" -lt 18 ]
  [ "$(grep -o 'faults-[abc]' "$BATS_TEST_TMPDIR/seen" | head -3 | tr -d '\n')" = faults-afaults-bfaults-c ]
}

@test "a signal reaches the command, and nothing of the proxy is left" {
  "$CLUSTER/in" --dir "$KCNI_WORLD" world faults -- \
    sh -c 'trap "exit 5" TERM; echo "$KUBECONFIG"; while :; do sleep 0.1; done' >"$BATS_TEST_TMPDIR/out" 3>&- &
  local code=0 pid=$!
  until [ -s "$BATS_TEST_TMPDIR/out" ]; do sleep 0.1; done
  [ -e "$(cat "$BATS_TEST_TMPDIR/out")" ]
  kill -TERM "$pid"
  wait "$pid" || code=$?
  [ "$code" = 5 ]
  [ ! -e "$(cat "$BATS_TEST_TMPDIR/out")" ]
}
