#!/usr/bin/env bats
# svc-recreate and Services of each kind, on a real API server: each is afterwards what it was, its status
# and companions included, but for what the server writes anew with every object; or it is refused, and
# untouched.

load prelude

@test "ClusterIP" {
  service web 'selector: {app: web}, ports: [{port: 80, targetPort: 8080}]' \
    'labels: {app: web, empty: ""}, annotations: {note: "ä \"quoted\" \\ 1", empty: ""}'
  recreated web
}

@test "ClusterIP with an address of the user's choice and endpoints" {
  pods web
  service web 'clusterIP: 10.96.77.7, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]'
  recreated web
  [ "$(address web)" = 10.96.77.7 ]
}

@test "NodePort" {
  service web 'type: NodePort, selector: {app: web}, ports: [{port: 80}]'
  recreated web
}

@test "several ports, TCP, UDP and SCTP on one nodePort" {
  service web 'type: NodePort, selector: {app: web}, ports: [
    {name: tcp, port: 53, nodePort: 32053}, {name: udp, port: 53, protocol: UDP, nodePort: 32053},
    {name: sctp, port: 53, protocol: SCTP, nodePort: 32053}, {name: other, port: 9153, targetPort: metrics}]'
  recreated web
  [ "$(kubectl -n "$ns" get service web -o jsonpath='{.spec.ports[*].nodePort}' | tr ' ' '\n' | grep -c 32053)" = 3 ]
}

@test "appProtocol and named targetPorts" {
  service web 'selector: {app: web}, ports: [{name: a, port: 80, appProtocol: kubernetes.io/h2c, targetPort: http},
    {name: b, port: 81, appProtocol: example.com/own, targetPort: 0x1f90}]'
  recreated web
}

@test "LoadBalancer" {
  balancer web
  recreated web --allow-load-balancer
}

@test "LoadBalancer with an address and source ranges" {
  balancer web 'loadBalancerIP: 198.51.100.200, loadBalancerSourceRanges: [192.0.2.0/24, 203.0.113.0/25]' \
    'annotations: {service.beta.kubernetes.io/aws-load-balancer-type: nlb}'
  recreated web --allow-load-balancer
}

@test "LoadBalancer with loadBalancerClass" {
  balancer web 'loadBalancerClass: example.com/internal'
  recreated web --allow-load-balancer
}

@test "LoadBalancer with allocateLoadBalancerNodePorts: false" {
  balancer web 'allocateLoadBalancerNodePorts: false'
  [ -z "$(kubectl -n "$ns" get service web -o jsonpath='{.spec.ports[*].nodePort}')" ]
  recreated web --allow-load-balancer
}

@test "LoadBalancer with allocateLoadBalancerNodePorts: false and one nodePort of the user's" {
  service web 'type: LoadBalancer, allocateLoadBalancerNodePorts: false,
    ports: [{name: a, port: 80, nodePort: 32081}, {name: b, port: 81}]'
  recreated web --allow-load-balancer
}

@test "LoadBalancer with externalTrafficPolicy: Local keeps its healthCheckNodePort" {
  balancer web 'externalTrafficPolicy: Local, selector: {app: web}'
  [ "$(kubectl -n "$ns" get service web -o jsonpath='{.spec.healthCheckNodePort}')" -ge 30000 ]
  recreated web --allow-load-balancer
}

# cloud NAME: lets a balancer go when it is being deleted, as the cloud's controller does.
cloud() {
  { being_deleted "$1" && release "$1"; } >/dev/null 2>&1 3>&- &
}

@test "LoadBalancer with a status and a finalizer: both are kept" {
  service web 'type: LoadBalancer, loadBalancerClass: kubectl-cni.test/nobody, ports: [{port: 80}]' \
    'finalizers: [service.kubernetes.io/load-balancer-cleanup]'
  kubectl -n "$ns" patch service web --subresource=status --type=merge -p '{"status": {
    "conditions": [{"type": "example.com/Programmed", "status": "True", "reason": "Done", "message": "",
      "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    "loadBalancer": {"ingress": [{"hostname": "lb.example.com"},
      {"ip": "203.0.113.7", "ipMode": "Proxy", "ports": [{"port": 80, "protocol": "TCP"}]}]}}}'
  settled before
  cloud web
  recreate 0 web --allow-load-balancer
  wait
  as_before
}

