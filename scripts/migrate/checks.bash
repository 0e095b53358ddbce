# shellcheck shell=bash
# Checks before the first step: where are we, and what would go wrong?

refuse_without_flannel() {
  local embedded
  embedded=$(kubectl get nodes -o go-template='{{range .items}}{{range $k, $v := .metadata.annotations}}{{if eq $k "flannel.alpha.coreos.com/backend-type"}}{{$v}} {{end}}{{end}}{{end}}')
  if [[ -n $embedded ]]; then
    refuse 'flannel runs on the nodes but has no DaemonSet: it is embedded (k3s does so) and cannot be moved by node labels; restart k3s with --flannel-backend=none in a maintenance window instead'
  fi
  refuse 'found no flannel DaemonSet (label app=flannel or a flannel image), and no migration to continue'
}

# Names of the nodes on which a pod of these DaemonSets runs (a line each).
nodes_with_pods_of() {
  local daemonset uids=' ' out node owner
  for daemonset; do uids+="${DAEMONSET_UID[$daemonset]} "; done
  out=$(pods)
  while IFS='|' read -r _ _ node _ _ _ _ owner; do
    if [[ -n $owner && $uids == *" $owner "* && -n $node ]]; then printf '%s\n' "$node"; fi
  done <<<"$out"
}

# One field of ConfigMap cilium-config in the manifest that was read last.
config_value() { sed -n "s/^$1=//p" <<<"$CILIUM_CONFIG" | head -1; }

# What the manifest FILE says: daemonset=…, config=yes, and each key=value of ConfigMap cilium-config.
read_manifest() { # FILE
  local template
  template='{{if eq .kind "DaemonSet"}}{{with .spec.template.metadata.labels}}{{with index . "k8s-app"}}daemonset={{.}}{{"\n"}}{{end}}{{end}}{{end}}'
  template+='{{if eq .kind "ConfigMap"}}{{if eq .metadata.name "cilium-config"}}config=yes{{"\n"}}{{range $k, $v := .data}}{{$k}}={{$v}}{{"\n"}}{{end}}{{end}}{{end}}'
  MANIFEST=$1
  CILIUM_CONFIG=$(kubectl create --dry-run=client --validate=false -f "$1" -o go-template="$template") ||
    stop 1 "$1: kubectl cannot read it for this cluster"
  grep -qx daemonset=cilium <<<"$CILIUM_CONFIG" ||
    refuse "$1 holds no DaemonSet of Cilium's agent (label k8s-app=cilium)"
  grep -qx config=yes <<<"$CILIUM_CONFIG" || refuse "$1 holds no ConfigMap cilium-config"
}

check_manifest() {
  local cidr
  if [[ $MODE == bridged ]]; then check_final_manifest; fi
  read_manifest "$CILIUM_FILE"
  check_value ipam cluster-pool ipam.mode=cluster-pool
  check_value kube-proxy-replacement 'false disabled' kubeProxyReplacement=false
  check_value unmanaged-pod-watcher-interval '0 0s' operator.unmanagedPodWatcher.restart=false
  if [[ $MODE == bridged ]]; then check_bridged_manifest; fi
  if [[ $MODE == islands && $(config_value custom-cni-conf) == true ]]; then
    refuse "$CILIUM_FILE: custom-cni-conf is true, so Cilium would never write its CNI configuration: set cni.customConf=false"
  fi
  CILIUM_RANGES=$(config_value cluster-pool-ipv4-cidr | tr , ' ')
  if [[ -z $CILIUM_RANGES ]]; then
    refuse "$CILIUM_FILE: no cluster-pool-ipv4-cidr: set ipam.operator.clusterPoolIPv4PodCIDRList=10.245.0.0/16 or another range that is free"
  fi
  if [[ $MODE == bridged && $CILIUM_RANGES != "$FINAL_RANGES" ]]; then
    refuse "$CILIUM_FINAL_FILE: cluster-pool-ipv4-cidr is \"$FINAL_RANGES\", in $CILIUM_FILE it is \"$CILIUM_RANGES\": pods keep their addresses, so both must be the same"
  fi
  for cidr in $CILIUM_RANGES; do
    is_cidr4 "$cidr" || refuse "$CILIUM_FILE: cluster-pool-ipv4-cidr \"$cidr\" is not an IPv4 range"
  done
}

check_value() { # KEY ALLOWED HELM-VALUE
  local value
  value=$(config_value "$1")
  if [[ -z $value ]] || ! listed "$2" "$value"; then
    refuse "$MANIFEST: $1 is \"${value:-not set}\": set $3"
  fi
}

check_ranges() {
  local network services cidr range ip ips
  network=$(flannel_network)
  services=$(service_ranges)
  ips=$(cluster_ips)
  is_cidr4 "$network" || refuse 'cannot find flannel'\''s pod network: its ConfigMap (kube-flannel-cfg, net-conf.json) has no IPv4 "Network"'
  for cidr in $CILIUM_RANGES; do
    if cidrs_overlap "$cidr" "$network"; then
      refuse "Cilium's pod range $cidr overlaps flannel's $network: set ipam.operator.clusterPoolIPv4PodCIDRList to a range that is free"
    fi
    for range in $services; do
      if is_cidr4 "$range" && cidrs_overlap "$cidr" "$range"; then
        refuse "Cilium's pod range $cidr overlaps the Service range $range: set ipam.operator.clusterPoolIPv4PodCIDRList to a range that is free"
      fi
    done
    for ip in $ips; do
      if cidr_holds_ip "$cidr" "$ip"; then
        refuse "Cilium's pod range $cidr holds the Service address $ip: set ipam.operator.clusterPoolIPv4PodCIDRList to a range that is free"
      fi
    done
  done
}

