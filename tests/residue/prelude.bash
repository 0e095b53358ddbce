# Sourced by the Bats files of this folder: a node with the residue of a test, the real command, and
# the difference that it made there, which the test states line by line.

load ../cli/prelude

NODE_LIBRARY=$(cat "$BATS_TEST_DIRNAME/../cli/residue_node.sh" "$BATS_TEST_DIRNAME/node.sh")
UPSTREAM='{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}'

# node COMMANDS: on w1, or on $NODE, with the functions of node.sh; the first that fails fails it all.
node() {
  on_node "${NODE:-w1}" bash -euo pipefail -c "$NODE_LIBRARY"$'\n'"$1" </dev/null
}

# net_conf JSON: is what flannel's ConfigMap says.
net_conf() {
  jq -nc --arg conf "$1" '{data: {"net-conf.json": $conf}}' |
    kubectl -n kube-flannel patch configmap kube-flannel-cfg --type merge --patch-file /dev/stdin >/dev/null
}

# annotate ANNOTATION...: of the node, as kubectl takes them.
annotate() { kubectl annotate --overwrite node "${NODE:-w1}" "$@" >/dev/null; }

# given COMMANDS: a fresh node with this on it, and a picture of it.
given() { given_more "fresh"$'\n'"$1"; }

# given_more COMMANDS: on the node as it is.
given_more() { node "$1"$'\n'"picture" >"$BATS_TEST_TMPDIR/before"; }

clean() { # FLAG...
  run_cni 0 cleanup "${NODE:-w1}" "$@"
}

