#!/usr/bin/env bats
# svc-recreate by somebody who may not do all of it: what cannot be done is not begun, and what was done is said.

load prelude

# may VERBS RESOURCES: the user of the test may do that in its namespace, besides what it may already.
may() {
  local name
  name=$(tr -cd '[:lower:]' <<<"$*")
  kubectl -n "$ns" create role "$name" --verb="$1" --resource="$2" >/dev/null
  kubectl -n "$ns" create rolebinding "$name" --role="$name" --serviceaccount="$ns:weak" >/dev/null
}

weakly() { recreate "$1" --as "system:serviceaccount:$ns:weak" "${@:2}"; } # EXIT_CODE ARG...

@test "no right to create Services: nothing is touched, no backup is made" {
  service web 'ports: [{port: 80}]'
  may get,list,watch,delete services,endpointslices.discovery.k8s.io,endpoints
  may '*' secrets
  settled before
  weakly 1 web
  one_error_line "service/web in namespace $ns left alone: it could not be created anew" 'cannot create resource "services"'
  untouched
}

@test "no right to delete Services: nothing is touched, the backup goes again" {
  service web 'ports: [{port: 80}]'
  may get,list,watch,create services,endpointslices.discovery.k8s.io,endpoints
  may '*' secrets
  settled before
  weakly 1 web
  one_error_line "service/web in namespace $ns left alone: " 'cannot delete resource "services"'
  untouched
}

@test "no right to delete anything: the Service is left alone, and where the backup is is said" {
  service web 'ports: [{port: 80}]'
  may get,list,watch,create services,secrets,endpointslices.discovery.k8s.io,endpoints
  settled before
  weakly 1 web
  one_error_line "service/web in namespace $ns left alone: " 'cannot delete resource "services"' \
    'its backup is not needed any more, but could not be removed: ' "kubectl delete secret -n $ns $(backups | cut -d/ -f2)"
  service other 'ports: [{port: 80}]'
  recreate 0 other # by who may: takes the backup away
  kubectl -n "$ns" delete service other
  as_before
}

@test "no right to delete Secrets: the Service is said to be recreated, and only its backup to be left" {
  service web 'ports: [{port: 80}]'
  may get,list,watch,create,delete services,endpointslices.discovery.k8s.io,endpoints
  may get,list,create secrets
  settled before
  weakly 1 web
  contains "$output" "service/web recreated ($(address web))"
  contains "$errors" "service/web in namespace $ns is recreated; its backup is not needed any more, but could not be removed: "
  lacks "$errors" 'not back'
  weakly 0 --restore --dry-run=client
  weakly 1 --restore
  contains "$errors" "service/web in namespace $ns is there; its backup is not needed any more"
  lacks "$errors" 'could not be put back'
  recreate 0 --restore
  as_before
}

@test "no right to list Pods: as many endpoints as before are waited for" {
  web_with_pods
  may get,list,watch,create,delete services,secrets,endpointslices.discovery.k8s.io,endpoints
  settled before
  weakly 0 web --timeout 20s
  contains "$output" "service/web recreated ($(address web))"
  [ "$(ready web)" = 2 ]
  as_before
}

@test "no right to make Secrets: nothing is touched" {
  service web 'ports: [{port: 80}]'
  may '*' services,endpointslices.discovery.k8s.io,endpoints
  settled before
  weakly 1 web
  contains "$errors" "service/web in namespace $ns left alone: no backup could be made: "
  untouched
}

@test "no right to delete Services, and another run has made a backup meanwhile: that one stays" {
  local code=0
  service web 'ports: [{port: 80}]'
  may get,list,watch,create services,endpointslices.discovery.k8s.io,endpoints
  may '*' secrets
  settled before
  faults --before-first-write "world faults --kill-after 2 -- kubectl-cni-svc-recreate -n $ns web || true" -- \
    kubectl-cni-svc-recreate -n "$ns" web --as "system:serviceaccount:$ns:weak" 2>"$BATS_TEST_TMPDIR/stderr" || code=$?
  errors=$(<"$BATS_TEST_TMPDIR/stderr")
  [ "$code" = 1 ]
  contains "$errors" "another run's backup of it stays in $(backups) in namespace $ns"
  recreate 0 --restore # the Service is there, so it goes
  as_before
}

@test "no right to make Endpoints: --restore says that the Service is there, and what is not" {
  service web 'ports: [{port: 80}]'
  endpoints web 192.0.2.7
  recreate 0 web --backup-dir "$BATS_TEST_TMPDIR/kept"
  kubectl -n "$ns" delete endpoints web >/dev/null
  may get,list,watch,create,delete services,secrets
  may get,list,watch endpoints
  weakly 1 --restore --backup-dir "$BATS_TEST_TMPDIR/kept"
  one_error_line "service/web in namespace $ns is there, but not all of what belongs to it: " 'cannot create resource "endpoints"'
}

@test "no right to make Endpoints: a Service with such by hand is left alone, one without is not" {
  service db 'ports: [{port: 5432}]'
  service web 'ports: [{port: 80}]'
  endpoints db 192.0.2.7
  slice mine web 192.0.2.8
  may get,list,watch,create,delete services,secrets
  may get,list,watch endpoints,endpointslices.discovery.k8s.io
  settled before
  weakly 1 db
  one_error_line "service/db in namespace $ns left alone: what belongs to it could not be written again: " \
    'cannot create resource "endpoints"'
  untouched
  weakly 0 web
  contains "$output" "service/web recreated ($(address web))"
  as_before
}

@test "no right to give a slice its new owner: left alone" {
  service db 'ports: [{port: 5432}]'
  slice db-1 db 192.0.2.11 "$(owned_by Service db)"
  may get,list,watch,create,delete services,secrets,endpointslices.discovery.k8s.io
  may get,list,watch endpoints
  settled before
  weakly 1 db
  one_error_line "service/db in namespace $ns left alone: " 'cannot patch resource "endpointslices"'
  untouched
}

@test "no right to list Pods: --endpoints-only touches nothing" {
  web_with_pods
  may '*' services,endpointslices.discovery.k8s.io,endpoints,secrets
  settled before
  weakly 1 --endpoints-only web
  one_error_line 'cannot list resource "pods"'
  untouched
}
