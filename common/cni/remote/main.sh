# shellcheck shell=sh disable=SC2034,SC2154
# Arguments, the order of things, and the start.

mode=
vnis=
nets=
pods_left=unknown
wait_seconds=0
wanted=
link_list=expected_links

all_kinds='env conf veth link rule chain nft route state'

usage() {
  say failed argument "$1" 'not understood'
  say end 2
  exit 2
}

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }
is_word() { case $1 in '' | *[!0-9A-Za-z.-]*) return 1 ;; esac; }
is_cidr() { case $1 in *[!0-9a-fA-F:./]* | /* | */) return 1 ;; *?/?*) ;; *) return 1 ;; esac; }

parse() {
  mode=${1:-}
  case $mode in check | clean | links-only | wait-conf) shift ;; *) usage "$mode" ;; esac
  for arg; do
    value=${arg#*=}
    case $arg in
      vni=*) is_number "$value" && vnis="$vnis $value" && continue ;;
      net=*) is_cidr "$value" && nets="$nets $value" && continue ;;
      pods-left=*) is_number "$value" && pods_left=$value && continue ;;
      wait=*) is_number "$value" && wait_seconds=$value && continue ;;
      want=*) is_word "$value" && wanted=$value && continue ;;
      dry-run) dry_run=yes && continue ;;
    esac
    usage "$arg"
  done
  vnis=${vnis:- 1}
}

say_oddities() {
  for_each say_wrong wrong_link
  for_each say_foreign foreign_link
  for_each say_unreadable unreadable
  for_each say_unclear unclear_route
  say_blind
}

check() {
  for kind in $all_kinds; do for_each say_found "$kind"; done
  say_oddities
}

# The order: first what would plug in another pod (without subnet.env flannel's plugin only
# fails), then links, the veths before the bridge that tells whose they are; each jump before its
# chain. The plugin's state comes last: while it is there, a teardown still succeeds. Cut off
# anywhere, the next run finds the rest.
clean() {
  kinds='link rule chain nft route'
  keep=say_kept
  if [ "$pods_left" = 0 ]; then
    kinds="veth $kinds"
    keep=remove
  fi
  for_each remove env
  for_each "$keep" conf
  for kind in $kinds; do for_each remove "$kind"; done
  flush_conntrack
  for_each "$keep" state
  [ "$keep" = remove ] && kinds="conf $kinds state"
  look_again "env $kinds"
  say_oddities
}

look_again() {
  [ -z "$dry_run" ] || return 0
  for kind in $1; do for_each say_left "$kind"; done
}

links_only() {
  link_list=idea_links
  for_each remove link
  look_again link
  for_each say_wrong wrong_link
}

first_conf() { files_of "$conf_dir" .conf .conflist .json | head -n 1; }

# Is FILE another CNI's, and, if a word was given, one that bears it in its name or text?
is_wanted_conf() {
  if [ ! -s "$1" ] || is_flannel_conf "$1"; then return 1; fi
  case ${1##*/} in *"$wanted"*) return 0 ;; esac
  grep -qF -e "$wanted" "$1"
}

# The runtime takes the first by name: only when that one is the new CNI's is the wait over.
wait_conf() {
  seconds=0
  while :; do
    conf=$(first_conf)
    if is_wanted_conf "$conf"; then
      say conf "${conf##*/}"
      return
    fi
    [ "$seconds" -lt "$wait_seconds" ] || break
    sleep 1
    seconds=$((seconds + 1))
  done
  if [ -n "$conf" ]; then
    fail conf "${conf##*/}" "is still the first in $conf_dir"
  else
    fail conf "$conf_dir" 'holds no CNI configuration'
  fi
  status=3
}

main() {
  parse "$@"
  if [ "$(id -u)" != 0 ]; then
    fail node root "runs as $(id -un), not as root"
  elif [ "$mode" != wait-conf ] && ! has ip; then
    fail node ip 'there is no ip command'
  else
    case $mode in
      check) check ;;
      clean) clean ;;
      links-only) links_only ;;
      wait-conf) wait_conf ;;
    esac
  fi
  say end "$status"
  exit "$status"
}

main "$@" </dev/null
