#!/usr/bin/env bats
# cleanup --restore: flannel's CNI configuration comes back from where a cleanup moved it.

load prelude

conf=/etc/cni/net.d/10-flannel.conflist

setup() {
  need_world
  net_conf "$UPSTREAM"
}

teardown() { tools_as_they_were; }

# conf TEXT: such a configuration of flannel's is there.
conf() { node "mkdir -p /etc/cni/net.d; echo '{\"name\":\"cbr0\",\"type\":\"flannel\",\"text\":\"$1\"}' >$conf"; }

text() { on_node w1 jq -r .text "$conf"; }

take_picture() { node picture >"$BATS_TEST_TMPDIR/before"; }

# restored FILE...: is what has changed, whatever became of the copies.
restored() {
  difference | grep -v ' /var/lib/kubectl-cni' | diff <(printf '+ file /etc/cni/net.d/%s\n' "$@" | LC_ALL=C sort) -
}

@test "it comes back, and nothing else does; twice: nothing to restore" {
  given "bridge; vxlan 1"
  conf mine
  clean
  take_picture
  run_cni 0 cleanup w1 --restore
  [ "$output" = 'node/w1 restored (10-flannel.conflist)' ]
  restored 10-flannel.conflist
  [ "$(text)" = mine ]
  take_picture
  run_cni 0 cleanup w1 --restore
  contains "$output" 'nothing to restore'
  unchanged
}

@test "all that was moved aside comes back" {
  given files
  clean
  take_picture
  run_cni 0 cleanup w1 --restore
  contains "$output" 'node/w1 restored ('
  contains "$output" '20 old.conf'
  restored 10-flannel.conflist 10-flannel.conflist.cilium_bak '20 old.conf'
}

@test "of several copies the latest, and the others are kept" {
  given ''
  conf first
  clean
  conf second
  clean
  run_cni 0 cleanup w1 --restore
  [ "$output" = 'node/w1 restored (10-flannel.conflist)' ]
  [ "$(text)" = second ]
  on_node w1 grep -rq first /var/lib/kubectl-cni/cni-net.d
  run_cni 0 cleanup w1 --restore
  contains "$output" 'nothing to restore'
  [ "$(text)" = second ]
  on_node w1 grep -rq first /var/lib/kubectl-cni/cni-net.d
}

@test "the latest is the one that was moved last, though its text is that of an older copy" {
  given ''
  local text
  for text in first second first; do
    conf $text
    clean
    sleep 1 # a file system's times may be no finer
  done
  run_cni 0 cleanup w1 --restore
  [ "$(text)" = first ]
}

@test "another file of that name is never overwritten, and the copy is kept" {
  given ''
  conf old
  clean
  conf new
  take_picture
  run_cni 1 cleanup w1 --restore
  one_error_line node/w1 10-flannel.conflist
  unchanged
  [ "$(text)" = new ]
  on_node w1 grep -rq old /var/lib/kubectl-cni/cni-net.d
}

@test "a file that is there already with the same text: nothing to restore" {
  given ''
  conf same
  clean
  conf same
  take_picture
  run_cni 0 cleanup w1 --restore
  contains "$output" 'nothing to restore'
  [ "$(text)" = same ]
}

@test "a copy that cannot be removed is told of, though the file is there" {
  given ''
  conf same
  clean
  conf same
  instead_of rm 'case "$*" in */kubectl-cni/*) echo "rm: no such luck" >&2; exit 1 ;; esac; exec "$real" "$@"'
  run_cni 1 cleanup w1 --restore
  one_error_line node/w1 'no such luck'
}

@test "an older copy that cannot be put away is told of, though the file is there" {
  given ''
  conf first
  clean
  conf second
  clean
  conf second
  instead_of mv 'case "$*" in */older/*) echo "mv: no such luck" >&2; exit 1 ;; esac; exec "$real" "$@"'
  run_cni 1 cleanup w1 --restore
  one_error_line node/w1 'no such luck'
}

@test "a node on which nothing was moved aside: nothing to restore" {
  given 'vxlan 1; chains iptables-nft'
  run_cni 0 cleanup w1 --restore
  contains "$output" 'nothing to restore'
  unchanged
}

@test "--restore --dry-run changes nothing" {
  given files
  clean
  take_picture
  run_cni 0 cleanup w1 --restore --dry-run
  contains "$output" 10-flannel.conflist
  unchanged
}

@test "what else is wrong usage with --restore" {
  local flag
  for flag in --check --links-only --wait-conf; do
    run_cni 2 cleanup w1 --restore $flag
    contains "$errors" --restore
    contains "$errors" $flag
  done
}
