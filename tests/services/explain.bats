#!/usr/bin/env bats
# svc-recreate --explain: what is wrong, and the cheapest cure, which then cures.

load prelude

@test "a Service that is fine, and one that others look after" {
  web_with_pods
  service manual 'ports: [{port: 80}]'
  settled before
  recreate 0 --all --explain
  contains "$output" 'service/web fine'
  contains "$output" 'service/manual not looked into (no selector'
  contains "$errors" 'where clients still cannot reach'
  untouched
}

@test "slices that were just written and are wrong: recreate, which cures" {
  local name cure
  web_with_pods
  controllers STOP
  name=$(kubectl -n "$ns" get endpointslices -l kubernetes.io/service-name=web -o jsonpath='{.items[0].metadata.name}')
  kubectl -n "$ns" patch endpointslice "$name" --type=json -p '[{"op": "remove", "path": "/endpoints/0"}]' >/dev/null
  recreate 0 web --explain
  contains "$output" 'service/web has a problem'
  contains "$output" 'they are older, although its slices were written a moment ago'
  contains "$output" "\`kubectl cni svc-recreate web -n $ns\`"
  controllers CONT
  stopped=
  recreate 0 web
  [ "$(ready web)" = 2 ]
  recreate 0 web --explain
  contains "$output" 'service/web fine'
}

@test "-o json: the findings" {
  service web 'selector: {app: nobody}, ports: [{port: 80}]'
  recreate 0 web --explain -o json
  [ "$(jq -r '.findings[0].cure' <<<"$output")" = "kubectl get pods -n $ns -l app=nobody" ]
}

@test "names and selections as always" {
  recreate 2 --explain
  recreate 1 --explain nobody
  one_error_line nobody
}

# cilium_is_there: its DaemonSet, though on no node yet.
cilium_is_there() {
  kubectl apply -f - >/dev/null <<'END'
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system, labels: {k8s-app: cilium}}
spec:
  selector: {matchLabels: {k8s-app: cilium}}
  template:
    metadata: {labels: {k8s-app: cilium}}
    spec:
      hostNetwork: true
      nodeSelector: {none: none}
      containers: [{name: cilium-agent, image: cilium}]
END
}

flannel_on() { # NODE_SELECTOR
  kubectl -n kube-flannel patch daemonset kube-flannel-ds --type=merge -p "{\"spec\": {\"template\": {\"spec\": {\"nodeSelector\": $1}}}}" >/dev/null
}

# proxy NODE [ANNOTATIONS]: a kube-proxy's pod.
proxy() {
  local annotations="annotations: {${2:-}}"
  kubectl create -f - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: kube-proxy-$1, namespace: kube-system, labels: {k8s-app: kube-proxy}, $annotations}
spec: {nodeName: $1, hostNetwork: true, containers: [{name: kube-proxy, image: none}]}
END
}

@test "pods that still have an address of flannel, and a node that it left" {
  web_with_pods
  cilium_is_there
  recreate 0 web --explain
  contains "$output" 'service/web fine'
  flannel_on '{"none": "none"}'
  until [ -z "$(kubectl -n kube-flannel get pods -o name)" ]; do sleep 0.2; done
  recreate 0 web --explain
  flannel_on '{"none": null}'
  kubectl -n kube-system delete daemonset cilium >/dev/null
  kubectl -n kube-flannel rollout status daemonset kube-flannel-ds --timeout 30s >/dev/null
  contains "$output" 'service/web has a problem (2 pods still have an address of flannel'
  contains "$output" '`kubectl cni evict --recycle w'
  contains "$output" 'then what flannel left may rewrite its traffic on w1, w2: `kubectl cni cleanup w1 w2`'
}

@test "a kube-proxy that is not Ready, and one that says itself that its rules are stale" {
  web_with_pods
  proxy w1 'kubectl-cni.test/never-ready: ""'
  recreate 0 web --explain
  contains "$output" 'kube-proxy on w1 is not Ready'
  contains "$output" '`kubectl -n kube-system delete pod kube-proxy-w1`'
  kubectl -n kube-system delete pod kube-proxy-w1 --now >/dev/null
  proxy w2
  kubectl -n kube-system wait pod/kube-proxy-w2 --for=condition=Ready --timeout=30s >/dev/null
  # A node's address is the world's own.
  in_world timeout 60 python3 -c '
import http.server, socketserver
class Stale(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b"{\"lastUpdated\": \"2026-01-01T00:00:00Z\", \"currentTime\": \"2026-01-01T01:00:00Z\"}")
socketserver.TCPServer(("172.30.0.12", 10256), Stale).serve_forever()' 2>/dev/null 3>&- &
  for _ in $(seq 50); do
    if in_world bash -c ': </dev/tcp/172.30.0.12/10256' 2>/dev/null; then break; fi
    sleep 0.2
  done
  recreate 0 web --explain
  kubectl -n kube-system delete pod kube-proxy-w2 --now >/dev/null
  contains "$output" 'kube-proxy on w2 last wrote its rules at 2026-01-01T00:00:00Z'
}
