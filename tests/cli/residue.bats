#!/usr/bin/env bats
# The script that cleans a node, on a node of namespaces: real links, routes, rules and files.
# Needs root; each test says so and is skipped otherwise.

setup() {
  [ "$(id -u)" = 0 ] || skip "needs root for network and mount namespaces"
  unshare -n -m true 2>/dev/null || skip "needs network and mount namespaces"
  export REPO="$BATS_TEST_DIRNAME/../.."
  export LIBRARY="$BATS_TEST_DIRNAME/residue_node.sh"
}

# Runs the lines on stdin on a fresh node; the first that fails fails it all.
on_node() {
  unshare -n -m bash -euo pipefail -c ". \"\$LIBRARY\"; make_node; $(cat)"
}

# What a whole cleanup takes away, in snapshot()'s words, and all that it adds.
only_flannel_differs() {
  local before=$1 after=$2
  local added='^> /var/lib/kubectl-cni/cni-net.d/(10-flannel.conflist(.cilium_bak)?|20 old.conf)$'
  local removed='^< (cni0|veth1@|veth1-pod@|flannel(-v6)?\.1:|10\.244\.1\.0/24|2001:db8:42:1::/64|:FLANNEL-(POSTRTG|FWD) |.*-A FLANNEL-(POSTRTG|FWD) |.*--comment "flanneld (masq|forward)" -j |table ip6? flannel-ipv[46]$|/etc/cni/net.d/(10-flannel|20 old)|/run/flannel/|/var/lib/cni/(flannel|networks/cbr0|results)/)'
  diff "$before" "$after" >/run/changes || true
  not grep -Ev -e '^([0-9,]+[acd][0-9,]+|---)$' -e "$added" -e "$removed" /run/changes || return 1
  not grep -E '^(cni0:|flannel(-v6)?\.1:|:FLANNEL-(POSTRTG|FWD) |/run/flannel)' "$after"
}
# `! command` alone never fails a script under `set -e`.
not() { ! "$@"; }
export -f only_flannel_differs not

