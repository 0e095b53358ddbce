# shellcheck shell=bash
# The steps after the last node has Cilium.

# Not skipped by phase: a run that was killed in the middle of this rollout left the pin off and some
# pods with it, and labels that a pod selects must not go.
step_unpin_cilium() {
  local title='Let Cilium run on every node'
  if ! any_node_is_labelled; then skip "$title" && return; fi
  announce "$title" 'The pin goes, so that nodes which join later get Cilium without a label.'
  release_kube_proxy   # first: an agent on a node that has just joined does not find the API server without it
  run cni pin --cni cilium --remove --wait --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
}

step_delete_flannel() {
  local title='Delete flannel' daemonset left
  if ! $DRY_RUN; then read_daemonsets; fi
  if ((${#FLANNEL[@]} == 0)); then skip "$title" && return; fi
  announce "$title" 'Its DaemonSet is backed up in a Secret beside it; its ConfigMap and RBAC stay until --purge.'
  if [[ $MODE == islands ]]; then
    left=$(if ! $DRY_RUN; then nodes_with_pods_of "${FLANNEL[@]}"; fi)
    if [[ -n $left ]]; then stop 1 "flannel still runs on: $(one_line "$left")"; fi
  else
    leave_flannel_to_nobody
  fi
  for daemonset in "${FLANNEL[@]}"; do
    back_up_daemonset "${daemonset%/*}" "${daemonset#*/}" "${DAEMONSET_UID[$daemonset]}"
    delete_daemonset "${daemonset%/*}" "${daemonset#*/}" "${DAEMONSET_UID[$daemonset]}"
  done
}

# In the form of the suite's other backups, but without their label: that one asks for the object to be
# put back if it is missing, and this one is to stay away.
back_up_daemonset() { # NAMESPACE NAME UID
  local secret=kubectl-cni-backup-daemonset-$2 kind=kubectl-cni/kind name=kubectl-cni/name uid=kubectl-cni/uid object
  if $DRY_RUN; then
    printf 'kubectl get daemonset -n %s %s -o json  # kept in Secret %s\n' "$1" "$2" "$secret"
    return
  fi
  say "back up DaemonSet $1/$2 in Secret $secret"
  object=$(kubectl get daemonset -n "$1" "$2" -o json)
  {
    # Not proved, also where the Secret of an earlier, proved migration is still there.
    printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: %s\n  labels: {%s: "true", %s: "false"}\n' \
      "$secret" "$1" "$DELETED_LABEL" "$PROVED_LABEL"
    printf '  annotations: {%s: DaemonSet, %s: "%s", %s: "%s"}\n' "$kind" "$name" "$2" "$uid" "$3"
    printf 'type: Opaque\ndata:\n  object.json: %s\n' \
      "$(base64 <<<"$object" | tr -d '\n')"
  } | kubectl apply --server-side --force-conflicts "--field-manager=$FIELD_MANAGER" -f -
}

# With the UID as precondition: exactly the DaemonSet that was backed up, not one made anew meanwhile.
# In the foreground: the object is gone only when its pods are.
delete_daemonset() { # NAMESPACE NAME UID
  local path=/apis/apps/v1/namespaces/$1/daemonsets/$2
  local options='{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Foreground","preconditions":{"uid":"'$3'"}}'
  if $DRY_RUN; then
    printf "echo '%s' | %s\n" "$options" "$(shown kubectl "${CONNECTION[@]}" delete --raw "$path" -f -)"
    return
  fi
  kubectl delete --raw "$path" -f - <<<"$options" >/dev/null || stop 1 "DaemonSet $1/$2 was not deleted (see above)"
  supervise kubectl wait --for=delete "daemonset/$2" -n "$1" "--timeout=$(kubectl_timeout)" ||
    stop 3 "DaemonSet $1/$2 is not gone after $TIMEOUT"
}

# kubectl wait takes 0 as "look once" and a negative value as "for ever"; kubectl delete and rollout
# status take 0 as "for ever".
kubectl_timeout() { if [[ $TIMEOUT == 0 ]]; then echo -1s; else echo "$TIMEOUT"; fi; }

step_remove_labels() {
  local title='Remove the node labels' node
  refresh_nodes
  if ! any_node_is_labelled; then skip "$title" && return; fi
  announce "$title" 'Nothing selects them any more: that is checked once again, pods included.'
  run cni label --all --remove --key "$KEY" "${DAEMONSETS[@]}" --timeout "$TIMEOUT"
}

step_recreate_services() {
  local title='Recreate Services'
  announce "$title" "Which ones: $RECREATE. Addresses and ports are kept."
  case $RECREATE in
    none) say 'none, as told' ;;
    broken) run cni svc-recreate -A --only-broken --key "$KEY" --timeout "$TIMEOUT" ;;
    all) run cni svc-recreate -A --key "$KEY" --timeout "$TIMEOUT" ;;
  esac
}
