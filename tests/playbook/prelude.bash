# Sourced by the playbook's tests: a fake cluster of three workers and one control-plane node, and
# the suite's commands as fakes. Each test gets its own copy to bend.

bats_require_minimum_version 1.5.0
PLAYBOOK=$BATS_TEST_DIRNAME/../../scripts/kubectl-cni-migrate

setup() {
  export FAKE=$BATS_TEST_TMPDIR/fake HOME=$BATS_TEST_TMPDIR
  local variable command
  for variable in ${!KUBECTL_CNI_@} KUBECTL_PATH KUBECONFIG; do unset "$variable"; done
  mkdir -p "$FAKE/bin"
  cp "$BATS_TEST_DIRNAME/fake/kubectl" "$FAKE/bin/"
  "$BATS_TEST_DIRNAME/../../scripts/bundle" "$FAKE/bin/kubectl-cni-migrate"
  for command in label pin evict cleanup svc-recreate; do
    cp "$BATS_TEST_DIRNAME/fake/kubectl-cni-command" "$FAKE/bin/kubectl-cni-$command"
  done
  PATH=$FAKE/bin:$PATH
  nodes 'cp1 -' 'w1 -' 'w2 -' 'w3 -'
  # namespace|name|uid|app|k8s-app|images|selector|configmaps
  echo 'kube-flannel|kube-flannel-ds|uid-f|flannel||ghcr.io/flannel-io/flannel:v0.28.0,||kube-flannel-cfg,' >"$FAKE/daemonsets"
  printf '%s\n' daemonset=cilium config=yes ipam=cluster-pool kube-proxy-replacement=false \
    unmanaged-pod-watcher-interval=0 'cluster-pool-ipv4-cidr=10.245.0.0/16' >"$FAKE/manifest"
  echo '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}' >"$FAKE/net-conf"
  echo '10.96.0.0/16 ' >"$FAKE/servicecidrs"
  echo 10.96.0.1 >"$FAKE/clusterips"
  touch "$FAKE/cilium.yaml" "$FAKE/changes"
}

migrate() { "$FAKE/bin/kubectl-cni-migrate" --cilium "$FAKE/cilium.yaml" "$@"; }

# nodes LINE...: `name label [cordoned]`; a name that begins with cp is a control-plane node.
nodes() {
  local line name label cordoned role tainted
  for line; do
    read -r name label cordoned <<<"$line"
    role=; if [[ $name == cp* ]]; then role=control-plane; fi
    if [[ $label == - ]]; then label=; fi
    tainted=; if [[ $cordoned == tainted ]]; then tainted=true cordoned=; fi
    printf '%s|%s|%s|%s||%s|%s\n' "$name" "$label" "${label:+cni}" "${cordoned:+true}" "$tainted" "$role"
  done >"$FAKE/nodes" # name|label|mark|cordoned|was-cordoned|tainted|role
}

# call FUNCTION ARG...: one function of the playbook, sourced.
call() { bash -c 'source "$1"; "${@:2}"' call "$PLAYBOOK" "$@"; }
