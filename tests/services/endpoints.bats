#!/usr/bin/env bats
# svc-recreate --endpoints-only: the control plane's slices are written anew, and the Service stays.

load prelude

slices() { kubectl -n "$ns" get endpointslices -l "kubernetes.io/service-name=$1" -o json | jq -r '.items[] | "\(.metadata.name) \(.metadata.uid)"'; }

@test "the slices are others, with the same endpoints; the Service is the very same" {
  local before service
  web_with_pods
  before=$(slices web)
  service=$(kubectl -n "$ns" get service web -o json)
  recreate 0 web --endpoints-only
  contains "$output" 'service/web endpoints rewritten (1 EndpointSlice)'
  [ "$(slices web)" != "$before" ]
  [ "$(ready web)" = 2 ]
  [ "$(kubectl -n "$ns" get service web -o json)" = "$service" ]
}

@test "a slice that points where no pod is any more is put right" {
  local name
  web_with_pods
  controllers STOP
  name=$(slices web | cut -d' ' -f1)
  kubectl -n "$ns" patch endpointslice "$name" --type=json -p '[{"op": "replace", "path": "/endpoints/0/addresses/0", "value": "10.244.9.9"}]' >/dev/null
  behind web --endpoints-only
  until [ -z "$(slices web)" ]; do sleep 0.1; done
  controllers CONT
  stopped=
  ended 0
  [ "$(ready web)" = 2 ]
  lacks "$(kubectl -n "$ns" get endpointslices -o yaml)" 10.244.9.9
}

@test "slices by hand stay" {
  local before
  web_with_pods
  slice mine web 192.0.2.7
  before=$(slices web | grep '^mine ')
  recreate 0 web --endpoints-only
  [ "$(slices web | grep '^mine ')" = "$before" ]
}

@test "the control plane sleeps: they are put back as they were, exit code 3, and no other Service is touched" {
  local before other
  web_with_pods
  service other 'selector: {app: web}, ports: [{port: 81}]'
  until [ "$(ready other)" = 2 ]; do sleep 0.2; done
  before=$(kubectl -n "$ns" get endpointslices -o json | jq -S '[.items[] | {name: .metadata.name, labels: .metadata.labels, endpoints, ports}]')
  controllers STOP
  recreate 3 --all --endpoints-only --timeout 2s
  contains "$errors" 'put back'
  contains "$errors" '1 Service not touched'
  [ "$(kubectl -n "$ns" get endpointslices -o json | jq -S '[.items[] | {name: .metadata.name, labels: .metadata.labels, endpoints, ports}]')" = "$before" ]
}

@test "the control plane sleeps: the slices of both families are put back" {
  pods web
  service web 'ipFamilyPolicy: RequireDualStack, selector: {app: web}, ports: [{port: 80}]'
  until [ "$(slices web | wc -l)" = 2 ]; do sleep 0.2; done
  controllers STOP
  recreate 3 web --endpoints-only --timeout 2s
  contains "$errors" 'put back'
  [ "$(slices web | wc -l)" = 2 ]
}

@test "without selector, or in kube-system unasked: refused or skipped" {
  service manual 'ports: [{port: 80}]'
  slice mine manual 192.0.2.7
  settled before
  recreate 4 manual --endpoints-only
  one_error_line 'service/manual' 'no selector'
  untouched
  recreate 0 --all --endpoints-only
  contains "$errors" 'warning: service/manual'
  untouched
}

@test "--dry-run: nothing happens" {
  web_with_pods
  settled before
  recreate 0 web --endpoints-only --dry-run
  contains "$output" 'service/web endpoints rewritten (dry run)'
  recreate 0 web --endpoints-only --dry-run=server
  untouched
}
