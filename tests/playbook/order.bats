#!/usr/bin/env bats
# The order of the steps, and where a new run continues, read from --dry-run.

load prelude

CILIUM_PINNED='kube-system|cilium|uid-c||cilium|quay.io/cilium/cilium:v1.20.2,|cilium|'
CILIUM_FREE='kube-system|cilium|uid-c||cilium|quay.io/cilium/cilium:v1.20.2,||'

# The commands in short: verb, node and what tells them apart.
steps() {
  run migrate --dry-run "$@"
  [ "$status" -eq 0 ]
  grep -v '^ \|^\[\|^The\|^$\|^#\|^Warning' <<<"$output" |
    sed -E "s/ --(timeout|key)[ =][^ ]+//g; s/ --recreate-bare-pods//; s/kubectl cni //; s/^echo '.*' \| //; s| [^ ]*/cilium.yaml||"
}

dark() { printf '%s\n' "kubectl cordon $1" "label $1 --to none --wait" "evict $1" "cleanup $1"; }
TAINT=kubectl-cni/still-on-flannel
avoid() { printf "kubectl taint nodes %s $TAINT=:PreferNoSchedule\n" "$@"; } # NODE...
light() { # NODE..., with a + where a taint is to go
  local node names="${*//+/}"
  printf '%s\n' "label $names --to cilium --wait" "cleanup $names --wait-conf" "evict $names --recycle" "cleanup $names"
  for node; do
    printf 'kubectl uncordon %s\n' "${node%+}"
    if [[ $node == *+ ]]; then printf 'kubectl taint nodes %s %s-\n' "${node%+}" "$TAINT"; fi
  done
}
begin() { # "again" when a node is dark: nobody waits for pods that may have nowhere to go
  printf '%s\n' "label --all --from '' --to flannel" "pin --to flannel$(if [[ ${1-} != again ]]; then echo ' --wait'; fi)" \
    'pin --cni flannel --to flannel --wait' \
    'pin -f --to cilium | kubectl apply --server-side --field-manager=kubectl-cni -f -'
}
move() { printf 'kubectl cordon %s\n' "$@"; printf '%s\n' 'pin --remove --rollout' 'pin --remove --rollout --wait'; }
moved() { printf '%s\n' "cleanup $*" 'pin --remove --rollout --wait'; } # NODE...
finish() {
  printf '%s\n' 'pin --cni cilium --remove --wait'
  if [[ ${1-} != without-flannel ]]; then
    printf '%s\n' 'kubectl get daemonset -n kube-flannel kube-flannel-ds -o json  # kept in Secret kubectl-cni-backup-daemonset-kube-flannel-ds' \
      'kubectl delete --raw /apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds -f -'
  fi
  printf '%s\n' 'label --all --remove' 'svc-recreate -A --only-broken' 'cleanup --all --check'
}

same() { diff -u <(cat) <(printf '%s\n' "$1"); }

@test "a fresh cluster: the whole order" {
  nodes 'cp1 -' 'w1 -' 'w2 -' 'w3 -'
  plan=$(steps)
  { begin; avoid w1 w2 cp1; dark w1; dark w2; dark cp1; light cp1+ w1+ w2+; move w3; dark w3; light w3; moved cp1 w1 w2 w3; finish; } | same "$plan"
}

@test "nothing is changed by --dry-run" {
  steps
  run grep -v -e '--check' -e '--dry-run' "$FAKE/changes"
  [ -z "$output" ]
}

@test "five workers: n/2+1 first; --first says otherwise; never all" {
  nodes 'w1 -' 'w2 -' 'w3 -' 'w4 -' 'w5 -'
  run migrate --dry-run
  [[ $output == *'first            w1 w2 w3'$'\n'* ]]
  run migrate --dry-run --first 1
  [[ $output == *'first            w1'$'\n'* ]]
  run migrate --dry-run --first 5
  [ "$status" -eq 4 ]
  [[ $output == *'at most 4'* ]]
  nodes 'w1 -' 'w2 -'
  run migrate --dry-run
  [[ $output == *'first            w1'$'\n'* ]]
}

