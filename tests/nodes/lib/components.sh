# The programs of a world of real nodes, each built from its Go module into a cache of its own, so
# that a change of one does not build the others anew. Sourced by `build`, which sets here and cache.
# shellcheck shell=bash disable=SC2154,SC2034,SC2164

components=(kubernetes cilium flannel flannel-cni coredns enter prober)
readonly kubernetes_version=v1.36.3 flannel_version=v0.28.10 cilium_version=v1.20.2 coredns_version=v1.14.3

component_source() { # NAME
  if [ "$1" = prober ]; then echo "$here/prober"; else echo "$here/modules/$1"; fi
}

component_hash() { # NAME
  local sources=("$(component_source "$1")")
  [ "$1" != kubernetes ] || sources+=("$here/../cluster/world/pki" "$here/../cluster/world/go.mod")
  {
    find "${sources[@]}" -type f ! -name '*.md' ! -name '*_test.go' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | cut -c1-64
    declare -f "build_${1//-/_}" go_build
    echo "$kubernetes_version $cilium_version $flannel_version $coredns_version"
  } | sha256sum | cut -c1-16
}

component_dir() { # NAME
  echo "$cache/nodes-$1-$(component_hash "$1")"
}

build_component() { # NAME
  local dir status
  dir=$(component_dir "$1")
  [ ! -d "$dir" ] || return 0
  echo "building $1" >&2
  mkdir -p "$dir.part"
  set +e # not in a condition: there bash would go on after an error, within as well
  (
    set -e
    cd "$(component_source "$1")"
    "build_${1//-/_}" "$dir.part"
  ) >"$dir.part/build.log" 2>&1
  status=$?
  set -e
  if [ $status != 0 ]; then
    cat "$dir.part/build.log" >&2
    die "$1 could not be built"
  fi
  rm "$dir.part/build.log"
  mv -T "$dir.part" "$dir"
}

# go_build OUT PACKAGE [LDFLAG...]: without debugging information, which nobody would read.
go_build() {
  local out=$1 package=$2
  shift 2
  go build -trimpath -ldflags "-s -w $*" -o "$out" "$package"
}

# With the flags of tests/cluster/build, hence with its compiled packages.
build_kubernetes() {
  local flags=() package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=("-X $package.gitVersion=$kubernetes_version -X $package.gitMajor=1 -X $package.gitMinor=36"
      "-X $package.gitTreeState=clean -X $package.buildDate=2026-07-22T18:07:38Z")
  done
  go_build "$1/kubelet" k8s.io/kubernetes/cmd/kubelet "${flags[@]}"
  go_build "$1/kube-proxy" k8s.io/kubernetes/cmd/kube-proxy "${flags[@]}"
  go_build "$1/identities" ./identities
  gcc -Os -static -o "$1/pause" "$(module_dir k8s.io/kubernetes)/build/pause/linux/pause.c"
}

build_cilium() {
  local cilium=github.com/cilium/cilium
  local version="-X $cilium/pkg/version.ciliumVersion=${cilium_version#v}"
  export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -tags=osusergo,ipam_provider_operator"
  go_build "$1/cilium-agent" $cilium/daemon "$version"
  go_build "$1/cilium-dbg" $cilium/cilium-dbg "$version"
  go_build "$1/cilium-cni" $cilium/plugins/cilium-cni "$version"
  go_build "$1/cilium-operator-generic" $cilium/operator "$version"
  go_build "$1/cilium-mount" $cilium/tools/mount
  go_build "$1/cilium-sysctlfix" $cilium/tools/sysctlfix
  go_build "$1/chart" ./chart
}

# The backends need cgo; the image has no C library.
build_flannel() {
  local flannel=github.com/flannel-io/flannel
  CGO_ENABLED=1 go_build "$1/flanneld" $flannel \
    "-X $flannel/pkg/version.Version=$flannel_version -extldflags=-static"
  CGO_ENABLED=0 go_build "$1/install-conf" $flannel/cmd/install_conf
}

build_flannel_cni() {
  CGO_ENABLED=0 go_build "$1/flannel" github.com/containernetworking/plugins/plugins/meta/flannel
}

build_coredns() { CGO_ENABLED=0 go_build "$1/coredns" .; }
build_enter() { CGO_ENABLED=0 go_build "$1/enter" .; }
build_prober() { CGO_ENABLED=0 go_build "$1/prober" .; }

module_dir() { # MODULE, of the Go module in the current directory
  go list -m -f '{{.Dir}}' "$1"
}

# take_sources DIR: what is not a program.
take_sources() {
  local cilium flannel
  cilium=$(cd "$here/modules/cilium" && module_dir github.com/cilium/cilium)
  flannel=$(cd "$here/modules/flannel" && module_dir github.com/flannel-io/flannel)
  cp -r "$cilium/install/kubernetes/cilium" "$1/cilium-chart"
  cp "$flannel/Documentation/kube-flannel.yml" "$1/"
  chmod -R u+w "$1"
}
