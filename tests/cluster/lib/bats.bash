# What the Bats files about the worlds themselves share; they set here and WORLD. Loaded.
# shellcheck shell=bash

in_world() { "$here/in" --dir "$WORLD" "$@"; }
on_node() { "$here/on" --dir "$WORLD" "$@"; }

# ends_with CODE PID. Not by `run`: in its subshell it is nobody's child, unless it is buried already.
ends_with() {
  local code=0
  wait "$2" || code=$?
  [ "$code" = "$1" ]
}
