#!/usr/bin/env bats
# kubectl-cni hands over to kubectl-cni-WORD, beside itself first and then on PATH.

setup() {
  bin=$(cd "${KUBECTL_CNI_BIN:-$BATS_TEST_DIRNAME/../../build/release/bin}" && pwd)
  export HOME=$BATS_TEST_TMPDIR
  store=$HOME/store/cni/v1 path=$HOME/path
  mkdir -p "$store" "$path" "$HOME/bin"
  cp "$bin/kubectl-cni" "$store/"
  ln -s "$store/kubectl-cni" "$HOME/bin/kubectl-cni" # as krew does
  PATH=$HOME/bin:$path:/usr/bin:/bin
  cni=$HOME/bin/kubectl-cni
}

# fake FILE: a program that prints how it was called.
fake() {
  printf '%s\n' '#!/bin/sh' 'printf "%s" "$0"' 'printf " [%s]" "$@"' 'exit 7' >"$1"
  chmod +x "$1"
}

@test "hands over to the sibling beside the resolved link, with its whole path" {
  fake "$store/kubectl-cni-label"
  fake "$path/kubectl-cni-label"
  run "$cni" label w1 'a b' '' --to none
  [ "$status" -eq 7 ]
  [ "$output" = "$store/kubectl-cni-label [w1] [a b] [] [--to] [none]" ]
}

@test "looks on PATH for what is not beside it" {
  fake "$path/kubectl-cni-pin"
  run kubectl-cni pin
  [ "$status" -eq 7 ]
  [[ "$output" == "$path/kubectl-cni-pin"* ]]
}

@test "flags before the command go behind it" {
  fake "$store/kubectl-cni-label"
  run "$cni" --context c -n shop label w1
  [ "$output" = "$store/kubectl-cni-label [--context] [c] [-n] [shop] [w1]" ]
}

@test "svc-recreate is reached with a dash and with an underscore" {
  fake "$store/kubectl-cni-svc-recreate"
  run "$cni" svc-recreate web
  [ "$output" = "$store/kubectl-cni-svc-recreate [web]" ]
  run "$cni" svc_recreate web
  [ "$output" = "$store/kubectl-cni-svc-recreate [web]" ]
}

@test "alone, with --help and with help it lists the commands" {
  fake "$store/kubectl-cni-label"
  fake "$path/kubectl-cni-theirs"
  for arguments in "" --help -h help; do
    run "$cni" $arguments
    [ "$status" -eq 0 ]
    [[ "$output" == *"kubectl cni COMMAND [FLAGS]"* ]]
    [[ "$output" == *"  label         Say "* ]]
    [[ "$output" == *"  pin  "*"(not installed)"* ]]
    [[ "$output" == *"  theirs"* ]]
  done
}

@test "help WORD is WORD --help" {
  fake "$store/kubectl-cni-label"
  run "$cni" help label
  [ "$output" = "$store/kubectl-cni-label [--help]" ]
}

@test "--version" {
  run "$cni" --version
  [ "$status" -eq 0 ]
  [[ "$output" =~ ^kubectl-cni\ [0-9]+\.[0-9]+ ]]
}

@test "an unknown command exits 2 and names the nearest" {
  run "$cni" labl
  [ "$status" -eq 2 ]
  [ "${lines[0]}" = 'error: unknown command "labl" for "kubectl cni"; did you mean "label"?' ]
  [ "${lines[1]}" = "See 'kubectl cni --help' for usage." ]
}

@test "the usage names us as we were called" {
  run kubectl-cni labl
  [ "${lines[1]}" = "See 'kubectl-cni --help' for usage." ]
}

@test "a command of ours that is not installed exits 1" {
  run "$cni" evict
  [ "$status" -eq 1 ]
  [ "$output" = "error: cannot find kubectl-cni-evict: it is not installed beside kubectl-cni nor on PATH" ]
}

@test "what cannot be executed is one clear line" {
  touch "$store/kubectl-cni-label"
  run "$cni" label
  [ "$status" -eq 1 ]
  [ "$output" = "error: cannot run $store/kubectl-cni-label: it is not executable; chmod +x helps" ]

  echo '#!/no/such/shell' >"$store/kubectl-cni-pin"
  chmod +x "$store/kubectl-cni-pin"
  run "$cni" pin
  [ "$status" -eq 1 ]
  [ "$output" = "error: cannot run $store/kubectl-cni-pin: the interpreter in its first line does not exist" ]

  echo nonsense >"$store/kubectl-cni-evict"
  chmod +x "$store/kubectl-cni-evict"
  run "$cni" evict
  [ "$status" -eq 1 ]
  [ "$output" = "error: cannot run $store/kubectl-cni-evict: Exec format error" ]
}

@test "an empty part of PATH is not the current directory" {
  cd "$path"
  fake ./kubectl-cni-here
  PATH=:/usr/bin:/bin run "$cni" here
  [ "$status" -eq 2 ]
}

@test "a failed write to stdout is an error" {
  run bash -c "'$cni' --help >/dev/full"
  [ "$status" -eq 1 ]
  [ "$output" = "error: cannot write to standard output" ]
}
