# shellcheck shell=bash
# What the operator reads. Progress goes to stderr, results (what commands print, the proof) to stdout.

STEP=0 STEP_TITLE='checks before the first step'

elapsed() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }
say() { printf '       %s\n' "$*" >&2; }
warn() { printf 'Warning: %s\n' "$*" >&2; }

# announce TITLE WHY...: every step says what it will do, and why, before it does it. Each step
# function announces or skips itself exactly once, so the numbers come by themselves.
announce() {
  STEP=$((STEP + 1)) STEP_TITLE=$1
  printf '\n[%d/%d] %s (%s)\n' "$STEP" "$STEPS" "$STEP_TITLE" "$(elapsed)" >&2
  shift
  local line
  for line; do say "$line"; done
}

skip() {
  STEP=$((STEP + 1)) STEP_TITLE=$1
  printf '\n[%d/%d] %s: done before\n' "$STEP" "$STEPS" "$STEP_TITLE" >&2
}

# stop CODE MESSAGE: the message says what is wrong and what to do about it.
stop() {
  printf 'error: %s\n' "$2" >&2
  exit "$1"
}
refuse() { stop 4 "$1"; }

# The last words of every run that did not end well: where it stands and how to go on.
on_exit() {
  local code=$?
  if [[ -n $SAID_FILE ]]; then rm -f "$SAID_FILE"; fi
  if ((code == 0 || code == 2)); then return; fi
  if ((STEP == 0)); then
    printf 'Stopped before the first step; nothing was changed in this run.\n' >&2
  else
    printf 'Stopped in step %d/%d (%s) after %s. Run the same command again to continue from there.\n' \
      "$STEP" "$STEPS" "$STEP_TITLE" "$(elapsed)" >&2
  fi
}

on_signal() {
  printf '\nInterrupted.\n' >&2
  local running
  mapfile -t running < <(jobs -pr)
  if ((${#running[@]})); then
    kill -TERM "${running[@]}" 2>/dev/null || true
    wait "${running[@]}" || true   # they say how far they got; a second Ctrl-C reaches them the same way
  fi
  exit 130
}
