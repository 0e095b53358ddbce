# shellcheck shell=sh disable=SC2154
# Files: flannel's CNI configuration (set aside, never deleted), subnet.env and the plugin's state.

conf_dir=/etc/cni/net.d
aside_dir=/var/lib/kubectl-cni/cni-net.d

is_flannel_conf() { # FILE
  case ${1##*/} in 10-flannel.conflist | 10-flannel.conflist.cilium_bak) return 0 ;; esac
  tr -d '[:space:]' <"$1" 2>/dev/null | grep -qF '"type":"flannel"'
}

# Prints the files of DIR that end in one of the SUFFIXES, in the order of their names, which is
# the order in which a container runtime looks at them.
files_of() { # DIR SUFFIX...
  set +f
  dir=$1
  shift
  for file in "$dir"/*; do
    [ -f "$file" ] || continue
    for suffix; do
      case $file in *"$suffix") printf '%s\n' "$file" ;; esac
    done
  done
}

find_conf() {
  files_of "$conf_dir" .conf .conflist .json .cilium_bak | while read -r conf; do
    if is_flannel_conf "$conf"; then printf '%s\n' "$conf"; fi
  done
}

same_text() { [ -f "$2" ] && [ "$(cat "$1")" = "$(cat "$2")" ]; }

# A name in the folder for FILE that overwrites nothing but an equal copy.
aside_name() {
  target=$aside_dir/${1##*/}
  number=0
  while [ -e "$target" ] && ! same_text "$1" "$target"; do
    number=$((number + 1))
    target=$aside_dir/${1##*/}.$number
  done
  printf '%s\n' "$target"
}

# The folder may be on another file system: the original goes only when the copy is whole.
remove_conf() {
  aside=$(aside_name "$1")
  step mkdir -p "$aside_dir" &&
    step cp "$1" "$aside_dir/.new" &&
    step chmod 600 "$aside_dir/.new" &&
    step mv -f "$aside_dir/.new" "$aside" &&
    step rm -f "$1"
}

find_env() { if [ -e /run/flannel/subnet.env ]; then echo /run/flannel/subnet.env; fi; }

remove_env() {
  step rm -f "$1" || return 1
  rmdir /run/flannel 2>/dev/null
  return 0
}

# One sandbox a file; containers that died uncleanly leave theirs behind for ever.
find_state() {
  for path in /var/lib/cni/flannel /var/lib/cni/networks/cbr0; do
    if [ -e "$path" ]; then echo "$path"; fi
  done
  set +f
  for path in /var/lib/cni/results/cbr0-*; do
    if [ -f "$path" ]; then printf '%s\n' "$path"; fi
  done
}

remove_state() { step rm -rf "$1"; }

# Taking these from a living sandbox would make its teardown fail and its pod hang Terminating.
say_kept() { say kept "$1" "$2" "pods with a flannel address left here: $pods_left"; }
