# The one thing of the machine that a world must change: how many inotify instances a user may have.
# The first world raises it, the end of the last one puts it back. Sourced.
# shellcheck shell=bash

readonly limit_file=/proc/sys/fs/inotify/max_user_instances
readonly limit_before=/run/kubectl-cni-nodes.inotify

raise_limits() {
  local limit lock
  exec {lock}</run
  flock "$lock"
  limit=$(cat $limit_file)
  if [ "$limit" -lt 4096 ]; then
    [ -e $limit_before ] || echo "$limit" >$limit_before
    echo 4096 >$limit_file
  fi
  exec {lock}<&-
}

# restore_limits: unless another world is there.
restore_limits() {
  local lock
  exec {lock}</run
  flock "$lock"
  if [ -e $limit_before ] && ! grep -qsz -x -e KUBECTL_CNI_NODES=yes /proc/[0-9]*/environ; then
    cat $limit_before >$limit_file
    rm $limit_before
  fi
  exec {lock}<&-
}
