#!/usr/bin/env bats
# cleanup, over real ssh, on a node with the residue of each kind of flannel among things of others that
# resemble it: what it takes away is flannel's, all of it, and nothing else.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
}

# Everything that the operator may set to these is there.
dual_stack='{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "vxlan"}}'
host_gw='{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "host-gw"}}'
vni_77='{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 77}}'

@test "vxlan, with its files: they go, and the CNI configuration is moved aside" {
  given 'bridge; vxlan 1; files'
  clean
  contains "$output" 'node/w1 cleaned (cni0, flannel.1, '
  { gone_bridge && gone_vxlan 1 && gone_files; } | changed
  second_run_has_nothing_to_do
}

@test "vxlan with another VNI, as the ConfigMap says: a flannel.1 that is there is not its own" {
  net_conf "$vni_77"
  annotate flannel.alpha.coreos.com/backend-data-
  given 'bridge; vxlan 77; quiet_link flannel.1 vxlan id 1 local 172.30.0.11 dev eth0 dstport 8473'
  clean
  contains "$errors" flannel.1
  { gone_bridge && gone_vxlan 77; } | changed
}

@test "vxlan with another VNI, as only the node's annotation says" {
  annotate 'flannel.alpha.coreos.com/backend-data={"VNI":77,"VtepMAC":"02:00:00:00:00:01"}'
  given 'bridge; vxlan 77'
  clean
  { gone_bridge && gone_vxlan 77; } | changed
}

@test "vxlan with another VNI and no ConfigMap any more: refused, and the annotation will do with --force" {
  kubectl -n kube-flannel patch configmap kube-flannel-cfg --type merge -p '{"data": null}' >/dev/null
  annotate 'flannel.alpha.coreos.com/backend-data={"VNI":77,"VtepMAC":"02:00:00:00:00:01"}'
  given 'bridge; vxlan 77'
  run_cni 4 cleanup w1
  one_error_line --force
  unchanged
  clean --force
  { gone_bridge && gone_vxlan 77; } | changed
}

@test "dual stack: flannel-v6.1 and ip6tables, too" {
  net_conf "$dual_stack"
  given 'bridge 2001:db8:42:1::1/64; vxlan 1; vxlan6 1; chains iptables-nft ip6tables-nft'
  clean
  {
    gone_bridge && gone_bridge6 && gone_vxlan 1 && gone_vxlan6 1
    gone_chains iptables-nft ip6tables-nft
  } | changed
  second_run_has_nothing_to_do
}

@test "dual stack with another VNI: flannel-v6.77" {
  net_conf "${dual_stack/'"vxlan"'/'"vxlan", "VNI": 77'}"
  given 'bridge 2001:db8:42:1::1/64; vxlan 77; vxlan6 77'
  clean
  { gone_bridge && gone_bridge6 && gone_vxlan 77 && gone_vxlan6 77; } | changed
}

@test "host-gw: routes to the other nodes, none of a routing daemon, of another table or network" {
  net_conf "$host_gw"
  given 'bridge 2001:db8:42:1::1/64; host_gw'
  clean
  { gone_bridge && gone_bridge6 && gone_host_gw && gone_host_gw6; } | changed
  second_run_has_nothing_to_do
}

@test "host-gw with vxlan's DirectRouting: links and routes" {
  given 'bridge; vxlan 1; ip route add 10.244.3.0/24 via 172.30.0.13 dev eth0'
  clean
  {
    gone_bridge && gone_vxlan 1
    echo '- route 10.244.3.0/24 via 172.30.0.13 dev eth0'
  } | changed
}

@test "chains of iptables-nft alone: legacy tables are not made by looking for them" {
  NODE=w2
  given 'chains iptables-nft'
  lacks "$(cat "$BATS_TEST_TMPDIR/before")" 'legacy tables'
  clean
  gone_chains iptables-nft | changed
  second_run_has_nothing_to_do
}

@test "chains of iptables-legacy" {
  given 'chains iptables-legacy'
  clean
  gone_chains iptables-legacy | changed
  second_run_has_nothing_to_do
}

@test "chains of ip6tables-legacy" {
  given 'chains ip6tables-legacy'
  clean
  gone_chains ip6tables-legacy | changed
}

@test "chains of all flavours at once" {
  given 'chains $(firewalls)'
  clean
  gone_chains iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy | changed
  second_run_has_nothing_to_do
}

@test "a jump that is there twice" {
  given 'chains iptables-nft
    iptables-nft -t nat -I POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG'
  clean
  {
    gone_chains iptables-nft
    echo '- iptables-nft nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG'
    echo '- nft ip nat rule POSTROUTING'
  } | changed
}

@test "nft tables flannel-ipv4 and flannel-ipv6, none of another family or name" {
  given 'nft_tables; chains iptables-nft'
  clean
  { gone_nft_tables && gone_chains iptables-nft; } | changed
  second_run_has_nothing_to_do
}

@test "everything at once" {
  net_conf "$dual_stack"
  given 'bridge 2001:db8:42:1::1/64; vxlan 1; vxlan6 1; chains $(firewalls); nft_tables; files
    ip route add 10.244.3.0/24 via 172.30.0.13 dev eth0'
  clean
  {
    gone_bridge && gone_bridge6 && gone_vxlan 1 && gone_vxlan6 1 && gone_nft_tables && gone_files
    gone_chains iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy
    echo '- route 10.244.3.0/24 via 172.30.0.13 dev eth0'
  } | changed
  second_run_has_nothing_to_do
}

@test "a node without anything of flannel's: nothing to do, nothing changed" {
  given ''
  second_run_has_nothing_to_do
}
