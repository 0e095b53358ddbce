#!/bin/bash
# Runs as the first process in a node's own network, mount, UTS and IPC namespaces: builds the
# node's root, a copy-on-write view of the machine's, and stays. Nothing it writes reaches the
# machine; all of it ends with the process.
# usage: init.sh NODE ADDRESS NODE_DIR SSH_DIR
set -eu
name=$1 address=$2 dir=$3 ssh=$4

mkdir -p "$dir/fs"
mount -t tmpfs -o mode=0755,size=256m tmpfs "$dir/fs"
mkdir "$dir"/fs/{upper,work,root}
root=$dir/fs/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/fs/upper,workdir=$dir/fs/work" "$root"
mount --rbind /dev "$root/dev"
# The machine's /proc, for a process may come in from outside of the world's PID namespace.
mount --rbind /proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# root's home is empty: this machine's may have a .bashrc, and sshd's shell would run it.
mount -t tmpfs -o mode=0700,size=16m tmpfs "$root/root"

mkdir -p "$root/etc/cni" "$root/var/lib/cni" "$root/root/.ssh" "$dir/run/sshd" "$dir/run/lock"
mount --bind "$dir/run" "$root/run"
mount --bind "$dir/etc-cni" "$root/etc/cni"
mount --bind "$dir/var-lib-cni" "$root/var/lib/cni"

hostname "$name"
echo "$name" >"$root/etc/hostname"
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" >"$root/etc/hosts"
chmod 700 "$root/root/.ssh"
install -m 600 "$ssh/key.pub" "$root/root/.ssh/authorized_keys"
install -m 600 "$ssh/host_key" "$root/etc/ssh/world_host_key"
# sshd refuses an account whose password is locked with '!'; '*' only means that there is none.
sed -i 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"
cat >"$root/etc/ssh/world_config" <<EOF
HostKey /etc/ssh/world_host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PrintMotd no
PrintLastLog no
UseDNS no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
EOF

cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
rmdir /.old

ip -batch - <<EOF
link set lo up
link add eth0 type veth peer name uplink
addr add $address/16 dev eth0
link set uplink up
link set eth0 up
EOF

# kube-proxy's chains, in small: whoever cleans up after flannel must leave them alone.
iptables-restore --noflush <<'EOF'
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
COMMIT
EOF

# Our id as the machine's /proc knows it, for nsenter.
read -r pid _ </proc/self/stat
echo "ready $pid"
# Nothing of the daemon's stays open; children of the node are reaped by the world's first process.
exec sleep infinity >/dev/null 2>&1
