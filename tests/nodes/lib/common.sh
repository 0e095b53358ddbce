# What the commands of tests/nodes share, on top of what those of tests/cluster share. Sourced.
# shellcheck shell=bash

# shellcheck source=tests/cluster/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../cluster/lib/common.sh"

# shellcheck disable=SC2034 # for those who source this
default_dir=/tmp/kubectl-cni-nodes-$(id -u)

# world_pid DIR: the first process of the world in DIR, or the end with one line.
world_pid() {
  local id pid
  id=$(world_id "$1")
  pid=$(cat "$1/pid" 2>/dev/null) || pid=none
  if [ -z "$id" ] || ! grep -qsz -x -e "KUBECTL_CNI_WORLD=$id" "/proc/$pid/environ"; then
    die "no real nodes are running in $1: start them with tests/nodes/up"
  fi
  echo "$pid"
}
