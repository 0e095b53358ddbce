#!/bin/sh
# shellcheck disable=SC2034  # the other files use what is set here
#
# What flannel left on a node: one script for one visit, fed on stdin of `sh -s -- MODE ARG...`.
#   check       says what is there          clean    removes it and looks again
#   links-only  removes cni0 and flannel.1  wait-conf  waits for another CNI's configuration
#   restore     puts back the CNI configuration that clean has set aside
# ARG: vni=N, net=CIDR (both repeatable), pods-left=N, wait=SECONDS, want=WORD (the new CNI), dry-run,
# kind=KIND (repeatable: only these).
# The files of this folder are one script, in this order: report links firewall hostport routes files
# main.
# POSIX sh for dash, bash and busybox. Functions only: the last line of main.sh starts it all, so
# that a script cut short on its way does nothing.
#
# What is printed, fields separated by tabs (common/cni/residue.h reads it):
#   found KIND NAME | removed KIND NAME | kept KIND NAME REASON | failed KIND NAME MESSAGE
#   would COMMAND | conf NAME | step N OF WHAT | end STATUS
# Exit status: 0 nothing left, 1 something is left or failed, 2 wrong arguments, 3 waited in vain.

set -u -f
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
umask 077

TAB=$(printf '\t')
NL='
'
status=0
dry_run=
complaint=

# say WORD FIELD...: one line of the report; a field cannot bring tabs or newlines of its own.
say() {
  say_line=$1
  shift
  for say_field; do
    say_line=$say_line$TAB$(printf '%s' "$say_field" | tr '\t\r\n' '   ')
  done
  printf '%s\n' "$say_line"
}

say_found() {
  say found "$1" "$2"
  status=1
}

# fail KIND NAME MESSAGE
fail() {
  say failed "$1" "$2" "$3"
  status=1
}

say_left() { fail "$1" "$2" 'is still there'; }

has() { command -v "$1" >/dev/null 2>&1; }

# quoted WORD...: as a shell would take them back.
quoted() {
  quoted_words=
  for quoted_word; do
    case $quoted_word in
      '' | *[!0-9A-Za-z_./:=@%+,-]*)
        quoted_word=\'$(printf '%s\n' "$quoted_word" | sed "s/'/'\\\\''/g")\'
        ;;
    esac
    quoted_words=$quoted_words${quoted_words:+ }$quoted_word
  done
  printf '%s\n' "$quoted_words"
}

# Runs one command, or says that it would. What it complained about is kept for the report.
step() {
  if [ -n "$dry_run" ]; then
    say would "$(quoted "$@")"
  else
    complaint=$("$@" 2>&1)
  fi
}

# remove KIND NAME: by the function remove_KIND.
remove() {
  complaint=
  if ! "remove_$1" "$2"; then
    fail "$1" "$2" "${complaint:-cannot be removed}"
  elif [ -z "$dry_run" ]; then
    say removed "$1" "$2"
  fi
}

# for_each ACTION KIND: ACTION KIND NAME for each line that find_KIND prints.
for_each() {
  each_list=$("find_$2")
  each_ifs=$IFS
  IFS=$NL
  for each_name in $each_list; do
    IFS=$each_ifs
    "$1" "$2" "$each_name"
  done
  IFS=$each_ifs
}
