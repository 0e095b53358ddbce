# What the commands of tests/cluster share. Sourced, never run.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for those who source this
default_dir=/tmp/kubectl-cni-cluster-$(id -u)

die() { # MESSAGE [EXIT_CODE]
  echo "error: $1" >&2
  exit "${2:-1}"
}

# usage_error MESSAGE: wrong usage, as every command of the suite tells of it.
usage_error() {
  die "$1; see '${0##*/} --help'" 2
}

# absolute DIR: the path needs not exist yet.
absolute() {
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s/%s\n' "$PWD" "$1" ;;
  esac
}

# world_id DIR: the name that all processes of the world in DIR carry in their environment.
world_id() {
  cat "$1/id" 2>/dev/null || true
}

# world_pids ID: every process of a world, whoever started it. The environment is the mark, for it
# is inherited, cannot be confused by a process id used anew, and is there from the first moment.
world_pids() {
  local file
  grep -lsz -x -e "KUBECTL_CNI_WORLD=$1" /proc/[0-9]*/environ 2>/dev/null |
    while IFS= read -r file; do
      file=${file#/proc/}
      echo "${file%/environ}"
    done
  return 0
}

# world_netns DIR: the network namespace of the world in DIR, or the end with one line.
world_netns() {
  local id pid
  id=$(world_id "$1")
  pid=$(cat "$1/pid" 2>/dev/null) || pid=none
  if [ -z "$id" ] || ! grep -qsz -x -e "KUBECTL_CNI_WORLD=$id" "/proc/$pid/environ"; then
    die "no cluster is running in $1: start one with tests/cluster/up"
  fi
  echo "/proc/$pid/ns/net"
}
