# shellcheck shell=bash
# --with-kube-proxy, the idea's open question tried out: kube-proxy only on the nodes of the CNI that the
# workloads are on at the moment. It is of no use and some harm (README): where its pod leaves, its rules
# stay and grow old.

readonly KUBE_PROXY=kube-proxy   # DaemonSet in kube-system, as kubeadm calls it

kube_proxy_pin() {
  kubectl get daemonset "$KUBE_PROXY" -n kube-system --ignore-not-found -o go-template='{{with .spec.template.spec.nodeSelector}}{{with index . "'"$KEY"'"}}{{.}}{{end}}{{end}}'
}

check_kube_proxy() {
  local pinned
  pinned=$(kube_proxy_pin)
  # Begun with it, it goes on with it: the pods would move to nodes without kube-proxy.
  if [[ -n $pinned ]] && ! $WITH_KUBE_PROXY; then
    warn "kube-proxy is pinned to $KEY=$pinned by a run with --with-kube-proxy: as if it were given"
    WITH_KUBE_PROXY=true
  fi
  if ! $WITH_KUBE_PROXY; then return; fi
  if [[ -z $(kubectl get daemonset "$KUBE_PROXY" -n kube-system --ignore-not-found -o name) ]]; then
    refuse "--with-kube-proxy: there is no DaemonSet kube-system/$KUBE_PROXY"
  fi
  warn '--with-kube-proxy is an experiment: nodes without kube-proxy do not learn of changed Services and endpoints'
}

select_kube_proxy() { # VALUE
  if ! $WITH_KUBE_PROXY; then return; fi
  patch_kube_proxy "\"$1\""
  wait_for_kube_proxy
}

# The wait also where the pin is off already: pods that still carry it must not outlive the labels.
release_kube_proxy() {
  local pinned
  pinned=$(kube_proxy_pin)
  if [[ -n $pinned ]] || { $DRY_RUN && $WITH_KUBE_PROXY; }; then patch_kube_proxy null; fi
  if $WITH_KUBE_PROXY; then wait_for_kube_proxy; fi
}

patch_kube_proxy() { # JSON VALUE
  run kubectl patch daemonset "$KUBE_PROXY" -n kube-system --type merge -p \
    '{"spec":{"template":{"spec":{"nodeSelector":{"'"$KEY"'":'"$1"'}}}}}'
}

wait_for_kube_proxy() {
  wait_for_rollout "daemonset/$KUBE_PROXY" kube-system 'kube-proxy does not become Ready on the nodes that it is to run on'
}
