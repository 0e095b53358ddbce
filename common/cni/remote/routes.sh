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
flush_conntrack() {
  has conntrack || return 0
  for net in $nets; do
    case $net in *:*) family=ipv6 ;; *) family=ipv4 ;; esac
    for side in --orig-src --orig-dst; do flush_side "$side" "$net"; done
    flush_answers "$net"
  done
  flush_unanswered
}

flush_side() { # SIDE NET|ADDRESS
  if [ -n "$dry_run" ]; then
    say would "conntrack -D -f $family $1 $2"
  elif conntrack -D -f "$family" "$1" "$2" >/dev/null 2>&1; then
    say removed conntrack "$1 $2"
  fi
}

# The answers' side of an entry has a Service's real backend. conntrack takes no range there, so the
# addresses are looked up.
flush_answers() { # NET
  conntrack -L -f "$family" 2>/dev/null | awk '
    { n = 0
      for (i = 1; i <= NF; i++) if ($i ~ /^src=/ && ++n == 2) { print "--reply-src", substr($i, 5); print "--reply-dst", substr($(i + 1), 5) }
    }' | sort -u | while read -r side address; do
    if in_net "$address" "$1"; then echo "$side $address"; fi
  done | {
    while read -r side address; do flush_side "$side" "$address"; done
  }
}

in_net() { # ADDRESS NET
  printf '%s %s\n' "$1" "$2" | awk '
    function hex(n,   text) { text = ""; while (n > 0) { text = substr("0123456789abcdef", n % 16 + 1, 1) text; n = int(n / 16) } return text }
    function pad(text, size) { while (length(text) < size) text = "0" text; return text }
    function digits(address,   parts, n, i, text, half, head, tail) {
      text = ""
      if (address !~ /:/) {
        split(address, parts, ".")
        for (i = 1; i <= 4; i++) text = text pad(hex(parts[i] + 0), 2)
        return text
      }
      half = index(address, "::")
      head = half ? substr(address, 1, half - 1) : address
      tail = half ? substr(address, half + 2) : ""
      n = split(head, parts, ":")
      for (i = 1; i <= n; i++) text = text pad(tolower(parts[i]), 4)
      head = text
      text = ""
      n = split(tail, parts, ":")
      for (i = 1; i <= n; i++) text = text pad(tolower(parts[i]), 4)
      while (length(head) + length(text) < 32) head = head "0"
      return head text
    }
    function value(digit) { return index("0123456789abcdef", digit) - 1 }
    {
      split($2, net, "/")
      a = digits($1)
      b = digits(net[1])
      whole = int(net[2] / 4)
      rest = substr("1842", net[2] % 4 + 1, 1) + 0 # of the digit that the prefix ends in
      good = length(a) == length(b) && substr(a, 1, whole) == substr(b, 1, whole)
      if (good && net[2] % 4) good = int(value(substr(a, whole + 1, 1)) / rest) == int(value(substr(b, whole + 1, 1)) / rest)
      exit !good
    }'
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
