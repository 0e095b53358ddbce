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
  if ! has conntrack; then
    say_no_conntrack
    return
  fi
  for net in $nets; do
    case $net in *:*) family=ipv6 ;; *) family=ipv4 ;; esac
    for side in --orig-src --orig-dst; do
      if flush_side "$side" "$net"; then say removed conntrack "$side $net"; fi
    done
    flush_answers "$net"
  done
  flush_unanswered
}

say_no_conntrack() {
  missing='there is no conntrack command: connections to old pod addresses were not looked for'
  if [ "$kinds" = ' conntrack' ]; then fail conntrack node "$missing"; else say kept conntrack node "$missing"; fi
}

# Was anything deleted?
flush_side() { # SIDE NET|ADDRESS
  if [ -n "$dry_run" ]; then
    say would "conntrack -D -f $family $1 $2"
    return 1
  fi
  conntrack -D -f "$family" "$1" "$2" >/dev/null 2>&1
}

# The answers' side of an entry has a Service's real backend. conntrack takes no range there, so the
# addresses are looked up.
flush_answers() { # NET
  answers=$(conntrack -L -f "$family" 2>/dev/null | answers_in "$1" | sort)
  for side in --reply-src --reply-dst; do
    printf '%s\n' "$answers" | sed -n "s/^$side //p" | flush_addresses "$side" "$1"
  done
}

flush_addresses() { # SIDE NET
  flushed=
  while read -r address; do
    if flush_side "$1" "$address"; then flushed=yes; fi
  done
  [ -z "$flushed" ] || say removed conntrack "$1 $2"
}

# All in one awk, for a busy node remembers a hundred thousand connections.
answers_in() { # NET
  awk -v net="$1" '
    function digit(n) { return substr("0123456789abcdef", n + 1, 1) }
    function hex(n) { return digit(int(n / 16)) digit(n % 16) }
    function pad(text, size) { while (length(text) < size) text = "0" text; return text }
    function digits(address,   parts, n, i, text, half, head, tail) {
      text = ""
      if (address !~ /:/) {
        split(address, parts, ".")
        for (i = 1; i <= 4; i++) text = text hex(parts[i])
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
    function value(text) { return index("0123456789abcdef", text) - 1 }
    function is_inside(address,   a) {
      a = digits(address)
      if (length(a) != length(first) || substr(a, 1, whole) != substr(first, 1, whole)) return 0
      return !bits || int(value(substr(a, whole + 1, 1)) / rest) == int(value(substr(first, whole + 1, 1)) / rest)
    }
    function tell(side, address) { if (!seen[side, address]++ && is_inside(address)) print side, address }
    BEGIN {
      split(net, parts, "/")
      first = digits(parts[1])
      whole = int(parts[2] / 4)
      bits = parts[2] % 4 # that the prefix has of one more digit
      rest = substr("1842", bits + 1, 1) + 0
    }
    {
      n = 0
      for (i = 1; i <= NF; i++) if ($i ~ /^src=/ && ++n == 2) {
        tell("--reply-src", substr($i, 5))
        tell("--reply-dst", substr($(i + 1), 5))
      }
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
