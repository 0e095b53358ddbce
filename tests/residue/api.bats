#!/usr/bin/env bats
# cleanup of what flannel wrote on the Node object: its annotations, and the condition that it set.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
  kubectl annotate --overwrite node w1 example.com/mine=1 flannel.example.com/mine=2 \
    network.cilium.io/ipv4-pod-cidr=10.245.1.0/24 >/dev/null
}

# flannel_was_here: as flanneld's subnet manager leaves a node.
flannel_was_here() {
  annotate 'flannel.alpha.coreos.com/backend-data={"VNI":1,"VtepMAC":"02:00:00:00:00:01"}' \
    flannel.alpha.coreos.com/backend-type=vxlan flannel.alpha.coreos.com/kube-subnet-manager=true \
    flannel.alpha.coreos.com/public-ip=172.30.0.11 flannel.alpha.coreos.com/public-ip-overwrite=172.30.0.11
  condition FlannelIsUp 'Flannel is running on this node'
}

condition() { # REASON MESSAGE
  jq -nc --arg reason "$1" --arg message "$2" '{status: {conditions: [{type: "NetworkUnavailable", status: "False",
    reason: $reason, message: $message, lastTransitionTime: "2026-01-01T00:00:00Z", lastHeartbeatTime: "2026-01-01T00:00:00Z"}]}}' |
    kubectl patch node w1 --subresource=status --type strategic --patch-file /dev/stdin >/dev/null
}

# What of the Node is not the kubelet's clock, nor the taint of a node that has just been made, a line each.
node_object() {
  kubectl get node w1 -o json | jq -r '
    (.metadata.annotations // {} | to_entries[] | "annotation \(.key)=\(.value)"),
    (.metadata.labels | to_entries[] | "label \(.key)"), (.spec | del(.taints[]? | select(.key | endswith("/not-ready"))) | tojson),
    (.status.conditions[] | "condition \(.type) \(.status) \(.reason)"), (.status.addresses | tojson)' | LC_ALL=C sort
}

# remember: once the kubelet, which looks twice a second, has said what it thinks of the files that the test has laid.
remember() {
  node_object >"$BATS_TEST_TMPDIR/object"
  while sleep 1 && node_object >"$BATS_TEST_TMPDIR/later" && ! cmp -s "$BATS_TEST_TMPDIR/object" "$BATS_TEST_TMPDIR/later"; do
    mv "$BATS_TEST_TMPDIR/later" "$BATS_TEST_TMPDIR/object"
  done
}

# object_lost LINE...: and nothing else.
object_lost() {
  diff <(node_object) "$BATS_TEST_TMPDIR/object" | sed -n 's/^> /- /p; s/^< /+ /p' |
    diff <(printf -- '- %s\n' "$@" | LC_ALL=C sort) -
}

object_unchanged() { diff "$BATS_TEST_TMPDIR/object" <(node_object); }

lost=(
  'annotation flannel.alpha.coreos.com/backend-data={"VNI":1,"VtepMAC":"02:00:00:00:00:01"}'
  'annotation flannel.alpha.coreos.com/backend-type=vxlan'
  'annotation flannel.alpha.coreos.com/kube-subnet-manager=true'
  'annotation flannel.alpha.coreos.com/public-ip-overwrite=172.30.0.11'
  'annotation flannel.alpha.coreos.com/public-ip=172.30.0.11'
)
up='condition NetworkUnavailable False FlannelIsUp'

@test "--check names the annotations and the condition as residue, and leaves them" {
  given ''
  flannel_was_here
  remember
  run_cni 1 cleanup w1 --check
  contains "$output" 'node/w1 not clean ('
  contains "$output" flannel.alpha.coreos.com/
  contains "$output" NetworkUnavailable
  object_unchanged
}

@test "they go once the node is clean, others' stay; twice" {
  given 'bridge; vxlan 1'
  flannel_was_here
  remember
  clean
  contains "$output" 'node/w1 cleaned (cni0, flannel.1'
  object_lost "${lost[@]}" "$up"
  { gone_bridge && gone_vxlan 1; } | changed
  remember
  second_run_has_nothing_to_do
  object_unchanged
}

@test "on a node that has nothing else of flannel's they go, too" {
  given ''
  flannel_was_here
  remember
  clean
  contains "$output" 'node/w1 cleaned ('
  object_lost "${lost[@]}" "$up"
  unchanged
}

@test "whatever flannel's condition says: one whose reason begins with Flannel is its own" {
  given ''
  condition FlannelIsDown 'Flannel is shutting down'
  remember
  clean
  object_lost 'condition NetworkUnavailable False FlannelIsDown'
}

@test "Cilium's condition stays, and is no residue" {
  given ''
  flannel_was_here
  condition CiliumIsUp 'Cilium is running on this node'
  remember
  clean
  object_lost "${lost[@]}"
  run_cni 0 cleanup w1 --check
}

@test "a node that could not be cleaned keeps them" {
  given 'quiet_link cni0 veth peer name cni0-pod'
  flannel_was_here
  remember
  run_cni 1 cleanup w1
  contains "$errors" cni0
  object_unchanged
}

@test "a node that cannot be reached keeps them" {
  given ''
  flannel_was_here
  remember
  printf 'w1 127.0.0.1:2\n' >"$BATS_TEST_TMPDIR/map"
  run_cni 1 cleanup w1 --host-map "$BATS_TEST_TMPDIR/map"
  one_error_line node/w1
  object_unchanged
}

@test "--dry-run, --links-only, --skip annotation: they stay" {
  given 'bridge; vxlan 1'
  flannel_was_here
  remember
  clean --dry-run
  object_unchanged
  clean --links-only
  object_unchanged
  clean --skip annotation
  object_unchanged
  run_cni 0 cleanup w1 --check --skip annotation
  run_cni 1 cleanup w1 --check
}

@test "other nodes' are not touched" {
  NODE=w2 annotate flannel.alpha.coreos.com/backend-type=vxlan
  given ''
  flannel_was_here
  clean
  contains "$(kubectl get node w2 -o jsonpath='{.metadata.annotations}')" flannel.alpha.coreos.com/backend-type
}
