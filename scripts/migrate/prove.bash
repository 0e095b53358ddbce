# shellcheck shell=bash
# The proof.

step_prove() {
  local end line missing next=$((SECONDS + 5))
  announce 'Prove that the migration is complete' 'Asked of the cluster and of every node, not of what was done above.'
  if $DRY_RUN; then
    printf '%s\n' "$(shown kubectl cni cleanup "${CONNECTION[@]}" --all --check "${SSH[@]}")"
    return
  fi
  end=$(deadline)
  prove_cluster
  while [[ -n $MISSING ]] && ((SECONDS < end)); do   # rollouts may still be under way
    sleep 2
    prove_cluster
    if [[ -n $MISSING ]] && ((SECONDS >= next)); then
      say "waiting ($(elapsed)), still missing: $(paste -sd';' <<<"${MISSING%$'\n'}" | sed 's/;/; /g')"
      next=$((SECONDS + 30))
    fi
  done
  missing=$MISSING
  if [[ -n $ODD ]]; then warn "${ODD//$'\n'/; }the migration itself had been complete before this run"; fi
  if [[ -z $(flannel_ranges) ]]; then warn "flannel's address range is known no more, so pods that still use it cannot be told"; fi
  print_nodes
  if ! supervise cni cleanup --all --check "${SSH[@]}" --timeout "$TIMEOUT"; then
    missing+=$'residue of flannel on nodes, see above (kubectl cni cleanup NODE)\n'
  fi
  if [[ -n $missing ]]; then
    while read -r line; do printf 'missing: %s\n' "$line" >&2; done <<<"${missing%$'\n'}"
    stop 1 'the migration is not complete'
  fi
  forget_how_it_was
  remember_proof
}

# Backups of flannel's DaemonSet, of all migrations or those `unproved` yet: namespace|name
flannel_backups() {
  local selector=$DELETED_LABEL=true
  if [[ ${1-} == unproved ]]; then selector+=",$PROVED_LABEL!=true"; fi
  kubectl get secrets -A -l "$selector" -o go-template='{{range .items}}{{.metadata.namespace}}|{{.metadata.name}}{{"\n"}}{{end}}'
}

remember_proof() {
  local out namespace name
  out=$(flannel_backups unproved)
  while IFS='|' read -r namespace name; do
    if [[ -n $name ]]; then run kubectl label secret "$name" -n "$namespace" --overwrite "$PROVED_LABEL=true"; fi
  done <<<"$out"
}

