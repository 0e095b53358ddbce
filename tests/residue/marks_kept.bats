#!/usr/bin/env bats
# cleanup keeps flannel's marks on the Node object as long as they are needed, and says why.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
  annotate 'flannel.alpha.coreos.com/backend-data={"VNI":42,"VtepMAC":"02:00:00:00:00:01"}' \
    flannel.alpha.coreos.com/backend-type=vxlan
}

teardown() {
  kubectl delete pod old --namespace default --ignore-not-found --wait=false --force 2>/dev/null || true
}

marks() { kubectl get node w1 -o json | jq -r '.metadata.annotations // {} | keys[] | select(startswith("flannel.alpha."))'; }

marks_are_there() { contains "$(marks)" flannel.alpha.coreos.com/backend-data; }

@test "--skip link: they tell the VNI of a link that was left alone" {
  given 'bridge; vxlan 42; nft_tables'
  clean --skip link,veth
  contains "$errors" 'node/w1 keeps for now: mark annotation flannel.alpha.coreos.com/backend-data'
  contains "$errors" 'it tells which links are'
  marks_are_there
  clean
  contains "$output" flannel.42
  run_cni 0 cleanup w1 --check
}

@test "--only annotation: they stay while the link is there, then they go" {
  given 'vxlan 42'
  clean --only annotation
  contains "$errors" 'it tells that link flannel.42 is'
  contains "$output" 'node/w1 clean (nothing to do)'
  marks_are_there
  unchanged
  clean --only link
  clean --only annotation
  contains "$output" "node's marks"
  [ -z "$(marks)" ]
}

@test "pods with an address of flannel are left: they stay, and it is said" {
  given ''
  kubectl create --validate=false -f - >/dev/null <<'END'
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old", "namespace": "default"},
 "spec": {"nodeName": "w1", "containers": [{"name": "c", "image": "none"}]}}
END
  kubectl patch pod old -n default --subresource=status --type merge \
    -p '{"status": {"phase": "Running", "podIP": "10.244.1.9", "podIPs": [{"ip": "10.244.1.9"}]}}' >/dev/null
  run_cni 0 cleanup w1 --force
  contains "$errors" 'pods with a flannel address left here: 1'
  marks_are_there
}

@test "all kinds skipped is wrong usage" {
  run_cni 2 cleanup w1 --skip link,veth,route,conf,env,state,iptables,nft,hostport,conntrack,annotation
  contains "$errors" 'error: --skip leaves no kind'
}

@test "a network that would be everybody's is left out of account" {
  given 'ip route add 192.0.2.0/24 via 172.30.0.13 dev eth0'
  net_conf '{"Network": "0.0.0.0/0", "Backend": {"Type": "host-gw"}}'
  run_cni 4 cleanup w1
  contains "$errors" 'too wide'
  run_cni 0 cleanup w1 --force
  unchanged
}
