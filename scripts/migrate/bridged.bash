# shellcheck shell=bash
# The order "bridged": Cilium runs beside flannel on every node until the end, so pods of both can talk
# at any time. A node's label cni=cilium, by way of a CiliumNodeConfig, tells its agent to take new pods.
#   bridge  some node is not labelled cilium, or the values for the end are not applied  steps 1-6
#   late    every node has Cilium for good, flannel goes                                 steps 7-11

migrate_bridged() {
  STEPS=11
  step_label_nodes
  step_deploy_beside
  step_let_take_over
  step_bridge_workers
  step_bridge_control_plane
  step_final_values
  step_delete_flannel   # sees to it first that no pod is on flannel
  step_clean_up
  step_remove_labels
  step_recreate_services
  step_prove
}

find_phase_bridged() {
  local node
  if $CILIUM_PINNED || any_node_is none || something_is_pinned; then
    refuse 'this migration was begun in the order islands: go on without --mode bridged'
  fi
  PHASE=bridge
  if ((${#FLANNEL[@]} == 0)); then
    if ((${#CILIUM[@]} == 0)); then refuse_without_flannel; fi
    if [[ -z $TAKEOVER_IN ]]; then PHASE=late; fi
    return
  fi
  if ((${#CILIUM[@]} == 0)); then return; fi
  if [[ -z $TAKEOVER_IN ]] && ! any_node_is_labelled; then
    refuse 'Cilium already runs beside flannel, and not by this playbook: remove it first'
  fi
  # The CiliumNodeConfig goes when the values for the end have been applied.
  if [[ -z $TAKEOVER_IN ]] && any_node_is cilium; then PHASE=late; fi
  for node in "${NODES[@]}"; do
    if [[ ${LABEL[$node]} != cilium ]]; then PHASE=bridge; fi
  done
}

# A selector of ours where this order sets none; of a run in the order islands that ended early, say.
something_is_pinned() {
  local out
  if ! any_node_is_labelled; then return 1; fi   # a cluster's own selectors are none of our business
  out=$(kubectl get deployments,statefulsets,daemonsets -A -o go-template='{{range .items}}{{with .spec.template.spec.nodeSelector}}{{with index . "'"$KEY"'"}}pinned {{end}}{{end}}{{end}}')
  [[ -n $out ]]
}

# --- Checks -----------------------------------------------------------------------------------

# Flannel's VXLAN port, 8472 unless its ConfigMap says otherwise.
flannel_port() {
  local json
  json=$(flannel_conf)
  if [[ $json =~ \"Port\"[[:space:]]*:[[:space:]]*([0-9]+) ]]; then echo "${BASH_REMATCH[1]}"; else echo 8472; fi
}

check_bridged_manifest() {
  local port
  check_value custom-cni-conf true cni.customConf=true
  check_value enable-policy never policyEnforcementMode=never
  check_value enable-host-legacy-routing true bpf.hostLegacyRouting=true
  check_value routing-mode tunnel routingMode=tunnel
  if [[ $FINAL_TUNNEL != "$(tunnel_of_manifest)" ]]; then
    refuse "$CILIUM_FINAL_FILE: routing-mode, tunnel-protocol and tunnel-port are \"$FINAL_TUNNEL\", in $CILIUM_FILE they are \"$(tunnel_of_manifest)\": nodes could not talk while their agents differ, so both must be the same"
  fi
  if [[ $(config_value tunnel-protocol) == geneve ]]; then return; fi
  port=$(flannel_port)
  if [[ $(config_value tunnel-port) == "" || $(config_value tunnel-port) == 0 || $(config_value tunnel-port) == "$port" ]]; then
    refuse "$MANIFEST: Cilium's tunnel would use flannel's port $port, and both run on each node: set tunnelPort=8473 or another one that is free"
  fi
}

# What all nodes must agree on at any time, also while their agents restart one by one.
tunnel_of_manifest() { echo "$(config_value routing-mode) $(config_value tunnel-protocol) $(config_value tunnel-port)"; }

# Read before the other, so that what is remembered of the manifests is the first one's.
check_final_manifest() {
  read_manifest "$CILIUM_FINAL_FILE"
  check_value ipam cluster-pool ipam.mode=cluster-pool
  check_value kube-proxy-replacement 'false disabled' kubeProxyReplacement=false
  if [[ $(config_value custom-cni-conf) == true ]]; then
    refuse "$MANIFEST: custom-cni-conf is true, so a node that joins later would get no network: set cni.customConf=false"
  fi
  if [[ $(config_value enable-policy) == never ]]; then
    refuse "$MANIFEST: enable-policy is never, so no NetworkPolicy would count: set policyEnforcementMode=default"
  fi
  FINAL_RANGES=$(config_value cluster-pool-ipv4-cidr | tr , ' ')
  FINAL_TUNNEL=$(tunnel_of_manifest)
}

# --- The steps --------------------------------------------------------------------------------

apply_manifest() { # FILE FLAG...
  run kubectl apply --server-side "--field-manager=$FIELD_MANAGER" "${@:2}" -f "$1"
}

step_deploy_beside() {
  local title='Deploy Cilium beside flannel'
  if [[ $PHASE != bridge ]]; then skip "$title" && return; fi
  announce "$title" 'Its agents run on every node and take no pod yet: flannel goes on to serve them all.'
  # Never these values again once nodes were taken over: policies would not count, nor would new nodes work.
  if [[ -n $TAKEOVER_IN ]] || any_node_is cilium; then say 'done before' && return; fi
  apply_manifest "$CILIUM_FILE"
  wait_for_cilium
}

wait_for_cilium() {
  local daemonset
  if $DRY_RUN; then
    echo "kubectl rollout status daemonset/cilium -n kube-system --timeout=$TIMEOUT"
    return
  fi
  read_daemonsets
  for daemonset in "${CILIUM[@]}"; do wait_for_agents "$daemonset"; done
}

wait_for_agents() { # NAMESPACE/NAME
  wait_for_rollout "daemonset/${1#*/}" "${1%/*}" \
    "not every pod of DaemonSet $1 is Ready (kubectl get pods -n ${1%/*} -o wide shows which)"
}

# https://docs.cilium.io/en/stable/configuration/per-node-config/
takeover_manifest() { # NAMESPACE VERSION
  cat <<YAML
apiVersion: cilium.io/$2
kind: CiliumNodeConfig
metadata:
  name: $TAKEOVER
  namespace: $1
spec:
  nodeSelector:
    matchLabels:
      $KEY: cilium
  defaults:
    write-cni-conf-when-ready: /host/etc/cni/net.d/05-cilium.conflist
    custom-cni-conf: "false"
    cni-chaining-mode: none
    cni-exclusive: "true"
YAML
}

step_let_take_over() {
  local title="Let Cilium take over the nodes labelled $KEY=cilium" namespace version
  if [[ $PHASE != bridge ]]; then skip "$title" && return; fi
  announce "$title" 'A CiliumNodeConfig says so; no node has the label yet. Nodes still on flannel get a taint by' \
    'which pods rather go to those that were taken over: a pod that moves then moves once.'
  if $DRY_RUN; then
    echo "kubectl apply --server-side --field-manager=$FIELD_MANAGER -f -  # CiliumNodeConfig kube-system/$TAKEOVER"
  elif [[ -z $TAKEOVER_IN ]]; then
    namespace=${CILIUM[0]%/*}
    version=$(takeover_version)
    say "\$ kubectl apply --server-side -f -  # CiliumNodeConfig $namespace/$TAKEOVER"
    takeover_manifest "$namespace" "$version" | kubectl apply --server-side "--field-manager=$FIELD_MANAGER" -f -
    TAKEOVER_IN=$namespace
  fi
  taint_remaining
}

# Cilium's operator makes the CRD when it starts.
takeover_version() {
  local end versions
  end=$(deadline)
  while true; do
    versions=$(kubectl get customresourcedefinition ciliumnodeconfigs.cilium.io --ignore-not-found \
      -o go-template='{{range .spec.versions}}{{if .served}} {{.name}} {{end}}{{end}}')
    case $versions in
      *' v2 '*) echo v2 && return ;;
      *' v2alpha1 '*) echo v2alpha1 && return ;;
    esac
    if ((SECONDS >= end)); then stop 3 "Cilium's operator has not made the CiliumNodeConfig resource within $TIMEOUT (kubectl get pods -n ${CILIUM[0]%/*} shows why)"; fi
    sleep 1
  done
}

taint_remaining() {
  local node remaining=()
  refresh_nodes
  mapfile -t remaining < <(remaining_nodes)
  for node in "${remaining[@]}"; do taint "$node"; done
}

# take_over NODE: empty it, let Cilium take its new pods, restart what still is on flannel, open it again.
# Flannel's pod and links stay until the end: they are the bridge.
take_over() {
  check_drain "$1"
  taint "$1"
  run kubectl cordon "$1"
  run cni evict "$1" "${EVICT_FLAGS[@]}"
  set_label cilium "$1"
  restart_agent "$1"
  set_label cilium "$1"   # nothing to label any more, but the wait: the new agent must be Ready
  run cni cleanup "$1" --wait-conf "${SSH[@]}" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  run cni evict "$1" --recycle --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  open_again "$1"
  untaint "$1"   # last, for it is what says that this node is not finished
  CORDONED[$1]=${WAS_CORDONED[$1]}
}

# An agent reads its CiliumNodeConfig when it starts. kubectl waits until the old pod is gone.
restart_agent() { # NODE
  local out namespace name node owner uids=' ' daemonset
  if $DRY_RUN; then
    echo "kubectl delete pod -n kube-system -l k8s-app=cilium --field-selector spec.nodeName=$1"
    return
  fi
  for daemonset in "${CILIUM[@]}"; do uids+="${DAEMONSET_UID[$daemonset]} "; done
  out=$(pods)
  while IFS='|' read -r namespace name node _ _ _ _ owner; do
    if [[ $node == "$1" && -n $owner && $uids == *" $owner "* ]]; then
      run kubectl delete pod -n "$namespace" "$name" --ignore-not-found "--timeout=$TIMEOUT"
    fi
  done <<<"$out"
}

step_bridge_workers() {
  local title='Move the workers to Cilium'
  if [[ $PHASE != bridge ]]; then skip "$title" && return; fi
  announce "$title" "${WORKERS[*]:-none left}; one after the other: evict, label, restart the agent, restart what is on flannel, uncordon."
  visit_each take_over "${WORKERS[@]}"
}

# Also nodes that joined meanwhile, whatever their role.
step_bridge_control_plane() {
  local title='Move the control-plane nodes to Cilium'
  if [[ $PHASE != bridge ]]; then skip "$title" && return; fi
  refresh_nodes
  announce "$title" "$(one_line "$(unfinished_nodes)")"
  visit_all take_over unfinished_nodes
}

# A run that was killed has left its taint. A cordon alone is somebody else's, who may have a reason.
is_unfinished() { [[ ${LABEL[$1]} != cilium || -n ${TAINTED[$1]} ]]; }

unfinished_nodes() {
  local node
  for node in "${NODES[@]}"; do if is_unfinished "$node"; then printf '%s\n' "$node"; fi; done
}

step_final_values() {
  local title='Give Cilium the values for the time after' daemonset
  if [[ $PHASE != bridge ]]; then skip "$title" && return; fi
  announce "$title" 'Every node, also one that joins later, gets its network from Cilium; policies count again.' \
    'The agents restart one by one to read them; what they have set up goes on to work meanwhile.'
  # A run that was killed while the agents restarted has left another maxUnavailable, by another hand.
  apply_manifest "$CILIUM_FINAL_FILE" --force-conflicts
  if $DRY_RUN; then
    echo "kubectl patch daemonset cilium -n kube-system  # maxUnavailable 1, an annotation with the values' hash: one agent after the other restarts"
    echo "kubectl rollout status daemonset/cilium -n kube-system --timeout=$TIMEOUT"
    echo 'kubectl rollout restart deployment/cilium-operator -n kube-system'
    echo "kubectl delete ciliumnodeconfig $TAKEOVER -n kube-system"
    return
  fi
  for daemonset in "${CILIUM[@]}"; do restart_agents "$daemonset"; done
  restart_operator "${CILIUM[0]%/*}"
  run kubectl delete ciliumnodeconfigs.cilium.io "$TAKEOVER" -n "$TAKEOVER_IN" --ignore-not-found
}

values_hash() { # NAMESPACE
  kubectl get configmap cilium-config -n "$1" -o go-template='{{range $k, $v := .data}}{{$k}}={{$v}}{{"\n"}}{{end}}' | sha256sum | cut -c1-16
}

# One at a time whatever the DaemonSet allows. The annotation names the values, so that a second run
# with the same ones restarts nothing.
restart_agents() { # NAMESPACE/NAME
  local config together
  config=$(values_hash "${1%/*}")
  together=$(kubectl get daemonset "${1#*/}" -n "${1%/*}" -o go-template='{{with .spec.updateStrategy.rollingUpdate}}{{.maxUnavailable}}{{end}}')
  run kubectl patch daemonset "${1#*/}" -n "${1%/*}" --type merge -p \
    '{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":1}},"template":{"metadata":{"annotations":{"kubectl-cni/values":"'"$config"'"}}}}}'
  wait_for_agents "$1"
  if [[ -n $together && $together != 1 ]]; then
    if [[ ! $together =~ ^[0-9]+$ ]]; then together='"'$together'"'; fi
    run kubectl patch daemonset "${1#*/}" -n "${1%/*}" --type merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":'"$together"'}}}}'
  fi
}

restart_operator() { # NAMESPACE
  local there
  there=$(kubectl get deployment cilium-operator -n "$1" --ignore-not-found -o name)
  if [[ -z $there ]]; then return; fi
  run kubectl rollout restart deployment/cilium-operator -n "$1"
  wait_for_rollout deployment/cilium-operator "$1" "Cilium's operator is not Ready again after $TIMEOUT"
}

# Flannel's pods are gone, Cilium has every pod: what flannel left is in nobody's way, but has no use.
step_clean_up() {
  local title='Clean up after flannel on every node'
  if ! any_node_is_labelled; then skip "$title" && return; fi
  announce "$title" 'No pod has an address of its range any more; that is seen to first.'
  leave_flannel_to_nobody
  run cni cleanup --all "${SSH[@]}" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
}

# A node that joined late has pods on flannel which no step has seen. Changes nothing where there are none.
leave_flannel_to_nobody() {
  run cni cleanup --all --wait-conf "${SSH[@]}" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
  run cni evict --all --recycle "${EVICT_FLAGS[@]}"
}