@test "what the cloud has written of the new one is newer than what was, and stays" {
  balancer web
  kubectl -n "$ns" patch service web --subresource=status --type=merge \
    -p '{"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}' >/dev/null
  recreate 0 web --allow-load-balancer
  kubectl -n "$ns" wait service/web --for=jsonpath='{.status.loadBalancer.ingress}' --timeout=30s >/dev/null
  kubectl -n "$ns" get service web -o json | jq -e '.status.loadBalancer.ingress | length == 1' >/dev/null
}

@test "a finalizer of somebody who takes it off, with --allow-finalizers" {
  service web 'ports: [{port: 80}]' 'finalizers: [example.com/lease]'
  settled before
  cloud web
  recreate 0 web --allow-finalizers
  wait
  as_before
}

@test "LoadBalancer without --allow-load-balancer is untouched" {
  balancer web
  refused web 'type LoadBalancer' --allow-load-balancer
}

@test "ExternalName is untouched" {
  service web 'type: ExternalName, externalName: www.example.com'
  refused web ExternalName
}

@test "headless is untouched" {
  service web 'clusterIP: None, selector: {app: web}, ports: [{port: 80}]'
  refused web headless
}

@test "headless and without selector is untouched" {
  service web 'clusterIP: None, ports: [{port: 5432}]'
  slice web-1 web 192.0.2.1
  refused web headless
}

@test "without selector, with slices by hand" {
  service db 'ports: [{port: 5432}]'
  slice db-1 db 192.0.2.11 'annotations: {note: mine}'
  slice db-2 db 2001:db8::21 'generateName: db-'
  recreated db
}

@test "without selector, with slices that it owns" {
  service db 'ports: [{port: 5432}]'
  slice db-1 db 192.0.2.11 "$(owned_by Service db)"
  slice db-2 db 192.0.2.21 "$(owned_by Service db)"
  recreated db
  sleep 3 # the garbage collector's time
  as_before
}

@test "without selector, with a slice that it owns along with another object" {
  kubectl -n "$ns" create configmap other
  service db 'ports: [{port: 5432}]'
  slice db-1 db 192.0.2.11 "ownerReferences: [{apiVersion: v1, kind: Service, name: db, uid: $(uid service db)},
    {apiVersion: v1, kind: ConfigMap, name: other, uid: $(uid configmap other)}]"
  recreated db
  sleep 3
  as_before
}

@test "without selector, with legacy Endpoints" {
  service db 'ports: [{port: 5432}]'
  endpoints db 192.0.2.11
  recreated db
  lacks "$errors" deprecated
  sleep 3 # the endpoints controller's
  as_before
}

@test "without selector, with legacy Endpoints and a slice by hand" {
  service db 'ports: [{port: 5432}]'
  endpoints db 192.0.2.11
  slice db-1 db 192.0.2.21
  recreated db
  sleep 3
  as_before
}

@test "with a selector, and a slice by hand beside those of the controller" {
  pods web
  service web 'selector: {app: web}, ports: [{port: 80}]'
  slice web-extra web 192.0.2.11 "$(owned_by Service web)"
  recreated web
  sleep 3
  as_before
}

two_families() { kubectl get servicecidr kubernetes -o json | jq -e '.spec.cidrs | length == 2' >/dev/null; }

@test "dual-stack" {
  two_families || skip 'the Service range of this cluster has one family'
  pods web
  service web 'ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4], type: NodePort, selector: {app: web}, ports: [{port: 80}]'
  [ "$(kubectl -n "$ns" get service web -o json | jq '.spec.clusterIPs | length')" = 2 ]
  recreated web
}

