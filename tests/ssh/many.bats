#!/usr/bin/env bats
# Ctrl-C in the middle of many nodes: which were visited, which may be half done, which never begun.

load prelude

@test "Ctrl-C: the summary tells the node in the middle from those that were never visited" {
  local command code=0
  door w1 2202
  kill -STOP "$served"
  "${at_home[@]}" kubectl-cni-cleanup w1 w2 w3 --check --parallel 1 --host-map "$home/map" --ssh-key "$key" \
    2>"$home/said" 3>&- &
  command=$!
  sleep 1
  kill -INT "$command"
  wait "$command" || code=$?
  [ "$code" = 130 ]
  contains "$(cat "$home/said")" 'summary: 0 of 3 nodes are fine; interrupted in the middle: w1; not visited: w2, w3'
}
