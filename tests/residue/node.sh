# shellcheck shell=bash
# Run on a node of the throw-away cluster, after ../cli/residue_node.sh, whose make_chains, make_files
# and firewalls it uses: what a flannel of each kind leaves there, what is somebody else's, and a
# picture of all that a cleanup could touch.
#
# No link here makes up an IPv6 address of its own (addrgenmode none): when it appears is a matter of
# chance, and two pictures would differ by it.

quiet_link() { # NAME TYPE...
  ip link add "$1" address "$(mac_of "$1")" type "${@:2}"
  ip link set "$1" addrgenmode none
  ip link set "$1" up
}

# veth NAME BRIDGE: a pod's link, with both ends up, so that the bridge is, too.
veth() {
  quiet_link "$1" veth peer name "$1-pod"
  ip link set "$1-pod" addrgenmode none
  ip link set "$1-pod" up
  ip link set "$1" master "$2"
  until [ "$(cat "/sys/class/net/$2/operstate")" = up ]; do sleep 0.05; done
}

# So that nothing of a link depends on the run.
mac_of() { printf '02:%s\n' "$(printf '%s' "$1" | md5sum | sed -E 's/(..)(..)(..)(..)(..).*/\1:\2:\3:\4:\5/')"; }

# --- The start of each test -----------------------------------------------------------------------

# A node that has nothing but a NIC, and what is somebody else's.
fresh() {
  bare
  theirs
}

# The NIC goes down, for that takes its routes along.
bare() {
  local link
  for link in $(ip -o link show | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'); do
    case $link in lo | eth0 | uplink) ;; *) ip link delete "$link" 2>/dev/null || true ;; esac
  done
  ip route flush table 100 2>/dev/null || true
  ip route flush proto bird
  ip -6 route flush proto bird
  for link in uplink eth0; do
    ip link set $link down
    ip link set $link addrgenmode none
  done
  for link in uplink eth0; do ip link set $link up; done
  bare_firewall
  find /etc/cni /var/lib/cni /var/lib/kubectl-cni /run/flannel /run/flannel-mine /run/pwned \
    -mindepth 0 ! -path /etc/cni ! -path /var/lib/cni -delete 2>/dev/null || true
  touch /run/xtables.lock
}

bare_firewall() {
  local tool table
  nft flush ruleset
  for tool in iptables ip6tables; do
    sed 's/$/ /' "/proc/net/${tool/tables/_tables}_names" 2>/dev/null | while read -r table; do
      "$tool-legacy" -t "$table" -F && "$tool-legacy" -t "$table" -X
    done
  done
}

theirs() {
  quiet_link cni0-backup bridge
  veth veth2 cni0-backup
  ip link add flannel-mine type bridge
  ip address add 10.9.0.1/24 dev cni0-backup
  their_routes
  their_tables
  mkdir -p /etc/cni/net.d /run/flannel-mine /var/lib/cni/{networks/mine,networks/cbr0-mine,results}
  echo '{"name":"flannel","type":"bridge"}' >/etc/cni/net.d/88-flannel.conf
  echo 10.244.0.9 | tee /var/lib/cni/networks/cbr0-mine/10.1.0.9 >/run/flannel-mine/subnet.env
  echo '{}' >/var/lib/cni/results/mine-abc-eth0
}

their_tables() {
  nft add table ip flannel-ipv4-mine
  nft add table inet flannel-ipv4
  nft add chain inet flannel-ipv4 postrtg
}

# Outside of flannel's networks; in them, but a routing daemon's, or in a table of its own.
their_routes() {
  ip address add fd00::11/64 dev eth0 nodad
  ip route add 10.99.0.0/24 via 172.30.0.2
  ip route add 10.245.1.0/24 via 172.30.0.2
  ip route add 10.244.200.0/24 via 172.30.0.2 proto bird
  ip route add 10.244.201.0/24 via 172.30.0.2 table 100
  ip route add 10.244.202.0/24 dev eth0
  ip -6 route add 2001:db8:99:1::/64 via fd00::2 dev eth0
  ip -6 route add 2001:db8:42:c8::/64 via fd00::2 dev eth0 proto bird
}