@test "one schedulable worker needs --accept-outage" {
  nodes 'cp1 -' 'w1 -'
  run migrate --dry-run
  [ "$status" -eq 4 ]
  [[ $output == *--accept-outage* ]]
  plan=$(steps --accept-outage)
  [[ $plan == *'evict w1 --disable-eviction'* ]]
}

@test "killed in the first half: those that are dark stay in it, all is done again" {
  nodes 'cp1 flannel' 'w1 flannel' 'w2 flannel' 'w3 none cordoned'
  plan=$(steps)
  { begin again; avoid w1 cp1; dark w3; dark w1; dark cp1; light cp1+ w1+ w3; move w2; dark w2; light w2; moved cp1 w1 w2 w3; finish; } | same "$plan"
}

@test "killed before Cilium's label: nobody else goes dark" {
  echo "$CILIUM_PINNED" >>"$FAKE/daemonsets"
  nodes 'cp1 none x' 'w1 none x' 'w2 none x' 'w3 flannel'
  plan=$(steps)
  { begin again; dark w1; dark w2; dark cp1; light cp1 w1 w2; move w3; dark w3; light w3; moved cp1 w1 w2 w3; finish; } | same "$plan"
}

@test "labelled cilium but cordoned: finished first, nothing is pinned any more" {
  echo "$CILIUM_PINNED" >>"$FAKE/daemonsets"
  nodes 'cp1 cilium x' 'w1 cilium' 'w2 cilium x' 'w3 flannel'
  plan=$(steps)
  { light cp1 w2; move w3; dark w3; light w3; moved cp1 w1 w2 w3; finish; } | same "$plan"
}

@test "killed before a taint went: that node is finished first" {
  echo "$CILIUM_PINNED" >>"$FAKE/daemonsets"
  nodes 'cp1 cilium' 'w1 cilium tainted' 'w2 cilium' 'w3 flannel'
  plan=$(steps)
  { light w1+; move w3; dark w3; light w3; moved cp1 w1 w2 w3; finish; } | same "$plan"
}

@test "killed between two labels: the dark ones follow" {
  echo "$CILIUM_PINNED" >>"$FAKE/daemonsets"
  nodes 'cp1 none x' 'w1 cilium x' 'w2 none x' 'w3 flannel'
  plan=$(steps)
  { dark cp1; dark w2; light cp1 w1 w2; move w3; dark w3; light w3; moved cp1 w1 w2 w3; finish; } | same "$plan"
}

@test "killed among the remaining workers" {
  echo "$CILIUM_PINNED" >>"$FAKE/daemonsets"
  nodes 'cp1 cilium' 'w1 cilium' 'w2 none x' 'w3 flannel x'
  plan=$(steps)
  { dark w2; light w2; move w3; dark w3; light w3; moved cp1 w1 w2 w3; finish; } | same "$plan"
}

@test "a node that joined without a label gets Cilium before the workloads move" {
  echo "$CILIUM_PINNED" >>"$FAKE/daemonsets"
  nodes 'w1 cilium' 'w2 cilium' 'w9 -'
  plan=$(steps)
  { dark w9; light w9; printf 'pin --remove --rollout\npin --remove --rollout --wait\n'; moved w1 w2 w9; finish; } | same "$plan"
}

@test "Cilium unpinned, labels still there: tidy up" {
  echo "$CILIUM_FREE" >>"$FAKE/daemonsets"
  nodes 'cp1 cilium' 'w1 cilium' 'w2 cilium'
  plan=$(steps)
  finish | same "$plan"
}

@test "some labels are off already" {
  echo "$CILIUM_FREE" >"$FAKE/daemonsets"
  nodes 'cp1 -' 'w1 cilium' 'w2 -'
  plan=$(steps)
  finish without-flannel | same "$plan"
}

