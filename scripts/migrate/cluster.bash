# shellcheck shell=bash
# Reading the cluster.

# One line an object, fields separated by `|`, made by kubectl's own templates (no jq needed).

declare -A LABEL=() CORDONED=() WAS_CORDONED=() ROLE=() TAINTED=()
NODES=()

read_nodes() {
  local template out name label mark cordoned was tainted role
  template='{{range .items}}{{.metadata.name}}|{{with index .metadata.labels "'$KEY'"}}{{.}}{{end}}|'
  template+='{{with .metadata.annotations}}{{with index . "'$LABEL_MARK'"}}{{.}}{{end}}{{end}}|'
  template+='{{if .spec.unschedulable}}true{{end}}|'
  template+='{{with .metadata.annotations}}{{with index . "'$CORDON_MARK'"}}{{.}}{{end}}{{end}}|'
  template+='{{range .spec.taints}}{{if eq .key "'$TAINT'"}}true{{end}}{{end}}|'
  template+='{{range $k, $v := .metadata.labels}}{{if or (eq $k "node-role.kubernetes.io/control-plane") (eq $k "node-role.kubernetes.io/master")}}control-plane{{end}}{{end}}'
  template+='{{"\n"}}{{end}}'
  out=$(kubectl get nodes -o go-template="$template")
  NODES=() LABEL=() CORDONED=() WAS_CORDONED=() ROLE=() TAINTED=()
  while IFS='|' read -r name label mark cordoned was tainted role; do
    if [[ -z $name ]]; then continue; fi
    NODES+=("$name")
    LABEL[$name]=$label TAINTED[$name]=$tainted CORDONED[$name]=$cordoned WAS_CORDONED[$name]=$was
    ROLE[$name]=${role:+control-plane}
    if [[ -n $mark && $mark != "$KEY" ]]; then
      refuse "node $name is being migrated with the label key \"$mark\": use --key $mark"
    fi
    if [[ -n $label && $mark != "$KEY" ]]; then
      refuse "node $name carries a label $KEY=$label that is not ours: choose another one with --key"
    fi
    if ! listed ' flannel none cilium' "$label"; then
      refuse "node $name is labelled $KEY=$label, which is no state of a migration: take it off with 'kubectl cni label $name --remove --key $KEY'"
    fi
  done <<<"$out"
  if ((${#NODES[@]} == 0)); then stop 1 'the cluster has no nodes'; fi
}

# A dry run changes nothing, so what it would have changed is kept in these tables only.
refresh_nodes() { if ! $DRY_RUN; then read_nodes; fi; }

# nodes_where LABEL ROLE: names, one a line; `any` matches everything, ROLE worker or control-plane.
nodes_where() {
  local node role
  for node in "${NODES[@]}"; do
    role=${ROLE[$node]:-worker}
    if [[ $1 != any && ${LABEL[$node]} != "$1" ]]; then continue; fi
    if [[ $2 != any && $role != "$2" ]]; then continue; fi
    printf '%s\n' "$node"
  done
}

any_node_is() { [[ -n $(nodes_where "$1" any) ]]; }

# The CNI DaemonSets, recognised by what they are (label or image), whatever their name.
# FLANNEL, CILIUM: `namespace/name` words. CILIUM_PINNED: does Cilium's template select our key?
FLANNEL=() CILIUM=() CILIUM_PINNED=false
declare -A DAEMONSET_UID=() DAEMONSET_CONFIG=()

read_daemonsets() {
  local template out namespace name uid app k8s_app images selector config
  template='{{range .items}}{{.metadata.namespace}}|{{.metadata.name}}|{{.metadata.uid}}|'
  template+='{{with .spec.template.metadata.labels}}{{with .app}}{{.}}{{end}}|{{with index . "k8s-app"}}{{.}}{{end}}{{else}}|{{end}}|'
  template+='{{range .spec.template.spec.containers}}{{.image}},{{end}}|'
  template+='{{with .spec.template.spec.nodeSelector}}{{with index . "'$KEY'"}}{{.}}{{end}}{{end}}|'
  template+='{{range .spec.template.spec.volumes}}{{with .configMap}}{{.name}},{{end}}{{end}}{{"\n"}}{{end}}'
  out=$(kubectl get daemonsets -A -o go-template="$template")
  FLANNEL=() CILIUM=() CILIUM_PINNED=false
  while IFS='|' read -r namespace name uid app k8s_app images selector config; do
    if [[ -z $name ]]; then continue; fi
    DAEMONSET_UID[$namespace/$name]=$uid DAEMONSET_CONFIG[$namespace/$name]=${config%%,*}
    if [[ $namespace/$name == "$FLANNEL_DAEMONSET" || $app == flannel || $k8s_app == flannel || $images =~ (^|[/,])(mirrored-flannelcni-)?flannel[:@,] ]]; then
      FLANNEL+=("$namespace/$name")
    elif [[ $namespace/$name == "$CILIUM_DAEMONSET" || $k8s_app == cilium || $images =~ (^|[/,])cilium(-ci|-dev)?[:@,] ]]; then
      CILIUM+=("$namespace/$name")
      if [[ -n $selector ]]; then CILIUM_PINNED=true; fi
    fi
  done <<<"$out"
}

# Is the order bridged under way? Sets TAKEOVER_IN to the namespace of our CiliumNodeConfig, or ''.
TAKEOVER_IN=''
read_takeover() {
  local crd
  TAKEOVER_IN=
  crd=$(kubectl get customresourcedefinition ciliumnodeconfigs.cilium.io --ignore-not-found -o name)
  if [[ -z $crd ]]; then return; fi
  TAKEOVER_IN=$(kubectl get ciliumnodeconfigs.cilium.io -A --field-selector "metadata.name=$TAKEOVER" -o go-template='{{range .items}}{{.metadata.namespace}}{{end}}')
}

# Pods of the whole cluster: namespace|name|node|phase|ready|hostNetwork|podIP|uid of the controller
pods() {
  local template
  template='{{range .items}}{{.metadata.namespace}}|{{.metadata.name}}|{{with .spec.nodeName}}{{.}}{{end}}|{{.status.phase}}|'
  template+='{{range .status.conditions}}{{if eq .type "Ready"}}{{.status}}{{end}}{{end}}|{{if .spec.hostNetwork}}true{{end}}|'
  template+='{{with .status.podIP}}{{.}}{{end}}|{{range .metadata.ownerReferences}}{{if .controller}}{{.uid}}{{end}}{{end}}{{"\n"}}{{end}}'
  kubectl get pods -A -o go-template="$template"
}

# Deployments, StatefulSets and DaemonSets that are not fully rolled out and ready: kind/namespace/name.
# Those that were broken before we came, and no worse, are another matter: `workloads_not_ready as-before`.
workloads_not_ready() {
  local class template out kind namespace name mark generation observed strategy want updated ready
  template='{{range .items}}{{.kind}}|{{.metadata.namespace}}|{{.metadata.name}}|'
  template+='{{with .metadata.annotations}}{{with index . "'$UNREADY_MARK'"}}{{.}}{{end}}{{end}}|{{.metadata.generation}}|'
  template+='{{with .status.observedGeneration}}{{.}}{{end}}|'
  template+='{{if .spec.paused}}paused{{end}}{{with .spec.updateStrategy}}{{if eq .type "OnDelete"}}ondelete{{end}}'
  template+='{{with .rollingUpdate}}{{with .partition}}partition{{end}}{{end}}{{end}}|'
  template+='{{if eq .kind "DaemonSet"}}{{.status.desiredNumberScheduled}}|{{with .status.updatedNumberScheduled}}{{.}}{{end}}|{{.status.numberReady}}'
  template+='{{else}}{{.spec.replicas}}|{{with .status.updatedReplicas}}{{.}}{{end}}|{{with .status.readyReplicas}}{{.}}{{end}}{{end}}{{"\n"}}{{end}}'
  out=$(kubectl get deployments,statefulsets,daemonsets -A -o go-template="$template")
  while IFS='|' read -r kind namespace name mark generation observed strategy want updated ready; do
    if [[ -z $name ]]; then continue; fi
    class=
    if [[ $mark =~ ^[0-9]+$ ]] && ((${ready:-0} >= mark)); then class=as-before; fi
    if [[ $class != "${1-}" ]]; then continue; fi
    # Paused, OnDelete, partitions: pods of an older revision are what the owner asked for.
    if [[ -n $strategy ]]; then updated=$want; fi
    if ((${observed:-0} < generation || ${updated:-0} < want || ${ready:-0} < want)); then
      printf '%s/%s/%s\n' "${kind,,}" "$namespace" "$name"
    fi
  done <<<"$out"
}
