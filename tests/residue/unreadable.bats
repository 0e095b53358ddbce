#!/usr/bin/env bats
# cleanup on a node that cannot look where it should: it does not call that clean.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
}

teardown() { tools_as_they_were; }

blind='echo "netlink: Error: cache initialization failed: Operation not permitted" >&2; exit 1'

@test "nft fails: told for nft and host ports, by whichever kinds, and not for others" {
  given 'nft_tables'
  instead_of nft "$blind"
  local kinds
  for kinds in nft hostport route,nft; do
    run_cni 1 cleanup w1 --only $kinds
    one_error_line node/w1 'nft tables' 'Operation not permitted'
    run_cni 1 cleanup w1 --check --only $kinds
  done
  clean --only route,iptables
  unchanged
}

@test "nft fails: the state that tells whose the host ports are is kept" {
  given "nft_hostport ip; nft_hostport_rules 4f1d 10.244.1.5 8080; echo '{}' >/var/lib/cni/results/cbr0-4f1d-eth0"
  instead_of nft "$blind"
  run_cni 1 cleanup w1
  contains "$errors" 'state /var/lib/cni/results/cbr0-4f1d-eth0: tells whose the host ports are'
  tools_as_they_were
  clean
  lacks "$(on_node w1 nft list table ip cni_hostport)" 4f1d
}

@test "a rule of nft's that cannot be deleted: its state is kept" {
  given "nft_hostport ip; nft_hostport_rules 4f1d 10.244.1.5 8080; echo '{}' >/var/lib/cni/results/cbr0-4f1d-eth0"
  # shellcheck disable=SC2016 # for the node
  instead_of nft 'case "$*" in delete*) echo no >&2; exit 1 ;; esac; exec "$real" "$@"'
  run_cni 1 cleanup w1
  unchanged
}

@test "iptables fails: told for host ports, too" {
  given ''
  instead_of iptables-nft 'echo "Permission denied" >&2; exit 4'
  run_cni 1 cleanup w1 --only hostport
  one_error_line 'iptables-nft nat' 'Permission denied'
  lacks "$errors" filter
}

@test "no iptables: said for host ports, too" {
  given ''
  without xtables-nft-multi xtables-legacy-multi
  clean --only hostport
  contains "$errors" 'firewall iptables: no iptables on this node'
  clean --only nft
  lacks "$errors" iptables
}
