#!/usr/bin/env bats
# The throw-away cluster itself: that it starts, plays its part, and leaves nothing behind.

load lib/bats

here=$BATS_TEST_DIRNAME

setup_file() {
  export WORLD=$BATS_FILE_TMPDIR/world
  "$here/up" --workers 2 --dir "$WORLD" 3>&-
}

teardown_file() {
  "$here/down" --dir "$WORLD"
}

# eventually COMMAND...: within half a minute; only the simulation is waited for like this.
eventually() {
  for _ in $(seq 100); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.3
  done
  "$@"
}

address_of() {
  in_world kubectl get node "$1" -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}'
}

# shellcheck disable=SC2016 # expanded within
by_ssh() { # NODE COMMAND
  in_world bash -c 'ssh -o BatchMode=yes -i "$KUBECTL_CNI_SSH_KEY" -l "$KUBECTL_CNI_SSH_USER" \
    -o UserKnownHostsFile="${KNOWN_HOSTS:-$KUBECTL_CNI_SSH_KNOWN_HOSTS}" "$1" "$2"' bash "$(address_of "$1")" "$2"
}

# traces DIR: all that a cluster in DIR could leave on this machine.
traces() {
  grep -lsz -F -e "$1" /proc/[0-9]*/cmdline | wc -l
  grep -c -F -e "$1" /proc/self/mounts
  ip netns list | wc -l
  find /dev/shm -mindepth 1 | wc -l
}

@test "everything is ready and has an address of flannel's range" {
  run in_world kubectl get nodes --no-headers
  [ "$status" = 0 ]
  [ "$(grep -c ' Ready ' <<<"$output")" = 3 ]
  run in_world kubectl get pods -A --no-headers -o wide
  [ "$(grep -c ' Running ' <<<"$output")" = "${#lines[@]}" ]
  in_world kubectl get pod scratch -o jsonpath='{.status.podIP}' | grep -q '^10\.244\.'
}

@test "the client's and the server's version can be read" {
  in_world kubectl version -o json | grep -c '"gitVersion": "v1.36.3"' | grep -qx 2
}

@test "in and on pass arguments and stdin" {
  # shellcheck disable=SC2016 # expanded within
  [ "$(in_world sh -c 'printf "<%s>" "$@"; cat' sh 'a  b' '*' '' <<<input)" = "<a  b><*><>input" ]
  # shellcheck disable=SC2016
  [ "$(on_node w1 sh -c 'printf "<%s>" "$@"; cat' sh 'a  b' '*' '' <<<input)" = "<a  b><*><>input" ]
}

@test "in and on pass the exit code" {
  run in_world sh -c 'exit 37'
  [ "$status" = 37 ]
  run on_node w1 sh -c 'exit 37'
  [ "$status" = 37 ]
}

@test "in and on pass signals" {
  "$here/in" --dir "$WORLD" sleep 600 3>&- &
  local first=$!
  "$here/on" --dir "$WORLD" w1 sleep 600 3>&- &
  local second=$!
  eventually grep -qx sleep "/proc/$first/comm"
  eventually grep -qx sleep "/proc/$second/comm"
  kill -TERM "$first" "$second"
  ends_with 143 "$first"
  ends_with 143 "$second"
}

@test "on a node: its name, its links, its files" {
  [ "$(on_node w1 hostname)" = w1 ]
  on_node w1 ip -d link show flannel.1 | grep -q 'vxlan id 1 .*dstport 8472'
  on_node w1 ip link show master cni0 | grep -q veth
  on_node w1 iptables-save | grep -q -e '-A POSTROUTING .*-j FLANNEL-POSTRTG'
  on_node w1 test -e /run/flannel/subnet.env
  on_node w1 touch /etc/only-on-the-node
  [ ! -e /etc/only-on-the-node ]
}

@test "every node has the links, control planes too" {
  for node in cp1 w1 w2; do
    by_ssh "$node" 'ip link show cni0 && ip link show flannel.1 && ip link show master cni0 | grep veth'
  done
}

@test "ssh with the key and the known host key" {
  [ "$(by_ssh w2 hostname)" = w2 ]
  run by_ssh w2 'exit 5'
  [ "$status" = 5 ]
}

@test "ssh refuses a wrong host key" {
  KNOWN_HOSTS=$WORLD/ssh/known_hosts.wrong run by_ssh w2 true
  [ "$status" = 255 ]
  [[ $output == *"Host key verification failed"* ]]
}

@test "a node whose sshd is down" {
  touch "$WORLD/nodes/w2/no-ssh"
  run by_ssh w2 true
  rm "$WORLD/nodes/w2/no-ssh"
  [ "$status" = 255 ]
}

@test "an unknown node and an unknown flag are one clear line" {
  run on_node w77 true
  [ "$status" = 1 ]
  [ "$output" = 'error: no node "w77" in this world' ]
  run "$here/in" --dir "$WORLD" --nonsense
  [ "$status" = 2 ]
  [ "${#lines[@]}" = 1 ]
}

@test "good and bad credentials" {
  for good in viewer token tokenfile exec; do
    in_world kubectl --kubeconfig "$WORLD/kubeconfig.d/$good.yaml" get node w1
  done
  for bad in expired wrong-token wrong-ca unreachable; do
    run in_world kubectl --kubeconfig "$WORLD/kubeconfig.d/$bad.yaml" get node w1
    [ "$status" != 0 ]
  done
  run in_world kubectl --kubeconfig "$WORLD/kubeconfig.d/viewer.yaml" label node w1 a=b
  [[ $output == *Forbidden* ]]
}

@test "requests are in the audit log" {
  in_world kubectl annotate node w2 audit-me=yes
  grep '"verb":"patch"' "$WORLD/log/audit.jsonl" | grep -q '"requestURI":"/api/v1/nodes/w2?'
}

