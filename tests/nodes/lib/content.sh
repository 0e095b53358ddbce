# What is in the cluster of a world of real nodes, and ssh to its nodes. Sourced by world-init.sh,
# which sets here, dir, built and backend.
# shellcheck shell=bash disable=SC2154

# make_ssh DIR NODE=ADDRESS=ROLE...: the operator's key, one host key for all nodes, known_hosts.
make_ssh() {
  local ssh=$1 node name address
  shift
  mkdir -m 700 "$ssh"
  for name in key host_key; do ssh-keygen -q -t ed25519 -N '' -C world -f "$ssh/$name"; done
  for node; do
    IFS='=' read -r name address _ <<<"$node"
    echo "$address,$name $(cat "$ssh/host_key.pub")"
  done >"$ssh/known_hosts"
}

# create_content SERVER NODE=ADDRESS=ROLE...: the workloads last, or the first node that is ready
# would get them all.
create_content() {
  local server=$1 log=$dir/log/content.log
  shift
  {
    # As its users apply it, but for the CNI version: the plugin that can be built here knows no newer.
    sed -e 's/"cniVersion": "1.0.0"/"cniVersion": "0.3.1"/' -e "s/\"Type\": \"vxlan\"/\"Type\": \"$backend\"/" \
      "$built/source/kube-flannel.yml" | kubectl create -f - &&
      sed "s/@server@/$server/" "$here/manifests/kube-proxy.yaml" | kubectl create -f -
  } >"$log" 2>&1 || fail "the cluster cannot be filled: $(tail -n 1 "$log")"
  label_control_planes "$@" >>"$log" 2>&1 || fail "the nodes do not register: see $dir/nodes/*/log"
  kubectl wait node --all --for condition=Ready --timeout 300s >>"$log" 2>&1 || fail "nodes do not become Ready"
  say "nodes Ready"
  kubectl create -f "$here/manifests/coredns.yaml" -f "$here/manifests/shop.yaml" >>"$log" 2>&1 ||
    fail "the cluster cannot be filled: $(tail -n 1 "$log")"
  say "workloads created"
}

# label_control_planes NODE...: a kubelet may not give itself a role.
label_control_planes() {
  local node
  for node; do
    [ "${node##*=}" != spare ] || continue
    for _ in $(seq 300); do
      ! kubectl get node "${node%%=*}" >/dev/null 2>&1 || break
      sleep 0.2
    done
    if [ "${node##*=}" = control-plane ]; then
      kubectl label node "${node%%=*}" node-role.kubernetes.io/control-plane= || return
    else
      kubectl get node "${node%%=*}" || return
    fi
  done
}

wait_for_content() {
  local namespace kind name
  kubectl get daemonsets,deployments,statefulsets -A --no-headers \
    -o custom-columns=N:.metadata.namespace,K:.kind,M:.metadata.name |
    while read -r namespace kind name; do
      kubectl -n "$namespace" rollout status "$kind/$name" --timeout 300s </dev/null >/dev/null ||
        fail "$kind $namespace/$name does not become ready"
    done
  say "pods ready"
}
