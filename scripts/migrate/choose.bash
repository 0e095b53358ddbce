# shellcheck shell=bash
# Which workers first, and the plan that the operator says yes to.

FIRST_HALF=() WORKERS=()

refuse_without_room() { # NUMBER of schedulable workers
  if (($1 >= 2)) || $ACCEPT_OUTAGE; then return; fi
  refuse "only $1 schedulable worker: its pods would have nowhere to go. Add a worker, or go on with --accept-outage"
}

# n/2+1 workers, but one stays on flannel to hold the workloads. Those that a former run has begun
# with come first. Workers that the operator had cordoned hold no workloads: they go first as well,
# and do not count.
choose_islands() {
  local node begun=() fresh=() idle=() count
  while read -r node; do
    if [[ -z $node ]]; then continue; fi
    if is_idle "$node"; then
      idle+=("$node")
    elif [[ ${LABEL[$node]} == none ]]; then
      begun+=("$node")
    else
      fresh+=("$node")
    fi
  done < <(nodes_where any worker)
  local able=$((${#begun[@]} + ${#fresh[@]}))
  count=${FIRST:-$((able / 2 + 1))}
  if ((able >= 2 && count > able - 1)); then
    if [[ -n $FIRST ]]; then refuse "--first $FIRST leaves no worker on flannel for the workloads: at most $((able - 1))"; fi
    count=$((able - 1))
  fi
  if ((able < 2)); then
    refuse_without_room "$able"
    count=$able
  fi
  if ((count < ${#begun[@]})); then count=${#begun[@]}; fi
  FIRST_HALF=("${idle[@]}" "${begun[@]}" "${fresh[@]:0:count-${#begun[@]}}")
}

# Cordoned by the operator: remembered before the first node was labelled, or, while none is, right now.
is_idle() {
  if any_node_is_labelled; then [[ -n ${WAS_CORDONED[$1]} ]]; else [[ -n ${CORDONED[$1]} ]]; fi
}

any_node_is_labelled() {
  local node
  for node in "${NODES[@]}"; do if [[ -n ${LABEL[$node]} ]]; then return 0; fi; done
  return 1
}

# Workers first: should anything be wrong, it shows where no API server runs. Those that the operator
# had cordoned come last, for they are no room for others.
choose_bridged() {
  local node able=() idle=()
  local all=0
  while read -r node; do
    if [[ -z $node ]]; then continue; fi
    if ! is_idle "$node"; then all=$((all + 1)); fi
    if ! is_unfinished "$node"; then continue; fi
    if is_idle "$node"; then idle+=("$node"); else able+=("$node"); fi
  done < <(nodes_where any worker)
  refuse_without_room "$all"
  WORKERS=("${able[@]}" "${idle[@]}")
}

show_plan() {
  local rest node workloads
  rest=$(nodes_where any worker)
  for node in "${FIRST_HALF[@]}"; do rest=$(grep -vxF -- "$node" <<<"$rest" || true); done
  workloads=$(kubectl get deployments,statefulsets,daemonsets,cronjobs -A -o go-template='{{range .items}}{{.metadata.namespace}}{{"\n"}}{{end}}' |
    grep -cvxE 'kube-system|kube-flannel' || true)
  {
    echo "The migration from flannel to Cilium, in the order $MODE:"
    case $PHASE in
      bridge)
        echo "  one by one       ${WORKERS[*]:-no worker left}"
        echo "  then             $(one_line "$(nodes_where any control-plane)")"
        ;;
      dark)
        echo "  first            ${FIRST_HALF[*]}"
        echo "  control plane    $(one_line "$(nodes_where any control-plane)")"
        echo "  then             $(one_line "$rest")"
        ;;
      move) echo "  continues        Cilium has come to $(nodes_where cilium any | grep -c .) of ${#NODES[@]} nodes" ;;
      late) echo "  continues        every node has Cilium; what is left is to tidy up and to prove" ;;
    esac
    echo "  workloads        $workloads outside kube-system; each pod moves to another node"
    echo "  bare Pods        are backed up, deleted and created anew"
    if $DELETE_EMPTYDIR; then echo '  emptyDir data    is lost'; fi
    if $ACCEPT_OUTAGE; then echo '  outage           workloads stop while their node is without a network'; fi
  } >&2
}

one_line() { # LINES
  local words
  words=$(tr '\n' ' ' <<<"$1")
  words=${words%"${words##*[! ]}"}
  printf '%s' "${words:-none}"
}

confirm() {
  local answer
  if $YES || $DRY_RUN; then return; fi
  if [[ ! -t 0 ]]; then refuse 'no terminal to ask on: give --yes to migrate without being asked'; fi
  printf 'Continue? [y/N] ' >&2
  read -r answer || answer=
  if [[ ! $answer =~ ^[yY]([eE][sS])?$ ]]; then stop 1 'not confirmed'; fi
}
