# The measuring instrument ahead of what it measures: on two cores that compile BPF programs, a prober
# at normal priority measures the scheduler. Sourced by tests/nodes/migrate, after cgroups.sh.
# shellcheck shell=bash

# cpu_cgroup: the root of the hierarchy in which the CPU is shared out; empty where there is none.
cpu_cgroup() {
  local path type options
  while read -r path type options; do
    if [[ $type == cgroup && ",$options," == *,cpu,* ]]; then echo "$path" && return; fi
    if [[ $type == cgroup2 ]] && grep -qsw cpu "$path/cgroup.controllers"; then echo "$path" && return; fi
  done < <(cgroup_mounts)
}

# prefer_probers ID: makes every prober and every server of that world a real-time process, also those
# to come, until it is killed. Real time has its share of the CPU in the root cgroup only.
prefer_probers() {
  local id=$1 cpu pid comm file said=''
  local -A done_before=()
  cpu=$(cpu_cgroup)
  while sleep 0.5 && kill -0 $$; do # not longer than who measures
    for file in /proc/[0-9]*/comm; do # pgrep would cost a tenth of a processor
      pid=${file#/proc/} pid=${pid%/comm}
      if [[ -n ${done_before[$pid]-} ]]; then continue; fi
      read -r comm <"$file" || continue
      if [[ $comm != prober ]] || ! grep -qs "/kubectl-cni-$id/" "/proc/$pid/cgroup"; then continue; fi
      if [[ -n $cpu ]]; then echo "$pid" >"$cpu/cgroup.procs" || true; fi
      if chrt --all-tasks --fifo --pid 10 "$pid"; then
        done_before[$pid]=yes
      elif [[ -d /proc/$pid && -z $said ]]; then
        said=yes
        echo 'the probers cannot be real-time processes here: they may be late on a loaded machine' >&3
      fi
    done
  done 2>/dev/null
}