@test "residue: shellcheck has nothing to say" {
  command -v shellcheck >/dev/null || skip "needs shellcheck"
  shellcheck -s sh "$REPO"/common/cni/remote/*.sh
  shellcheck "$LIBRARY"
}

@test "residue: clean removes flannel's things and nothing else; a second run has nothing to do" {
  on_node <<'END'
    snapshot >/run/before
    residue check vni=1 "${networks[@]}" >/run/check && exit 1
    residue clean vni=1 "${networks[@]}" pods-left=0
    snapshot >/run/after
    only_flannel_differs /run/before /run/after
    [ ! -e /run/pwned ]
    [ "$(stat -c %a /var/lib/kubectl-cni/cni-net.d)" = 700 ]
    residue check vni=1 "${networks[@]}"
    residue clean vni=1 "${networks[@]}" pods-left=0 >/run/second
    not grep -E '^(removed|failed)' /run/second
END
}

@test "residue: the same by busybox's shell, with its tools but iproute2" {
  command -v busybox >/dev/null || skip "needs busybox"
  SHELL_UNDER_TEST="busybox sh" on_node <<'END'
    mkdir /run/tools
    for tool in awk sed grep tr cat cp mv rm chmod mkdir rmdir head xargs id sleep; do
      ln -s "$(command -v busybox)" /run/tools/$tool
    done
    snapshot >/run/before
    PATH=/run/tools:$PATH residue clean vni=1 "${networks[@]}" pods-left=0
    snapshot >/run/after
    only_flannel_differs /run/before /run/after
END
}

@test "residue: busybox's ip tells a bridge from a dummy too; routes need iproute2" {
  command -v busybox >/dev/null || skip "needs busybox"
  SHELL_UNDER_TEST="busybox sh" on_node <<'END'
    mkdir /run/tools
    # busybox's own ip cannot delete links of every kind; only the looking is its.
    real=$(command -v ip)
    printf '#!/bin/sh\ncase "$*" in "link delete"*) exec %s "$@" ;; esac\nexec busybox ip "$@"\n' \
      "$real" >/run/tools/ip
    chmod 755 /run/tools/ip
    PATH=/run/tools:$PATH residue clean vni=1 "${networks[@]}" pods-left=0 >/run/report
    grep -q "^removed	link	cni0" /run/report
    grep -q "^removed	veth	veth1" /run/report
    grep -q "^removed	link	flannel-v6.1" /run/report
    grep -q "^kept	route	10.244.1.0/24 .*iproute2" /run/report
    ip link show cni0-backup && ip link show veth2 && ip route show 10.244.1.0/24 | grep via
END
}

@test "residue: dry run changes nothing and says each command" {
  on_node <<'END'
    snapshot >/run/before
    residue clean vni=1 "${networks[@]}" pods-left=0 dry-run >/run/report
    snapshot >/run/after
    diff /run/before /run/after
    not grep -E '^(removed|failed|found)' /run/report
    grep -q "^would	ip link delete dev cni0$" /run/report
    grep -q '^would	iptables-nft -w 30 -t nat -D POSTROUTING .*-j FLANNEL-POSTRTG$' /run/report
END
}

@test "residue: while pods are left, configuration, state and veths stay, subnet.env goes" {
  on_node <<'END'
    residue clean vni=1 "${networks[@]}" pods-left=2 >/run/report
    grep -q '^kept	conf	/etc/cni/net.d/10-flannel.conflist	.*: 2$' /run/report
    [ -e /etc/cni/net.d/10-flannel.conflist ] && [ -e /var/lib/cni/flannel/abc ]
    [ ! -e /run/flannel/subnet.env ] && ip link show veth1 && not ip link show cni0
END
}

@test "residue: a link with flannel's name but another kind or VNI is left alone and named" {
  on_node <<'END'
    ip link delete cni0 && ip link add cni0 type veth peer name cni0-pod
    ip link delete flannel.1
    ip link add flannel.1 type vxlan id 9 local 127.0.0.1 dev lo dstport 8474
    not residue clean vni=1 "${networks[@]}" pods-left=0 >/run/report
    grep -q '^failed	link	cni0	is veth, expected bridge' /run/report
    grep -q '^failed	link	flannel.1	is vxlan 9, expected vxlan 1' /run/report
    ip link show cni0 && ip link show flannel.1
END
}

@test "residue: the VNI is the one given" {
  on_node <<'END'
    residue clean vni=77 "${networks[@]}" pods-left=0 >/run/report
    grep -q '^removed	link	flannel.77' /run/report
    grep -q '^kept	link	flannel.1	' /run/report
    ip link show flannel.1 && not ip link show flannel.77
END
}

@test "residue: links-only removes cni0 and flannel.1 and no more" {
  on_node <<'END'
    snapshot >/run/before
    residue links-only >/run/report
    snapshot >/run/after
    [ "$(grep -c ^removed /run/report)" = 2 ]
    diff /run/before /run/after | grep '^[<>]' >/run/changes || true
    not grep -Ev '^< (cni0|flannel\.1):' /run/changes
    residue links-only >/run/second && not grep ^removed /run/second
END
}

@test "residue: cut off after any line, the next run ends in the same state" {
  on_node <<'END'
    cut_off 1 # nothing was said yet, one thing is gone
    for lines in $(seq 4 4 40); do
      remake_node
      cut_off "$lines"
    done
END
}

# interfering PATTERN COMMAND: runs once, right after iptables-nft was called with such arguments.
interfering() {
  mkdir -p /run/tools
  real=$(command -v iptables-nft)
  cat >/run/tools/iptables-nft <<END
#!/bin/sh
$real "\$@"
code=\$?
case "\$*" in
  $1) [ -e /run/interfered ] || { touch /run/interfered; $2; } ;;
esac
exit \$code
END
  chmod 755 /run/tools/iptables-nft
}
export -f interfering

@test "residue: a sandbox of another network that is just being made keeps its host port" {
  command -v iptables-nft >/dev/null || skip "needs iptables-nft"
  on_node <<'END'
    iptables-nft -t nat -N CNI-HOSTPORT-DNAT
    iptables-nft -t nat -N CNI-DN-other
    interfering '*"nat -S"' "$(command -v iptables-nft) -t nat -A CNI-DN-other -p tcp --dport 80 -j DNAT --to-destination 10.9.0.5:80"
    PATH=/run/tools:$PATH residue clean vni=1 "${networks[@]}" pods-left=0 >/run/report || true
    [ -e /run/interfered ]
    iptables-nft -t nat -S CNI-DN-other | grep -q 10.9.0.5:80
END
}

@test "residue: wait-conf waits for another CNI's configuration to be the first" {
  on_node <<'END'
    rc=0; residue wait-conf wait=1 want=cilium >/run/report || rc=$?
    [ $rc = 3 ] && grep -q '^failed	conf	10-flannel.conflist	is still the first' /run/report
    (sleep 1; echo '{"type":"cilium-cni"}' >/etc/cni/net.d/05-cilium.conflist) &
    residue wait-conf wait=10 want=cilium >/run/report
    grep -q '^conf	05-cilium.conflist$' /run/report
    rm /etc/cni/net.d/*
    rc=0; residue wait-conf >/run/report || rc=$?
    [ $rc = 3 ] && grep -q 'holds no CNI configuration' /run/report
END
}

@test "residue: an argument outside the vocabulary does nothing" {
  on_node <<'END'
    snapshot >/run/before
    for bad in 'vni=1;x' 'net=10.0.0.0' 'net=$(x)/8' 'pods-left=' 'x' 'want=a b'; do
      rc=0; residue clean "$bad" >/run/report || rc=$?
      [ $rc = 2 ]
    done
    rc=0; residue wipe || rc=$?
    [ $rc = 2 ]
    script | head -n -1 | sh -s -- clean pods-left=0 # a script cut short on its way
    snapshot >/run/after
    diff /run/before /run/after
END
}