@test "single-stack where two families are asked for, and PreferDualStack" {
  service one 'ipFamilyPolicy: SingleStack, ports: [{port: 80}]'
  service two 'ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]'
  recreated one
  recreated two
}

@test "IPv6 only" {
  two_families || skip 'the Service range of this cluster has one family'
  service web 'ipFamilyPolicy: SingleStack, ipFamilies: [IPv6], ports: [{port: 80}]'
  recreated web
}

@test "sessionAffinity with its timeout" {
  service web 'sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 77}}, ports: [{port: 80}]'
  recreated web
}

@test "traffic policies Local" {
  pods web
  service web 'type: NodePort, externalTrafficPolicy: Local, internalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]'
  recreated web
}

@test "publishNotReadyAddresses" {
  make <<'END'
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}, annotations: {kubectl-cni.test/never-ready: "true"}}
spec: {containers: [{name: pause, image: "example.com/pause:1"}]}
END
  kubectl -n "$ns" wait pod/web --for=jsonpath='{.status.podIP}' --timeout=60s
  service web 'publishNotReadyAddresses: true, selector: {app: web}, ports: [{port: 80}]'
  recreated web
  [ "$(picture controller after | jq '[.[] | .endpoints[]? | select(.conditions.ready)] | length')" = 1 ]
}

@test "externalIPs" {
  service web 'externalIPs: [198.51.100.7, 198.51.100.8], ports: [{port: 80}]'
  recreated web
}

@test "trafficDistribution" {
  local distribution
  for distribution in PreferClose PreferSameZone PreferSameNode; do
    service "${distribution,,}" "trafficDistribution: $distribution, selector: {app: web}, ports: [{port: 80}]"
    recreated "${distribution,,}"
  done
}

@test "ownerReferences" {
  kubectl -n "$ns" create configmap one
  kubectl -n "$ns" create configmap two
  service web 'ports: [{port: 80}]' "ownerReferences: [
    {apiVersion: v1, kind: ConfigMap, name: one, uid: $(uid configmap one), controller: true, blockOwnerDeletion: true},
    {apiVersion: v1, kind: ConfigMap, name: two, uid: $(uid configmap two)}]"
  recreated web --allow-owned
}

@test "annotations of 200 kB" {
  service web 'ports: [{port: 80}]' \
    "annotations: {big: \"$(head -c 100000 /dev/zero | tr '\0' x)\", bigger: \"$(head -c 100000 /dev/zero | tr '\0' '"' | sed 's/"/\\"/g')\"}"
  recreated web
}

@test "what kubectl apply has noted, which finds nothing to change afterwards" {
  cat >"$BATS_TEST_TMPDIR/web.yaml" <<'END'
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
END
  kubectl -n "$ns" apply -f "$BATS_TEST_TMPDIR/web.yaml"
  recreated web
  run kubectl -n "$ns" apply -f "$BATS_TEST_TMPDIR/web.yaml"
  contains "$output" 'service/web unchanged'
}

@test "all at once, with --backup-dir" {
  local i
  pods web
  for i in 1 2 3; do
    service "plain$i" 'selector: {app: web}, ports: [{port: 80}]'
    service "node$i" 'type: NodePort, ports: [{port: 80}]'
    service "db$i" 'ports: [{port: 5432}]'
    endpoints "db$i" 192.0.2.11
    service "slice$i" 'ports: [{port: 5432}]'
    slice "slice$i-1" "slice$i" 192.0.2.11 "$(owned_by Service "slice$i")"
  done
  settled before
  recreate 0 --all --backup-dir "$BATS_TEST_TMPDIR/keep"
  as_before
  [ "$(grep -c ' recreated (10.96.' <<<"$output")" = 12 ]
  [[ $errors =~ 12\ Services\ absent\ for\ [0-9]+\ ms\ each\ \(median\),\ [0-9]+\ ms\ at\ most ]]
  [ "$(find "$BATS_TEST_TMPDIR/keep" -name '*.json' -perm 600 | wc -l)" = 12 ]
}
