#!/bin/bash
# The first process of a world's PID namespace: prepares its network and keeps its orphans from
# becoming zombies (bash reaps what is handed to it). When it ends, the kernel ends all the rest.
# usage: world-init.sh BINARY DIR FLAG...
set -eu
binary=$1 dir=$2
shift 2

ip link set lo up
# Every node's address is ours: the world's sshd door hears a connection to any of them.
ip route add local 172.30.0.0/16 dev lo
mount -t tmpfs -o mode=0700 tmpfs "$dir/etcd"

cd "$dir"
status=0
"$binary" serve "--dir=$dir" "$@" &
wait $! || status=$?
exit $status