# --- What flannel leaves --------------------------------------------------------------------------

# bridge [ADDRESS6]: with one pod's veth.
bridge() {
  quiet_link cni0 bridge
  ip address add 10.244.1.1/24 dev cni0
  if [ $# = 1 ]; then ip address add "$1" dev cni0 nodad; fi
  veth veth1 cni0
}

vxlan() { # VNI
  quiet_link "flannel.$1" vxlan id "$1" local 172.30.0.11 dev eth0 dstport 8472 nolearning
  ip address add 10.244.1.0/32 dev "flannel.$1"
  ip route add 10.244.2.0/24 via 10.244.2.0 dev "flannel.$1" onlink
  ip neigh add 10.244.2.0 lladdr 02:00:00:00:00:02 dev "flannel.$1" nud permanent
}

vxlan6() { # VNI
  quiet_link "flannel-v6.$1" vxlan id "$1" local fd00::11 dev eth0 dstport 8472 nolearning
  ip address add 2001:db8:42:1::/128 dev "flannel-v6.$1" nodad
  ip -6 route add 2001:db8:42:2::/64 via 2001:db8:42:2:: dev "flannel-v6.$1" onlink
}

host_gw() {
  ip route add 10.244.2.0/24 via 172.30.0.12 dev eth0
  ip route add 10.244.3.0/24 via 172.30.0.13 dev eth0
  ip -6 route add 2001:db8:42:2::/64 via fd00::12 dev eth0
}

# chains TOOL...: flannel's, with what others have beside them.
chains() {
  local tool
  for tool; do
    make_chains "$tool"
    "$tool" -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
    "$tool" -t nat -N KUBE-SERVICES
    "$tool" -t nat -A PREROUTING -m comment --comment 'kubernetes service portals' -j KUBE-SERVICES
    "$tool" -N KUBE-FORWARD
    "$tool" -A FORWARD -m comment --comment 'kubernetes forwarding rules' -j KUBE-FORWARD
    "$tool" -N FLANNEL-FWD2
    "$tool" -A FORWARD -j FLANNEL-FWD2
    "$tool" -t nat -N MY-FLANNEL-POSTRTG
  done
}

# As flannel's nftables mode has them (pkg/trafficmngr/nftables).
nft_tables() {
  local table
  for table in 'ip flannel-ipv4' 'ip6 flannel-ipv6'; do
    nft -f - <<END
table $table {
  chain forward { type filter hook forward priority filter; policy accept; }
  chain postrtg { type nat hook postrouting priority srcnat; policy accept; masquerade; }
}
END
  done
}

files() { make_files; }

# --- portmap --------------------------------------------------------------------------------------

# The top of it, as portmap 0.9.1 to 1.9.1 make it.
hostport_top() { # TOOL
  "$1" -t nat -N CNI-HOSTPORT-SETMARK
  "$1" -t nat -A CNI-HOSTPORT-SETMARK -m comment --comment 'CNI portfwd masquerade mark' -j MARK --set-xmark 0x2000/0x2000
  "$1" -t nat -N CNI-HOSTPORT-MASQ
  "$1" -t nat -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
  "$1" -t nat -I POSTROUTING 1 -m comment --comment 'CNI portfwd requiring masquerade' -j CNI-HOSTPORT-MASQ
  "$1" -t nat -N CNI-HOSTPORT-DNAT
  "$1" -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
  "$1" -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
}

# hostport TOOL NETWORK ID ADDRESS PORT [PROTOCOL...]: a sandbox's, with a jump for each protocol.
hostport() {
  local tool=$1 id=$3 address=$4 port=$5 protocol chain from=$4
  local comment="dnat name: \"$2\" id: \"$3\""
  chain=$(hostport_chain "$2" "$id")
  case $address in *:*) address="[$address]" ;; esac
  "$tool" -t nat -N "$chain"
  for protocol in "${@:6}"; do
    "$tool" -t nat -A CNI-HOSTPORT-DNAT -p "$protocol" -m comment --comment "$comment" \
      -m multiport --dports "$port" -j "$chain"
    "$tool" -t nat -A "$chain" -s "$from" -p "$protocol" --dport "$port" -j CNI-HOSTPORT-SETMARK
    "$tool" -t nat -A "$chain" -p "$protocol" --dport "$port" -j DNAT --to-destination "$address:80"
  done
}

