# shellcheck shell=bash
# What happens to a node.

set_label() { # VALUE NODE...
  local node
  run cni label "${@:2}" --to "$1" --wait --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  for node in "${@:2}"; do LABEL[$node]=$1; done
}

# Pods rather go to other nodes than to those whose turn is near: what moves then moves once.
taint() { # NODE
  if [[ -z ${TAINTED[$1]} ]]; then run kubectl taint nodes "$1" "$TAINT=:PreferNoSchedule"; fi
  TAINTED[$1]=true
}

untaint() { # NODE
  if [[ -n ${TAINTED[$1]} ]]; then run kubectl taint nodes "$1" "$TAINT-"; fi
  TAINTED[$1]=
}

# darken NODE: off flannel, empty, clean. Cordoned first, or pods would start on a node without CNI.
darken() {
  check_drain "$1"   # what a drain would refuse must not show when flannel is gone already
  run kubectl cordon "$1"
  set_label none "$1"
  run cni evict "$1" "${EVICT_FLAGS[@]}"
  run cni cleanup "$1" "${SSH[@]}" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
}

# light_up NODE...: Cilium comes; DaemonSet pods that survived the eviction still have addresses of
# flannel's and are restarted once Cilium's CNI configuration is there; what they held is cleaned up.
# A node is uncordoned only now: a pod that starts earlier is plugged in by flannel's leftovers.
light_up() {
  local node
  set_label cilium "$@"
  run cni cleanup "$@" --wait-conf "${SSH[@]}" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  run cni evict "$@" --recycle --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  run cni cleanup "$@" "${SSH[@]}" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  for node; do
    open_again "$node"
    untaint "$node"
  done
}

open_again() { # NODE
  if [[ -n ${WAS_CORDONED[$1]} ]]; then
    say "node $1 stays cordoned, as it was before the migration"
  else
    run kubectl uncordon "$1"
  fi
}

# visit_each COMMAND NODE...: one after the other, each with its number.
visit_each() {
  local visit=$1 node i=0
  shift
  for node; do
    i=$((i + 1))
    say "node $node ($i/$#, $(elapsed))"
    "$visit" "$node"
    settle
  done
}

# visit_all COMMAND LIST: each node that LIST names, which is asked anew after each, for nodes may join.
visit_all() {
  local node
  while read -r node < <("$2"); do
    say "node $node ($(elapsed))"
    "$1" "$node"
    settle
    refresh_nodes
    if [[ ${LABEL[$node]-cilium} != cilium ]]; then
      stop 1 "node $node does not keep its label $KEY=cilium: who else sets node labels here?"
    fi
  done
}

# Between two nodes: let workloads recover, so that those without a budget are not all down at once.
# Bounded and forgiving.
settle() {
  if $DRY_RUN || $ACCEPT_OUTAGE; then return; fi
  local end=$((SECONDS + SETTLE_SECONDS)) unready
  while true; do
    unready=$(workloads_not_ready)   # on its own line: a read that fails must stop us
    unready=$(grep -vE '^(daemonset/|$)' <<<"$unready" | tr '\n' ' ' || true)
    if [[ -z $unready ]]; then return; fi
    if ((SECONDS >= end)); then warn "going on although not ready yet: $unready" && return; fi
    sleep 1
  done
}
