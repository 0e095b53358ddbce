# shellcheck shell=sh disable=SC2154
# Routes of host-gw and DirectRouting: into flannel's network, by way of another node, on the NIC.
# Those on flannel's own links go with them. A route with a "proto" is a routing daemon's or
# Cilium's; only iproute2 can tell, so nothing is removed with busybox's ip.

routes_in() { # CIDR
  case $1 in *:*) version=-6 ;; *) version=-4 ;; esac
  ip "$version" route show root "$1" 2>/dev/null | awk -v version="$version" '
    $2 == "via" && $4 == "dev" && $5 != "cni0" && $5 !~ /^flannel[.-]/ && !/ proto / {
      print version, $1, $2, $3, $4, $5
    }'
}

find_any_route() {
  for net in $nets; do routes_in "$net"; done
}

find_route() { if has_iproute2; then find_any_route; fi; }
find_unclear_route() { if ! has_iproute2; then find_any_route; fi; }

has_iproute2() { ip -V 2>/dev/null | grep -q iproute2; }

say_unclear() { say kept route "${2#* }" 'needs iproute2 to tell whose it is'; }

# shellcheck disable=SC2086  # a route is words
remove_route() { step ip ${1%% *} route delete ${1#* }; }

# Best effort and never residue: other nodes' pods make such entries as long as they are there.
# The second and third side of an entry are those of its answers (a Service's real backend).
flush_conntrack() {
  has conntrack || return 0
  for net in $nets; do
    case $net in *:*) family=ipv6 ;; *) family=ipv4 ;; esac
    for side in --orig-src --orig-dst --reply-src --reply-dst; do
      if [ -n "$dry_run" ]; then
        say would "conntrack -D -f $family $side $net"
      elif conntrack -D -f "$family" "$side" "$net" >/dev/null 2>&1; then
        say removed conntrack "$side $net"
      fi
    done
  done
  flush_unanswered
}

# What was sent to a Service while its pods were out of reach is remembered for two minutes with the pod,
# and the source address, that were chosen then: the next connection from that port would go there, too. A
# connection that is only being made has its SYN sent again. Common, so not worth a word.
flush_unanswered() {
  if [ -n "$dry_run" ]; then
    say would 'conntrack -D -p tcp --state SYN_SENT'
  else
    conntrack -D -p tcp --state SYN_SENT >/dev/null 2>&1 || true
  fi
}
