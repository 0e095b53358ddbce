# shellcheck shell=bash
# --purge.

# --purge, only after the proof: what flannel's DaemonSet lived on, read from the backup of it. What
# serves others as well stays.
purge_flannel() {
  local out namespace name
  if ! $PURGE; then return; fi
  if $DRY_RUN; then
    echo "# flannel's ConfigMap, ServiceAccount, RBAC and namespace, as its backup names them, are deleted"
    return
  fi
  say "purge: flannel's ConfigMap, RBAC and namespace"
  out=$(kubectl get secrets -A -l "$DELETED_LABEL=true" -o go-template='{{range .items}}{{.metadata.namespace}}|{{.metadata.name}}{{"\n"}}{{end}}')
  if [[ -z $out ]]; then warn 'no backup of flannel'\''s DaemonSet is left, so what belonged to it is not known; nothing was purged'; fi
  while IFS='|' read -r namespace name; do
    if [[ -n $name ]]; then purge_what_backup_names "$namespace" "$name"; fi
  done <<<"$out"
}

purge_what_backup_names() { # NAMESPACE SECRET
  local out account config
  out=$(kubectl get secret -n "$1" "$2" -o go-template='{{index .data "object.json" | base64decode}}' |
    kubectl create --dry-run=client --validate=false -f - -o go-template='{{with .spec.template.spec.serviceAccountName}}{{.}}{{end}}|{{range .spec.template.spec.volumes}}{{with .configMap}}{{.name}} {{end}}{{end}}')
  IFS='|' read -r account config <<<"$out"
  if [[ -n $account && $account != default ]]; then
    purge_bindings "$1" "$account"
    run kubectl delete serviceaccount "$account" -n "$1" --ignore-not-found
  fi
  for config in $config; do run kubectl delete configmap "$config" -n "$1" --ignore-not-found; done
  purge_namespace "$1"
}

# The ClusterRoleBindings of that ServiceAccount alone, and their ClusterRoles that nobody else is bound to.
purge_bindings() { # NAMESPACE ACCOUNT
  local out binding role subjects left
  out=$(kubectl get clusterrolebindings -o go-template='{{range .items}}{{$b := .}}{{range .subjects}}{{if and (eq .kind "ServiceAccount") (eq .name "'"$2"'")}}{{if eq .namespace "'"$1"'"}}{{$b.metadata.name}}|{{$b.roleRef.name}}|{{len $b.subjects}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}')
  while IFS='|' read -r binding role subjects; do
    if [[ -z $binding ]]; then continue; fi
    if ((subjects > 1)); then warn "clusterrolebinding/$binding stays, it binds others as well" && continue; fi
    run kubectl delete clusterrolebinding "$binding" --ignore-not-found
    left=$(kubectl get clusterrolebindings,rolebindings -A -o go-template='{{range .items}}{{if and (eq .roleRef.kind "ClusterRole") (eq .roleRef.name "'"$role"'")}}{{.metadata.name}} {{end}}{{end}}')
    if [[ -n $left || $role =~ ^(system:|cluster-admin$|admin$|edit$|view$) ]]; then continue; fi
    run kubectl delete clusterrole "$role" --ignore-not-found
  done <<<"$out"
}

purge_namespace() { # NAMESPACE
  local left kinds
  if listed 'kube-system default' "$1"; then return; fi
  kinds=$(kubectl api-resources --verbs=list --namespaced -o name | grep -vE '^(events|pods\.metrics)' | paste -sd,)
  left=$(kubectl get "$kinds" -n "$1" -o name --ignore-not-found)
  left=$(grep -vxE <<<"$left" \
    'configmap/kube-root-ca.crt|serviceaccount/default|secret/(default-token|flannel-token|kubectl-cni-backup-daemonset)-.*' || true)
  if [[ -n $left ]]; then
    warn "namespace $1 stays, it holds more: $(one_line "$left")"
    return
  fi
  run kubectl delete namespace "$1" "--timeout=$(kubectl_timeout)"
}