# The difference to the picture before: "- " what is gone, "+ " what has come, each in short words.
difference() {
  node picture >"$BATS_TEST_TMPDIR/after"
  diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after" | sed -nE '/^[<>] /!d
    s/^</-/; s/^>/+/
    s/^(.) link [0-9]+: ([^:@]+).*/\1 link \2/
    s/^(.) nft ([^{]*) \{.*/\1 nft \2/
    s/^(.) (dir|file) [0-9]+( [0-9a-f]{64})? /\1 \2 /
    p' | LC_ALL=C sort
}

# changed: the difference is what stdin says, in any order, and nothing else.
changed() {
  LC_ALL=C sort | sed '/^$/d' >"$BATS_TEST_TMPDIR/expected"
  difference >"$BATS_TEST_TMPDIR/difference"
  diff -U0 --label expected --label 'what has changed' "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/difference" || {
    printf 'stdout: %s\nstderr: %s\n' "${output:-}" "${errors:-}"
    return 1
  }
}

unchanged() { changed </dev/null; }

# second_run_has_nothing_to_do: whatever the word for it, and it does nothing.
second_run_has_nothing_to_do() {
  node picture >"$BATS_TEST_TMPDIR/before"
  run_cni 0 cleanup "${NODE:-w1}" "$@"
  [[ $output =~ clean|nothing ]]
  lacks "$output" cleaned
  unchanged
  run_cni 0 cleanup "${NODE:-w1}" --check
}

# count_calls: from now on what sshd starts on w1 finds counted_tool in the place of each tool.
count_calls() {
  node "$(declare -f install_counted_tool); install_counted_tool $(base64 -w 0 "$BATS_TEST_DIRNAME/counted_tool")"
}

# shellcheck disable=SC2317 # runs on the node
install_counted_tool() { # BASE64
  local tool
  mkdir -p /opt/cut/bin
  base64 -d <<<"$1" >/opt/cut/counted_tool
  chmod 755 /opt/cut/counted_tool
  for tool in ip nft mv rm rmdir cp mkdir sync ip{,6}tables{,-nft,-legacy}{,-restore}; do
    ln -sf ../counted_tool "/opt/cut/bin/$tool"
  done
  sed -i /SetEnv/d /etc/ssh/world_config
  echo "SetEnv PATH=/opt/cut/bin:$PATH" >>/etc/ssh/world_config
  echo 0 >/opt/cut/at
  : >/opt/cut/calls
}

count_no_calls() { on_node w1 sed -i /SetEnv/d /etc/ssh/world_config; }

# instead_of TOOL COMMANDS: from now on what sshd starts on w1 finds these in the place of the tool,
# which is $real to them.
instead_of() {
  node "mkdir -p /opt/instead
    printf '#!/bin/sh\nreal=%s\n' \$(command -v $1) >/opt/instead/$1
    base64 -d <<<$(base64 -w 0 <<<"$2") >>/opt/instead/$1
    chmod 755 /opt/instead/$1
    sed -i /SetEnv/d /etc/ssh/world_config
    echo SetEnv PATH=/opt/instead:\$PATH >>/etc/ssh/world_config"
}

# without COMMAND...: w1 has none of these.
without() {
  node "for command in $*; do mount --bind /dev/null \$(readlink -f \$(command -v \$command)); done"
}

# After both of these.
tools_as_they_were() {
  node 'sed -i /SetEnv/d /etc/ssh/world_config; rm -rf /opt/instead
    awk "\$4 == \"/null\" && \$5 ~ /bin/ { print \$5 }" /proc/self/mountinfo | xargs -r umount'
}

# --- What is to be gone, for the functions of node.sh by the same name ----------------------------

gone_bridge() {
  cat <<'END'
- link cni0
- link veth1
- link veth1-pod
- address cni0 inet 10.244.1.1/24 scope global cni0
- route 10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1
- route local 10.244.1.1 dev cni0 table local proto kernel scope host src 10.244.1.1
- route broadcast 10.244.1.255 dev cni0 table local proto kernel scope link src 10.244.1.1
- route multicast ff00::/8 dev cni0 table local proto kernel metric 256 pref medium
- route multicast ff00::/8 dev veth1 table local proto kernel metric 256 pref medium
- route multicast ff00::/8 dev veth1-pod table local proto kernel metric 256 pref medium
END
}

gone_bridge6() {
  cat <<'END'
- address cni0 inet6 2001:db8:42:1::1/64 scope global
- route 2001:db8:42:1::/64 dev cni0 proto kernel metric 256 pref medium
- route local 2001:db8:42:1::1 dev cni0 table local proto kernel metric 0 pref medium
END
}

gone_vxlan() { # VNI
  cat <<END
- link flannel.$1
- address flannel.$1 inet 10.244.1.0/32 scope global flannel.$1
- neighbour 10.244.2.0 dev flannel.$1 lladdr 02:00:00:00:00:02 PERMANENT
- route 10.244.2.0/24 via 10.244.2.0 dev flannel.$1 onlink
- route local 10.244.1.0 dev flannel.$1 table local proto kernel scope host src 10.244.1.0
- route multicast ff00::/8 dev flannel.$1 table local proto kernel metric 256 pref medium
END
}

gone_vxlan6() { # VNI
  cat <<END
- link flannel-v6.$1
- address flannel-v6.$1 inet6 2001:db8:42:1::/128 scope global
- route 2001:db8:42:1:: dev flannel-v6.$1 proto kernel metric 256 pref medium
- route 2001:db8:42:2::/64 via 2001:db8:42:2:: dev flannel-v6.$1 metric 1024 onlink pref medium
- route local 2001:db8:42:1:: dev flannel-v6.$1 table local proto kernel metric 0 pref medium
- route multicast ff00::/8 dev flannel-v6.$1 table local proto kernel metric 256 pref medium
END
}

gone_host_gw() {
  cat <<'END'
- route 10.244.2.0/24 via 172.30.0.12 dev eth0
- route 10.244.3.0/24 via 172.30.0.13 dev eth0
END
}

gone_host_gw6() {
  echo '- route 2001:db8:42:2::/64 via fd00::12 dev eth0 metric 1024 pref medium'
}

# gone_chains TOOL...: rules that iptables-nft made are seen by nft, too.
gone_chains() {
  local tool net
  for tool; do
    net=10.244.0.0/16
    [[ $tool != ip6* ]] || net=2001:db8:42::/56
    cat <<END
- $tool nat :FLANNEL-POSTRTG -
- $tool nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
- $tool nat -A POSTROUTING -d $net -m comment --comment "flanneld masq" -j RETURN
- $tool nat -A FLANNEL-POSTRTG -s $net -m comment --comment "flanneld masq" -j MASQUERADE
- $tool filter :FLANNEL-FWD -
- $tool filter -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
- $tool filter -A FLANNEL-FWD -s $net -m comment --comment "flanneld forward" -j ACCEPT
END
    case $tool in
      iptables-nft) gone_chains_for_nft ip ;;
      ip6tables-nft) gone_chains_for_nft ip6 ;;
    esac
  done
}

