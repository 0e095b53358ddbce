# What the commands of tests/cluster share, and with those of tests/nodes. Sourced, never run.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for those who source this
default_dir=/tmp/kubectl-cni-cluster-$(id -u) up_command=tests/cluster/up

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
  local id=
  read_line id "$1/id"
  if [ -n "$id" ]; then echo "$id"; fi
}

# read_line VARIABLE FILE: its first line, or nothing if there is none; without a process, for `in` is started
# thousands of times.
read_line() {
  { read -r "$1" <"$2"; } 2>/dev/null || true
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

# first_process DIR: of the world in DIR, if it is alive.
first_process() {
  local id='' pid='' environment=() entry
  read_line id "$1/id"
  read_line pid "$1/pid"
  [ -n "$id" ] && [ -n "$pid" ] || return 1
  { mapfile -d '' environment <"/proc/$pid/environ"; } 2>/dev/null || return 1
  for entry in "${environment[@]}"; do
    if [ "$entry" = "KUBECTL_CNI_WORLD=$id" ]; then echo "$pid" && return; fi
  done
  return 1
}

# world_pid DIR: the same, or the end with one line.
world_pid() {
  first_process "$1" || die "no cluster is running in $1: start one with $up_command"
}

# settings_for DIR: exports what our commands and kubectl need within the world in DIR.
settings_for() {
  export PATH="${KUBECTL_CNI_BIN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/build/release/bin}:$1/bin:$PATH"
  export KUBECONFIG=$1/kubeconfig
  export KUBECTL_CNI_SSH_KEY=$1/ssh/key
  export KUBECTL_CNI_SSH_USER=root
  export KUBECTL_CNI_SSH_KNOWN_HOSTS=$1/ssh/known_hosts
  KUBECTL_CNI_WORLD=
  read_line KUBECTL_CNI_WORLD "$1/id"
  export KUBECTL_CNI_WORLD
  # A proxy of this machine is out of reach, and nothing in there needs one.
  unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY KUBECTL_PATH
}

# end_processes DIR: all of the world in DIR, but for us.
end_processes() {
  local id pid netns pids
  id=$(world_id "$1")
  # This very process carries the mark if it was started from within.
  [ "${KUBECTL_CNI_WORLD:-}" != "$id" ] || die "a cluster cannot be ended from within itself"
  # What was started through `in` and has dropped its environment is still in the world's network.
  if pid=$(first_process "$1") && netns=$(readlink "/proc/$pid/ns/net"); then
    find /proc/[0-9]*/ns/net -maxdepth 0 -lname "$netns" 2>/dev/null |
      cut -d/ -f3 | xargs -r kill -KILL 2>/dev/null || true
  fi
  # Killed processes leave the list only once the kernel has torn their namespaces down. The first
  # process of a PID namespace ends after all others in it, the containers' among them.
  for _ in $(seq 400); do
    mapfile -t pids < <(world_pids "$id")
    [ ${#pids[@]} -gt 0 ] || return 0
    kill -KILL "${pids[@]}" 2>/dev/null || true
    sleep 0.05
  done
  die "processes of the cluster in $1 cannot be killed: ${pids[*]}"
}

# remove_files DIR: and DIR itself if `up` made it. The id goes last: killed half-way, the next `down`
# still knows what to do.
remove_files() {
  local created=no
  [ ! -e "$1/created" ] || created=yes
  find "$1" -mindepth 1 -maxdepth 1 ! -name id ! -name created -exec rm -rf {} +
  rm -f "$1/created" "$1/id"
  [ $created = no ] || rmdir "$1"
}
