# shellcheck shell=bash
# For residue.bats: a node with flannel's residue, and what must survive, in namespaces of its own.
# Sourced inside `unshare -n -m`; what is written to /etc, /run and /var/lib stays on a tmpfs there.

layer_over() { # DIR
  mkdir -p "/run/layers$1/upper" "/run/layers$1/work"
  mount -t overlay -o "lowerdir=$1,upperdir=/run/layers$1/upper,workdir=/run/layers$1/work" \
    overlay "$1"
}

make_root() {
  mount --make-rprivate /
  mount -t tmpfs none /run
  mount -t sysfs none /sys
  layer_over /etc
  layer_over /var/lib
}

make_links() {
  ip link set lo up
  ip link add cni0 type bridge
  ip link add veth1 type veth peer name veth1-pod
  ip link set veth1 master cni0
  ip link add flannel.1 type vxlan id 1 local 127.0.0.1 dev lo dstport 8472
  ip link add flannel-v6.1 type vxlan id 1 local ::1 dev lo dstport 8472
  ip link add cni0-backup type bridge
  ip link add veth2 type veth peer name veth2-pod
  ip link set veth2 master cni0-backup
  ip link add flannel.77 type vxlan id 77 local 127.0.0.1 dev lo dstport 8473
}

make_routes() {
  ip link add eth0 type veth peer name eth0-wire
  ip link set eth0-wire up
  ip link set eth0 up
  ip address add 192.168.0.1/24 dev eth0
  ip address add fc00::1/64 dev eth0 nodad
  ip route add 10.244.1.0/24 via 192.168.0.2
  ip -6 route add 2001:db8:42:1::/64 via fc00::2 dev eth0
  ip route add 10.244.2.0/24 via 192.168.0.2 proto bird
  ip route add 10.99.0.0/24 via 192.168.0.2
}

firewalls() {
  local tool
  for tool in iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy; do
    if command -v $tool >/dev/null; then echo $tool; fi
  done
}

make_chains() { # TOOL
  local masq=(-m comment --comment 'flanneld masq') forward=(-m comment --comment 'flanneld forward')
  local net=10.244.0.0/16
  [[ $1 == ip6* ]] && net=2001:db8:42::/56
  $1 -t nat -N FLANNEL-POSTRTG
  $1 -t nat -A POSTROUTING "${masq[@]}" -j FLANNEL-POSTRTG
  $1 -t nat -A FLANNEL-POSTRTG -s $net "${masq[@]}" -j MASQUERADE
  $1 -N FLANNEL-FWD
  $1 -A FORWARD "${forward[@]}" -j FLANNEL-FWD
  $1 -A FLANNEL-FWD -s $net "${forward[@]}" -j ACCEPT
  $1 -t nat -A POSTROUTING -d $net "${masq[@]}" -j RETURN # as flannel did before it had chains
  $1 -t nat -N KUBE-POSTROUTING
  $1 -t nat -A POSTROUTING -m comment --comment 'kubernetes postrouting rules' -j KUBE-POSTROUTING
  $1 -t nat -N FLANNEL-POSTRTG-OLD
  $1 -t nat -A POSTROUTING -j FLANNEL-POSTRTG-OLD
  $1 -t nat -A POSTROUTING -s $net -m comment \
    --comment "\$(touch /run/pwned) 'see' -j FLANNEL-POSTRTG" -j ACCEPT
}

make_files() {
  mkdir -p /etc/cni/net.d /run/flannel /var/lib/cni/{flannel,networks/cbr0,networks/mine,results}
  echo '{"name":"cbr0","plugins":[{"type":"flannel"}]}' >/etc/cni/net.d/10-flannel.conflist
  cp /etc/cni/net.d/10-flannel.conflist /etc/cni/net.d/10-flannel.conflist.cilium_bak
  printf '{"name":"cbr0",\n"type" :\n "flannel"}' >'/etc/cni/net.d/20 old.conf'
  echo '{"name":"mine","type":"bridge"}' >/etc/cni/net.d/87-mine.conf
  echo FLANNEL_MTU=1450 >/run/flannel/subnet.env
  echo '{}' | tee /var/lib/cni/flannel/abc >/var/lib/cni/results/cbr0-abc-eth0
  echo abc | tee /var/lib/cni/networks/cbr0/10.244.0.2 >/var/lib/cni/networks/mine/10.1.0.2
}

make_rest() {
  make_links
  make_routes
  local tool
  for tool in $(firewalls); do make_chains "$tool"; done
  if command -v nft >/dev/null; then
    nft add table ip flannel-ipv4
    nft add table ip6 flannel-ipv6
    nft add table ip flannel-ipv4-mine
  fi
  make_files
}

make_node() {
  make_root
  make_rest
}

# After a cleanup: what is left goes, all comes back.
remake_node() {
  local name
  for name in cni0-backup flannel.77 eth0 veth1 veth2; do
    ip link delete $name 2>/dev/null || true
  done
  for name in $(firewalls); do
    $name -F && $name -X && $name -t nat -F && $name -t nat -X
  done
  if command -v nft >/dev/null; then nft delete table ip flannel-ipv4-mine; fi
  rm -rf /var/lib/kubectl-cni
  make_rest
}

# Everything that a cleanup could touch, without counters and dates.
snapshot() {
  ip -o link show | sed 's/ mtu .*//; s/^[0-9]*: //' | sort
  ip route
  ip -6 route
  local tool
  for tool in $(firewalls); do
    echo "# $tool"
    "$tool-save" | grep -v '^#' | sed 's/ \[[0-9:]*\]$//'
  done
  if command -v nft >/dev/null; then nft list tables | sort; fi
  find /etc/cni /run/flannel /var/lib/cni /var/lib/kubectl-cni -type f 2>/dev/null | sort || true
}

# shellcheck disable=SC2034  # for the tests
networks=(net=10.244.0.0/16 net=2001:db8:42::/56)

# The script as the library puts it together, by the shell in $SHELL_UNDER_TEST.
script() {
  local part
  for part in report links firewall hostport routes files main; do
    cat "$REPO/common/cni/remote/$part.sh"
  done
}

residue() { # MODE ARG...
  # shellcheck disable=SC2086  # "busybox sh" is two words
  script | ${SHELL_UNDER_TEST:-sh} -s -- "$@"
}

# A cleanup whose reader goes away after so many lines, then a whole one.
cut_off() { # LINES
  snapshot >/run/before
  residue clean vni=1 "${networks[@]}" pods-left=0 2>/dev/null | head -n "$1" >/dev/null || true
  residue clean vni=1 "${networks[@]}" pods-left=0 >/run/report
  not grep ^failed /run/report
  snapshot >/run/after
  only_flannel_differs /run/before /run/after
}
