#!/usr/bin/env bats
# Somebody takes the address or port of a Service while it is gone: svc-recreate never accepts another one,
# says who has it, keeps the backup, and puts the Service back once it is free.

load prelude

# gap ARG...: a Service "web" is deleted by svc-recreate ARG..., which sleeps before it makes it anew.
gap() {
  service other 'ports: [{port: 80}]'
  settled before
  behind web --allow-load-balancer "$@"
  being_deleted web
  kill -STOP "$behind"
  release web
}

# robbed PART: the run says who took what and where the backup is.
robbed() {
  kill -CONT "$behind"
  ended 1
  contains "$output" "service/web in namespace $ns was deleted and is not back as it was: "
  contains "$output" "taken meanwhile by service/thief in namespace $ns ($1)"
  contains "$output" "it is kept in secret/kubectl-cni-backup-service-web in namespace $ns"
  [ "$(backups)" = secret/kubectl-cni-backup-service-web ]
  [ -z "$(uid service web)" ]
}

# still_robbed PART: and so says the next run, which does what it is asked for all the same.
still_robbed() {
  recreate 1 other --timeout 2s
  contains "$output" 'service/other recreated'
  contains "$errors" "service/thief in namespace $ns ($1)"
  [ "$(backups)" = secret/kubectl-cni-backup-service-web ]
  [ -z "$(uid service web)" ]
}

# back: and once the thief is gone, the next run puts it back.
back() {
  kubectl -n "$ns" delete service thief >/dev/null
  recreate 0 other --timeout 70s
  contains "$errors" 'service/web recreated from a backup left by an interrupted run'
  as_before
}

# robbed_of_ip: a thief took web's clusterIP, $ip, in the gap.
robbed_of_ip() {
  held web
  ip=$(address web)
  gap --timeout 3s
  service thief "clusterIP: $ip, ports: [{port: 80}]"
  robbed "clusterIP $ip"
}

@test "the clusterIP" {
  local ip
  robbed_of_ip
  still_robbed "clusterIP $ip"
  back
}

@test "the clusterIP, and somebody takes the backup away: it is made again" {
  local ip
  held web
  ip=$(address web)
  gap --timeout 3s
  kubectl -n "$ns" delete "$(backups)" >/dev/null
  service thief "clusterIP: $ip, ports: [{port: 80}]"
  robbed "clusterIP $ip"
  back
}

@test "a nodePort" {
  local port
  held web
  port=$(kubectl -n "$ns" get service web -o jsonpath='{.spec.ports[1].nodePort}')
  gap --timeout 3s
  service thief "type: NodePort, ports: [{port: 80, nodePort: $port}]"
  robbed "nodePort $port"
  still_robbed "nodePort $port"
  back
}

@test "the healthCheckNodePort" {
  local port
  balancer web 'externalTrafficPolicy: Local' 'finalizers: [service.kubernetes.io/load-balancer-cleanup]'
  port=$(kubectl -n "$ns" get service web -o jsonpath='{.spec.healthCheckNodePort}')
  gap --timeout 3s
  service thief "type: NodePort, ports: [{port: 80, nodePort: $port}]"
  robbed "nodePort $port"
  back
}

@test "the clusterIP, and --restore says so and brings it back" {
  local ip
  robbed_of_ip
  recreate 1 --restore --timeout 2s
  contains "$errors" "service/thief in namespace $ns (clusterIP $ip)"
  [ -n "$(backups)" ]
  kubectl -n "$ns" delete service thief >/dev/null
  recreate 0 --restore --timeout 70s
  contains "$output" "service/web restored ($ip)"
  as_before
}

@test "for a while only: the command waits, and gets the same one" {
  local ip
  held web
  ip=$(address web)
  gap --timeout 60s
  service thief "clusterIP: $ip, ports: [{port: 80}]"
  kill -CONT "$behind"
  sleep 2
  [ -z "$(uid service web)" ]
  kubectl -n "$ns" delete service thief >/dev/null
  ended 0
  contains "$output" "service/web recreated ($ip)"
  as_before
}

@test "in another namespace, seen by who may not list all Services: told without a name, never another address" {
  local ip
  held web
  ip=$(address web)
  kubectl -n "$ns" create serviceaccount weak
  kubectl -n "$ns" create rolebinding weak --clusterrole=admin --serviceaccount="$ns:weak"
  kubectl -n "$ns" create role slices --verb='*' --resource=endpointslices.discovery.k8s.io,endpoints,services/status
  kubectl -n "$ns" create rolebinding slices --role=slices --serviceaccount="$ns:weak"
  gap --timeout 3s --as "system:serviceaccount:$ns:weak"
  kubectl -n default create service clusterip "$ns" --clusterip="$ip" --tcp=80
  kill -CONT "$behind"
  ended 1
  kubectl -n default delete service "$ns"
  contains "$output" "$ip"
  contains "$output" 'already allocated'
  [ -n "$(backups)" ]
  [ -z "$(uid service web)" ]
  recreate 0 other --timeout 70s
  as_before
}
