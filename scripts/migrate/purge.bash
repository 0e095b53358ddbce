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
  out=$(flannel_backups)
  if [[ -z $out ]]; then warn 'no backup of flannel'\''s DaemonSet is left, so what belonged to it is not known; nothing was purged'; fi
  while IFS='|' read -r namespace name; do
    if [[ -n $name ]]; then purge_what_backup_names "$namespace" "$name"; fi
  done <<<"$out"
  # Last, for the backups are in there as well.
  while read -r namespace; do
    if [[ -n $namespace ]]; then purge_namespace "$namespace"; fi
  done < <(cut -d'|' -f1 <<<"$out" | sort -u)
}

purge_what_backup_names() { # NAMESPACE SECRET
  local out account config used
  out=$(kubectl get secret -n "$1" "$2" -o go-template='{{index .data "object.json" | base64decode}}' |
    kubectl create --dry-run=client --validate=false -f - -o go-template='{{with .spec.template.spec.serviceAccountName}}{{.}}{{end}}|{{range .spec.template.spec.volumes}}{{with .configMap}}{{.name}} {{end}}{{end}}')
  IFS='|' read -r account config <<<"$out"
  used=$(in_use "$1")
  if [[ -n $account && $account != default ]]; then
    if grep -qxF "account $account" <<<"$used"; then
      warn "serviceaccount/$account in namespace $1 and its rights stay, others use it"
    else
      purge_bindings "$1" "$account"
      run kubectl delete serviceaccount "$account" -n "$1" --ignore-not-found
    fi
  fi
  for config in $config; do purge_config "$1" "$config" "$used"; done
}

# What pods and workloads of a namespace still use: `account NAME` and `config NAME`, a line each.
in_use() { # NAMESPACE
  local spec='{{with .serviceAccountName}}account {{.}}{{"\n"}}{{end}}{{range .volumes}}{{with .configMap}}config {{.name}}{{"\n"}}{{end}}{{with .projected}}{{range .sources}}{{with .configMap}}config {{.name}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}'
  spec+='{{range .containers}}{{range .envFrom}}{{with .configMapRef}}config {{.name}}{{"\n"}}{{end}}{{end}}{{range .env}}{{with .valueFrom}}{{with .configMapKeyRef}}config {{.name}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}'
  kubectl get pods -n "$1" -o go-template='{{range .items}}{{with .spec}}'"$spec"'{{end}}{{end}}'
  kubectl get deployments,statefulsets,daemonsets,replicasets,jobs -n "$1" -o go-template='{{range .items}}{{with .spec.template.spec}}'"$spec"'{{end}}{{end}}'
  kubectl get cronjobs -n "$1" -o go-template='{{range .items}}{{with .spec.jobTemplate.spec.template.spec}}'"$spec"'{{end}}{{end}}'
}

# flannel's own ConfigMap has its network in it; others that it mounted are not its own.
purge_config() { # NAMESPACE NAME USED
  local own
  own=$(kubectl get configmap "$2" -n "$1" --ignore-not-found -o go-template='{{with .data}}{{if index . "net-conf.json"}}yes{{end}}{{end}}')
  if [[ -z $own ]]; then return; fi
  if grep -qxF "config $2" <<<"$3"; then
    warn "configmap/$2 in namespace $1 stays, others use it"
  else
    run kubectl delete configmap "$2" -n "$1" --ignore-not-found
  fi
}

# The ClusterRoleBindings of that ServiceAccount alone, and their ClusterRoles that nobody else is bound
# to. The role goes first: killed in between, the next run still finds it by its binding.
purge_bindings() { # NAMESPACE ACCOUNT
  local out binding role subjects others
  out=$(kubectl get clusterrolebindings -o go-template='{{range .items}}{{$b := .}}{{range .subjects}}{{if and (eq .kind "ServiceAccount") (eq .name "'"$2"'")}}{{if eq .namespace "'"$1"'"}}{{$b.metadata.name}}|{{$b.roleRef.name}}|{{len $b.subjects}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}')
  while IFS='|' read -r binding role subjects; do
    if [[ -z $binding ]]; then continue; fi
    if ((subjects > 1)); then warn "clusterrolebinding/$binding stays, it binds others as well" && continue; fi
    others=$(kubectl get clusterrolebindings,rolebindings -A -o go-template='{{range .items}}{{if and (eq .roleRef.kind "ClusterRole") (eq .roleRef.name "'"$role"'")}}{{.kind}}/{{.metadata.name}}{{"\n"}}{{end}}{{end}}')
    others=$(grep -vxF "ClusterRoleBinding/$binding" <<<"$others" || true)
    if [[ -z $others && ! $role =~ ^(system:|cluster-admin$|admin$|edit$|view$) ]]; then
      run kubectl delete clusterrole "$role" --ignore-not-found
    fi
    run kubectl delete clusterrolebinding "$binding" --ignore-not-found
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
  run kubectl delete namespace "$1" "--timeout=$TIMEOUT"
}
