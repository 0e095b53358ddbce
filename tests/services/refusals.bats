#!/usr/bin/env bats
# What svc-recreate must leave alone: by name it refuses, says why and how to have it all the same; in bulk
# it warns and does the others.

load prelude

ORDINARY='selector: {app: web}, ports: [{port: 80}]'

uid_in() { kubectl -n "$1" get service "$2" -o jsonpath='{.metadata.uid}'; }

# left_alone_in_bulk NAME PART...: with a warning that has these parts; another Service is recreated.
left_alone_in_bulk() {
  local old other
  service ordinary "$ORDINARY"
  old=$(uid service "$1") other=$(uid service ordinary)
  recreate 0 --all
  contains "$output" 'service/ordinary recreated'
  lacks "$output" "service/$1 "
  in_one_line "$errors" "warning: service/$1 in namespace $ns left alone: " "${@:2}"
  [ "$(uid service "$1")" = "$old" ]
  [ "$(uid service ordinary)" != "$other" ]
  [ -z "$(backups)" ]
}

in_one_line() { # TEXT PART...
  local line part
  line=$(grep -F -- "$2" <<<"$1") || { printf 'not found: %s\nin: %s\n' "$2" "$1" && return 1; }
  [ "$(wc -l <<<"$line")" = 1 ]
  for part in "${@:3}"; do contains "$line" "$part"; done
}

@test "default/kubernetes: never, whatever the flags" {
  local old
  old=$(uid_in default kubernetes)
  run_cni 4 svc-recreate -n default kubernetes --allow-owned --allow-load-balancer
  one_error_line 'service/kubernetes in namespace default left alone: ' never
  lacks "$errors" --allow
  [ "$(uid_in default kubernetes)" = "$old" ]
}

@test "default/kubernetes in bulk: not a word" {
  local old flags
  old=$(uid_in default kubernetes)
  for flags in '-n default --all' '-n default -l component=apiserver' '-A -l component=apiserver' '-A --dry-run=client' '-n default --only-broken'; do
    # shellcheck disable=SC2086 # words
    run_cni 0 svc-recreate $flags
    lacks "$output$errors" service/kubernetes
  done
  [ "$(uid_in default kubernetes)" = "$old" ]
}

@test "kube-system: not in bulk, but by name" {
  local old name=$ns flags
  kubectl -n kube-system create service clusterip "$name" --tcp=53 >/dev/null
  kubectl -n kube-system label service "$name" "test=$name" >/dev/null
  old=$(uid_in kube-system "$name")
  for flags in '-n kube-system --all' "-A -l test=$name"; do
    # shellcheck disable=SC2086 # words
    run_cni 0 svc-recreate $flags
    [ -z "$output" ]
    in_one_line "$errors" "warning: service/$name in namespace kube-system left alone: " 'by name'
    [ "$(uid_in kube-system "$name")" = "$old" ]
  done
  run_cni 0 svc-recreate -n kube-system "$name"
  contains "$output" "service/$name recreated"
  [ "$(uid_in kube-system "$name")" != "$old" ]
  kubectl -n kube-system delete service "$name"
}

@test "headless" {
  service web "clusterIP: None, $ORDINARY"
  refused web headless 'nothing to gain'
  left_alone_in_bulk web headless
}

@test "ExternalName" {
  service web 'type: ExternalName, externalName: www.example.com'
  refused web ExternalName 'nothing to gain'
  left_alone_in_bulk web ExternalName
}

@test "being deleted" {
  held web
  kubectl -n "$ns" delete service web --wait=false
  refused web 'being deleted'
  left_alone_in_bulk web 'being deleted'
}

@test "of type LoadBalancer, but for --allow-load-balancer" {
  balancer web
  refused web LoadBalancer --allow-load-balancer
  left_alone_in_bulk web LoadBalancer --allow-load-balancer
}

