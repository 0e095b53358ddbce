# shellcheck shell=bash
# Ranges of addresses: arithmetic, and where the cluster says which it uses.

ip_to_int() {
  local a b c d
  IFS=. read -r a b c d <<<"$1"
  echo $(((10#$a << 24) + (10#$b << 16) + (10#$c << 8) + 10#$d))
}

is_ipv4() {
  local part
  [[ $1 =~ ^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$ ]] || return 1
  for part in "${BASH_REMATCH[@]:1}"; do ((10#$part <= 255)) || return 1; done
}

is_cidr4() { [[ $1 == */* ]] && is_ipv4 "${1%/*}" && [[ ${1#*/} =~ ^[0-9]{1,2}$ ]] && ((10#${1#*/} <= 32)); }

cidr_first() { echo $(($(ip_to_int "${1%/*}") & (0xffffffff << (32 - 10#${1#*/}) & 0xffffffff))); }
cidr_last() { echo $(($(cidr_first "$1") + (1 << (32 - 10#${1#*/})) - 1)); }

cidrs_overlap() { (($(cidr_first "$1") <= $(cidr_last "$2") && $(cidr_first "$2") <= $(cidr_last "$1"))); }
cidr_holds_ip() { is_ipv4 "$2" && cidrs_overlap "$1" "$2/32"; }
cidr_within() { (($(cidr_first "$1") >= $(cidr_first "$2") && $(cidr_last "$1") <= $(cidr_last "$2"))); }

# For many addresses against many ranges: no process a comparison.
RANGE_FIRST=() RANGE_LAST=()
remember_ranges() { # CIDRS
  local cidr
  RANGE_FIRST=() RANGE_LAST=()
  for cidr in $1; do
    if is_cidr4 "$cidr"; then RANGE_FIRST+=("$(cidr_first "$cidr")") RANGE_LAST+=("$(cidr_last "$cidr")"); fi
  done
}

in_ranges() { # IP
  local i a b c d number
  if ! is_ipv4 "$1"; then return 1; fi
  IFS=. read -r a b c d <<<"$1"
  number=$(((10#$a << 24) + (10#$b << 16) + (10#$c << 8) + 10#$d))
  for i in "${!RANGE_FIRST[@]}"; do
    if ((number >= RANGE_FIRST[i] && number <= RANGE_LAST[i])); then return 0; fi
  done
  return 1
}

# flannel's pod network, from its ConfigMap; empty when that is gone.
flannel_network() {
  local daemonset json
  for daemonset in "${FLANNEL[@]}"; do
    if [[ -z ${DAEMONSET_CONFIG[$daemonset]} ]]; then continue; fi
    json=$(kubectl get configmap -n "${daemonset%/*}" "${DAEMONSET_CONFIG[$daemonset]}" --ignore-not-found \
      -o go-template='{{with .data}}{{with index . "net-conf.json"}}{{.}}{{end}}{{end}}')
    if network_of "$json"; then return; fi
  done
  json=$(kubectl get configmap -A --field-selector metadata.name=kube-flannel-cfg \
    -o go-template='{{range .items}}{{with .data}}{{with index . "net-conf.json"}}{{.}}{{end}}{{end}}{{end}}')
  network_of "$json" || true
}

# Without that (after --purge): what each node was given for its pods; Cilium's cluster-pool has its own.
flannel_ranges() {
  local ranges
  ranges=$(flannel_network)
  if [[ -z $ranges ]]; then ranges=$(kubectl get nodes -o go-template='{{range .items}}{{with .spec.podCIDR}}{{.}} {{end}}{{end}}'); fi
  printf '%s' "$ranges"
}

network_of() { [[ $1 =~ \"Network\"[[:space:]]*:[[:space:]]*\"([^\"]+)\" ]] && echo "${BASH_REMATCH[1]}"; }

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
