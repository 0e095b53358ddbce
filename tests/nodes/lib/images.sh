# The container images of a world of real nodes: one layer each, made of our programs and of this
# machine's, imported once into the root of a containerd from which every node gets its own.
# Sourced by `build`. The names are the real ones: manifests and charts need no change.
# shellcheck shell=bash disable=SC2154

# host_program NAME: its path on this machine, also when it lies outside of the caller's PATH.
host_program() {
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v "$1" || true
}

# add_programs ROOT NAME...: programs of this machine, at their paths, with their libraries.
add_programs() {
  local root=$1 program
  shift
  for program; do
    program=$(host_program "$program")
    add_file "$root" "$program"
    add_libraries "$root" "$program"
  done
}

# add_libraries ROOT PROGRAM: what it is linked with; nothing for a static one.
add_libraries() {
  local root=$1 library
  for library in $(ldd "$2" 2>/dev/null | grep -o '/[^ ]*'); do add_file "$root" "$library"; done
}

# add_file ROOT PATH: /bin and its like are links where they are links on this machine.
add_file() {
  local root=$1 path=$2 link
  for link in /bin /sbin /lib /lib64; do
    if [ ! -e "$root$link" ] && [ -L "$link" ]; then
      mkdir -p "$root/usr$link"
      ln -s "usr$link" "$root$link"
    fi
  done
  [ -e "$root$path" ] || install -D "$path" "$root$path"
}

# add_shell ROOT COMMAND...: these commands of busybox's.
add_shell() {
  local root=$1 name
  shift
  add_programs "$root" busybox
  mkdir -p "$root/bin" "$root/tmp"
  for name; do
    [ -e "$root/bin/$name" ] || ln -s "$(host_program busybox)" "$root/bin/$name"
  done
}

# add_iptables ROOT: with its extensions, and the kernel interface that this machine uses.
add_iptables() {
  local root=$1 multi extensions extension name
  multi=$(readlink -f "$(host_program iptables)")
  extensions=$(dirname "$(find /usr/lib -name libxt_comment.so | head -n 1)")
  add_programs "$root" "$multi"
  mkdir -p "$root/usr/sbin" "$root/run"
  for extension in "$extensions"/lib{xt,ipt,ip6t}_*.so; do
    add_file "$root" "$extension"
    add_libraries "$root" "$extension"
  done
  for name in {iptables,ip6tables}{,-save,-restore}; do ln -s "$multi" "$root/usr/sbin/$name"; done
}

image_pause() {
  image=registry.k8s.io/pause:3.10 entrypoint=/pause
  cp "$(component_dir kubernetes)/pause" "$1/pause"
}

image_kube_proxy() {
  image=registry.k8s.io/kube-proxy:$kubernetes_version entrypoint=/usr/local/bin/kube-proxy
  install -D "$(component_dir kubernetes)/kube-proxy" "$1/usr/local/bin/kube-proxy"
  add_libraries "$1" "$1/usr/local/bin/kube-proxy"
  add_iptables "$1"
  add_programs "$1" conntrack ipset
}

image_flannel() {
  image=ghcr.io/flannel-io/flannel:$flannel_version entrypoint=/opt/bin/flanneld
  mkdir -p "$1/opt/bin"
  cp "$(component_dir flannel)"/{flanneld,install-conf} "$1/opt/bin/"
  add_iptables "$1"
  add_programs "$1" ip
}

image_flannel_cni() {
  # The manifest names the version: the plugin has one of its own.
  image=$(sed -n 's/^ *image: *\(.*flannel-cni-plugin:.*\)$/\1/p' "$sources/kube-flannel.yml") entrypoint=/flannel
  cp "$(component_dir flannel-cni)/flannel" "$1/"
  add_shell "$1" cp
}

