#!/usr/bin/env bats
# What the API server would say to the new Service is asked before the old one is deleted; and when it
# changes its mind in between, the Service comes back, or all that is left of it is kept.

load prelude

teardown_file() {
  kubectl delete validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings \
    -l test=admission --ignore-not-found >/dev/null
}

binding() { # KIND: of the policy of this name, for the namespace of the test
  cat <<END
---
apiVersion: admissionregistration.k8s.io/v1
kind: ${1}Binding
metadata: {name: $ns, labels: {test: admission}}
spec:
  policyName: $ns
  ${2:-}
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $ns}}}
END
}

constraints() { # OPERATION
  echo "{resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [$1], resources: [services]}]}"
}

# policy CONDITION MESSAGE: for new Services of the namespace; none called probe is let in, to see when it begins.
policy() {
  { cat <<END && binding ValidatingAdmissionPolicy 'validationActions: [Deny]'; } | kubectl create -f - >/dev/null
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: $ns, labels: {test: admission}}
spec:
  matchConstraints: $(constraints CREATE)
  validations: [{expression: "object.metadata.name != 'probe' && ($1)", message: $2}]
END
  until kubectl -n "$ns" create service clusterip probe --tcp=80 --dry-run=server 2>&1 | grep -q "$2"; do sleep 0.2; done
}

forbidden() { policy false 'no more Services'; }

allowed() { kubectl delete validatingadmissionpolicybinding "$ns" >/dev/null; }

@test "a policy that is newer than the Service: nothing is touched" {
  service web 'ports: [{port: 80}]'
  forbidden
  settled before
  recreate 1 web
  one_error_line "service/web in namespace $ns left alone: it could not be created anew: " 'no more Services'
  untouched
}

@test "a policy that is newer than a Service with node ports: nothing is touched" {
  service web 'type: NodePort, ports: [{name: a, port: 80}, {name: b, port: 81}]'
  balancer lb 'externalTrafficPolicy: Local'
  forbidden
  settled before
  recreate 1 web
  one_error_line "service/web in namespace $ns left alone: it could not be created anew: " 'no more Services'
  recreate 1 lb --allow-load-balancer
  one_error_line "service/lb in namespace $ns left alone: it could not be created anew: " 'no more Services'
  untouched
}

@test "a policy about node ports, which the made-up ones of a dry run would break: recreated" {
  service web 'type: NodePort, ports: [{name: a, port: 80}, {name: b, port: 81}]'
  policy 'object.spec.ports.all(p, !has(p.nodePort) || p.nodePort < 32768)' 'every nodePort must be below 32768'
  recreated web
}

@test "two ports that share a node port, as only an edit can have it: refused, whatever the flags" {
  service web 'type: NodePort, ports: [{name: a, port: 80, nodePort: 32080}]'
  kubectl -n "$ns" patch service web --type=json \
    -p '[{"op": "add", "path": "/spec/ports/-", "value": {"name": "b", "protocol": "UDP", "port": 81, "nodePort": 32080}}]' >/dev/null
  refused web 'share nodePort 32080'
}

@test "a node port for TCP and UDP is kept" {
  service web 'type: NodePort, ports: [{name: a, port: 80, nodePort: 32053}, {name: b, protocol: UDP, port: 80, nodePort: 32053}]'
  recreated web
}

@test "a quota that is just full is no reason, one that is overdrawn is" {
  kubectl -n "$ns" create quota few --hard=services=2 >/dev/null
  service web 'ports: [{port: 80}]'
  service other 'ports: [{port: 80}]'
  until [ "$(kubectl -n "$ns" get quota few -o jsonpath='{.status.used.services}')" = 2 ]; do sleep 0.2; done
  recreated web
  kubectl -n "$ns" patch quota few --type=merge -p '{"spec": {"hard": {"services": "1"}}}' >/dev/null
  until [ "$(kubectl -n "$ns" get quota few -o jsonpath='{.status.hard.services}')" = 1 ]; do sleep 0.2; done
  settled before
  recreate 1 web
  one_error_line "service/web in namespace $ns left alone: it could not be created anew: " 'exceeded quota'
  untouched
}

# gap: a Service "web" is deleted by svc-recreate, which sleeps before it makes it anew.
gap() {
  held web
  settled before
  behind web --allow-load-balancer
  being_deleted web
  kill -STOP "$behind"
  forbidden
  release web
}

@test "refused for a few seconds after the delete: it comes back" {
  gap
  kill -CONT "$behind"
  sleep 4
  [ -z "$(uid service web)" ]
  allowed
  ended 0
  contains "$output" 'waiting: service/web cannot be made anew yet: '
  as_before
}

@test "refused for good after the delete: that is said, the backup is kept, and a later run brings it back" {
  gap
  kill -CONT "$behind"
  ended 1
  contains "$output" "service/web in namespace $ns was deleted and is not back as it was: " 'no more Services' \
    "it is kept in $(backups) in namespace $ns"
  allowed
  recreate 0 --restore
  as_before
}

@test "something changes the new Service on its way: its Endpoints come back, and what differs is said" {
  service web 'ports: [{port: 80}]'
  endpoints web 192.0.2.7
  settled before
  { cat <<END && binding MutatingAdmissionPolicy; } | kubectl create -f - >/dev/null
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: $ns, labels: {test: admission}}
spec:
  reinvocationPolicy: Never
  failurePolicy: Fail
  matchConstraints: $(constraints CREATE)
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{spec: Object.spec{publishNotReadyAddresses: true}}"}}]
END
  until kubectl -n "$ns" create service clusterip probe --tcp=80 --dry-run=server -o yaml | grep -q 'publishNotReady'; do sleep 0.2; done
  recreate 1 web
  one_error_line "service/web in namespace $ns is there again, but something changed it as it was created: " \
    'spec.publishNotReadyAddresses' "as it was it is kept in $(backups) in namespace $ns"
  kubectl -n "$ns" get endpoints web -o jsonpath='{.subsets[0].addresses[0].ip}' | grep -qx 192.0.2.7
  recreate 1 --restore
  contains "$errors" 'is not what an interrupted run deleted (it differs in spec.publishNotReadyAddresses)'
  kubectl -n "$ns" delete "$(backups)" >/dev/null # else a later run of the next test tells of it
}
