#!/usr/bin/env bats
# cleanup --only and --skip: a run that is told which kinds of residue are its own.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
}

all_kinds=(link veth route conf env state iptables nft hostport conntrack annotation)

residue='bridge; vxlan 1; chains iptables-nft; nft_tables; files
  ip route add 10.244.3.0/24 via 172.30.0.13 dev eth0'

gone_route() { echo '- route 10.244.3.0/24 via 172.30.0.13 dev eth0'; }

gone_residue() {
  gone_bridge && gone_vxlan 1 && gone_chains iptables-nft && gone_nft_tables && gone_files && gone_route
}

@test "an unknown kind is wrong usage, and the kinds that there are are told" {
  local flag kind
  given "$residue"
  for flag in --only=chains --skip=link,bridge; do
    run_cni 2 cleanup w1 "$flag"
    for kind in "${all_kinds[@]}"; do contains "$errors" "$kind"; done
  done
  unchanged
}

@test "--only link: links and nothing else; cni0 not before its veths" {
  given "$residue"
  clean --only link
  contains "$output" 'node/w1 cleaned (flannel.1)'
  gone_vxlan 1 | changed
  clean --only veth
  clean --only link
  contains "$output" 'node/w1 cleaned (cni0)'
  { gone_vxlan 1 && gone_bridge; } | changed
}

@test "--only of several kinds" {
  given "$residue"
  clean --only env,conf
  { gone_env && gone_conf; } | changed
}

@test "--only iptables: chains with their jumps; --only nft, route, state, veth: each its own" {
  given "$residue"
  clean --only iptables
  gone_chains iptables-nft | changed
  clean --only nft
  { gone_chains iptables-nft && gone_nft_tables; } | changed
  clean --only route
  { gone_chains iptables-nft && gone_nft_tables && gone_route; } | changed
  clean --only state
  { gone_chains iptables-nft && gone_nft_tables && gone_route && gone_state; } | changed
  clean --only veth
  lacks "$(on_node w1 ip -br link)" veth1
  contains "$(on_node w1 ip -br link)" cni0
}

@test "--skip iptables: the chains stay, and are no residue to that run" {
  given "$residue"
  clean --skip iptables
  contains "$output" 'node/w1 cleaned ('
  gone_residue | grep -v -e ' FLANNEL-' -e ':FLANNEL-' -e flanneld -e 'nft ip nat' -e 'nft ip filter' | changed
  run_cni 0 cleanup w1 --check --skip iptables
  run_cni 1 cleanup w1 --check
  contains "$output" FLANNEL-POSTRTG
  clean
  gone_residue | changed
}

@test "--check --only nft: says what there is of that and nothing else" {
  given "$residue"
  run_cni 1 cleanup w1 --check --only nft
  contains "$output" flannel-ipv4
  contains "$output" flannel-ipv6
  lacks "$output" cni0
  lacks "$output" FLANNEL
  unchanged
  on_node w1 nft delete table ip flannel-ipv4
  on_node w1 nft delete table ip6 flannel-ipv6
  run_cni 0 cleanup w1 --check --only nft
  run_cni 1 cleanup w1 --check --skip nft
}

@test "--dry-run --only route prints the commands of that alone" {
  given "$residue"
  clean --dry-run --only route
  [ "$output" = 'node/w1 would run ip -4 route delete 10.244.3.0/24 via 172.30.0.13 dev eth0 (dry run)' ]
  unchanged
}

@test "--only annotation leaves the node alone" {
  annotate 'flannel.alpha.coreos.com/backend-type=vxlan'
  given 'chains iptables-nft; nft_tables; files'
  clean --only annotation
  unchanged
  lacks "$(kubectl get node w1 -o json)" flannel.alpha
}