image_cilium() {
  image=quay.io/cilium/cilium:$cilium_version entrypoint=/usr/bin/cilium-dbg
  local module programs
  module=$(cd "$here/modules/cilium" && module_dir github.com/cilium/cilium)
  programs=$(component_dir cilium)
  mkdir -p "$1"/{opt/cni/bin,usr/bin,var/lib/cilium,home/cilium,etc}
  cp "$programs"/{cilium-agent,cilium-dbg,cilium-mount,cilium-sysctlfix} "$1/usr/bin/"
  ln -s cilium-dbg "$1/usr/bin/cilium"
  cp "$programs/cilium-cni" "$1/opt/cni/bin/"
  # The agent compiles its BPF programs on the node.
  cp -r "$module/bpf" "$1/var/lib/cilium/bpf"
  chmod -R u+w "$1/var/lib/cilium/bpf"
  rm -rf "$1"/var/lib/cilium/bpf/{tests,complexity-tests}
  cp "$module"/plugins/cilium-cni/{install-plugin.sh,cni-uninstall.sh} "$module/images/cilium/init-container.sh" "$1/"
  chmod 755 "$1"/*.sh
  add_programs "$1" clang-19 ip ipset bash nsenter mount
  ln -s "$(host_program clang-19)" "$1/usr/bin/clang"
  add_iptables "$1"
  add_shell "$1" sh cp mv rm ls ln cat sleep mkdir grep sed chmod dirname basename readlink true \
    sysctl modprobe umount touch ps kill
  ln -s /bin/modprobe "$1/usr/sbin/modprobe"
}

image_cilium_operator() {
  image=quay.io/cilium/operator-generic:$cilium_version entrypoint=/usr/bin/cilium-operator-generic
  install -D "$(component_dir cilium)/cilium-operator-generic" "$1/usr/bin/cilium-operator-generic"
  mkdir -p "$1"/{etc,tmp}
}

image_coredns() {
  image=registry.k8s.io/coredns/coredns:$coredns_version entrypoint=/coredns
  cp "$(component_dir coredns)/coredns" "$1/"
}

image_prober() {
  image=kubectl-cni.test/prober:1 entrypoint=/prober
  cp "$(component_dir prober)/prober" "$1/"
  # For a look around by kubectl exec; busybox's own wget crashes in Debian's static build.
  add_programs "$1" curl
  add_shell "$1" sh cat ls ping sleep kill
}

# write_image ROOT WORK: the archive that `docker save` would write, at WORK/image.tar.
write_image() {
  local root=$1 work=$2 layer config
  mkdir -p "$root"/{etc,tmp,run}
  chmod 1777 "$root/tmp"
  tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$work/layer.tar" .
  layer=$(sha256sum "$work/layer.tar" | cut -c1-64)
  config='{"architecture":"'$(go env GOARCH)'","os":"linux","config":{"Entrypoint":["'$entrypoint'"],
    "Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
    "rootfs":{"type":"layers","diff_ids":["sha256:'$layer'"]},"history":[{"created_by":"tests/nodes/build"}]}'
  echo "$config" >"$work/config.json"
  echo '[{"Config":"config.json","RepoTags":["'"$image"'"],"Layers":["layer.tar"]}]' >"$work/manifest.json"
  tar -C "$work" -cf "$work/image.tar" manifest.json config.json layer.tar
}

# make_images OUT WORK: OUT is the root of a containerd that has all images.
make_images() {
  local out=$1 work=$2 name image entrypoint sources
  sources=$(dirname "$out")/source
  mkdir -p "$out" "$work"
  start_containerd "$out" "$work"
  for name in pause kube_proxy flannel flannel_cni coredns prober cilium cilium_operator; do
    rm -rf "$work/root"
    mkdir "$work/root"
    "image_$name" "$work/root"
    write_image "$work/root" "$work"
    ctr --address "$work/socket" -n k8s.io images import "$work/image.tar" >/dev/null
    rm "$work"/*.tar
  done
  kill "$containerd"
  wait "$containerd" || true
}

# start_containerd ROOT WORK: one that answers at WORK/socket and dies with us, whatever kills us.
start_containerd() {
  local root=$1 work=$2
  cat >"$work/containerd.toml" <<EOF
version = 2
root = "$root"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "$work/opt"
EOF
  # Its mounts and its network are nobody else's.
  unshare --mount --net -- setpriv --pdeathsig KILL containerd -c "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
  containerd=$!
  for _ in $(seq 100); do
    if ctr --address "$work/socket" version >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  die "containerd does not start: $(tail -n 3 "$work/containerd.log")"
}
