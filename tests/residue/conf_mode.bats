#!/usr/bin/env bats
# cleanup moves flannel's CNI configuration aside, and back, as it is, and so that a power cut loses nothing.

load prelude

conf=/etc/cni/net.d/10-flannel.conflist
aside=/var/lib/kubectl-cni/cni-net.d

setup() {
  need_world
  net_conf "$UPSTREAM"
}

teardown() { tools_as_they_were; }

@test "its mode comes back with it; aside only root gets at it" {
  local mode
  for mode in 644 640 600; do
    given "mkdir -p /etc/cni/net.d; echo '{\"type\":\"flannel\"}' >$conf; chmod $mode $conf"
    clean
    [ "$(on_node w1 stat -c %a $aside)" = 700 ]
    run_cni 0 cleanup w1 --restore
    [ "$(on_node w1 stat -c %a $conf)" = $mode ]
  done
}

# line CALL: its number among those that were counted.
line() { on_node w1 grep -nxF -m 1 -e "$1" /opt/cut/calls | cut -d: -f1; }

@test "both ways the copy is on the disk before the original goes" {
  given "mkdir -p /etc/cni/net.d; echo '{\"type\":\"flannel\"}' >$conf"
  count_calls
  clean
  run_cni 0 cleanup w1 --restore
  count_no_calls
  [ "$(line "sync $aside/10-flannel.conflist $aside")" -lt "$(line "rm -f $conf")" ]
  [ "$(line "sync $conf /etc/cni/net.d")" -lt "$(line "rm -f $aside/10-flannel.conflist")" ]
}

@test "with a sync that takes no names" {
  given "mkdir -p /etc/cni/net.d; echo '{\"type\":\"flannel\"}' >$conf"
  instead_of sync 'echo >>/opt/instead/syncs; exit $#'
  clean
  contains "$output" 'CNI conf'
  [ "$(on_node w1 grep -c '' /opt/instead/syncs)" = 2 ]
}
