#!/usr/bin/env bats
# cleanup --force while a pod with an address of flannel is left: what that pod needs stays, and it is said.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
  kubectl create --validate=false -f - >/dev/null <<'END'
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old"},
 "spec": {"nodeName": "w1", "containers": [{"name": "c", "image": "none"}]}}
END
  kubectl patch pod old --subresource=status --type merge \
    -p '{"status": {"phase": "Running", "podIP": "10.244.1.9", "podIPs": [{"ip": "10.244.1.9"}]}}' >/dev/null
}

teardown() { kubectl delete pod old --force 2>/dev/null; }

@test "--only veth" {
  given bridge
  clean --force --only veth
  contains "$errors" 'keeps for now: veth veth1: pods with a flannel address left here: 1'
  unchanged
}

@test "--only hostport" {
  given 'hostport_top iptables-nft; hostport iptables-nft cbr0 4f1d 10.244.1.9 8080 tcp'
  clean --force --only hostport
  contains "$errors" 'keeps for now: hostport iptables-nft CNI-DN-'
  contains "$errors" 'pods with a flannel address left here: 1'
  unchanged
}
