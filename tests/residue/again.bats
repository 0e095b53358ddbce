#!/usr/bin/env bats
# cleanup --dry-run says what a run would do, and a run does what it said.

load prelude

setup() {
  need_world
  net_conf '{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "vxlan"}}'
}

residue='bridge 2001:db8:42:1::1/64; vxlan 1; vxlan6 1; chains $(firewalls); nft_tables; files
  rm "/etc/cni/net.d/20 old.conf"
  ip route add 10.244.3.0/24 via 172.30.0.13 dev eth0'

gone_residue() {
  gone_bridge && gone_bridge6 && gone_vxlan 1 && gone_vxlan6 1 && gone_nft_tables && gone_env && gone_state
  gone_conf | grep -v old
  gone_chains iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy
  echo '- route 10.244.3.0/24 via 172.30.0.13 dev eth0'
}

# said: the commands that --dry-run has printed, as the node's shell is to have them.
said() { sed -nE 's,^node/w1 would run (.*) \(dry run\)$,\1,p' <<<"$output"; }

# by_hand: as an operator would paste them. conntrack ends with 1 when there is nothing to delete.
by_hand() { on_node w1 bash -c "$(said)" </dev/null; }

@test "--dry-run changes nothing and prints nothing but commands" {
  given "$residue"
  clean --dry-run
  unchanged
  [ "$(said | wc -l)" = "$(wc -l <<<"$output")" ]
  contains "$output" 'node/w1 would run ip link delete dev cni0'
}

@test "the commands that --dry-run prints, run by hand in their order, do what a run would do" {
  given "$residue"
  clean --dry-run
  by_hand || true
  gone_residue | changed
  run_cni 0 cleanup w1 --check --skip annotation
}

@test "the commands that --dry-run prints are those of a run, in its order" {
  given "$residue"
  clean --dry-run
  # kubectl's are the API server's business, not tools of the node.
  said | grep -v -e '^conntrack ' -e '^kubectl ' | tr -d "\"'\\\\" >"$BATS_TEST_TMPDIR/said"
  count_calls
  clean
  count_no_calls
  on_node w1 cat /opt/cut/calls | tr -d "\"'\\\\" >"$BATS_TEST_TMPDIR/done"
  diff -u "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/done"
}

@test "by hand: a file whose name has a space" {
  given 'files; rm /etc/cni/net.d/10-*'
  clean --dry-run
  by_hand || true
  {
    gone_env && gone_state
    gone_conf | grep -v 10-flannel
  } | changed
}

@test "by hand: a rule whose comment a shell would expand" {
  given 'chains iptables-nft
    iptables-nft -t nat -A POSTROUTING -m comment --comment "\$(touch /run/pwned) \"it'\''s\"" -j FLANNEL-POSTRTG'
  clean --dry-run
  by_hand || true
  comment_gone | changed
}

@test "by a run: a rule whose comment a shell would expand" {
  given 'chains iptables-nft
    iptables-nft -t nat -A POSTROUTING -m comment --comment "\$(touch /run/pwned) \"it'\''s\"" -j FLANNEL-POSTRTG'
  clean
  comment_gone | changed
}

comment_gone() {
  gone_chains iptables-nft
  cat <<'END'
- iptables-nft nat -A POSTROUTING -m comment --comment "$(touch /run/pwned) \"it\'s\"" -j FLANNEL-POSTRTG
- nft ip nat rule POSTROUTING
END
}

@test "--dry-run of a clean node prints no command but conntrack's and ends with 0" {
  given ''
  clean --dry-run
  unchanged
  [ "$(said | grep -vc ^conntrack)" = 0 ]
}

@test "twice: the second run has nothing to do" {
  given "$residue"
  clean
  gone_residue | changed
  second_run_has_nothing_to_do
}

@test "twice, with other configurations set aside in between: none is overwritten" {
  local text
  for text in 1 2 2 3; do
    given "rm -rf /var/lib/kubectl-cni.old; echo '{\"type\":\"flannel\",\"n\":$text}' >/etc/cni/net.d/10-flannel.conflist"
    node "[ ! -e /root/aside ] || cp -a /root/aside/. /var/lib/kubectl-cni/"
    clean
    node 'rm -rf /root/aside; cp -a /var/lib/kubectl-cni /root/aside'
  done
  run on_node w1 bash -c 'cd /root/aside/cni-net.d; head -c 100 *; rm -rf /root/aside'
  contains "$output" '"n":1'
  contains "$output" '"n":2'
  contains "$output" '"n":3'
}

@test "both nodes at once: each is told of, and each is cleaned" {
  NODE=w2 given 'bridge; vxlan 1'
  given 'bridge; vxlan 1'
  run_cni 0 cleanup w1 w2
  contains "$output" 'node/w1 cleaned (cni0, flannel.1'
  contains "$output" 'node/w2 cleaned (cni0, flannel.1'
  { gone_bridge && gone_vxlan 1; } | changed
}
