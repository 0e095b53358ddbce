#!/usr/bin/env bats
# Flags, environment, confirmation and exit codes of the playbook.

load prelude

@test "without --cilium: usage error" {
  run kubectl-cni-migrate
  [ "$status" -eq 2 ]
  [[ $output == *'"cilium" not set'*"See 'kubectl cni migrate --help'"* ]]
}

@test "unknown flag and stray argument: usage error, named" {
  run migrate --frobnicate
  [ "$status" -eq 2 ]
  [[ $output == *'unknown flag: --frobnicate'* ]]
  run migrate --frobnicate=1
  [ "$status" -eq 2 ]
  run migrate w1
  [ "$status" -eq 2 ]
  [[ $output == *'"w1"'* ]]
}

@test "a flag without its value: usage error" {
  run migrate --key
  [ "$status" -eq 2 ]
  [[ $output == *'flag needs an argument: --key'* ]]
}

@test "bad values: usage errors that name the flag" {
  for flag in --first=0 --first=x --timeout=tomorrow --recreate-services=some --yes=maybe --key=; do
    run migrate "$flag"
    [ "$status" -eq 2 ]
    [[ $output == *"${flag%%=*}"* ]]
  done
  run migrate --cilium /nonexistent
  [ "$status" -eq 2 ]
}

@test "--dry-run with --via pod: usage error, for looking would make pods" {
  run migrate --dry-run --via pod
  [ "$status" -eq 2 ]
  [[ $output == *'--via pod'* ]]
  KUBECTL_CNI_VIA=pod run migrate --dry-run
  [ "$status" -eq 2 ]
  [[ $output == *'--via pod'* ]]
  run migrate --dry-run --via ssh
  [ "$status" -eq 0 ]
}

@test "--help shows examples and exits 0" {
  run kubectl-cni-migrate --help
  [ "$status" -eq 0 ]
  [[ $output == *Examples:*--dry-run*'Exit codes:'* ]]
}

@test "no terminal and no --yes: refused, nothing changed" {
  run migrate </dev/null
  [ "$status" -eq 4 ]
  [[ $output == *--yes* ]]
  run grep -v -e '--check' -e '--dry-run' "$FAKE/changes"
  [ -z "$output" ]
}

@test "flags may come from the environment, which does not leak into the commands" {
  cat >"$FAKE/bin/kubectl-cni-evict" <<'SH'
#!/usr/bin/env bash
env | grep KUBECTL_CNI_ >>"$FAKE/leaked"
SH
  KUBECTL_CNI_DRY_RUN=true KUBECTL_CNI_CONTEXT=blue KUBECTL_CNI_KEY=net KUBECTL_CNI_SSH_USER=ops run migrate
  [ "$status" -eq 0 ]
  [[ $output == *'kubectl cni label --context=blue --all'*'--key net'* ]]
  run sort -u "$FAKE/leaked"
  [ "$output" = KUBECTL_CNI_SSH_USER=ops ]
}

@test "connection flags reach kubectl and the commands; a token is not shown" {
  run migrate --dry-run --context blue -s=https://x:6443 --token secret-token --ssh-user=root
  [ "$status" -eq 0 ]
  [[ $output == *'kubectl --context=blue --server=https://x:6443 --token=REDACTED cordon w1'* ]]
  [[ $output == *'cleanup --context=blue --server=https://x:6443 --token=REDACTED w1 --ssh-user=root'* ]]
  [[ $output != *secret-token* ]]
  grep -q 'cni cleanup .*--token=secret-token --all --check --ssh-user=root' "$FAKE/changes"
}

@test "durations" {
  [ "$(call seconds_of 1h2m3s)" = 3723 ]
  [ "$(call seconds_of 10m)" = 600 ]
  [ "$(call seconds_of 500ms)" = 1 ]
  [ "$(call seconds_of 0)" = 0 ]
}
