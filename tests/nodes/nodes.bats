#!/usr/bin/env bats
# The world of real nodes itself: that pods run and talk in it, that Cilium comes up beside flannel,
# and that it leaves nothing behind.

load ../cluster/lib/bats

here=$BATS_TEST_DIRNAME

setup_file() {
  export WORLD=$BATS_FILE_TMPDIR/world BEFORE=$BATS_FILE_TMPDIR/before
  traces >"$BEFORE"
  "$here/up" --workers 2 --dir "$WORLD" 3>&-
}

teardown_file() {
  "$here/down" --dir "$WORLD"
}

# eventually COMMAND...: within a minute.
eventually() {
  for _ in $(seq 120); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.5
  done
  "$@"
}

# traces: all that a world could leave on this machine. Other worlds may come and go meanwhile.
traces() {
  pgrep -af "(-init\.sh|kube).*$BATS_FILE_TMPDIR" || true
  cat /proc/self/mounts
  ip netns list
  ip -o link | cut -d: -f1,2
  find /sys/fs/cgroup -type d -name k8s.io -not -path '*/kubectl-cni-*'
  ls -d /dev/shm/* /opt/* /run/{containerd,flannel,netns} /var/lib/{containerd,kubelet,cni} /etc/cni 2>/dev/null || true
  sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops \
    kernel.keys.root_maxkeys kernel.keys.root_maxbytes kernel.unprivileged_bpf_disabled 2>/dev/null || true
}

# nothing_left: of a world that has been ended.
nothing_left() {
  diff "$BEFORE" <(traces)
  # The limit stays raised, and each world keeps its cgroups, while there are other worlds.
  if ! grep -qsz -x -e KUBECTL_CNI_NODES=yes /proc/[0-9]*/environ; then
    [ ! -e /run/kubectl-cni-nodes.inotify ]
    [ -z "$(find /sys/fs/cgroup -type d -name 'kubectl-cni-*')" ]
  fi
}

pods() { # APP: name, node and address of each
  in_world kubectl -n shop get pods -l "app=$1" --no-headers \
    -o custom-columns=:.metadata.name,:.spec.nodeName,:.status.podIP
}

# answers POD URL: asked from within that pod.
answers() {
  in_world kubectl -n shop exec "$1" -- curl -sS -m 5 "$2"
}

@test "nodes are Ready and every pod runs, on flannel's range" {
  run in_world kubectl get nodes --no-headers
  [ "$(grep -c ' Ready ' <<<"$output")" = 2 ]
  run in_world kubectl get pods -A --no-headers
  [ "$(grep -c ' Running ' <<<"$output")" = "${#lines[@]}" ]
  [ "$(pods web | grep -c ' 10\.244\.')" = 3 ]
}

@test "flannel's links and files are on the nodes" {
  for node in w1 w2; do
    on_node "$node" ip -d link show flannel.1 | grep -q 'vxlan id 1 .*dstport 8472'
    on_node "$node" ip link show master cni0 | grep -q veth
    on_node "$node" iptables-save | grep -q -e '-A POSTROUTING .*-j FLANNEL-POSTRTG'
    on_node "$node" test -e /run/flannel/subnet.env -a -e /etc/cni/net.d/10-flannel.conflist
  done
}

