# shellcheck shell=bash
# Calling kubectl and the suite's commands.

# The suite's commands lie beside this script; a checkout has them on PATH.
command_path() {
  if [[ -x $SELF_DIR/$1 ]]; then
    printf '%s' "$SELF_DIR/$1"
  else
    command -v "$1" || stop 1 "$1 not found, neither beside $0 nor on PATH"
  fi
}

kubectl() { command "$KUBECTL" "${CONNECTION[@]}" "$@"; }

cni() { # COMMAND ARG...
  local path
  path=$(command_path "kubectl-cni-$1")
  "$path" "${CONNECTION[@]}" "${@:2}"
}

# supervise kubectl|cni ARG...: runs it so that a signal to the playbook alone is heard at once: bash
# hears none while a foreground command runs. Its stdin is ours, or it could not ask for a passphrase.
supervise() {
  local code=0
  program_of "$@"
  { exec "${PROGRAM[@]}"; } <&0 &   # exec, or the signal would reach a shell around it
  wait "$!" || code=$?
  return "$code"
}

PROGRAM=()
program_of() {
  PROGRAM=("$KUBECTL" "${CONNECTION[@]}" "${@:2}")
  if [[ $1 == cni ]]; then PROGRAM=("$(command_path "kubectl-cni-$2")" "${CONNECTION[@]}" "${@:3}"); fi
}

# complaints_of kubectl|cni ARG...: supervise, but what it prints is kept: SAID has its stderr. Only the
# program is redirected, not what a signal makes us say meanwhile.
SAID='' SAID_FILE=''
complaints_of() {
  local code=0
  SAID_FILE=$(mktemp)
  program_of "$@"
  { exec "${PROGRAM[@]}"; } <&0 >/dev/null 2>"$SAID_FILE" &
  wait "$!" || code=$?
  SAID=$(<"$SAID_FILE")
  rm -f "$SAID_FILE"
  return "$code"
}

# What a command looks like when typed by hand (a token never is shown).
shown() {
  local word out=''
  for word; do
    if [[ $word == --token=* ]]; then word=--token=REDACTED; fi
    if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then out+=" $word"; else out+=" '${word//\'/\'\\\'\'}'"; fi
  done
  printf '%s' "${out# }"
}

# run PROGRAM ARG...: shows a changing command and runs it; --dry-run only shows it.
run() {
  local -a words
  if [[ $1 == cni ]]; then words=(kubectl cni "$2" "${CONNECTION[@]}" "${@:3}"); else words=(kubectl "${CONNECTION[@]}" "${@:2}"); fi
  if $DRY_RUN; then
    printf '%s\n' "$(shown "${words[@]}")"
    return
  fi
  say "\$ $(shown "${words[@]}")"
  supervise "$@"
}

# wait_for_rollout KIND/NAME NAMESPACE MESSAGE: what is said when it takes too long.
wait_for_rollout() { run kubectl rollout status "$1" -n "$2" "--timeout=$TIMEOUT" || stop 3 "$3"; }
