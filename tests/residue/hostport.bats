#!/usr/bin/env bats
# cleanup of what the portmap plugin left of flannel's sandboxes: of a network called cbr0, and of no other.

load prelude

setup() {
  need_world
  net_conf '{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "vxlan"}}'
}

flannels='cbr0 4f1d 10.244.1.5 8080 tcp udp'
flannels6='cbr0 4f1d 2001:db8:42:1::5 8080 tcp'

# others TOOL: sandboxes of other networks.
others() {
  local tool=$1
  echo "hostport $tool mine 77aa 10.9.0.5 8081 tcp; hostport $tool cilium 4f1d 10.245.1.5 8082 tcp
    hostport $tool cbr0-mine 4f1d 10.9.0.6 8083 udp"
}

# shellcheck disable=SC2086 # words
gone_flannels() { gone_hostport "$1" $flannels; }

@test "the last sandbox's chain goes with its jumps, and the chains above with it" {
  given "hostport_top iptables-nft; hostport iptables-nft $flannels"
  run_cni 1 cleanup w1 --check
  contains "$output" hostport
  contains "$output" CNI-DN-
  clean
  { gone_flannels iptables-nft && gone_hostport_top iptables-nft; } | changed
  second_run_has_nothing_to_do
}

@test "of several sandboxes of flannel's all go" {
  given "hostport_top iptables-nft; hostport iptables-nft $flannels; hostport iptables-nft cbr0 beef 10.244.1.6 53 udp"
  clean
  {
    gone_flannels iptables-nft && gone_hostport_top iptables-nft
    gone_hostport iptables-nft cbr0 beef 10.244.1.6 53 udp
  } | changed
}

@test "chains of other networks stay, and those above them" {
  given "hostport_top iptables-nft; $(others iptables-nft); hostport iptables-nft $flannels"
  clean
  gone_flannels iptables-nft | changed
  second_run_has_nothing_to_do
}

@test "only chains of other networks: clean, nothing changed" {
  given "hostport_top iptables-nft; $(others iptables-nft)"
  second_run_has_nothing_to_do --skip annotation
}

@test "in iptables-legacy" {
  given "hostport_top iptables-legacy; $(others iptables-legacy); hostport iptables-legacy $flannels"
  clean
  gone_flannels iptables-legacy | changed
  given "hostport_top iptables-legacy; hostport iptables-legacy $flannels"
  clean
  { gone_flannels iptables-legacy && gone_hostport_top iptables-legacy; } | changed
}

@test "in ip6tables, while iptables has another network's" {
  given "hostport_top iptables-nft; hostport_top ip6tables-nft
    $(others iptables-nft); hostport ip6tables-nft $flannels6"
  clean
  # shellcheck disable=SC2086 # words
  { gone_hostport ip6tables-nft $flannels6 && gone_hostport_top ip6tables-nft; } | changed
}

@test "the chains above, of which a teardown has taken the last sandbox's, go" {
  given 'hostport_top iptables-nft'
  clean
  gone_hostport_top iptables-nft | changed
}

@test "a rule of somebody else's in the chain above keeps it" {
  given "hostport_top iptables-nft; hostport iptables-nft $flannels
    iptables-nft -t nat -A CNI-HOSTPORT-DNAT -p tcp --dport 9 -j RETURN"
  clean
  gone_flannels iptables-nft | changed
}

@test "a chain's comment may say anything: only the name in it counts" {
  given "hostport_top iptables-nft; hostport iptables-nft $flannels
    iptables-nft -t nat -N CNI-DN-somebodyelses0000000
    iptables-nft -t nat -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment 'dnat name: \"mine\" id: \"cbr0\" # name: \"cbr0\"' \
      -m multiport --dports 9 -j CNI-DN-somebodyelses0000000"
  clean
  gone_flannels iptables-nft | changed
}

@test "--only hostport and --skip hostport" {
  given "chains iptables-nft; hostport_top iptables-nft; hostport iptables-nft $flannels"
  clean --skip hostport
  gone_chains iptables-nft | changed
  run_cni 1 cleanup w1 --check --only hostport
  clean --only hostport
  { gone_chains iptables-nft && gone_flannels iptables-nft && gone_hostport_top iptables-nft; } | changed
}

@test "--dry-run: by hand in this order all of it goes" {
  given "hostport_top iptables-nft; hostport iptables-nft $flannels"
  clean --dry-run
  unchanged
  on_node w1 bash -c "$(sed -nE 's,^node/w1 would run (.*) \(dry run\)$,\1,p' <<<"$output")" </dev/null || true
  { gone_flannels iptables-nft && gone_hostport_top iptables-nft; } | changed
}

@test "while a sandbox of flannel's is left they stay; then they go" {
  given "files; hostport_top iptables-nft; hostport iptables-nft $flannels"
  kubectl apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: left}
spec:
  nodeName: w1
  tolerations: [{operator: Exists}]
  containers: [{name: app, image: "example.com/app:1"}]
YAML
  kubectl wait --for=condition=Ready --timeout=30s pod/left >/dev/null
  clean --force
  contains "$errors" 'keeps for now'
  lacks "$(difference)" CNI-
  kubectl delete pod left --now >/dev/null
  clean
  # shellcheck disable=SC2086 # words
  diff <(difference | grep CNI-) <({ gone_flannels iptables-nft && gone_hostport_top iptables-nft; } |
    grep CNI- | LC_ALL=C sort)
}

# The rules bear the sandbox's id and no network's name; whose it is the state in /var/lib/cni tells.
nft_sandboxes="nft_hostport ip; nft_hostport_rules 4f1d 10.244.1.5 8080; nft_hostport_rules 77aa 10.9.0.5 8081
  echo '{}' | tee /var/lib/cni/results/cbr0-4f1d-eth0 >/var/lib/cni/results/mine-77aa-eth0"

gone_nft_sandbox() {
  cat <<'END'
- nft ip cni_hostport rule hostports
- nft ip cni_hostport rule masquerading
- nft ip cni_hostport rule masquerading
- file /var/lib/cni/results/cbr0-4f1d-eth0
END
}

@test "portmap's nftables backend: the rules of flannel's sandboxes go, others stay" {
  given "$nft_sandboxes"
  run_cni 1 cleanup w1 --check
  contains "$output" hostport
  clean
  gone_nft_sandbox | changed
  contains "$(on_node w1 nft list table ip cni_hostport)" 10.9.0.5
  second_run_has_nothing_to_do
}

@test "portmap's nftables backend: after the last rule the table stays, for another's rule may come at any time" {
  given "$nft_sandboxes; nft flush chain ip cni_hostport hostports; nft flush chain ip cni_hostport masquerading
    nft_hostport_rules 4f1d 10.244.1.5 8080"
  clean
  gone_nft_sandbox | changed
  second_run_has_nothing_to_do
}

@test "portmap's nftables backend: what --skip hostport leaves, a later run still knows for flannel's" {
  given "$nft_sandboxes"
  clean --skip hostport
  clean
  gone_nft_sandbox | changed
}
