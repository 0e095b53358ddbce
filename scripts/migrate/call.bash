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
CHILD=
supervise() {
  local code=0 words=("$KUBECTL" "${CONNECTION[@]}" "${@:2}")
  if [[ $1 == cni ]]; then words=("$(command_path "kubectl-cni-$2")" "${CONNECTION[@]}" "${@:3}"); fi
  "${words[@]}" <&0 &
  CHILD=$!
  wait "$CHILD" || code=$?
  CHILD=
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
