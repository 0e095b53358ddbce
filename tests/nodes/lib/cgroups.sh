# A world's cgroups: a directory of its own in every hierarchy and one below it for each node, which
# is all that the node sees. Works with version 1, version 2, and both at once. Sourced.
# shellcheck shell=bash

# cgroup_mounts: PATH TYPE OPTIONS of every hierarchy of this machine.
cgroup_mounts() {
  awk '{ for (i = 7; $i != "-"; i++); } $(i + 1) ~ /^cgroup2?$/ && $4 == "/" { print $5, $(i + 1), $(i + 3) }' \
    /proc/self/mountinfo
}

# make_cgroup NAME: with all controllers; its parent has been made.
make_cgroup() {
  local path rest file parent controller
  while read -r path rest; do
    parent=$path/$(dirname "$1")
    # In version 2 the parent says what a child may use, in version 1 a new cpuset is empty.
    if [ -e "$parent/cgroup.controllers" ]; then
      for controller in $(<"$parent/cgroup.controllers"); do
        echo "+$controller" >"$parent/cgroup.subtree_control" || true
      done
    fi
    mkdir -p "$path/$1"
    for file in cpuset.cpus cpuset.mems; do
      if [ -e "$path/tasks" ] && [ -e "$path/$1/$file" ]; then cat "$parent/$file" >"$path/$1/$file"; fi
    done
  done < <(cgroup_mounts)
}

# join_cgroup NAME: the calling process.
join_cgroup() {
  local path rest
  while read -r path rest; do echo 0 >"$path/$1/cgroup.procs"; done < <(cgroup_mounts)
}

# remove_cgroups NAME: with all below; its processes must have ended.
remove_cgroups() {
  local path rest
  while read -r path rest; do
    [ ! -d "$path/$1" ] || find "$path/$1" -depth -type d -exec rmdir {} + 2>/dev/null || return 1
  done < <(cgroup_mounts)
}

# mount_cgroups DIR LIST: as /sys/fs/cgroup, the hierarchies as seen from a new cgroup namespace. LIST
# is what cgroup_mounts had said before that was entered.
mount_cgroups() {
  local path type options below
  while read -r path type options; do
    below=${path#/sys/fs/cgroup}
    if [ -n "$below" ]; then
      mountpoint -q "$1" || mount -t tmpfs -o mode=0755 tmpfs "$1"
      mkdir -p "$1$below"
    fi
    case $type in
      cgroup2) mount -t cgroup2 cgroup2 "$1$below" ;;
      *)
        options=${options#rw,}
        case $options in name=*) options=none,$options ;; esac
        mount -t cgroup -o "$options" cgroup "$1$below"
        ;;
    esac
  done <"$2"
  # In version 2 a cgroup with processes cannot have children that use controllers.
  if [ -e "$1/cgroup.controllers" ]; then
    mkdir "$1/init"
    echo 0 >"$1/init/cgroup.procs"
  fi
}
