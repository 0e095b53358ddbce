# shellcheck shell=bash
# The order "islands": a node has flannel or Cilium, never both. Its phases:
#   dark  no node is labelled cilium      pins may be set, nodes lose flannel  steps 1-6
#   move  some node is labelled cilium    nothing is pinned any more           steps 7-9
#   late  Cilium's DaemonSet has no pin   flannel goes, labels go, proof       steps 10-14

migrate_islands() {
  STEPS=14
  step_label_nodes
  step_pin_workloads
  step_pin_flannel
  step_deploy_cilium
  step_first_half
  step_control_plane
  step_first_cilium
  step_move_workloads
  step_remaining
  step_unpin_cilium
  step_delete_flannel
  step_remove_labels
  step_recreate_services
  step_prove
}

# Where are we? Refuses states that this order did not make.
find_phase_islands() {
  local node both=
  if [[ -n $TAKEOVER_IN ]]; then refuse "this migration was begun in the order bridged (CiliumNodeConfig $TAKEOVER is there): go on with --mode bridged"; fi
  if ((${#CILIUM[@]} > 0)) && ! $CILIUM_PINNED; then
    if ((${#FLANNEL[@]} > 0)); then both=$(nodes_with_pods_of "${FLANNEL[@]}"); fi
    if [[ -n $both ]] && any_node_is_labelled; then
      refuse 'Cilium runs unpinned beside flannel on labelled nodes: a migration in the order bridged goes on with --mode bridged'
    elif [[ -n $both ]]; then
      refuse 'Cilium already runs beside flannel, unpinned: this order migrates from flannel alone; remove Cilium first, or see --mode bridged'
    fi
    PHASE=late
    for node in "${NODES[@]}"; do
      if [[ ${LABEL[$node]} == flannel || ${LABEL[$node]} == none ]]; then
        refuse "Cilium runs unpinned while node $node is labelled $KEY=${LABEL[$node]}: a migration in the order bridged goes on with --mode bridged; else pin it again with 'kubectl cni pin --cni cilium --to cilium', or remove Cilium"
      fi
    done
    return
  fi
  if any_node_is cilium; then PHASE=move && return; fi
  PHASE=dark
  if ((${#FLANNEL[@]} == 0)); then refuse_without_flannel; fi
}

step_label_nodes() {
  local title='Label the nodes flannel' node
  if ! listed 'dark bridge' "$PHASE"; then skip "$title" && return; fi
  announce "$title" 'So that the CNI DaemonSets can be told which node is whose.'
  if ! any_node_is_labelled; then remember_how_it_was; fi
  run cni label --all --from '' --to flannel --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  for node in "${NODES[@]}"; do LABEL[$node]=${LABEL[$node]:-flannel}; done
  refresh_nodes
}

step_pin_workloads() {
  local title='Pin the workloads to flannel'
  if [[ $PHASE != dark ]]; then skip "$title" && return; fi
  announce "$title" 'While two islands exist, pods that belong together must stay on one. Where they are there is' \
    'nothing to restart: only pods that start from now on carry the pin.'
  # Once a node is dark, a pod may have nowhere to go for a while: the first run has waited for this.
  local wait=(--wait)
  if any_node_is none; then wait=(); fi
  run cni pin --to flannel "${wait[@]}" --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
}

step_pin_flannel() {
  local title='Pin flannel to the nodes labelled flannel'
  if [[ $PHASE != dark ]]; then skip "$title" && return; fi
  announce "$title" 'From now on a node loses flannel by its label alone.'
  run cni pin --cni flannel --to flannel --wait --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  select_kube_proxy flannel
}

# Server-side apply: the chart holds a ConfigMap (a dashboard) that is too large for the annotation in
# which plain apply keeps its copy, and a second run by the same field manager finds no conflict.
step_deploy_cilium() {
  local title='Deploy Cilium, pinned to nodes labelled cilium'
  if [[ $PHASE != dark ]]; then skip "$title" && return; fi
  announce "$title" 'No node is labelled so yet: nothing starts but its operator.'
  local filter=(pin -f "$CILIUM_FILE" --to cilium --key "$KEY")
  local apply=(apply --server-side "--field-manager=$FIELD_MANAGER" -f -)
  if $DRY_RUN; then
    printf '%s | %s\n' "$(shown kubectl cni "${filter[@]}")" "$(shown kubectl "${CONNECTION[@]}" "${apply[@]}")"
    return
  fi
  say "\$ $(shown kubectl cni "${filter[@]}") | $(shown kubectl "${CONNECTION[@]}" "${apply[@]}")"
  cni "${filter[@]}" | kubectl "${apply[@]}"
}

step_first_half() {
  local title='Take the first workers off flannel'
  if [[ $PHASE != dark ]]; then skip "$title" && return; fi
  announce "$title" "${FIRST_HALF[*]:-no worker}; one after the other: cordon, label none, evict, clean up over ssh." \
    'A taint by which pods rather go elsewhere comes first: what leaves one of them shall not go to the next.'
  local node nodes
  mapfile -t nodes < <(nodes_where any control-plane)
  for node in "${FIRST_HALF[@]}" "${nodes[@]}"; do
    if [[ ${LABEL[$node]} == flannel ]]; then taint "$node"; fi
  done
  visit_each darken "${FIRST_HALF[@]}"
}

step_control_plane() {
  local title='Take the control-plane nodes off flannel' nodes
  if [[ $PHASE != dark ]]; then skip "$title" && return; fi
  mapfile -t nodes < <(nodes_where any control-plane)
  announce "$title" "${nodes[*]:-The cluster shows none: nothing to do.}"
  visit_each darken "${nodes[@]}"
}

# In phase "move" a `none` node is one of the remaining workers that a former run was busy with, so it
# is made dark again (which changes nothing if it was). A cordoned node with label cilium is unfinished.
step_first_cilium() {
  local title='Start Cilium on the nodes that are off flannel' nodes=() node
  if [[ $PHASE == late ]]; then skip "$title" && return; fi
  announce "$title" 'Label, wait for Cilium and its CNI configuration, restart what holds an old address, uncordon.'
  refresh_nodes
  for node in "${NODES[@]}"; do
    # One that joined meanwhile has no label and so no CNI: it waits for Cilium like the others.
    if [[ -z ${LABEL[$node]} || (${LABEL[$node]} == none && $PHASE == move) ]]; then darken "$node"; fi
    if [[ ${LABEL[$node]} == none || (${LABEL[$node]} == cilium && -n ${CORDONED[$node]}${TAINTED[$node]}) ]]; then nodes+=("$node"); fi
  done
  if ((${#nodes[@]} == 0)); then say 'nothing left to do' && return; fi
  select_kube_proxy cilium   # a node that never had it would not find the API server
  light_up "${nodes[@]}"
}

step_move_workloads() {
  local title='Move the workloads over to Cilium' node pending
  if [[ $PHASE == late ]]; then skip "$title" && return; fi
  announce "$title" \
    'The remaining flannel nodes are cordoned; taking off the pin rolls the pods over to Cilium.' \
    'They carry no pin from then on, so the node labels can go at the end without another restart.'
  wait_for_pinned_jobs   # before the cordon, for their next pods need a flannel node too
  while read -r node; do
    if [[ -n $node ]]; then run kubectl cordon "$node"; fi
  done < <(remaining_nodes)
  move_coredns
  pending=$(if ! $DRY_RUN; then pods_without_a_node; fi)
  run cni pin --remove --rollout --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  delete_never_started
  wait_until_moved "$pending"
  wait_for_pinned_jobs
}

# Replicas that exclude each other may need a node that is not on Cilium yet: a new pod then is Pending,
# its old one may not go, and nothing but the drain of the old one's node gets them further.
wait_until_moved() {
  local limit code=0 pending
  PENDING_BEFORE=$1
  local command=(cni pin --remove --rollout --wait --key "$KEY" "${DAEMONSETS[@]}" --timeout)
  limit=$(seconds_of "$TIMEOUT")
  if $DRY_RUN || ((limit > 0 && limit <= MOVE_SECONDS)); then
    run "${command[@]}" "$TIMEOUT" || code=$?
  else
    run "${command[@]}" "${MOVE_SECONDS}s" || code=$?
    pending=$(new_pods_without_a_node)
    if ((code == 3)) && [[ -z $pending ]]; then code=0 && run "${command[@]}" "$TIMEOUT" || code=$?; fi
  fi
  if ((code == 0)); then return; fi
  pending=$(new_pods_without_a_node)
  if ((code != 3)) || [[ -z $pending ]]; then exit "$code"; fi
  warn "no node beside Cilium has room for: $(one_line "$pending"); going on with the remaining nodes, whose drain makes room"
}

# Not those that had waited before: they say nothing about the room for others.
PENDING_BEFORE=''
new_pods_without_a_node() {
  local now
  now=$(pods_without_a_node)
  grep -vxF -f <(printf '%s\n' "${PENDING_BEFORE:-none}") <<<"$now" | grep . || true
}

# Pods that carry no pin and wait for a node: namespace/name
pods_without_a_node() {
  kubectl get pods -A --field-selector spec.nodeName=,status.phase=Pending -o go-template='{{range .items}}{{$o := .}}{{if not (and .spec.nodeSelector (index .spec.nodeSelector "'"$KEY"'"))}}{{$o.metadata.namespace}}/{{$o.metadata.name}}{{"\n"}}{{end}}{{end}}'
}

remaining_nodes() {
  local node
  for node in "${NODES[@]}"; do if [[ ${LABEL[$node]} != cilium ]]; then printf '%s\n' "$node"; fi; done
}

# DNS pods by island: `node/pod` words in DNS_CILIUM (Ready) and DNS_FLANNEL.
read_dns() {
  local out namespace name node ready
  DNS_CILIUM=() DNS_FLANNEL=()
  out=$(kubectl get pods -A -l k8s-app=kube-dns -o go-template='{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.namespace}}|{{.metadata.name}}|{{with .spec.nodeName}}{{.}}{{end}}|{{range .status.conditions}}{{if eq .type "Ready"}}{{.status}}{{end}}{{end}}{{"\n"}}{{end}}{{end}}')
  while IFS='|' read -r namespace name node ready; do
    if [[ -z $node ]]; then continue; fi
    if [[ ${LABEL[$node]-} == cilium ]]; then
      if [[ $ready == True ]]; then DNS_CILIUM+=("$namespace/$name"); fi
    else
      DNS_FLANNEL+=("$namespace/$name")
    fi
  done <<<"$out"
}

# Neither island reaches the other, so each needs its own DNS: one CoreDNS pod goes ahead of the workloads.
move_coredns() {
  local pod end
  if $DRY_RUN; then
    echo '# if no CoreDNS pod runs beside Cilium by now, one is evicted from a flannel node'
    return
  fi
  read_dns
  if ((${#DNS_FLANNEL[@]} == 0 || ${#DNS_CILIUM[@]} > 0)); then return; fi
  if ((${#DNS_FLANNEL[@]} == 1)); then
    warn "only one CoreDNS pod: pods still on flannel have no DNS until they have moved"
  fi
  pod=${DNS_FLANNEL[0]}
  say "one CoreDNS pod moves first: ${pod}"
  evict_pod "$pod"
  end=$(deadline)
  while ((${#DNS_CILIUM[@]} == 0)); do
    read_dns
    if ((SECONDS >= end)); then stop 3 "no CoreDNS pod became Ready on a node with Cilium within $TIMEOUT"; fi
    sleep 1
  done
}

# kubectl can evict single pods only by the API's own path.
evict_pod() { # NAMESPACE/NAME
  local path=/api/v1/namespaces/${1%/*}/pods/${1#*/}/eviction
  local body
  body='{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"namespace":"'${1%/*}'","name":"'${1#*/}'"}}'
  kubectl create --raw "$path" -f - <<<"$body" >/dev/null ||
    stop 3 "pod $1 cannot be evicted now (see above)"
}

deadline() {
  local limit
  limit=$(seconds_of "$TIMEOUT")
  if ((limit == 0)); then limit=31536000; fi
  echo $((SECONDS + limit))
}

# A pod that waits for a flannel node which will never come blocks its StatefulSet for ever. It never
# started, so nothing is lost by deleting it; its controller makes it anew without the pin.
delete_never_started() {
  local out namespace name uid kind selector
  if $DRY_RUN; then return; fi
  out=$(kubectl get pods -A --field-selector spec.nodeName= -o go-template='{{range .items}}{{.metadata.namespace}}|{{.metadata.name}}|{{.metadata.uid}}|{{range .metadata.ownerReferences}}{{if .controller}}{{.kind}}{{end}}{{end}}|{{with .spec.nodeSelector}}{{with index . "'"$KEY"'"}}{{.}}{{end}}{{end}}{{"\n"}}{{end}}')
  while IFS='|' read -r namespace name uid kind selector; do
    if [[ $selector == flannel && -n $kind && $kind != Job ]]; then
      say "pod $namespace/$name never started and waits for flannel: deleted, its $kind makes it anew"
      # By UID: its owner may have replaced it meanwhile by one that runs.
      kubectl delete --raw "/api/v1/namespaces/$namespace/pods/$name" -f - >/dev/null \
        <<<'{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"'"$uid"'"}}' ||
        say "pod $namespace/$name was left alone (see above)"
    fi
  done <<<"$out"
}

# A Job born from a pinned CronJob keeps the pin, its template being immutable: when no flannel node is
# left its pods could never start again. Waiting is all that can be done for it.
wait_for_pinned_jobs() {
  local end jobs told=
  if $DRY_RUN; then return; fi
  end=$(deadline)
  while true; do
    jobs=$(pinned_jobs)
    if [[ -z $jobs ]]; then return; fi
    if [[ -z $told ]]; then say "waiting for Jobs that were born with the pin: $jobs" && told=yes; fi
    if ((SECONDS >= end)); then
      stop 3 "unfinished Jobs need a node labelled $KEY=flannel: $jobs. Wait for them or delete them, then run this again"
    fi
    sleep 2
  done
}

pinned_jobs() {
  local out namespace name finished selector
  out=$(kubectl get jobs -A -o go-template='{{range .items}}{{.metadata.namespace}}|{{.metadata.name}}|{{range .status.conditions}}{{if and (eq .status "True") (or (eq .type "Complete") (eq .type "Failed"))}}yes{{end}}{{end}}|{{with .spec.template.spec.nodeSelector}}{{with index . "'"$KEY"'"}}{{.}}{{end}}{{end}}{{"\n"}}{{end}}')
  while IFS='|' read -r namespace name finished selector; do
    if [[ -n $selector && -z $finished ]]; then printf '%s/%s ' "$namespace" "$name"; fi
  done <<<"$out"
}

change_over() { # not by &&: left of it a failing command would not stop us
  darken "$1"
  light_up "$1"
}

# The first nodes remember, for two minutes, connections to pods of the last ones that are gone, and a client
# that comes from the same port would be sent there. Cleaning up again makes them forget (conntrack).
forget_connections() {
  local nodes
  mapfile -t nodes < <(nodes_where cilium any)   # not one that joins right now, and has no CNI yet
  if ((${#nodes[@]})); then run cni cleanup "${nodes[@]}" "${SSH[@]}" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"; fi
}

# Also nodes that joined meanwhile, whatever their role: they have no label and nothing else to lose.
step_remaining() {
  local title='Move the remaining nodes to Cilium'
  if [[ $PHASE == late ]]; then skip "$title" && return; fi
  announce "$title" "$(one_line "$(remaining_nodes)"): one after the other, off flannel and onto Cilium."
  refresh_nodes
  visit_all change_over remaining_nodes
  forget_connections
  run cni pin --remove --rollout --wait --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
}
