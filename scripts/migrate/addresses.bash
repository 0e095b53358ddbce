# shellcheck shell=bash
# Ranges of addresses: arithmetic, and where the cluster says which it uses.

# Results in variables: thousands of addresses are compared, without a process for each.

set_ip() { # ADDRESS: sets IP_NUMBER
  local a b c d
  IFS=. read -r a b c d <<<"$1"
  IP_NUMBER=$(((10#$a << 24) + (10#$b << 16) + (10#$c << 8) + 10#$d))
}

is_ipv4() {
  local part
  [[ $1 =~ ^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$ ]] || return 1
  for part in "${BASH_REMATCH[@]:1}"; do ((10#$part <= 255)) || return 1; done
}

is_cidr4() { [[ $1 == */* ]] && is_ipv4 "${1%/*}" && [[ ${1#*/} =~ ^[0-9]{1,2}$ ]] && ((10#${1#*/} <= 32)); }

set_bounds() { # CIDR: sets LOWEST and HIGHEST
  local size=$((1 << (32 - 10#${1#*/})))
  set_ip "${1%/*}"
  LOWEST=$((IP_NUMBER / size * size)) HIGHEST=$((IP_NUMBER / size * size + size - 1))
}

set_both_bounds() { # CIDR OTHER: sets LOWEST and HIGHEST to the first one's, LOWEST2 and HIGHEST2 to the other's
  set_bounds "$2"
  LOWEST2=$LOWEST HIGHEST2=$HIGHEST
  set_bounds "$1"
}

cidrs_overlap() { set_both_bounds "$1" "$2" && ((LOWEST <= HIGHEST2 && LOWEST2 <= HIGHEST)); }
cidr_holds_ip() { is_ipv4 "$2" && cidrs_overlap "$1" "$2/32"; }
cidr_within() { set_both_bounds "$1" "$2" && ((LOWEST >= LOWEST2 && HIGHEST <= HIGHEST2)); }

RANGE_FIRST=() RANGE_LAST=()
remember_ranges() { # CIDRS
  local cidr
  RANGE_FIRST=() RANGE_LAST=()
  for cidr in $1; do
    if is_cidr4 "$cidr"; then set_bounds "$cidr" && RANGE_FIRST+=("$LOWEST") RANGE_LAST+=("$HIGHEST"); fi
  done
}

in_ranges() { # IP
  local i
  if ! is_ipv4 "$1"; then return 1; fi
  set_ip "$1"
  for i in "${!RANGE_FIRST[@]}"; do
    if ((IP_NUMBER >= RANGE_FIRST[i] && IP_NUMBER <= RANGE_LAST[i])); then return 0; fi
  done
  return 1
}

# flannel's net-conf.json, from the ConfigMap that it mounts or the one by the usual name; empty when both
# are gone.
flannel_conf() {
  local daemonset json
  for daemonset in "${FLANNEL[@]}"; do
    if [[ -z ${DAEMONSET_CONFIG[$daemonset]} ]]; then continue; fi
    json=$(kubectl get configmap -n "${daemonset%/*}" "${DAEMONSET_CONFIG[$daemonset]}" --ignore-not-found \
      -o go-template='{{with .data}}{{with index . "net-conf.json"}}{{.}}{{end}}{{end}}')
    if [[ -n $json ]]; then printf '%s' "$json" && return; fi
  done
  kubectl get configmap -A --field-selector metadata.name=kube-flannel-cfg \
    -o go-template='{{range .items}}{{with .data}}{{with index . "net-conf.json"}}{{.}}{{end}}{{end}}{{end}}'
}

# flannel's pod network; empty when it is not known any more.
flannel_network() {
  local json
  json=$(flannel_conf)
  if [[ $json =~ \"Network\"[[:space:]]*:[[:space:]]*\"([^\"]+)\" ]]; then echo "${BASH_REMATCH[1]}"; fi
}

# Without that (after --purge): what each node was given for its pods; Cilium's cluster-pool has its own.
flannel_ranges() {
  local ranges
  ranges=$(flannel_network)
  if [[ -z $ranges ]]; then ranges=$(kubectl get nodes -o go-template='{{range .items}}{{with .spec.podCIDR}}{{.}} {{end}}{{end}}'); fi
  printf '%s' "$ranges"
}

# The Service ranges, as far as a client can know them.
service_ranges() {
  local out
  out=$(kubectl get servicecidrs -o go-template='{{range .items}}{{range .spec.cidrs}}{{.}} {{end}}{{end}}' 2>/dev/null) || out=
  if [[ -z $out ]]; then
    out=$(kubectl get pods -n kube-system -l component=kube-apiserver -o go-template='{{range .items}}{{range .spec.containers}}{{range .command}}{{.}} {{end}}{{range .args}}{{.}} {{end}}{{end}}{{end}}')
    out=$(grep -o -- '--service-cluster-ip-range=[^ ]*' <<<"$out" | head -1 | cut -d= -f2 | tr , ' ') || true
  fi
  if [[ -z $out ]]; then
    out=$(kubectl get configmap -n kube-system kubeadm-config --ignore-not-found -o go-template='{{with .data}}{{with index . "ClusterConfiguration"}}{{.}}{{end}}{{end}}')
    out=$(sed -n 's/^ *serviceSubnet: *//p' <<<"$out" | tr , ' ')
  fi
  printf '%s' "$out"
}

cluster_ips() {
  kubectl get services -A -o go-template='{{range .items}}{{with .spec.clusterIP}}{{.}}{{"\n"}}{{end}}{{end}}'
}