# Everything plain kubectl can see. Fills MISSING (one line a finding) and the columns of the table.
declare -A HAS_CILIUM=() HAS_FLANNEL=()
MISSING='' ODD='' ONLY_PROVE=false
prove_cluster() {
  local node unready
  MISSING='' ODD=''
  read_nodes
  read_daemonsets
  read_takeover
  if [[ -n $TAKEOVER_IN ]]; then MISSING+="CiliumNodeConfig $TAKEOVER_IN/$TAKEOVER is still there"$'\n'; fi
  if ((${#CILIUM[@]} == 0)); then MISSING+=$'no Cilium DaemonSet\n'; fi
  prove_values
  if $CILIUM_PINNED; then MISSING+=$'Cilium is still pinned\n'; fi
  if ((${#FLANNEL[@]} > 0)); then MISSING+="flannel's DaemonSet: ${FLANNEL[*]}"$'\n'; fi
  prove_pods
  for node in "${NODES[@]}"; do
    if [[ -z ${HAS_CILIUM[$node]-} ]]; then MISSING+="a Ready Cilium pod on node $node"$'\n'; fi
    if [[ -n ${HAS_FLANNEL[$node]-} ]]; then MISSING+="a flannel pod still runs on node $node"$'\n'; fi
    if [[ -n ${LABEL[$node]} ]]; then MISSING+="node $node still has the label $KEY=${LABEL[$node]}"$'\n'; fi
    if [[ -n ${CORDONED[$node]} && -z ${WAS_CORDONED[$node]} ]]; then odd "node $node is cordoned"; fi
    if [[ -n ${TAINTED[$node]} ]]; then MISSING+="node $node still has the taint $TAINT"$'\n'; fi
  done
  unready=$(workloads_not_ready)
  for node in $unready; do odd "$node is not ready"; done
}

# What Cilium runs with: the values for the time of the migration must not outlive it.
prove_values() {
  local daemonset out
  for daemonset in "${CILIUM[@]}"; do
    out=$(kubectl get configmap cilium-config -n "${daemonset%/*}" --ignore-not-found -o go-template='{{with .data}}{{with index . "custom-cni-conf"}}custom-cni-conf={{.}} {{end}}{{with index . "enable-policy"}}enable-policy={{.}} {{end}}{{end}}')
    if listed "$out" custom-cni-conf=true; then odd "ConfigMap ${daemonset%/*}/cilium-config says custom-cni-conf: true, so a node that joins gets no network"; fi
    if [[ $MODE != bridged ]]; then continue; fi
    if listed "$out" enable-policy=never; then odd "ConfigMap ${daemonset%/*}/cilium-config says enable-policy: never, so no NetworkPolicy counts"; fi
    # The agents read their values when they start: these must be the ones that they were restarted for.
    out=$(kubectl get daemonset "${daemonset#*/}" -n "${daemonset%/*}" -o go-template='{{with .spec.template.metadata.annotations}}{{with index . "kubectl-cni/values"}}{{.}}{{end}}{{end}}')
    if [[ $out != "$(values_hash "${daemonset%/*}")" ]]; then odd "DaemonSet $daemonset was not restarted for the values in cilium-config"; fi
  done
}

# Missing, unless the migration had come to its end before this run: then it is none of its doing.
odd() { if $ONLY_PROVE; then ODD+="$1"$'\n'; else MISSING+="$1"$'\n'; fi; }

prove_pods() {
  local ranges out daemonset cilium_uids=' ' namespace name node phase ready host ip owner
  ranges=$(flannel_ranges)
  remember_ranges "$ranges"
  for daemonset in "${CILIUM[@]}"; do cilium_uids+="${DAEMONSET_UID[$daemonset]} "; done
  HAS_CILIUM=() HAS_FLANNEL=()
  out=$(pods)
  while IFS='|' read -r namespace name node phase ready host ip owner; do
    if [[ -z $name || -z $node ]]; then continue; fi
    if [[ -n $owner && $cilium_uids == *" $owner "* && $ready == True ]]; then HAS_CILIUM[$node]=yes; fi
    if is_flannel_pod "$namespace/$name"; then HAS_FLANNEL[$node]=yes; fi
    if [[ $phase == Succeeded || $phase == Failed || -n $host || -z $ip ]]; then continue; fi
    if in_ranges "$ip"; then
      MISSING+="pod $namespace/$name on node $node still has the address $ip of flannel's range"$'\n'
    fi
  done <<<"$out"
}

# Its DaemonSet may be gone, so a flannel pod is known by its name here.
is_flannel_pod() { [[ $1 =~ ^[^/]*/(kube-)?flannel- ]]; }

print_nodes() {
  local node width=4
  for node in "${NODES[@]}"; do if ((${#node} > width)); then width=${#node}; fi; done
  printf '%-*s  %-13s  %-6s  %-7s  %s\n' "$width" NODE ROLE CILIUM FLANNEL SCHEDULABLE
  for node in "${NODES[@]}"; do
    printf '%-*s  %-13s  %-6s  %-7s  %s\n' "$width" "$node" "${ROLE[$node]:-worker}" \
      "${HAS_CILIUM[$node]:-no}" "${HAS_FLANNEL[$node]:-no}" "$(if [[ -n ${CORDONED[$node]} ]]; then echo no; else echo yes; fi)"
  done
}
