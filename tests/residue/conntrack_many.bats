#!/usr/bin/env bats
# cleanup of what a busy node remembers of connections, and of a node that cannot forget any.

load prelude

setup() {
  need_world
  on_node w1 conntrack -V >/dev/null 2>&1 || skip 'needs conntrack'
  net_conf "$UPSTREAM"
}

teardown() { tools_as_they_were; }

# Connections through a Service to so many pods of flannel's, and to so many others.
many='conntrack -F 2>/dev/null
  for n in $(seq 60); do
    for net in 10.244.3 10.245.3; do
      conntrack -I -p tcp -s 172.30.0.11 -d 10.96.${net:3:3}.10 --sport $((1000 + n)) --dport 80 \
        -r $net.$n -q 172.30.0.11 --reply-port-src 80 --reply-port-dst $((1000 + n)) \
        --state ESTABLISHED -t 600 >/dev/null 2>&1
    done
  done'

# The script itself, for what it says line by line.
script() { # ARG...
  local part
  for part in report links firewall hostport routes files main; do
    cat "$BATS_TEST_DIRNAME/../../common/cni/remote/$part.sh"
  done | on_node w1 env PATH="/opt/instead:$PATH" sh -s -- "$@"
}

@test "one line for a network and a side, and not a process for each address" {
  given "$many"
  # shellcheck disable=SC2016 # for the node
  instead_of awk 'echo >>/opt/instead/awks; exec "$real" "$@"'
  run script clean kind=conntrack net=10.244.0.0/16 net=2001:db8:42::/56
  [ "$(grep ^removed <<<"$output")" = $'removed\tconntrack\t--reply-src 10.244.0.0/16' ]
  [ "$(on_node w1 grep -c '' /opt/instead/awks)" -le 2 ]
  [ "$(on_node w1 conntrack -L -r 10.244.3.60 2>/dev/null | wc -l)" = 0 ]
  [ "$(on_node w1 conntrack -L -r 10.245.3.60 2>/dev/null | wc -l)" = 1 ]
}

@test "a prefix that ends within a digit" {
  given "$many"
  run script clean kind=conntrack net=10.244.3.32/27
  run on_node w1 bash -c 'conntrack -L -p tcp 2>/dev/null | grep -o "src=10.244.3.[0-9]*" | sort -t . -k 4n | uniq'
  [ "$(wc -l <<<"$output")" = 31 ]
  [ "$(tail -n 1 <<<"$output")" = src=10.244.3.31 ]
}

@test "no conntrack on the node: --only conntrack fails, and another run says that it did not look" {
  given bridge
  without conntrack
  run_cni 1 cleanup w1 --only conntrack
  one_error_line 'there is no conntrack command'
  clean
  contains "$errors" 'there is no conntrack command'
  gone_bridge | changed
}
