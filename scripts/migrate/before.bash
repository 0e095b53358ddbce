# shellcheck shell=bash
# What is to be so at the end as well: a node that the operator had cordoned, a workload that was broken.
# Remembered in annotations before the first node is labelled.

remember_how_it_was() {
  local node before now workload
  for node in "${NODES[@]}"; do
    if [[ -n ${CORDONED[$node]} ]]; then
      run kubectl annotate node "$node" --overwrite "$CORDON_MARK=true"
    elif [[ -n ${WAS_CORDONED[$node]} ]]; then
      run kubectl annotate node "$node" "$CORDON_MARK-"   # of a run that ended here, long ago perhaps
    fi
    WAS_CORDONED[$node]=${CORDONED[$node]}
  done
  forget_workloads_that_are_ready
  before=$(workloads_not_ready)
  if [[ -z $before ]]; then return; fi
  sleep 3   # what only was in the middle of something is not broken
  now=$(workloads_not_ready)
  while read -r workload; do
    if [[ -n $workload ]] && grep -qxF "$workload" <<<"$now"; then mark_as_broken "$workload"; fi
  done <<<"$before"
}

# With the number of its Ready pods: fewer of them at the end are the migration's doing.
mark_as_broken() { # KIND/NAMESPACE/NAME
  local kind namespace name ready
  IFS=/ read -r kind namespace name <<<"$1"
  ready=$(kubectl get "$kind" "$name" -n "$namespace" -o go-template='{{with .status.numberReady}}{{.}}{{end}}{{with .status.readyReplicas}}{{.}}{{end}}')
  run kubectl annotate "$kind/$name" -n "$namespace" --overwrite "$UNREADY_MARK=${ready:-0}"
}

forget_workloads_that_are_ready() {
  local marked broken kind namespace name
  marked=$(kubectl get deployments,statefulsets,daemonsets -A -o go-template='{{range .items}}{{$o := .}}{{with .metadata.annotations}}{{with index . "'"$UNREADY_MARK"'"}}{{$o.kind}}/{{$o.metadata.namespace}}/{{$o.metadata.name}}{{"\n"}}{{end}}{{end}}{{end}}')
  if [[ -z $marked ]]; then return; fi
  broken=$(workloads_not_ready)
  broken+=$'\n'$(workloads_not_ready as-before)
  while IFS=/ read -r kind namespace name; do
    if grep -qxiF "$kind/$namespace/$name" <<<"$broken"; then continue; fi
    run kubectl annotate "${kind,,}/$name" -n "$namespace" "$UNREADY_MARK-"
  done <<<"$marked"
}

# After the proof. Marks of what still is as it was stay, so that proving once more says the same.
forget_how_it_was() {
  local node broken cordoned=()
  for node in "${NODES[@]}"; do
    if [[ -z ${WAS_CORDONED[$node]} ]]; then continue; fi
    if [[ -n ${CORDONED[$node]} ]]; then cordoned+=("$node"); else run kubectl annotate node "$node" "$CORDON_MARK-"; fi
  done
  if ((${#cordoned[@]})); then say "cordoned, as before the migration: ${cordoned[*]}"; fi
  forget_workloads_that_are_ready
  broken=$(workloads_not_ready as-before)
  if [[ -n $broken ]]; then warn "not ready, as before the migration: $(one_line "$broken"); marked $UNREADY_MARK until a later run finds them ready"; fi
}
