#!/usr/bin/env bats
# Installed by the real krew from the packed archive, used from there, uninstalled.

ROOT=$BATS_TEST_DIRNAME/../..

setup_file() {
  KREW=$("$ROOT/tests/krew/build")
  WORK=$(mktemp -d)
  export KREW WORK
  "$ROOT/krew/pack" >/dev/null
  "$ROOT/tests/cluster/up" --workers 1 --control-planes 0 --dir "$WORK/cluster"
}

teardown_file() {
  "$ROOT/tests/cluster/down" --dir "$WORK/cluster"
  rm -rf "$WORK"
}

setup() {
  export HOME=$WORK/home KREW_ROOT=$WORK/krew
  mkdir -p "$HOME"
  # krew wants its plugin index to be there before it uninstalls anything; an empty one will do.
  git init -q "$KREW_ROOT/index/default"
  archive=$(echo "$ROOT"/build/krew/kubectl-cni-*.tar.gz)
}

# In the world, but with krew's links as the only binaries of ours.
world() {
  KUBECTL_CNI_BIN=$KREW_ROOT/bin "$ROOT/tests/cluster/in" --dir "$WORK/cluster" "$@"
}

krew() {
  PATH=$KREW:$WORK/cluster/bin:$PATH "$KREW/krew" "$@"
}

@test "krew: the archive holds regular files only, LICENSE among them" {
  run tar -tvzf "$archive"
  [ "$status" -eq 0 ]
  [[ $output == *LICENSE* && $output == *kubectl-cni-migrate* ]]
  ! grep -qv '^[-d]' <<<"$output"
}

@test "krew: packing again gives the same archive" {
  before=$(sha256sum <"$archive")
  "$ROOT/krew/pack" >/dev/null
  [ "$before" = "$(sha256sum <"$archive")" ]
}

@test "krew: the manifest passes krew's own checker and its advice" {
  run "$KREW/validate-krew-manifest" -manifest "$ROOT/build/krew/cni.yaml" -skip-install
  echo "$output"
  [ "$status" -eq 0 ]
  short=$(sed -n 's/^  shortDescription: //p' "$ROOT/build/krew/cni.yaml")
  [ "${#short}" -le 50 ]
  run awk 'length > 80 && !/sha256|uri/' "$ROOT/build/krew/cni.yaml"
  [ -z "$output" ]
}

@test "krew: install, use, uninstall" {
  run krew install --manifest "$ROOT/build/krew/cni.yaml" --archive "$archive"
  echo "$output"
  [ "$status" -eq 0 ]

  run world kubectl cni pin --to flannel --dry-run
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *'deployment.apps/'*'pinned (cni=flannel) (dry run)'* ]]

  run world kubectl cni migrate --help
  [ "$status" -eq 0 ]
  [[ $output == *'kubectl cni migrate --cilium FILE'* ]]

  run world kubectl cni label --all --to flannel --dry-run
  [ "$status" -eq 0 ]

  run krew uninstall cni
  echo "$output"
  [ "$status" -eq 0 ]
  run find "$KREW_ROOT" -path "$KREW_ROOT/index" -prune -o -name '*cni*' -print
  [ -z "$output" ]
}
