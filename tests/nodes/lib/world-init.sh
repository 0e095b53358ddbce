#!/bin/bash
# The first process of a world's PID namespace: makes its network, starts the control plane and the
# nodes, fills the cluster, and stays. When it ends, the kernel ends all the rest. Progress goes to
# stdout; the last line is "ready" or "error: ...".
# usage: world-init.sh DIR BINARY BUILT CGROUP BACKEND WAIT NODE=ADDRESS=ROLE...
set -euo pipefail
dir=$1 binary=$2 built=$3 cgroup=$4 backend=$5 wait=$6
shift 6
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
began=$(date +%s%N)
readonly gateway=172.30.0.1 # this namespace: where tests/nodes/in is, and no node
# shellcheck source=tests/nodes/lib/cgroups.sh
. "$here/lib/cgroups.sh"
# shellcheck source=tests/nodes/lib/limits.sh
. "$here/lib/limits.sh"
# shellcheck source=tests/nodes/lib/plane.sh
. "$here/lib/plane.sh"
# shellcheck source=tests/nodes/lib/content.sh
. "$here/lib/content.sh"

# `up` may be killed while we start, and its end of the pipe with it: that must not kill us.
trap '' PIPE

say() {
  local elapsed=$((($(date +%s%N) - began) / 100000000))
  printf '%4d.%ds  %s\n' $((elapsed / 10)) $((elapsed % 10)) "$1" 2>/dev/null || true
}

fail() {
  echo "error: $1" >&2 # for log/world.log, should nobody be reading our progress any more
  echo "error: $1" 2>/dev/null || true
  exit 1
}

# plug NAME ADDRESS: a network namespace with a cable to the bridge.
plug() {
  ip netns add "$1"
  ip link add "to-$1" type veth peer name eth0 netns "$1"
  ip link set "to-$1" master cluster up
  ip -n "$1" -batch - <<EOF
link set lo up
addr add $2/16 dev eth0
link set eth0 up
route add default via $gateway
EOF
}

make_network() {
  local node name address role
  mount -t tmpfs -o mode=0755 tmpfs /run # the names of network namespaces are the world's own
  ip link set lo up
  ip link add cluster type bridge
  ip addr add "$gateway/16" dev cluster
  ip link set cluster up
  for node; do
    IFS='=' read -r name address role <<<"$node"
    [ "$role" = spare ] || plug "$name" "$address"
  done
}

# make_node_dir NAME: with a containerd of its own. Its files are this machine's only copy of the
# images' (nothing writes to them), but for the databases.
make_node_dir() {
  local node=$dir/nodes/$1
  mkdir -p "$node"/{fs,kubelet,log}
  cp -al "$built/images" "$node/containerd" 2>/dev/null || {
    rm -rf "$node/containerd" # another file system
    cp -a "$built/images" "$node/containerd"
  }
  find "$node/containerd" -name '*.db' -exec cp --remove-destination {} {}.own \; -exec mv {}.own {} \;
}

start_node() { # NAME ADDRESS ROLE
  make_cgroup "$cgroup/$1"
  nsenter --net="/run/netns/$1" -- setsid unshare --mount --uts --ipc --pid --fork --kill-child -- \
    bash "$here/lib/node-init.sh" "$1" "$2" "$3" "$dir" "$built" "$cgroup/$1" \
    >"$dir/nodes/$1/log/init.log" 2>&1 </dev/null &
  members[$!]="node $1"
}

# start_wanted: the spare nodes that tests/nodes/join has asked for.
start_wanted() {
  local file name address
  for file in "$dir"/spare/*.wanted; do
    [ -e "$file" ] || return 0
    name=$(basename "$file" .wanted) address=$(<"$file")
    rm "$file"
    plug "$name" "$address"
    make_node_dir "$name"
    start_node "$name" "$address" worker
  done
}

# Everything that this world cannot do without, by process id.
declare -A members=()

main() {
  local node name address role copies=() namespace='' server=$gateway
  raise_limits # before our own /run hides the machine's
  make_network "$@"
  for node; do
    IFS='=' read -r name address role <<<"$node"
    if [ "$role" = spare ]; then
      mkdir -p "$dir/spare"
      echo "$address" >"$dir/spare/$name" # for tests/nodes/join
      continue
    fi
    make_node_dir "$name" &
    copies+=($!)
    # The API server is on the first control-plane node, hence on that node's network: calls to
    # webhooks that pods serve go through its CNI.
    if [ "$role" = control-plane ] && [ -z "$namespace" ]; then namespace=$name server=$address; fi
  done
  make_ssh "$dir/ssh" "$@"
  "$built/bin/identities" -dir "$dir" -server "$server" "${@%=*}" || fail "no certificates can be made"
  start_plane "$namespace" "$server"
  say "API server ready"
  wait "${copies[@]}" || fail "the images cannot be copied"
  make_cgroup "$cgroup"
  for node; do
    IFS='=' read -r name address role <<<"$node"
    [ "$role" = spare ] || start_node "$name" "$address" "$role"
  done
  create_content "$server" "$@"
  [ "$wait" = no ] || wait_for_content
  echo ready 2>/dev/null || true
}

main "$@"
exec >/dev/null
# Whoever removes the directory, without `down`, has removed what `down` would find us by. And a
# world without one of its members is none.
while [ -e "$dir/id" ]; do
  for pid in "${!members[@]}"; do
    kill -0 "$pid" 2>/dev/null || fail "${members[$pid]} has ended"
  done
  start_wanted
  sleep 1
done
