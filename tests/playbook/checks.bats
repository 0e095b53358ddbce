#!/usr/bin/env bats
# What the playbook refuses before its first step.

load prelude

# refused TEXT: exit 4, the text in the message, nothing changed.
refused() {
  run migrate --yes
  [ "$status" -eq 4 ]
  [[ $output == *"$1"* ]]
  [[ $output == *'nothing was changed'* ]]
  run grep -v -e '--check' -e '--dry-run' "$FAKE/changes"
  [ -z "$output" ]
}

manifest() { sed -i "s|^$1=.*|$1=$2|" "$FAKE/manifest"; }

@test "CIDR arithmetic" {
  call cidrs_overlap 10.0.0.0/8 10.244.0.0/16
  call cidrs_overlap 10.244.0.0/16 10.0.0.0/8
  call cidrs_overlap 10.244.3.7/16 10.244.255.0/24
  call cidrs_overlap 0.0.0.0/0 255.255.255.255/32
  run ! call cidrs_overlap 10.244.0.0/16 10.245.0.0/16
  run ! call cidrs_overlap 192.168.0.0/17 192.168.128.0/17
  call cidr_holds_ip 10.244.0.0/16 10.244.255.255
  run ! call cidr_holds_ip 10.244.0.0/16 10.245.0.0
  run ! call cidr_holds_ip 10.244.0.0/16 None
  call cidr_within 10.244.8.0/24 10.244.0.0/16
  run ! call cidr_within 10.0.0.0/8 10.244.0.0/16
  for good in 0.0.0.0/0 10.008.0.0/16 1.2.3.4/32; do call is_cidr4 "$good"; done
  for bad in 10.0.0.0 10.0.0.0/33 256.0.0.0/8 fd00::/64 x/8 ''; do run ! call is_cidr4 "$bad"; done
}

@test "the manifest must hold the agent and its ConfigMap" {
  sed -i /daemonset=/d "$FAKE/manifest"
  refused 'no DaemonSet of Cilium'
  echo daemonset=cilium >"$FAKE/manifest"
  refused cilium-config
}

@test "the values that hurt are named" {
  manifest kube-proxy-replacement true
  refused kubeProxyReplacement=false
  manifest kube-proxy-replacement disabled
  manifest unmanaged-pod-watcher-interval 15s
  refused operator.unmanagedPodWatcher.restart=false
  sed -i /unmanaged/d "$FAKE/manifest"
  refused operator.unmanagedPodWatcher.restart=false
  echo unmanaged-pod-watcher-interval=0 >>"$FAKE/manifest"
  manifest ipam kubernetes
  refused ipam.mode=cluster-pool
  manifest ipam cluster-pool
  echo custom-cni-conf=true >>"$FAKE/manifest"
  refused cni.customConf=false
}

@test "pod ranges must be disjoint" {
  manifest cluster-pool-ipv4-cidr 10.0.0.0/8
  refused "overlaps flannel's 10.244.0.0/16"
  manifest cluster-pool-ipv4-cidr '10.245.0.0/16 10.96.128.0/20'
  refused 'overlaps the Service range 10.96.0.0/16'
  rm "$FAKE/servicecidrs"
  echo 10.245.7.7 >"$FAKE/clusterips"
  refused 'holds the Service address 10.245.7.7'
}

@test "kube-proxy's clusterCIDR that does not cover Cilium's range is a warning" {
  printf 'bindAddress: 0.0.0.0\nclusterCIDR: 10.244.0.0/16\n' >"$FAKE/kube-proxy"
  run migrate --dry-run
  [ "$status" -eq 0 ]
  [[ $output == *"clusterCIDR 10.244.0.0/16 does not cover"* ]]
  echo 'clusterCIDR: "10.240.0.0/12"' >"$FAKE/kube-proxy"
  run migrate --dry-run
  [[ $output != *clusterCIDR* ]]
}

@test "an embedded flannel is refused as such" {
  : >"$FAKE/daemonsets"
  refused 'found no flannel DaemonSet'
  echo 'vxlan vxlan ' >"$FAKE/embedded"
  refused k3s
}

@test "a cni label that is not ours, or another key, is refused" {
  echo 'w1|calico||||' >"$FAKE/nodes"
  refused --key
  echo 'w1||net|||' >"$FAKE/nodes"
  refused '--key net'
}

@test "Cilium beside flannel, unpinned, is refused" {
  echo 'kube-system|cilium|uid-c||cilium|quay.io/cilium/cilium:v1.20.2,||' >>"$FAKE/daemonsets"
  echo 'kube-flannel|kube-flannel-x|w1|Running|True|true|192.168.0.1|uid-f' >"$FAKE/pods"
  refused 'beside flannel'
}

@test "webhooks on the pod network need --accept-webhook-outage" {
  echo 'validatingwebhookconfigurations/policy|guard/webhook' >"$FAKE/webhooks"
  echo '10.244.1.5 ' >"$FAKE/endpoints"
  refused 'policy (Service guard/webhook)'
  run migrate --dry-run --accept-webhook-outage
  [ "$status" -eq 0 ]
  [[ $output == *Warning*guard/webhook* ]]
  echo '192.168.0.1 ' >"$FAKE/endpoints"
  run migrate --dry-run
  [ "$status" -eq 0 ]
}

@test "what would stop a drain stops the playbook with the same code" {
  echo 4 >"$FAKE/exit-evict"
  refused 'can be emptied'
}

@test "residue on the nodes is expected, an ssh error is not" {
  echo 1 >"$FAKE/exit-cleanup"
  run migrate --dry-run
  [ "$status" -eq 0 ]
  echo 'error: node w1: connection refused' >"$FAKE/stderr-cleanup"
  run migrate --yes
  [ "$status" -eq 1 ]
  [[ $output == *'connection refused'*'nothing was changed'* ]]
}

@test "the proof asks what Cilium runs with" {
  echo 'custom-cni-conf=true enable-policy=never ' >"$FAKE/cilium-config"
  run call eval 'CILIUM=(kube-system/cilium); prove_values; echo "$MISSING"'
  [[ $output == *'kube-system/cilium-config says custom-cni-conf: true'* ]]
  [[ $output != *enable-policy* ]] # in the order islands that is the operator's choice
  run call eval 'MODE=bridged CILIUM=(kube-system/cilium); prove_values; echo "$MISSING"'
  [[ $output == *'enable-policy: never'*'was not restarted for the values in cilium-config'* ]]
}