@test "every pod answers every pod, the Service and the NodePort" {
  local from to address
  while read -r from _ _; do
    while read -r to _ address; do
      [ "$(answers "$from" "http://$address:8080/")" = "$to" ]
    done < <(pods agent)
    answers "$from" "http://$(in_world kubectl -n shop get service web -o jsonpath='{.spec.clusterIP}')/" | grep -q '^web-'
    answers "$from" http://172.30.1.1:30080/ | grep -q '^web-'
  done < <(pods agent)
}

@test "a pod reaches a Service by its name" {
  local from
  read -r from _ < <(pods agent)
  answers "$from" http://web.shop.svc.cluster.local/ | grep -q '^web-'
  answers "$from" http://db-1.db:8080/ | grep -qx db-1
}

@test "in and on pass arguments, stdin and the exit code" {
  for way in in_world "on_node w1"; do
    # shellcheck disable=SC2016 # expanded within
    [ "$($way sh -c 'printf "<%s>" "$@"; cat' sh 'a  b' '*' '' <<<input)" = "<a  b><*><>input" ]
    run $way sh -c 'exit 37'
    [ "$status" = 37 ]
  done
}

@test "in and on pass signals" {
  "$here/in" --dir "$WORLD" sleep 600 3>&- &
  local first=$!
  "$here/on" --dir "$WORLD" w1 sh -c 'trap "exit 9" TERM; echo up >/tmp/up; sleep 600 & wait' 3>&- &
  local second=$!
  eventually on_node w1 test -e /tmp/up
  kill -TERM "$first" "$second"
  ends_with 143 "$first"
  ends_with 9 "$second"
}

@test "on a node: its name, its processes, its files" {
  [ "$(on_node w1 hostname)" = w1 ]
  on_node w1 pgrep -x kubelet
  [ "$(on_node w1 pgrep -c -x sshd)" = 1 ]
  on_node w1 touch /etc/only-on-the-node
  [ ! -e /etc/only-on-the-node ]
  run on_node w77 true
  [ "$output" = 'error: no node "w77" in this world' ]
}

@test "ssh with the key and the known host key" {
  # shellcheck disable=SC2016 # expanded within
  run in_world bash -c 'ssh -o BatchMode=yes -i "$KUBECTL_CNI_SSH_KEY" -l "$KUBECTL_CNI_SSH_USER" \
    -o UserKnownHostsFile="$KUBECTL_CNI_SSH_KNOWN_HOSTS" 172.30.1.2 "hostname; exit 5"'
  [ "$status" = 5 ]
  [ "${lines[0]}" = w2 ]
}

@test "a killed kubelet comes back, and its pods stay" {
  local before
  before=$(pods web)
  on_node w1 pkill -x kubelet
  eventually on_node w1 pgrep -x kubelet
  in_world kubectl wait node/w1 --for condition=Ready --timeout 60s
  [ "$(pods web)" = "$before" ]
}

@test "Cilium comes up beside flannel and takes nothing over" {
  in_world kubectl apply -f "$WORLD/cilium-bridged.yaml"
  in_world kubectl -n kube-system rollout status daemonset/cilium --timeout 400s
  on_node w1 ip -d link show cilium_vxlan | grep -q vxlan
  on_node w1 test ! -e /etc/cni/net.d/05-cilium.conflist
  on_node w1 test -e /etc/cni/net.d/10-flannel.conflist
  local from address
  read -r from _ _ < <(pods agent)
  while read -r _ _ address; do answers "$from" "http://$address:8080/"; done < <(pods web)
}

@test "a pod of Cilium's and a pod of flannel's answer each other" {
  in_world kubectl create -f - <<'EOF'
apiVersion: cilium.io/v2
kind: CiliumNodeConfig
metadata: {name: migrated, namespace: kube-system}
spec:
  nodeSelector: {matchLabels: {cni: cilium}}
  defaults:
    write-cni-conf-when-ready: /host/etc/cni/net.d/05-cilium.conflist
    custom-cni-conf: "false"
    cni-exclusive: "true"
EOF
  in_world kubectl label node w1 cni=cilium
  in_world kubectl -n kube-system delete pod -l k8s-app=cilium --field-selector spec.nodeName=w1
  eventually on_node w1 test -e /etc/cni/net.d/05-cilium.conflist
  in_world kubectl -n shop delete pod -l app=agent --field-selector spec.nodeName=w1
  in_world kubectl -n shop rollout status daemonset/agent --timeout 120s
  local new old
  new=$(pods agent | grep ' w1 ')
  old=$(pods agent | grep ' w2 ')
  [[ $new == *" 10.245."* ]]
  # shellcheck disable=SC2086 # three words each
  set -- $new $old
  eventually answers "$1" "http://$6:8080/"
  eventually answers "$4" "http://$3:8080/"
}

@test "up refuses what it cannot do, in one line" {
  run "$here/up" --dir "$WORLD"
  [ "$status" = 1 ]
  [[ ${lines[0]} == "error: there is a cluster in"* ]]
  for wrong in --workers --nonsense "--workers=many" "--flannel-backend=udp"; do
    run "$here/up" "$wrong" --dir "$BATS_TEST_TMPDIR/none"
    [ "$status" = 2 ]
    [ "${#lines[@]}" = 1 ]
  done
  run "$here/in" --dir "$BATS_TEST_TMPDIR/none" true
  [ "$status" = 1 ]
}

@test "down leaves nothing" {
  "$here/down" --dir "$WORLD"
  [ ! -e "$WORLD" ]
  nothing_left
}

@test "up killed at any moment: down leaves nothing" {
  local dir=$BATS_FILE_TMPDIR/killed pid
  for delay in 0.3 2 8 20; do
    "$here/up" --workers 1 --dir "$dir" 3>&- &
    pid=$!
    sleep "$delay"
    kill -KILL "$pid"
    wait "$pid" || true
    "$here/down" --dir "$dir"
    run bash -c "ls -d '$dir'*"
    [ "$status" != 0 ]
    nothing_left
  done
}

@test "a control-plane node carries the API server, host-gw needs no tunnel" {
  local dir=$BATS_FILE_TMPDIR/other
  "$here/up" --control-planes 1 --workers 1 --spare 1 --flannel-backend host-gw --dir "$dir" 3>&-
  WORLD=$dir in_world kubectl get node cp1 -o jsonpath='{.spec.taints[*].key}' | grep -qx node-role.kubernetes.io/control-plane
  WORLD=$dir on_node cp1 ss -ltn | grep -q ':6443 '
  WORLD=$dir on_node cp1 ip route | grep -q '^10\.244\.[0-9.]*/24 via 172.30.1.1 dev eth0'
  run "$here/on" --dir "$dir" cp1 ip link show flannel.1
  [ "$status" = 1 ]
  # What the API server asks a pod goes through cp1's CNI.
  WORLD=$dir in_world kubectl get --raw /api/v1/namespaces/shop/services/web:http/proxy/ | grep -q '^web-'
  # A spare node is none until it joins, and then one like the others.
  run "$here/in" --dir "$dir" kubectl get node w2
  [ "$status" = 1 ]
  "$here/join" --dir "$dir" w2
  WORLD=$dir in_world kubectl wait node/w2 --for condition=Ready --timeout 120s
  WORLD=$dir eventually on_node cp1 ip route get 10.244.2.1
  run "$here/join" --dir "$dir" w2
  [ "$status" = 1 ]
  [ "$output" = 'error: no spare node "w2" in this world' ]
  "$here/down" --dir "$dir"
  nothing_left
}
