#!/usr/bin/env bats
# The order bridged: its steps, where a new run continues, and what it refuses, read from --dry-run.

load prelude

CILIUM='kube-system|cilium|uid-c||cilium|quay.io/cilium/cilium:v1.20.2,||'

# The fake kubectl knows a manifest by the end of its name.
bridged() { migrate --mode bridged --cilium-final "$FAKE/final.yaml" "$@"; }

bridged_manifests() {
  touch "$FAKE/final.yaml"
  sed 's/unmanaged-pod-watcher-interval=0/unmanaged-pod-watcher-interval=15s/' "$FAKE/manifest" >"$FAKE/manifest-final"
  printf '%s\n' custom-cni-conf=false enable-policy=default routing-mode=tunnel tunnel-protocol=vxlan \
    tunnel-port=8473 >>"$FAKE/manifest-final"
  printf '%s\n' custom-cni-conf=true enable-policy=never enable-host-legacy-routing=true routing-mode=tunnel \
    tunnel-protocol=vxlan tunnel-port=8473 >>"$FAKE/manifest"
}

steps() {
  run bridged --dry-run
  [ "$status" -eq 0 ]
  grep -v '^ \|^\[\|^The\|^$\|^#\|^Warning' <<<"$output" |
    sed -E "s/ --(timeout|key)[ =][^ ]+//g; s/ --recreate-bare-pods//; s/kubectl cni //; s/^echo '.*' \| //; s| [^ ]*/(cilium\|final).yaml| \1|; s/ --field-manager=kubectl-cni//"
}

begin() { # NODE...
  printf '%s\n' "label --all --from '' --to flannel" 'kubectl apply --server-side -f cilium' \
    'kubectl rollout status daemonset/cilium -n kube-system' \
    'kubectl apply --server-side -f -  # CiliumNodeConfig kube-system/kubectl-cni'
  printf 'kubectl taint nodes %s kubectl-cni/still-on-flannel=:PreferNoSchedule\n' "$@"
}

over() { # NODE
  printf '%s\n' "kubectl cordon $1" "evict $1" "label $1 --to cilium --wait" \
    "kubectl delete pod -n kube-system -l k8s-app=cilium --field-selector spec.nodeName=$1" \
    "label $1 --to cilium --wait" "cleanup $1 --wait-conf" "evict $1 --recycle" "kubectl uncordon $1"
  echo "kubectl taint nodes $1 kubectl-cni/still-on-flannel-"
}

final() {
  printf '%s\n' 'kubectl apply --server-side --force-conflicts -f final' \
    "kubectl patch daemonset cilium -n kube-system  # maxUnavailable 1, an annotation with the values' hash: one agent after the other restarts" \
    'kubectl rollout status daemonset/cilium -n kube-system' 'kubectl rollout restart deployment/cilium-operator -n kube-system' \
    'kubectl delete ciliumnodeconfig kubectl-cni -n kube-system'
}

finish() {
  printf '%s\n' 'cleanup --all --wait-conf' 'evict --all --recycle' 'kubectl get daemonset -n kube-flannel kube-flannel-ds -o json  # kept in Secret kubectl-cni-backup-daemonset-kube-flannel-ds' \
    'kubectl delete --raw /apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds -f -' \
    'cleanup --all --wait-conf' 'evict --all --recycle' 'cleanup --all' 'label --all --remove' 'svc-recreate -A --only-broken' 'cleanup --all --check'
}

same() { diff -u <(cat) <(printf '%s\n' "$1"); }

@test "bridged, a fresh cluster: the whole order, nothing is pinned" {
  bridged_manifests
  plan=$(steps)
  { begin cp1 w1 w2 w3; over w1; over w2; over w3; over cp1; final; finish; } | same "$plan"
}

@test "bridged, killed among the workers: those taken over are left alone" {
  bridged_manifests
  echo "$CILIUM" >>"$FAKE/daemonsets"
  echo kube-system >"$FAKE/takeover"
  # w4 was cordoned by somebody else after it had been taken over
  nodes 'cp1 flannel' 'w1 cilium' 'w2 cilium cordoned' 'w3 flannel' 'w4 cilium cordoned'
  sed -i 's/^\(w2|.*\)||$/\1|true|/' "$FAKE/nodes"
  plan=$(steps)
  {
    printf '%s\n' "label --all --from '' --to flannel" 'kubectl apply --server-side -f -  # CiliumNodeConfig kube-system/kubectl-cni'
    printf 'kubectl taint nodes %s kubectl-cni/still-on-flannel=:PreferNoSchedule\n' cp1 w3
    over w2; over w3; over cp1; final; finish
  } | same "$plan"
}

@test "bridged, the values for the end are applied: flannel goes" {
  bridged_manifests
  echo "$CILIUM" >>"$FAKE/daemonsets"
  nodes 'cp1 cilium' 'w1 cilium' 'w2 cilium'
  plan=$(steps)
  finish | same "$plan"
}

@test "bridged: the manifests are checked, and the value to set is named" {
  bridged_manifests
  local key
  for key in custom-cni-conf enable-policy enable-host-legacy-routing routing-mode; do
    cp "$FAKE/manifest" "$FAKE/kept"
    sed -i "/^$key=/d" "$FAKE/manifest"
    run bridged --dry-run
    [ "$status" -eq 4 ]
    [[ $output == *"$key is \"not set\": set "* ]]
    mv "$FAKE/kept" "$FAKE/manifest"
  done
  sed -i 's/^tunnel-port=.*/tunnel-port=8472/' "$FAKE/manifest"
  run bridged --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *'both must be the same'* ]]
  sed -i 's/^tunnel-port=.*/tunnel-port=8472/' "$FAKE/manifest-final"
  run bridged --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *"flannel's port 8472"*tunnelPort=8473* ]]
}

@test "bridged: the manifest for the end is checked" {
  bridged_manifests
  sed -i 's/^custom-cni-conf=.*/custom-cni-conf=true/' "$FAKE/manifest-final"
  run bridged --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *final.yaml*cni.customConf=false* ]]
  sed -i 's/^custom-cni-conf=.*/custom-cni-conf=false/; s/^enable-policy=.*/enable-policy=never/' "$FAKE/manifest-final"
  run bridged --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *policyEnforcementMode=default* ]]
  sed -i 's/^enable-policy=.*/enable-policy=default/; s/^cluster-pool-ipv4-cidr=.*/cluster-pool-ipv4-cidr=10.246.0.0\/16/' "$FAKE/manifest-final"
  run bridged --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *'both must be the same'* ]]
}

@test "each order refuses what the other has begun" {
  bridged_manifests
  nodes 'w1 none x' 'w2 flannel'
  run bridged --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *'begun in the order islands'* ]]
  nodes 'w1 flannel' 'w2 flannel' # ended before Cilium was deployed: workloads and flannel are pinned
  echo 'pinned pinned ' >"$FAKE/selectors"
  run bridged --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *'begun in the order islands'* ]]
  rm "$FAKE/selectors"
  nodes 'w1 cilium' 'w2 flannel'
  echo "$CILIUM" >>"$FAKE/daemonsets"
  echo kube-system >"$FAKE/takeover"
  sed -i 's/^custom-cni-conf=.*/custom-cni-conf=false/' "$FAKE/manifest"
  run migrate --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *'--mode bridged'* ]]
}

@test "flags of one order only" {
  run migrate --mode bridged
  [ "$status" -eq 2 ]
  [[ $output == *cilium-final* ]]
  run migrate --mode ships
  [ "$status" -eq 2 ]
  run migrate --cilium-final "$FAKE/cilium.yaml"
  [ "$status" -eq 2 ]
}