@test "a node from flannel to Cilium" {
  in_world kubectl label nodes --all cni=flannel
  in_world kubectl -n kube-flannel patch daemonset kube-flannel-ds --type merge \
    -p '{"spec":{"template":{"spec":{"nodeSelector":{"cni":"flannel"}}}}}'
  in_world kubectl -n kube-flannel rollout status daemonset kube-flannel-ds --timeout 60s

  # Flannel's pod leaves, what it made stays.
  in_world kubectl label node w1 cni=none --overwrite
  in_world kubectl -n kube-flannel wait --for delete pod -l app=flannel --field-selector spec.nodeName=w1 --timeout 30s
  on_node w1 sh -c 'ip link show cni0 && ip link show flannel.1 && test -e /etc/cni/net.d/10-flannel.conflist'

  # Without a conf the node is not ready, and a new pod waits.
  by_ssh w1 'ip link del cni0 && ip link del flannel.1 && mv /etc/cni/net.d/10-flannel.conflist /tmp'
  in_world kubectl wait --for condition=Ready=false node/w1 --timeout 30s
  in_world kubectl -n ops delete pod -l app=log-agent --field-selector spec.nodeName=w1
  # A runtime needs the agent's conf to plug it in.
  sed 's/^      nodeSelector:$/&\n        cni: cilium/' "$WORLD/cilium.yaml" | in_world kubectl apply -f -
  run in_world kubectl -n ops get pod -l app=log-agent --field-selector spec.nodeName=w1 -o jsonpath='{.items[*].status.podIP}'
  [ -z "$output" ]

  in_world kubectl label node w1 cni=cilium --overwrite
  eventually by_ssh w1 'test -e /etc/cni/net.d/05-cilium.conflist'
  in_world kubectl wait --for condition=Ready node/w1 --timeout 30s
  in_world kubectl -n ops wait --for condition=Ready pod -l app=log-agent --field-selector spec.nodeName=w1 --timeout 30s
  in_world kubectl -n ops get pod -l app=log-agent --field-selector spec.nodeName=w1 \
    -o jsonpath='{.items[*].status.podIP}' | grep -q '^10\.245\.'
}

@test "flannel's leftover conf brings cni0 back, Cilium moves it aside" {
  on_node w2 ip link del cni0
  in_world kubectl -n ops delete pod -l app=log-agent --field-selector spec.nodeName=w2
  eventually on_node w2 ip link show cni0
  in_world kubectl label node w2 cni=cilium --overwrite
  eventually on_node w2 test -e /etc/cni/net.d/10-flannel.conflist.cilium_bak
  on_node w2 test -e /etc/cni/net.d/05-cilium.conflist
}

@test "a node joins" {
  in_world kubectl create -f - <<<'{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w9"}}'
  eventually in_world kubectl get node w9 -o jsonpath='{.spec.podCIDR}'
  in_world kubectl label node w9 cni=flannel
  in_world kubectl wait --for condition=Ready node/w9 --timeout 30s
  on_node w9 ip link show flannel.1
}

@test "two clusters side by side, in a directory that was there and is empty" {
  local other=$BATS_TEST_TMPDIR/other before after
  mkdir "$other"
  before=$(traces "$other")
  cd "$BATS_TEST_TMPDIR"
  "$here/up" --workers 1 --control-planes 0 --bare --dir other 3>&-
  [ "$("$here/in" --dir other kubectl get nodes --no-headers | wc -l)" = 1 ]
  in_world kubectl get node w2
  "$here/down" --dir other
  [ -d "$other" ]
  [ -z "$(ls -A "$other")" ]
  after=$(traces "$other")
  [ "$before" = "$after" ]
  run "$here/down" --dir "$other"
  [ "$status" = 0 ]
}

@test "up killed at any moment: down leaves nothing" {
  local dir=$BATS_TEST_TMPDIR/killed before after pid
  before=$(traces "$dir")
  for delay in 0.05 0.15 0.4 2 6; do
    "$here/up" --workers 3 --dir "$dir" 3>&- &
    pid=$!
    sleep "$delay"
    kill -KILL "$pid"
    wait "$pid" || true
    "$here/down" --dir "$dir"
    after=$(traces "$dir")
    [ "$before" = "$after" ]
    run bash -c "ls -d '$dir'*"
    [ "$status" != 0 ]
  done
}

@test "a cluster whose directory is removed ends by itself" {
  local dir=$BATS_TEST_TMPDIR/removed
  "$here/up" --workers 1 --bare --dir "$dir" 3>&-
  rm -rf "$dir"
  gone() { ! grep -lsz -F -e "--dir=$dir" /proc/[0-9]*/cmdline; }
  eventually gone
}

@test "up refuses what it cannot do, in one line" {
  touch "$BATS_TEST_TMPDIR/file"
  run "$here/up" --dir "$BATS_TEST_TMPDIR"
  [ "$status" = 1 ]
  [ "${#lines[@]}" = 1 ]
  run "$here/up" --dir "$WORLD"
  [ "$status" = 1 ]
  [[ ${lines[0]} == "error: there is a cluster in"* ]]
  for wrong in --workers --nonsense "--workers=many" "--workers=9999"; do
    run "$here/up" "$wrong" --dir "$BATS_TEST_TMPDIR/none"
    [ "$status" = 2 ]
    [ "${#lines[@]}" = 1 ]
  done
  run "$here/in" --dir "$BATS_TEST_TMPDIR/none" true
  [ "$status" = 1 ]
}

@test "without privileges up says so in one line" {
  run setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$here/up" --dir "$BATS_TEST_TMPDIR/none"
  [ "$status" = 1 ]
  [ "${#lines[@]}" = 1 ]
  [[ $output == *"needs root"* ]]
}
