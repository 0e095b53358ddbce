# shellcheck shell=sh disable=SC2034,SC2154
# Links: cni0 with its veths and the backend's own. A link is ours by its name and its kind.

link_exists() { ip link show dev "$1" >/dev/null 2>&1; }

# Without `ip -d` (busybox): sysfs, provided that it shows this network namespace.
link_kind_from_sysfs() {
  sys=/sys/class/net/$1/uevent
  line=$(ip -o link show dev "$1" 2>/dev/null)
  index=$(sed -n 's/^IFINDEX=//p' "$sys" 2>/dev/null)
  case $line in "${index:-none}: "*) ;; *) return ;; esac
  kind=$(sed -n 's/^DEVTYPE=//p' "$sys")
  case $line in *": $1@"*) kind=${kind:-veth} ;; esac
  echo "${kind:-other}"
}

# Prints bridge, veth, wireguard, "vxlan VNI" (or vxlan alone when it cannot be told) or other.
link_kind() {
  if ! details=$(ip -d -o link show dev "$1" 2>/dev/null); then
    link_kind_from_sysfs "$1"
    return
  fi
  case $details in
    *'    vxlan id '*) printf '%s\n' "$details" | sed 's/.*    vxlan id \([0-9]*\).*/vxlan \1/' ;;
    *'    bridge '*) echo bridge ;;
    *'    wireguard '*) echo wireguard ;;
    *'    veth '*) echo veth ;;
    *) echo other ;;
  esac
}

# The names flannel gives and the kind that each must have.
expected_links() {
  echo 'cni0 bridge'
  for vni in $vnis; do
    echo "flannel.$vni vxlan $vni"
    echo "flannel-v6.$vni vxlan $vni"
  done
  echo 'flannel-wg wireguard'
  echo 'flannel-wg-v6 wireguard'
}

idea_links() {
  echo 'cni0 bridge'
  echo 'flannel.1 vxlan 1'
}

links_where() { # links_where right|wrong: of those that exist, what has the right or a wrong kind
  "$link_list" | while read -r name kind; do
    link_exists "$name" || continue
    actual=$(link_kind "$name")
    case "$1:$actual" in
      right:"$kind" | right:"${kind%% *}") echo "$name" ;;
      wrong:"$kind" | wrong:"${kind%% *}") ;;
      wrong:*) echo "$name is ${actual:-unknown}, expected $kind" ;;
    esac
  done
}

find_link() { links_where right; }
find_wrong_link() { links_where wrong; }

say_wrong() { fail link "${2%% *}" "${2#* }: left alone"; }

# vxlans named as flannel names them, with a VNI that nobody gave us.
find_foreign_link() {
  ip -o link show 2>/dev/null | sed -n 's/^[0-9]*: \(flannel[^:@ ]*\)[:@].*/\1/p' |
    while read -r name; do
      expected_links | grep -qxF -e "$name wireguard" && continue
      expected_links | grep -qF -e "$name vxlan " || echo "$name"
    done
}

say_foreign() { say kept link "$2" 'not one of the names and VNIs of this flannel'; }

# A bridge that has gone cannot tell any more whose its veths were.
is_needed_by_veths() { [ "$1" = cni0 ] && ! wants veth && [ -n "$(find_veth)" ]; }

clean_link() {
  if is_needed_by_veths "$2"; then
    say kept link "$2" 'its veths were left alone: they are known only by it'
  else
    remove link "$2"
  fi
}

look_at_link() { is_needed_by_veths "$2" || say_left link "$2"; }

remove_link() { step ip link delete dev "$1" || ! link_exists "$1"; }

find_veth() {
  [ "$(link_kind cni0)" = bridge ] || return 0
  ip -o link show 2>/dev/null |
    sed -n 's/^[0-9]*: \([^:@ ]*\)[:@].* master cni0 .*/\1/p' |
    while read -r name; do
      if [ "$(link_kind "$name")" = veth ]; then echo "$name"; fi
    done
}

remove_veth() { remove_link "$1"; }
