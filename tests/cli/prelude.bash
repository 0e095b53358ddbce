# Sourced by the Bats files: commands in the throw-away cluster, and what is asserted of them.

CLUSTER=$(cd "$BATS_TEST_DIRNAME/../cluster" && pwd)

in_world() { "$CLUSTER/in" --dir "$KCNI_WORLD" "$@"; }
on_node() { "$CLUSTER/on" --dir "$KCNI_WORLD" "$@"; }
# Its collector would take a third of its time; it ends before there is much to collect.
kubectl() { GOGC=off in_world kubectl "$@"; }
cni() { in_world "kubectl-cni-$1" "${@:2}"; }

need_world() { [ -n "${KCNI_WORLD:-}" ] || skip 'KCNI_WORLD names no running cluster'; }

# run_cni EXIT_CODE COMMAND ARG...: stdout in $output, stderr in $errors.
run_cni() {
  local expected=$1 code=0
  shift
  output=$(cni "$@" 2>"$BATS_TEST_TMPDIR/stderr") || code=$?
  errors=$(cat "$BATS_TEST_TMPDIR/stderr")
  if [ "$code" != "$expected" ]; then
    printf 'exit code %s, not %s\nstdout: %s\nstderr: %s\n' "$code" "$expected" "$output" "$errors"
    return 1
  fi
}

# contains TEXT PART: PART is in TEXT; says what was there when it is not.
contains() {
  if [[ $1 != *"$2"* ]]; then
    printf 'not found: %s\nin: %s\n' "$2" "$1"
    return 1
  fi
}

lacks() {
  if [[ $1 == *"$2"* ]]; then
    printf 'should not be there: %s\nin: %s\n' "$2" "$1"
    return 1
  fi
}

# one_error_line TEXT...: stderr is one line, begins as kubectl's errors do, and has all the parts.
one_error_line() {
  local part
  if [ "$(wc -l <<<"$errors")" != 1 ]; then
    printf 'not one line:\n%s\n' "$errors"
    return 1
  fi
  [[ $errors == "error: "* || $errors == "Error from server"* ]] || contains "$errors" 'error: '
  for part in "$@"; do contains "$errors" "$part"; done
}

# How many requests of this verb our commands have sent so far, by the server's own audit log.
audit_count() { # VERB [RESOURCE]
  jq -r --arg verb "$1" --arg resource "${2:-}" \
    'select(.verb == $verb and (.userAgent | startswith("kubectl-cni"))
            and ($resource == "" or .objectRef.resource == $resource)) | .auditID' \
    "$KCNI_WORLD/log/audit.jsonl" | sort -u | wc -l
}

rollouts_done() { # NAMESPACE
  kubectl -n "$1" get deployments,statefulsets,daemonsets -o name | while read -r name; do
    kubectl -n "$1" rollout status "$name" --timeout=60s >/dev/null 2>&1 || true
  done
}

# deletion_begun NAMESPACE POD: waits until it has.
deletion_begun() {
  for _ in $(seq 50); do
    [ -z "$(kubectl -n "$1" get pod "$2" -o jsonpath='{.metadata.deletionTimestamp}')" ] || return 0
    sleep 0.1
  done
}

# tight_budget NAMESPACE NAME: it holds the only pod labelled app=NAME, and has seen it.
tight_budget() {
  kubectl -n "$1" create poddisruptionbudget "$2" "--selector=app=$2" --min-available=1 >/dev/null
  for _ in $(seq 50); do
    [ "$(kubectl -n "$1" get poddisruptionbudget "$2" -o jsonpath='{.status.currentHealthy}')" != 1 ] || break
    sleep 0.2
  done
}
