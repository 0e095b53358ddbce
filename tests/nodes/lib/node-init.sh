#!/bin/bash
# The first process of a node, in network, mount, PID, UTS and IPC namespaces of its own: builds the
# node's root, a copy-on-write view of the machine's, and runs what a node runs. Nothing it writes
# reaches the machine; when it ends, the kernel ends all of the node.
# usage: node-init.sh NODE ADDRESS ROLE DIR BUILT CGROUP
set -eu
name=$1 address=$2 role=$3 world=$4 built=$5 cgroup=$6
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/nodes/lib/cgroups.sh
. "$here/cgroups.sh"
dir=$world/nodes/$name

# A process enters a cgroup namespace at the cgroup where it is.
if [ "$cgroup" != . ]; then
  read -r pid _ </proc/self/stat # as the world's /proc names us: for tests/nodes/on
  echo "$pid" >"$dir/pid"
  cgroup_mounts >"$dir/cgroups"
  join_cgroup "$cgroup"
  exec unshare --cgroup bash "$0" "$name" "$address" "$role" "$world" "$built" .
fi

root=$dir/fs/root
mount -t tmpfs -o mode=0755 tmpfs "$dir/fs"
mkdir "$dir"/fs/{upper,work,root,sysctl}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/fs/upper,workdir=$dir/fs/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t sysfs sysfs "$root/sys"
mount -t bpf bpf "$root/sys/fs/bpf"
mount_cgroups "$root/sys/fs/cgroup" "$dir/cgroups"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=0700,size=16m tmpfs "$root/root"

# The kubelet and Cilium want these changed, and they are the machine's: they may change copies.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
  kernel/keys/root_maxkeys kernel/keys/root_maxbytes kernel/unprivileged_bpf_disabled; do
  [ -e "/proc/sys/$key" ] || continue
  cat "/proc/sys/$key" >"$dir/fs/sysctl/${key//\//.}"
  mount --bind "$dir/fs/sysctl/${key//\//.}" "$root/proc/sys/$key"
done

# Images and volumes are on disk: an overlay cannot be the upper part of another.
mkdir -p "$root"/var/lib/{containerd,kubelet} "$root"/var/log/node "$root"/opt/{cni/bin,kubernetes} \
  "$root"/etc/{kubernetes,cni/net.d} "$root"/run/{lock,sshd,netns} "$root/root/.ssh"
mount --bind "$dir/containerd" "$root/var/lib/containerd"
mount --bind "$dir/kubelet" "$root/var/lib/kubelet"
mount --bind "$dir/log" "$root/var/log/node"
mount --bind "$built/bin" "$root/opt/kubernetes"
rm -rf "$root"/etc/cni/net.d/* "$root"/var/lib/cni "$root"/var/log/{pods,containers}
cp /usr/lib/cni/* "$root/opt/cni/bin/"

hostname "$name"
echo "$name" >"$root/etc/hostname"
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf" # often a link
echo "nameserver 127.0.0.1" >"$root/etc/resolv.conf"
od -An -N16 -tx8 /dev/urandom | tr -d ' \n' >"$root/etc/machine-id"

cp "$world/pki/ca.crt" "$root/etc/kubernetes/"
cp "$world/pki/$name" "$root/etc/kubernetes/kubelet.conf"
cp "$world/pki/kubelet-$name.crt" "$root/etc/kubernetes/kubelet.crt"
cp "$world/pki/kubelet-$name.key" "$root/etc/kubernetes/kubelet.key"
cp "$here/../node/"{containerd.toml,kubelet.yaml} "$root/etc/kubernetes/"
if [ "$role" = control-plane ]; then
  echo 'registerWithTaints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]' \
    >>"$root/etc/kubernetes/kubelet.yaml"
fi
install -m 600 "$world/ssh/key.pub" "$root/root/.ssh/authorized_keys"
install -m 600 "$world/ssh/host_key" "$root/etc/ssh/world_host_key"
cp "$here/../node/sshd_config" "$root/etc/ssh/world_config"
# sshd refuses an account whose password is locked with '!'; '*' only means that there is none.
sed -i 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"

cd "$root"
mkdir .old
pivot_root . .old
umount -l /.old
rmdir /.old
mount --make-rshared /
echo 1 >/proc/sys/net/ipv4/ip_forward
# What a module loader of a real node would have done.
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true

export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# keep NAME COMMAND...: as an init system would, so that a test may kill it to restart it.
keep() {
  local name=$1
  shift
  while :; do
    "$@" >>"/var/log/node/$name.log" 2>&1 </dev/null || true
    sleep 1
  done
}
keep sshd /usr/sbin/sshd -D -e -f /etc/ssh/world_config &
keep containerd containerd -c /etc/kubernetes/containerd.toml &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.05; done
keep kubelet /opt/kubernetes/kubelet --config=/etc/kubernetes/kubelet.yaml \
  --kubeconfig=/etc/kubernetes/kubelet.conf --hostname-override="$name" --node-ip="$address" &
# Bash buries whatever orphan is handed to it.
while :; do wait || true; done
