#!/usr/bin/env bats
# cleanup and which address and port of a node it calls: the host map, --address-type, --ssh-port.

load prelude

setup_file() { remember_addresses w2; }

teardown() {
  end_all
  restore_addresses w2
}

addresses() { # TYPE=ADDRESS...
  set_addresses w2 "$(printf '%s\n' "$@" | jq -Rnc '[inputs | capture("(?<type>[^=]*)=(?<address>.*)")]')"
}

# check_fails ARG...: as wrong usage or as a failure.
check_fails() {
  if check_with_key 1 "$@" >/dev/null; then return; fi
  check_with_key 2 "$@"
}

@test "IPv6 addresses in the host map, with and without a port" {
  [ "$(cat /proc/sys/net/ipv6/conf/all/disable_ipv6)" = 0 ] || skip 'no IPv6 here'
  serve w1 2201
  trust fd18:1::1 2201
  map_to 'w1 [fd18:1::1]:2201'
  check_with_key 0 w1
  for host in '[fd18:1::1]' fd18:1::1; do
    map_to "w1 $host"
    check_with_key 0 w1 --ssh-port 2201
    check_with_key 1 w1
    one_error_line node/w1 fd18:1::1 'onnection refused'
  done
}

@test "an IPv6 InternalIP" {
  serve w2 2201
  trust fd18:2::1 2201
  addresses 'InternalIP=fd18:2::1'
  check_with_key 0 w2 --ssh-port 2201
}

@test "InternalIP comes before the others, --address-type turns it round" {
  serve w2 2201
  trust "$(address w2)" 2201
  addresses 'Hostname=no-such-node.invalid' "ExternalIP=198.18.99.1" "InternalIP=$(address w2)"
  check_with_key 0 w2 --ssh-port 2201
  check_with_key 1 w2 --ssh-port 2201 --address-type Hostname,InternalIP
  one_error_line node/w2 no-such-node.invalid
  check_with_key 0 w2 --ssh-port 2201 --address-type InternalDNS,InternalIP
}

@test "no address of that type, or no such type: one line that says so and what helps" {
  addresses "InternalIP=$(address w2)"
  for type in ExternalIP Nonsense; do
    check_with_key 1 w2 --address-type "$type"
    one_error_line node/w2 "$type" --address-type --host-map
  done
}

@test "a node without any address: one line" {
  set_addresses w2 '[]'
  check_with_key 1 w2
  one_error_line node/w2 'no address' --host-map
}

@test "bad ports are wrong usage that names the flag" {
  map_to "w1 $(address w1)"
  for port in 0 -1 65536 22x x ''; do
    check_with_key 2 w1 "--ssh-port=$port"
    contains "$errors" --ssh-port
  done
}

@test "bad --ssh-timeout is wrong usage" {
  map_to "w1 $(address w1)"
  check_with_key 2 w1 --ssh-timeout soon
  contains "$errors" --ssh-timeout
}

@test "the host map's columns may be apart by a tab or several spaces, its lines end as Windows writes them" {
  serve w1 2201
  trust "$(address w1)" 2201
  for line in "w1   $(address w1):2201" $'w1\t'"$(address w1):2201" "w1 $(address w1):2201"$'\r'; do
    map_to '# the nodes' '' "$line"
    check_with_key 0 w1
  done
}

@test "a line of the host map that cannot be understood is told, with file and line, and nothing is visited" {
  # Port 22 of the node's own address would answer, so a line that is passed over shows.
  for line in 'w1' "w1 $(address w1) 2201" "w1 $(address w1):x" "w1 $(address w1):" "w1 $(address w1):70000" \
    'w1 [fd18:1::1' 'w1 []:2201' 'w1 [' 'w1 :2201'; do
    echo "the line: $line"
    map_to '# the nodes' "$line"
    check_fails w1
    contains "$errors" "$home/map"
  done
}

@test "a host map that is not there: one line" {
  run_cni 1 cleanup w1 --check --host-map "$home/missing"
  one_error_line "$home/missing"
}

@test "a host map without the node, or with another that begins alike: the node's own address" {
  map_to 'w10 198.18.99.1' 'w 198.18.99.1'
  check_with_key 1 w1
  one_error_line "node/w1: ssh $(kubectl get node w1 -o jsonpath='{.status.addresses[0].address}')" 'is not known'
}
