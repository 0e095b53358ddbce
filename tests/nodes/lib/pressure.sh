# How short of CPU the machine was while something was measured on it: what is lost by a node that gets no
# CPU says nothing about the migration. Sourced by tests/nodes/migrate.
# shellcheck shell=bash

# watch_pressure FILE: a line a second: the time, and the microseconds so far in which somebody had to wait for a
# CPU, and the hundredths of a second so far that the hypervisor took. Until it is killed.
watch_pressure() {
  local waited word stolen
  while kill -0 $$; do
    waited=$(sed -n 's/^some .*total=//p' /proc/pressure/cpu) || waited=0
    read -r word _ _ _ _ _ _ _ stolen _ </proc/stat
    [ "$word" = cpu ] || stolen=0
    printf '%s %s %s\n' "${EPOCHREALTIME/,/.}" "${waited:-0}" "$stolen"
    sleep 1
  done >"$1" 2>/dev/null
}

# show_pressure FILE FROM TO: both as shares of that time.
show_pressure() {
  awk -v from="$2" -v to="$3" -v cpus="$(nproc)" '
    $1 < from { next }
    $1 > to { exit }
    !begun { begun = $1; waited = $2; stolen = $3 }
    { ended = $1; more = $2 - waited; taken = $3 - stolen }
    END {
      if (ended > begun) printf "for %.0f %% of the time somebody waited for one of %d CPUs; %.1f %% of them went to other machines\n", more / 10000 / (ended - begun), cpus, taken / (ended - begun) / cpus
    }' "$1"
}
