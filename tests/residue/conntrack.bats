#!/usr/bin/env bats
# cleanup of what the kernel remembers of connections to and from flannel's pods.

load prelude

setup() {
  need_world
  on_node w1 conntrack -V >/dev/null 2>&1 || skip 'needs conntrack'
  net_conf '{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "vxlan"}}'
}

# A connection from the first to the second address, answered from the third to the fourth: through a
# Service the third is the pod's, which the client never hears of.
connections='conntrack -F 2>/dev/null
  connection() { conntrack -I -p tcp -s $1 -d $2 --sport $5 --dport 80 -r $3 -q $4 --reply-port-src 80 \
    --reply-port-dst $5 --state ESTABLISHED -t 600 >/dev/null 2>&1; }
  connection 10.244.1.5 192.0.2.1 192.0.2.1 172.30.0.11 1001
  connection 172.30.0.11 10.244.2.5 10.244.2.5 172.30.0.11 1002
  connection 172.30.0.11 10.96.0.10 10.244.2.6 172.30.0.11 1003
  connection 2001:db8::1 2001:db8:42:2::5 2001:db8:42:2::5 2001:db8::1 1004
  connection 2001:db8::1 2001:db8:96::a 2001:db8:42:2::6 2001:db8::1 1005
  connection 172.30.0.11 10.96.0.11 10.245.2.5 172.30.0.11 2001
  connection 172.30.0.11 192.0.2.1 192.0.2.1 172.30.0.11 2002
  connection 2001:db8::1 2001:db8:96::b 2001:db8:43::5 2001:db8::1 2003'

# The ports of the connections that are remembered.
remembered() {
  node '{ conntrack -L -p tcp && conntrack -L -f ipv6 -p tcp; } 2>/dev/null' |
    grep -oE 'sport=[12]00[0-9]' | sort -u | tr '\n' ' '
}

@test "connections from, to and through Services to flannel's pods are forgotten, no others" {
  given "$connections"
  [ "$(remembered)" = 'sport=1001 sport=1002 sport=1003 sport=1004 sport=1005 sport=2001 sport=2002 sport=2003 ' ]
  clean
  contains "$output" conntrack
  run remembered
  echo "$output"
  [ "$output" = 'sport=2001 sport=2002 sport=2003 ' ]
}

@test "--dry-run forgets nothing, and the commands that it prints are understood by the node's conntrack" {
  given "$connections"
  clean --dry-run
  [ "$(remembered)" = 'sport=1001 sport=1002 sport=1003 sport=1004 sport=1005 sport=2001 sport=2002 sport=2003 ' ]
  run on_node w1 bash -c "$(sed -nE 's,^node/w1 would run (conntrack .*) \(dry run\)$,\1,p' <<<"$output")"
  lacks "$output" unavailable
  lacks "$output" '--help'
}
