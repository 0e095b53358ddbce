# The control plane of a world of real nodes: the binary of tests/cluster, with other flags. Sourced
# by world-init.sh, which sets dir, binary and members.
# shellcheck shell=bash disable=SC2154,SC2034

# What was written, by whom and when, without the bodies; reads are too many on real nodes.
readonly audit_policy='apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: None, resources: [{group: coordination.k8s.io}]}
- {level: Metadata}'

# start_component NAMESPACE NAME FLAG...: in this network namespace, or ours if it is empty.
start_component() {
  local enter=() name=$2
  [ -z "$1" ] || enter=(nsenter "--net=/run/netns/$1" --)
  shift 2
  "${enter[@]}" "$binary" "$name" "$@" >"$dir/log/$name.log" 2>&1 </dev/null &
  members[$!]=$name
}

# start_plane NAMESPACE ADDRESS: returns when the API server is ready.
start_plane() {
  local ns=$1 address=$2 pki=$dir/pki
  mount -t tmpfs -o mode=0700 tmpfs "$dir/etcd"
  echo "$audit_policy" >"$pki/audit.yaml"
  start_component "$ns" etcd --name=world --data-dir="$dir/etcd/data" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
    --initial-cluster=world=http://127.0.0.1:2380
  start_component "$ns" kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --secure-port=6443 --bind-address=0.0.0.0 --advertise-address="$address" \
    --service-cluster-ip-range=10.96.0.0/16 --service-node-port-range=30000-32767 \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --client-ca-file="$pki/ca.crt" --service-account-key-file="$pki/sa.key" \
    --service-account-signing-key-file="$pki/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$pki/apiserver-client.crt" \
    --kubelet-client-key="$pki/apiserver-client.key" \
    --authorization-mode=Node,RBAC --allow-privileged=true --profiling=false \
    --audit-policy-file="$pki/audit.yaml" --audit-log-path="$dir/log/audit.jsonl" \
    --audit-log-mode=blocking
  for _ in $(seq 600); do
    ! kubectl get --raw /readyz >/dev/null 2>&1 || break
    sleep 0.2
  done
  kubectl get --raw /readyz >/dev/null || fail "the API server does not become ready"
  # An overloaded machine delays the leases; a node is not to be called dead at once.
  start_component "$ns" kube-controller-manager --kubeconfig="$pki/controller-manager" \
    --leader-elect=false --secure-port=0 --use-service-account-credentials=true --profiling=false \
    --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/sa.key" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --allocate-node-cidrs=true --cluster-cidr=10.244.0.0/16 --node-cidr-mask-size=24 \
    --node-monitor-grace-period=120s
  start_component "$ns" kube-scheduler --kubeconfig="$pki/scheduler" \
    --leader-elect=false --secure-port=0 --profiling=false
}

kubectl() {
  "$(dirname "$binary")/kubectl" --kubeconfig "$dir/kubeconfig" "$@"
}
