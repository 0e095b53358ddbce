# The measuring instrument ahead of what it measures: on two cores that compile BPF programs, a prober
# at normal priority measures the scheduler. kube-proxy and CoreDNS come next: all nodes of a world share the
# cores that each would have alone. Sourced by tests/nodes/migrate, after cgroups.sh.
# shellcheck shell=bash

# cpu_cgroup: the root of the hierarchy in which the CPU is shared out; empty where there is none.
cpu_cgroup() {
  local path type options
  while read -r path type options; do
    if [[ $type == cgroup && ",$options," == *,cpu,* ]]; then echo "$path" && return; fi
    if [[ $type == cgroup2 ]] && grep -qsw cpu "$path/cgroup.controllers"; then echo "$path" && return; fi
  done < <(cgroup_mounts)
}

# real_time PID: has its share of the CPU in the root cgroup only.
real_time() { chrt --all-tasks --fifo --pid 10 "$1"; }

# ahead PID: of all but real time, which would let its iptables starve what they wait for. Its children inherit it.
ahead() {
  local thread threads=("/proc/$1/task"/*)
  for thread in "${threads[@]}"; do renice --priority -15 --pid "${thread##*/}" >/dev/null || return; done
}

# prefer ID PROGRAM=HOW...: makes all processes of that world that run one of the programs, also those to come,
# real_time or ahead, until it is killed.
prefer() {
  local id=$1 cpu pid comm file word said=''
  local -A how=() done_before=()
  for word in "${@:2}"; do how[${word%=*}]=${word#*=}; done
  cpu=$(cpu_cgroup)
  while sleep 0.5 && kill -0 $$; do # not longer than who measures
    for file in /proc/[0-9]*/comm; do # pgrep would cost a tenth of a processor
      pid=${file#/proc/} pid=${pid%/comm}
      if [[ -n ${done_before[$pid]-} ]]; then continue; fi
      read -r comm <"$file" || continue
      if [[ -z ${how[$comm]-} ]] || ! grep -qs "/kubectl-cni-$id/" "/proc/$pid/cgroup"; then continue; fi
      if [[ -n $cpu ]]; then echo "$pid" >"$cpu/cgroup.procs" || true; fi
      if "${how[$comm]}" "$pid"; then
        done_before[$pid]=yes
      elif [[ -d /proc/$pid && -z $said ]]; then
        said=yes
        echo "$comm cannot be preferred here: it may be late on a loaded machine" >&3
      fi
    done
  done 2>/dev/null
}
