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

# copies_of NAME: of those set aside, the earliest first: NAME, NAME.1, NAME.2 ...
copies_of() {
  if [ -e "$aside_dir/$1" ]; then printf '%s\n' "$aside_dir/$1"; fi
  numbers_of "$1" | while read -r copy_number; do printf '%s\n' "$aside_dir/$1.$copy_number"; done
}

# Those that we may have given, in their order; more than 15 digits are none that a shell can count.
numbers_of() { # NAME
  set +f
  for copy in "$aside_dir/$1".[1-9]*; do
    case ${copy##*.} in *[!0-9]* | ????????????????*) ;; *) [ ! -e "$copy" ] || echo "${copy##*.}" ;; esac
  done | sort -n
}

# A name in the folder for FILE that overwrites nothing: the last copy's, if that is equal, for the
# last one is what was at work; else a new one.
aside_name() {
  last=$(copies_of "${1##*/}" | tail -n 1)
  if [ -z "$last" ] || same_text "$1" "$last"; then
    printf '%s\n' "${last:-$aside_dir/${1##*/}}"
  else
    last_number=$(numbers_of "${1##*/}" | tail -n 1)
    printf '%s\n' "$aside_dir/${1##*/}.$((${last_number:-0} + 1))"
  fi
}

# The folder may be on another file system: the original goes only when the copy is whole.
remove_conf() {
  aside=$(aside_name "$1")
  step mkdir -p "$aside_dir" &&
    step cp -p "$1" "$aside_dir/.new" &&
    step mv -f "$aside_dir/.new" "$aside" &&
    to_disk "$aside" "$aside_dir" &&
    step rm -f "$1"
}

# Lest a power cut leaves neither; an old sync takes no names, or ignores them.
to_disk() { ! has sync || step sync "$@" || step sync; }

# The folder is flannel's too, and an empty one is what a cleanup that was cut off has left.
find_env() {
  if [ -e /run/flannel/subnet.env ]; then
    echo /run/flannel/subnet.env
  elif [ -d /run/flannel ] && [ -z "$(ls -A /run/flannel)" ]; then
    echo /run/flannel
  fi
}

remove_env() {
  case $(ls -A /run/flannel) in subnet.env | '') others= ;; *) others=yes ;; esac
  if [ -e /run/flannel/subnet.env ]; then step rm -f /run/flannel/subnet.env || return 1; fi
  [ -n "$others" ] || step rmdir /run/flannel
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

# What was set aside goes back under its own name. Of several copies the last one was at work; the
# others, and what would overwrite a file that is there now, stay where they are.
restore_conf() { # NAME
  latest=$(copies_of "$1" | tail -n 1)
  complaint=
  if same_text "$latest" "$conf_dir/$1"; then
    if ! put_older_away "$1" || ! step rm -f "$latest"; then
      fail conf "$1" "${complaint:-is restored, but its copy cannot be removed}"
    fi
  elif [ -e "$conf_dir/$1" ]; then
    fail conf "$conf_dir/$1" "is there with other content: not overwritten by $latest"
  elif ! put_older_away "$1" || ! put_back "$latest" "$conf_dir/$1"; then
    fail conf "$1" "${complaint:-cannot be restored}"
  elif [ -z "$dry_run" ]; then
    say removed conf "$1"
  fi
}

# First, so that none of them is taken for the last one when this is cut off.
put_older_away() { # NAME
  older=$(copies_of "$1" | sed '$d')
  [ -n "$older" ] || return 0
  step mkdir -p "$aside_dir/older" || return 1
  older_ifs=$IFS
  IFS=$NL
  for copy in $older; do
    IFS=$older_ifs
    place=$aside_dir/older/$1
    number=0
    while [ -e "$place" ]; do
      number=$((number + 1))
      place=$aside_dir/older/$1.$number
    done
    step mv "$copy" "$place" || return 1
    say kept conf "$place" 'an earlier copy, not restored'
  done
  IFS=$older_ifs
}

# A runtime that watches the folder sees it whole or not at all.
put_back() { # FROM TO
  step mkdir -p "$conf_dir" &&
    step cp -p "$1" "$conf_dir/.kubectl-cni-new" &&
    step mv -f "$conf_dir/.kubectl-cni-new" "$2" &&
    to_disk "$2" "$conf_dir" &&
    step rm -f "$1"
}

# NAME of each NAME and NAME.N that copies_of knows.
names_aside() {
  set +f
  for aside in "$aside_dir"/*; do
    if [ -f "$aside" ]; then printf '%s\n' "${aside##*/}"; fi
  done | sed -e 's/\.[1-9][0-9]\{0,14\}$//' -e '/\.[0-9]*$/d' | sort -u
}

restore() {
  names=$(names_aside)
  restore_ifs=$IFS
  IFS=$NL
  for name in $names; do
    IFS=$restore_ifs
    restore_conf "$name"
  done
  IFS=$restore_ifs
}