@test "done: prove, never start over" {
  echo "$CILIUM_FREE" >"$FAKE/daemonsets"
  nodes 'cp1 -' 'w1 -' 'w2 -'
  plan=$(steps)
  printf '%s\n' 'svc-recreate -A --only-broken' 'cleanup --all --check' | same "$plan"
}

@test "flannel deleted by hand in the middle" {
  echo "$CILIUM_PINNED" >"$FAKE/daemonsets"
  nodes 'w1 cilium' 'w2 flannel'
  plan=$(steps)
  { move w2; dark w2; light w2; moved w1 w2; finish without-flannel; } | same "$plan"
}

@test "cordoned by the operator: remembered, goes first, stays cordoned" {
  nodes 'cp1 -' 'w1 -' 'w2 -' 'w3 - cordoned'
  plan=$(steps)
  [[ $plan == 'kubectl annotate node w3 --overwrite kubectl-cni/was-cordoned=true'* ]]
  [[ $plan == *"$(dark w3; dark w1; dark cp1)"* ]]
  [[ $plan != *'uncordon w3'* ]]
}

@test "a failing command's code is passed on, with where it stopped" {
  echo 3 >"$FAKE/exit-pin"
  run migrate --yes
  [ "$status" -eq 3 ]
  [[ $output == *'Stopped in step 2/14'*'Run the same command again'* ]]
}

@test "--with-kube-proxy: on the preferred CNI's nodes, and everywhere again at the end" {
  nodes 'w1 -' 'w2 -'
  run migrate --dry-run --with-kube-proxy
  [ "$status" -eq 4 ]
  [[ $output == *'there is no DaemonSet kube-system/kube-proxy'* ]]
  echo daemonset.apps/kube-proxy >"$FAKE/kube-proxy-daemonset"
  plan=$(steps --with-kube-proxy | grep -E 'kube-proxy|^pin')
  same "$plan" <<'PLAN'
pin --to flannel --wait
pin --cni flannel --to flannel --wait
kubectl patch daemonset kube-proxy -n kube-system --type merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"cni":"flannel"}}}}}'
kubectl rollout status daemonset/kube-proxy -n kube-system
pin -f --to cilium | kubectl apply --server-side --field-manager=kubectl-cni -f -
kubectl patch daemonset kube-proxy -n kube-system --type merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"cni":"cilium"}}}}}'
kubectl rollout status daemonset/kube-proxy -n kube-system
pin --remove --rollout
pin --remove --rollout --wait
pin --remove --rollout --wait
kubectl patch daemonset kube-proxy -n kube-system --type merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"cni":null}}}}}'
kubectl rollout status daemonset/kube-proxy -n kube-system
pin --cni cilium --remove --wait
PLAN
}

@test "kube-proxy pinned by a former run: released without the flag, too" {
  nodes 'w1 cilium' 'w2 cilium'
  echo "$CILIUM_FREE" >"$FAKE/daemonsets"
  echo cilium >"$FAKE/kube-proxy-pin"
  echo daemonset.apps/kube-proxy >"$FAKE/kube-proxy-daemonset"
  plan=$(steps | grep kube-proxy)
  [[ $plan == *'"nodeSelector":{"cni":null}'* ]]
}

@test "a node of the second half that cannot be emptied is not given Cilium" {
  nodes 'cp1 cilium' 'w1 cilium' 'w2 flannel'
  echo "$CILIUM_PINNED" >>"$FAKE/daemonsets"
  cat >"$FAKE/bin/kubectl-cni-evict" <<'SH'
#!/usr/bin/env bash
[[ $* == *--dry-run* ]] || exit 3
SH
  run migrate --yes
  [ "$status" -eq 3 ]
  run grep -c 'label w2 --to cilium' "$FAKE/changes"
  [ "$output" = 0 ]
}
