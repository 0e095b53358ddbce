# One throw-away cluster for all the files of this folder: nodes that are clean, and cables to them,
# for the cluster itself leads only port 22 to a node. KCNI_WORLD, when set, is one that is running
# already (to go on testing by hand).

world_in() { "$BATS_TEST_DIRNAME/../cluster/in" --dir "$KCNI_WORLD" "$@"; }
world_on() { "$BATS_TEST_DIRNAME/../cluster/on" --dir "$KCNI_WORLD" "$@"; }

# lay_cable NODE: 198.18.N.1 and fd18:N::1 are the node, for every port of it.
lay_cable() {
  local node=$1 number=${1#w}
  if world_in ip link show "to-$node" >/dev/null 2>&1; then return; fi
  world_on "$node" ip link add ssh0 type veth peer name "to-$node" netns "$(cat "$KCNI_WORLD/pid")"
  world_on "$node" ip -batch - <<IP
addr add 198.18.$number.1/24 dev ssh0
addr add fd18:$number::1/64 dev ssh0 nodad
link set ssh0 up
IP
  world_in ip -batch - <<IP
addr add 198.18.$number.254/24 dev to-$node
addr add fd18:$number::fe/64 dev to-$node nodad
link set to-$node up
IP
}

# make_users NODE: ann may do everything, bob only with his password, eve nothing. All have the key
# of the cluster, and so has root.
make_users() {
  # shellcheck disable=SC2016 # the node's shell expands it
  world_on "$1" sh -euc '
    mkdir -p /etc/ssh/keys /etc/sudoers.d
    for user in ann bob eve; do
      id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh --password "*" "$user"
    done
    for user in root ann bob eve; do # sshd reads it as that user
      install -m 644 /root/.ssh/authorized_keys "/etc/ssh/keys/$user"
    done
    echo "ann ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/ann
    echo "bob ALL=(ALL) ALL" >/etc/sudoers.d/bob
    chmod 440 /etc/sudoers.d/*'
}

# Without flannel's range each --check would begin with a warning about it.
tell_range() {
  world_in kubectl create configmap kube-flannel-cfg -n kube-flannel \
    --from-literal='net-conf.json={"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}' >/dev/null 2>&1 || true
}

setup_suite() {
  if [ -z "${KCNI_WORLD:-}" ]; then
    KCNI_WORLD=$(mktemp -d)/world
    export KCNI_WORLD
    export KCNI_OWN_WORLD=$KCNI_WORLD
    "$BATS_TEST_DIRNAME/../cluster/up" --bare --workers 3 --dir "$KCNI_WORLD" >&2
  fi
  tell_range
  world_in kubectl-cni-cleanup --all --force >&2
  for node in w1 w2 w3; do
    lay_cable "$node"
    make_users "$node"
  done
}

teardown_suite() {
  if [ -z "${KCNI_OWN_WORLD:-}" ]; then return; fi
  "$BATS_TEST_DIRNAME/../cluster/down" --dir "$KCNI_OWN_WORLD" >&2
  rmdir "$(dirname "$KCNI_OWN_WORLD")"
}