@test "with a finalizer that nobody here knows" {
  service web "$ORDINARY" 'finalizers: [example.com/lease, service.kubernetes.io/load-balancer-cleanup]'
  refused web example.com/lease --allow-finalizers
  lacks "$errors" load-balancer-cleanup
  left_alone_in_bulk web example.com/lease --allow-finalizers
}

@test "owned, by a controller or not" {
  local owner
  kubectl -n "$ns" create configmap owner
  owner=$(uid configmap owner)
  service operated "$ORDINARY" "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: $owner, controller: true}]"
  service owned "$ORDINARY" "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: $owner}]"
  refused operated ConfigMap/owner --allow-owned
  refused owned ConfigMap/owner --allow-owned
  left_alone_in_bulk operated ConfigMap/owner --allow-owned
}

# marked VERB:KEY=VALUE...: VERB is kubectl's. A Service with each is refused, and all of them are in bulk.
marked() {
  local mark i=0 names=()
  for mark in "$@"; do
    i=$((i + 1)) names+=("marked$i")
    service "marked$i" "$ORDINARY"
    kubectl -n "$ns" "${mark%%:*}" service "marked$i" "${mark#*:}" >/dev/null
  done
  service ordinary "$ORDINARY"
  settled before
  for i in "${!names[@]}"; do
    mark=${*:i+1:1}
    echo "$mark" # shown when this fails
    recreate 4 "${names[i]}"
    one_error_line "service/${names[i]} in namespace $ns left alone: " --allow-owned
  done
  untouched
  recreate 0 --all
  [ "$(grep -c ' recreated' <<<"$output")" = 1 ]
  contains "$output" 'service/ordinary recreated'
  [ "$(grep -c '^warning: service/marked.*--allow-owned' <<<"$errors")" = $# ]
}

@test "looked after by Argo CD, Flux, an addon manager, Rancher, OLM or Config Sync" {
  marked 'label:argocd.argoproj.io/instance=shop' 'annotate:argocd.argoproj.io/tracking-id=shop:/Service:shop/web' \
    'label:kustomize.toolkit.fluxcd.io/name=shop' 'label:helm.toolkit.fluxcd.io/name=shop' \
    'label:addonmanager.kubernetes.io/mode=Reconcile' 'label:objectset.rio.cattle.io/id=shop' \
    'annotate:objectset.rio.cattle.io/id=shop' 'label:olm.owner=web.v1' 'label:operators.coreos.com/owner=web' \
    'annotate:configsync.gke.io/declared-fields={}' 'label:app.kubernetes.io/managed-by=configmanagement.gke.io'
}

@test "looked after by an operator that says so otherwise" {
  marked 'label:app.kubernetes.io/managed-by=strimzi-cluster-operator' \
    'annotate:operator-sdk/primary-resource=ops/web' 'annotate:helm.fluxcd.io/antecedent=shop:helmrelease/web'
}

@test "written once by a tool that does not come back: recreated" {
  local tool
  for tool in Helm kubectl kustomize; do
    service "${tool,,}" "$ORDINARY" "labels: {app.kubernetes.io/managed-by: $tool},
      annotations: {meta.helm.sh/release-name: web, meta.helm.sh/release-namespace: $ns}"
  done
  settled before
  recreate 0 --all
  as_before
  [ "$(grep -c ' recreated' <<<"$output")" = 3 ]
}

@test "one of several names is refused: none is touched, and each reason is told" {
  service web "$ORDINARY"
  service away 'type: ExternalName, externalName: www.example.com'
  balancer cloud
  settled before
  recreate 4 web away cloud
  one_error_line service/away ExternalName service/cloud --allow-load-balancer
  lacks "$errors" service/web
  untouched
}

@test "a bulk of which nothing is left is done, with nothing recreated" {
  service away 'type: ExternalName, externalName: www.example.com'
  service headless "clusterIP: None, $ORDINARY"
  settled before
  recreate 0 --all
  [ -z "$output" ]
  [ "$(grep -c '^warning: ' <<<"$errors")" = 2 ]
  untouched
}
