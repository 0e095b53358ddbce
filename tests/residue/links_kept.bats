#!/usr/bin/env bats
# cleanup leaves cni0 as long as it alone tells of veths that were left alone whose they are.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
}

@test "--skip veth: cni0 stays for its veths, which is said, and a later run takes both" {
  given 'bridge; vxlan 1'
  clean --skip veth
  contains "$output" 'node/w1 cleaned (flannel.1'
  contains "$errors" 'node/w1 keeps for now: link cni0: its veths were left alone'
  gone_vxlan 1 | changed
  clean
  { gone_vxlan 1 && gone_bridge; } | changed
}

@test "--skip veth --dry-run: its command is not among those printed" {
  given 'bridge; vxlan 1'
  clean --skip veth --dry-run
  contains "$output" 'ip link delete dev flannel.1'
  lacks "$output" cni0
}

@test "--skip veth: a bridge without veths goes" {
  given 'quiet_link cni0 bridge'
  clean --skip veth
  contains "$output" 'node/w1 cleaned (cni0'
}

@test "--links-only takes it, with veths or without" {
  given 'bridge; vxlan 1'
  clean --links-only
  contains "$output" 'node/w1 cleaned (cni0, flannel.1)'
}
