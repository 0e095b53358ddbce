#!/usr/bin/env bats
# pin killed after every write that it makes, and disturbed by conflicts: the next run, or the same
# one, must come to the same end, and no pod of a workload may be another one.

load prelude

NS=sweep
PIN=(--to flannel --recreate-bare-pods -n "$NS")
UNPIN=(--remove --in-place --recreate-bare-pods -n "$NS")

setup_file() {
  cni label --all --to flannel >/dev/null
  # What both ends look like when nothing disturbs.
  anew
  cni pin "${PIN[@]}" >/dev/null
  settled pinned
  cni pin "${UNPIN[@]}" >/dev/null
  settled unpinned
}

setup() { need_world; }

teardown_file() {
  kubectl delete namespace "$NS" --wait=false >/dev/null 2>&1 || true
  cni label --all --remove --force >/dev/null 2>&1 || true
}

# The namespace as it was before any pin. How it looks then is kept in before.json.
anew() {
  kubectl delete namespace "$NS" --ignore-not-found >/dev/null
  fill "$NS" "$manifests/all-kinds.yaml"
  settled before
}

# settled NAME: what there is now, once the bare pod runs again, into NAME.json.
settled() {
  kubectl -n "$NS" wait pods --all --for=condition=Ready --timeout=60s >/dev/null
  look "$NS" "$BATS_FILE_TMPDIR/$1.json"
}

# same_as WANTED NOW: a line, or a diff, for everything in which they differ.
same_as() {
  diff <(state "$BATS_FILE_TMPDIR/$1.json") <(state "$BATS_FILE_TMPDIR/$2.json") || true
  diff <(uids "$BATS_FILE_TMPDIR/before.json") <(uids "$BATS_FILE_TMPDIR/$2.json") || true
}

# step N WANTED ARG...: pin ARG... is killed after its Nth write and run again. True if it ended as
# WANTED; ended=yes if it had no Nth write.
step() {
  local n=$1 wanted=$2 first=0 second=0 log=$BATS_FILE_TMPDIR/log found
  shift 2
  faults --kill-after "$n" -- kubectl-cni-pin "$@" >"$log" 2>&1 || first=$?
  look "$NS" "$BATS_FILE_TMPDIR/killed.json"
  cni pin "$@" >>"$log" 2>&1 || second=$?
  look "$NS" "$BATS_FILE_TMPDIR/now.json"
  case $first in
    0) ended=yes ;;
    137) kills=$((kills + 1)) ;;
  esac
  found=$(
    [ "$first" = 0 ] || [ "$first" = 137 ] || echo "it ended with $first"
    unsafe "$BATS_FILE_TMPDIR/killed.json"
    [ "$second" = 0 ] || echo "run again, it ended with $second"
    unfinished "$BATS_FILE_TMPDIR/now.json"
    same_as "$wanted" now
  )
  [ -n "$found" ] || return 0
  problems=$((problems + 1))
  printf -- '--- pin %s, killed after write %s:\n%s\nboth runs said:\n%s\n' "$*" "$n" "$found" "$(cat "$log")"
  return 1
}

@test "undisturbed: in place, and nothing of it is left" {
  [ -z "$(unfinished "$BATS_FILE_TMPDIR/pinned.json")" ]
  [ -z "$(unfinished "$BATS_FILE_TMPDIR/unpinned.json")" ]
  run same_as before unpinned
  echo "$output"
  [ -z "$output" ]
  run diff <(uids "$BATS_FILE_TMPDIR/before.json") <(uids "$BATS_FILE_TMPDIR/pinned.json")
  echo "$output"
  [ "$status" = 0 ]
  # Every kind, and the one ReplicaSet of the Deployment, carry it.
  [ "$(state "$BATS_FILE_TMPDIR/pinned.json" | jq -r '[.. | .nodeSelector? | select(.cni? == "flannel")] | length')" = 6 ]
}

@test "killed after each of its writes, pin and its removal go on where they were" {
  local n pinned='' unpinned='' ended kills=0 problems=0
  for ((n = 1; n <= 40 && problems < 3; n++)); do
    ended=$pinned
    if [ -n "$ended" ]; then
      cni pin "${PIN[@]}" >/dev/null
    elif ! step "$n" pinned "${PIN[@]}"; then
      anew
      cni pin "${PIN[@]}" >/dev/null
    fi
    pinned=$ended ended=$unpinned
    if [ -n "$ended" ]; then
      cni pin "${UNPIN[@]}" >/dev/null
    elif ! step "$n" before "${UNPIN[@]}"; then
      anew
    fi
    unpinned=$ended
    if [ -n "$pinned" ] && [ -n "$unpinned" ]; then break; fi
  done
  echo "$kills kills, $problems problems"
  [ "$problems" = 0 ]
  [ -n "$pinned" ]
  [ -n "$unpinned" ]
  # Three for the Deployment, one for each other kind, and three for the bare pod: twice.
  [ "$kills" -ge 18 ]
}

@test "the first PATCH of everything meets a conflict" {
  run_faults 0 --conflict-first-patch -- kubectl-cni-pin "${PIN[@]}"
  look "$NS" "$BATS_FILE_TMPDIR/now.json"
  run unfinished "$BATS_FILE_TMPDIR/now.json"
  echo "$output"
  [ -z "$output" ]
  run same_as pinned now
  echo "$output"
  [ -z "$output" ]
  run_faults 0 --conflict-first-patch -- kubectl-cni-pin "${UNPIN[@]}"
  look "$NS" "$BATS_FILE_TMPDIR/now.json"
  run same_as before now
  echo "$output"
  [ -z "$output" ]
}

@test "a bare pod that a killed run had deleted is back after the next one, whatever its flags" {
  local n gone=''
  anew
  for ((n = 1; n <= 40; n++)); do
    faults --kill-after "$n" -- kubectl-cni-pin "${PIN[@]}" >/dev/null 2>&1 || true
    kubectl -n "$NS" wait pod/lone --for=delete --timeout=5s >/dev/null 2>&1 || true
    kubectl -n "$NS" get pod lone >/dev/null 2>&1 || { gone=yes && break; }
  done
  [ -n "$gone" ]
  run_cni 0 pin --to flannel -n "$NS"
  contains "$errors" 'pod/lone recreated from a backup left by an interrupted run'
  settled now
  run unfinished "$BATS_FILE_TMPDIR/now.json"
  echo "$output"
  [ -z "$output" ]
}