# kube-proxy masquerades what does not come from its clusterCIDR; Cilium's pods then look like strangers.
warn_of_kube_proxy() {
  local out cluster_cidr cidr part covered
  out=$(kubectl get configmap -n kube-system kube-proxy --ignore-not-found -o go-template='{{with .data}}{{with index . "config.conf"}}{{.}}{{end}}{{end}}')
  cluster_cidr=$(sed -n 's/^clusterCIDR: *//p' <<<"$out" | tr -d '"' | tr , ' ')
  if [[ -z $cluster_cidr ]]; then return; fi
  for cidr in $CILIUM_RANGES; do
    covered=false
    for part in $cluster_cidr; do
      if is_cidr4 "$part" && cidr_within "$cidr" "$part"; then covered=true; fi
    done
    $covered || warn "kube-proxy's clusterCIDR $cluster_cidr does not cover Cilium's $cidr: Services see node addresses instead of those pods'; set clusterCIDR in ConfigMap kube-system/kube-proxy after the migration"
  done
}

# Trap: the API server's node leaves flannel (and gets Cilium) before or after the pods that serve its
# webhooks. Calls between the islands fail, and with failurePolicy Fail so do our own evictions.
check_webhooks() {
  local network kind template out name service addresses ip found=''
  if [[ -z $(nodes_where any control-plane) ]]; then return; fi
  network=$(flannel_network)
  out=
  for kind in validatingwebhookconfigurations mutatingwebhookconfigurations; do
    template='{{range .items}}{{$n := .metadata.name}}{{range .webhooks}}{{if ne .failurePolicy "Ignore"}}{{with .clientConfig.service}}'$kind'/{{$n}}|{{.namespace}}/{{.name}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}'
    out+=$(kubectl get "$kind" -o go-template="$template")$'\n'
  done
  template='{{range .items}}{{$n := .metadata.name}}{{with .spec.service}}apiservice/{{$n}}|{{.namespace}}/{{.name}}{{"\n"}}{{end}}{{end}}'
  out+=$(kubectl get apiservices -o go-template="$template")$'\n'
  template='{{range .items}}{{$n := .metadata.name}}{{with .spec.conversion}}{{with .webhook}}{{with .clientConfig}}{{with .service}}crd/{{$n}}|{{.namespace}}/{{.name}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}{{end}}'
  out+=$(kubectl get customresourcedefinitions -o go-template="$template")
  while IFS='|' read -r name service; do
    if [[ -z $service ]]; then continue; fi
    addresses=$(kubectl get endpointslices -n "${service%/*}" -l "kubernetes.io/service-name=${service#*/}" \
      -o go-template='{{range .items}}{{range .endpoints}}{{range .addresses}}{{.}} {{end}}{{end}}{{end}}')
    for ip in $addresses; do
      if cidr_holds_ip "$network" "$ip"; then found+="${found:+, }$name (Service $service)" && break; fi
    done
  done < <(sort -u <<<"$out")
  if [[ -z $found ]]; then return; fi
  if $ACCEPT_WEBHOOK_OUTAGE; then warn "served from the pod network, out of reach while the islands are apart: $found" && return; fi
  refuse "served by pods on the pod network, which the API server cannot reach while its node and they are on different islands: $found. Give them hostNetwork or failurePolicy Ignore for the migration, or go on with --accept-webhook-outage"
}

# Every node must let us log in before the first one goes dark. `cleanup --check` exits 1 when there
# is residue, which is what we expect now; only an error line means trouble.
check_ssh() {
  local code=0
  complaints_of cni cleanup --all --check "${SSH[@]}" || code=$?
  if ((code > 1)) || grep -qi '^error' <<<"$SAID"; then
    printf '%s\n' "$SAID" >&2
    stop "$((code > 1 ? code : 1))" 'cannot look at every node over ssh (see the ssh flags in --help)'
  fi
}

# Everything that would stop a drain half-way shows in its dry run; its lines matter only if it fails.
check_drain() { # NODE|--all
  local code=0
  complaints_of cni evict "$1" --dry-run "${EVICT_FLAGS[@]}" || code=$?
  if ((code == 0)); then return; fi
  printf '%s\n' "$SAID" >&2
  stop "$code" "$(if [[ $1 == --all ]]; then echo 'not every node'; else echo "node $1 not"; fi) can be emptied (see above)"
}

choose_evict_flags() {
  EVICT_FLAGS=(--recreate-bare-pods --key "$KEY" "${DAEMONSETS[@]}" "--timeout=$TIMEOUT")
  if $DELETE_EMPTYDIR; then EVICT_FLAGS+=(--delete-emptydir-data); fi
  # With nowhere to go no budget can be met; --accept-outage has said that this is understood.
  if $ACCEPT_OUTAGE; then EVICT_FLAGS+=(--disable-eviction); fi
}

preflight() {
  local unready
  if [[ $PHASE == late ]] && ! any_node_is_labelled && ((${#FLANNEL[@]} == 0)) && [[ -z $(flannel_backups unproved) ]]; then ONLY_PROVE=true; fi
  check_manifest
  check_kube_proxy
  if listed 'dark bridge' "$PHASE"; then
    check_ranges
    warn_of_kube_proxy
    if [[ $MODE == islands ]]; then check_webhooks; fi
    "choose_$MODE"
    check_drain --all
    unready=$(workloads_not_ready | tr '\n' ' ')
    if [[ -n $unready ]]; then warn "not fully ready now: $unready$(if ! any_node_is_labelled; then echo '(so not waited for later either)'; fi)"; fi
  fi
  check_ssh
}
