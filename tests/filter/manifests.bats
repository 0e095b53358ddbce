#!/usr/bin/env bats
# `pin -f` on what operators feed it: flannel's own manifest and Cilium's chart, read and rendered from their Go
# modules by tests/nodes/build, for the pinned versions. No server, no kubeconfig.

setup_file() {
  local values=$BATS_TEST_DIRNAME/../nodes/values built
  built=$("$BATS_TEST_DIRNAME/../nodes/build")
  cp "$built/source/kube-flannel.yml" "$BATS_FILE_TMPDIR/flannel.yaml"
  chart() { "$built/bin/chart" "$built/source/cilium-chart" cilium kube-system "${@/#/$values/}"; }
  chart islands.yaml >"$BATS_FILE_TMPDIR/islands.yaml"
  chart bridged.yaml >"$BATS_FILE_TMPDIR/bridged.yaml"
  chart bridged.yaml bridged-final.yaml >"$BATS_FILE_TMPDIR/final.yaml"
  # With what is off in our values, too: an Envoy of its own, Hubble's relay and UI, more DaemonSets.
  echo '{}' >"$BATS_FILE_TMPDIR/empty.yaml"
  "$built/bin/chart" "$built/source/cilium-chart" cilium kube-system "$BATS_FILE_TMPDIR/empty.yaml" >"$BATS_FILE_TMPDIR/defaults.yaml"
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

pin() { env -u KUBECONFIG HOME=/nonexistent KUBERNETES_SERVICE_HOST= "${KUBECTL_CNI_BIN:?}/kubectl-cni-pin" "$@"; }

# differing ONE OTHER: "KIND/NAME" of each document that is not byte for byte the same in both.
differing() {
  awk '
    function flush() {
      if (kind != "") {
        id = kind "/" name
        text[file, id, ++count[file, id]] = document
        if (!(id in ids) || count[file, id] > ids[id]) ids[id] = count[file, id]
      }
      document = kind = name = ""
    }
    FNR == 1 { flush(); file = FILENAME }
    /^---/ { flush(); next }
    { document = document $0 "\n" }
    /^kind: / { kind = $2 }
    /^metadata:/ { inside = 1; next }
    /^[^ ]/ { inside = 0 }
    inside && /^  name: / && name == "" { name = $2; gsub("\"", "", name) }
    END {
      flush()
      for (id in ids)
        for (i = 1; i <= ids[id]; i++) if (text[ARGV[1], id, i] != text[ARGV[2], id, i]) print id
    }
  ' "$1" "$2"
}

# pins FILE SELECTION LINES ARG...: only SELECTION differs, by just these lines more, and by --remove it is undone.
pins() {
  local file=$1 selection=$2 lines=$3
  shift 3
  pin -f "$file" "$@" >pinned.yaml
  diff <(differing "$file" pinned.yaml) - <<<"$selection"
  diff <(diff "$file" pinned.yaml | grep '^[<>]') - <<<"$lines"
  pin -f - "$@" <"$file" | cmp - pinned.yaml
  pin -f pinned.yaml "$@" | cmp - pinned.yaml
}

@test "awk here can tell documents apart" {
  sed 's/^  name: cilium-config$/&\n  x: y/' defaults.yaml >other.yaml
  [ "$(differing defaults.yaml other.yaml)" = ConfigMap/cilium-config ]
  [ -z "$(differing defaults.yaml defaults.yaml)" ]
}

@test "Cilium's chart: only the agent's DaemonSet differs, by one line" {
  for file in islands bridged final defaults; do
    pins "$file.yaml" DaemonSet/cilium '>         cni: cilium' --to cilium
  done
}

@test "flannel's manifest: only its DaemonSet differs, when it is asked for" {
  pins flannel.yaml DaemonSet/kube-flannel-ds $'>       nodeSelector:\n>         cni: flannel' \
    --to flannel --select daemonset/kube-flannel-ds
  run pin -f flannel.yaml --to cilium
  [ "$status" = 1 ]
  [[ $output == 'error: there is no DaemonSet of the Cilium agent'*'daemonset.apps/kube-flannel-ds'* ]]
}

@test "both in one stream: the agent's only" {
  { cat flannel.yaml && echo --- && cat islands.yaml; } >both.yaml
  pins both.yaml DaemonSet/cilium '>         cni: cilium' --to cilium
}

@test "--remove gives back what was there" {
  for file in islands bridged final defaults; do
    pin -f "$file.yaml" --to cilium | pin -f - --remove | cmp - "$file.yaml"
  done
  pin -f flannel.yaml --to flannel --select ds/kube-flannel-ds | pin -f - --remove --select ds/kube-flannel-ds | cmp - flannel.yaml
}