gone_chains_for_nft() { # FAMILY
  cat <<END
- nft $1 nat chain FLANNEL-POSTRTG
- nft $1 nat rule POSTROUTING
- nft $1 nat rule POSTROUTING
- nft $1 nat rule FLANNEL-POSTRTG
- nft $1 filter chain FLANNEL-FWD
- nft $1 filter rule FORWARD
- nft $1 filter rule FLANNEL-FWD
END
}

gone_nft_tables() {
  local name
  for name in 'ip flannel-ipv4' 'ip6 flannel-ipv6'; do
    cat <<END
- nft ${name% *} table ${name#* }
- nft $name chain forward
- nft $name chain postrtg
- nft $name rule postrtg
END
  done
}

# The CNI configuration is moved aside, not away.
gone_files() {
  gone_conf
  gone_env
  gone_state
}

gone_conf() {
  cat <<'END'
- file /etc/cni/net.d/10-flannel.conflist
- file /etc/cni/net.d/10-flannel.conflist.cilium_bak
- file /etc/cni/net.d/20 old.conf
+ dir /var/lib/kubectl-cni
+ dir /var/lib/kubectl-cni/cni-net.d
+ file /var/lib/kubectl-cni/cni-net.d/10-flannel.conflist
+ file /var/lib/kubectl-cni/cni-net.d/10-flannel.conflist.cilium_bak
+ file /var/lib/kubectl-cni/cni-net.d/20 old.conf
END
}

gone_env() {
  cat <<'END'
- dir /run/flannel
- file /run/flannel/subnet.env
END
}

gone_state() {
  cat <<'END'
- dir /var/lib/cni/flannel
- dir /var/lib/cni/networks/cbr0
- file /var/lib/cni/flannel/abc
- file /var/lib/cni/networks/cbr0/10.244.0.2
- file /var/lib/cni/results/cbr0-abc-eth0
END
}

# gone_hostport TOOL NETWORK ID ADDRESS PORT [PROTOCOL...]: of a sandbox of flannel's.
gone_hostport() {
  local tool=$1 address=$4 port=$5 protocol chain size=32
  chain=$(hostport_chain "$2" "$3")
  case $address in *:*) address="[$address]" size=128 ;; esac
  echo "- $tool nat :$chain -"
  for protocol in "${@:6}"; do
    cat <<END
- $tool nat -A CNI-HOSTPORT-DNAT -p $protocol -m comment --comment "dnat name: \\"$2\\" id: \\"$3\\"" -m multiport --dports $port -j $chain
- $tool nat -A $chain -s $4/$size -p $protocol -m $protocol --dport $port -j CNI-HOSTPORT-SETMARK
- $tool nat -A $chain -p $protocol -m $protocol --dport $port -j DNAT --to-destination $address:80
END
  done
  case $tool in
    iptables-nft) gone_hostport_for_nft ip "$chain" "${@:6}" ;;
    ip6tables-nft) gone_hostport_for_nft ip6 "$chain" "${@:6}" ;;
  esac
}

gone_hostport_for_nft() { # FAMILY CHAIN PROTOCOL...
  echo "- nft $1 nat chain $2"
  for _ in "${@:3}"; do
    echo "- nft $1 nat rule CNI-HOSTPORT-DNAT"
    echo "- nft $1 nat rule $2"
    echo "- nft $1 nat rule $2"
  done
}

gone_hostport_top() { # TOOL
  cat <<END
- $1 nat :CNI-HOSTPORT-DNAT -
- $1 nat :CNI-HOSTPORT-MASQ -
- $1 nat :CNI-HOSTPORT-SETMARK -
- $1 nat -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
- $1 nat -A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
- $1 nat -A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
- $1 nat -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
- $1 nat -A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
END
  case $1 in
    iptables-nft) gone_hostport_top_for_nft ip ;;
    ip6tables-nft) gone_hostport_top_for_nft ip6 ;;
  esac
}

gone_hostport_top_for_nft() { # FAMILY
  local name
  for name in DNAT MASQ SETMARK; do echo "- nft $1 nat chain CNI-HOSTPORT-$name"; done
  for name in PREROUTING OUTPUT POSTROUTING CNI-HOSTPORT-MASQ CNI-HOSTPORT-SETMARK; do
    echo "- nft $1 nat rule $name"
  done
}

# The same as in node.sh.
hostport_chain() { # NETWORK ID
  printf 'CNI-DN-%s\n' "$(printf '%s%s' "$1" "$2" | sha512sum | cut -c1-21)"
}
