#!/usr/bin/env bats
# cleanup numbers the copies of flannel's CNI configuration, whatever numbers it finds there.

load prelude

conf=/etc/cni/net.d/10-flannel.conflist
aside=/var/lib/kubectl-cni/cni-net.d/10-flannel.conflist

setup() {
  need_world
  net_conf "$UPSTREAM"
}

# aside NUMBER: a copy, among others; and a conf to be moved there.
given_aside() {
  given "mkdir -p ${aside%/*} /etc/cni/net.d; echo '{\"type\":\"flannel\",\"text\":\"old\"}' | tee $aside >$aside.$1
    echo '{\"type\":\"flannel\",\"text\":\"new\"}' >$conf"
}

text() { on_node w1 jq -r .text "$1"; }

@test "a huge one: the next follows it, and is the one that is restored" {
  given_aside 999999999
  clean --timeout 20s
  [ "$(text $aside.1000000000)" = new ]
  run_cni 0 cleanup w1 --restore --timeout 20s
  [ "$(text $conf)" = new ]
}

@test "what is no number of ours is no copy, and stays" {
  local number
  for number in 08 0 99999999999999999999; do
    given_aside $number
    clean
    [ "$(text $aside.1)" = new ]
    run_cni 0 cleanup w1 --restore
    [ "$(text $conf)" = new ]
    [ "$(text $aside.$number)" = old ]
  done
}

@test "by number, not by letter" {
  given_aside 9
  clean
  node "echo '{\"type\":\"flannel\",\"text\":\"newer\"}' >$conf"
  clean
  run_cni 0 cleanup w1 --restore
  [ "$(text $conf)" = newer ]
}