# As the plugin names it: 28 letters, of the SHA-512 of the network's name and the container's id.
hostport_chain() { # NETWORK ID
  printf 'CNI-DN-%s\n' "$(printf '%s%s' "$1" "$2" | sha512sum | cut -c1-21)"
}

# nft_hostport FAMILY: the table that portmap 1.9.1 makes with "backend": "nftables"...
nft_hostport() {
  nft -f - <<END
table $1 cni_hostport {
  comment "CNI portmap plugin";
  chain hostports { }
  chain hostip_hostports { }
  chain hostports_all { jump hostip_hostports; jump hostports; }
  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump hostports_all; }
  chain output { type nat hook output priority -100; fib daddr type local jump hostports_all; }
  chain masquerading { type nat hook postrouting priority srcnat; }
}
END
}

# ...and what it adds to it for a sandbox, with the container's id for a comment.
nft_hostport_rules() { # ID ADDRESS PORT
  nft -f - <<END
add rule ip cni_hostport hostports tcp dport $3 dnat to $2:80 comment "$1"
add rule ip cni_hostport masquerading ip saddr $2 ip daddr $2 masquerade comment "$1"
add rule ip cni_hostport masquerading ip saddr 127.0.0.1 ip daddr $2 masquerade comment "$1"
END
}

# --- The picture ----------------------------------------------------------------------------------

# A line for each thing, with everything about it but counters, timers and dates. nft's handles tell
# a rule that stayed from one that was taken away and put back.
picture() {
  ip -d -o link show | sed -E 's/ [a-z_]+_timer +[0-9.]+//g; s/^/link /'
  ip -o address show | sed -E 's/^[0-9]+: /address /; s/ +/ /g; s/ *\\ .*//; s/ nodad$//'
  ip -o neigh show nud permanent | sed 's/^/neighbour /; s/ *$//'
  { ip -4 -o route show table all && ip -6 -o route show table all; } | sort | uniq | sed 's/^/route /; s/ *$//'
  { ip -4 rule && ip -6 rule; } | sed 's/^/rule /'
  local tool
  for tool in $(firewalls); do saved "$tool"; done
  sed 's/^/legacy tables /' /proc/net/ip_tables_names /proc/net/ip6_tables_names
  nft_objects
  tree /etc/cni /run /var/lib/cni /var/lib/kubectl-cni /root /tmp
}

saved() { # TOOL
  "$1-save" | awk -v tool="$1" '
    /^\*/ { table = substr($0, 2) }
    /^[:-]/ { sub(/ \[[0-9:]*\]$/, ""); print tool, table, $0 }'
}

nft_objects() {
  nft -j list ruleset | jq -r '.nftables[] | to_entries[] | select(.key != "metainfo")
    | .value as $it | ($it | walk(if type == "object" then del(.counter) else . end)) as $all
    | ["nft", $it.family, ($it.table // empty), .key, ($it.name // $it.chain), ($all | tojson)] | join(" ")'
}

tree() { # DIR...: of those that exist
  { find "$@" \( -type d -printf 'dir %m %p\n' -o -type f -printf 'file %m ' -exec sha256sum {} \; \) 2>/dev/null || true; } |
    sed -E 's/^(file [0-9]+ )\\?([0-9a-f]{64}) [ *]/\1\2 /' | sort -k 3
}
