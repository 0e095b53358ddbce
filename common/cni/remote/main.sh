# shellcheck shell=sh disable=SC2034,SC2154
# Arguments, the order of things, and the start.

mode=
vnis=
nets=
pods_left=unknown
wait_seconds=0
wanted=
kinds=
link_list=expected_links

# The order: first what would plug in another pod (without subnet.env flannel's plugin only fails),
# then links, the veths before the bridge that tells whose they are; each jump before its chain. The
# plugin's state comes last: while it is there, a teardown still succeeds, and it tells whose host
# ports are. Cut off anywhere, the next run finds the rest.
all_kinds='env conf veth link rule chain nft hostport route conntrack state'

# What a living sandbox needs for its teardown, which would fail without, and its pod hang Terminating.
is_for_sandboxes() { case $1 in conf | veth | hostport | state) ;; *) return 1 ;; esac; }

wants() { case " ${kinds:-$all_kinds} " in *" $1 "*) ;; *) return 1 ;; esac; }

usage() {
  say failed argument "$1" 'not understood'
  say end 2
  exit 2
}

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }
is_word() { case $1 in '' | *[!0-9A-Za-z.-]*) return 1 ;; esac; }
is_kind() { case " $all_kinds " in *" $1 "*) is_word "$1" ;; *) return 1 ;; esac; }
is_cidr() { case $1 in *[!0-9a-fA-F:./]* | /* | */) return 1 ;; *?/?*) ;; *) return 1 ;; esac; }

parse() {
  mode=${1:-}
  case $mode in check | clean | links-only | wait-conf | restore) shift ;; *) usage "$mode" ;; esac
  for arg; do
    value=${arg#*=}
    case $arg in
      vni=*) is_number "$value" && vnis="$vnis $value" && continue ;;
      net=*) is_cidr "$value" && nets="$nets $value" && continue ;;
      pods-left=*) is_number "$value" && pods_left=$value && continue ;;
      wait=*) is_number "$value" && wait_seconds=$value && continue ;;
      want=*) is_word "$value" && wanted=$value && continue ;;
      kind=*) is_kind "$value" && kinds="$kinds $value" && continue ;;
      dry-run) dry_run=yes && continue ;;
    esac
    usage "$arg"
  done
  vnis=${vnis:- 1}
}

say_oddities() {
  if wants link; then
    for_each say_wrong wrong_link
    for_each say_foreign foreign_link
  fi
  if wants rule || wants hostport; then
    for_each say_unreadable unreadable
    say_blind
  fi
  if wants nft || wants hostport; then for_each say_unreadable unreadable_nft; fi
  if wants route; then for_each say_unclear unclear_route; fi
}

# count_steps TIMES: of a run that goes through the kinds so many times.
count_steps() {
  number=0
  of=0
  for kind in $all_kinds; do if wants "$kind"; then of=$((of + $1)); fi; done
}

# each_kind FUNCTION: FUNCTION KIND for those that are wanted, each said to be the next of so many.
each_kind() {
  for kind in $all_kinds; do
    wants "$kind" || continue
    number=$((number + 1))
    say step "$number" "$of" "$kind"
    "$1" "$kind"
  done
}

check_kind() { for_each say_found "$1"; }

find_conntrack() { :; } # never residue, see flush_conntrack

check() {
  count_steps 1
  each_kind check_kind
  say_oddities
}

# Prints why clean leaves all of a kind alone.
why_kept() { # KIND
  if is_for_sandboxes "$1" && [ "$pods_left" != 0 ]; then
    echo "pods with a flannel address left here: $pods_left"
  elif [ "$1" = state ] && tells_of_hostports; then
    echo 'tells whose the host ports are, which were left alone'
  fi
}

clean_kind() {
  why=$(why_kept "$1")
  if [ -n "$why" ]; then
    for_each say_kept "$1"
    return
  fi
  case $1 in
    conntrack) flush_conntrack ;;
    link) for_each clean_link link ;;
    *) for_each remove "$1" ;;
  esac
  if [ "$1" = hostport ]; then drop_hostport_tops; fi
}

say_kept() { say kept "$1" "$2" "$why"; }

look_again_for() {
  if [ -n "$(why_kept "$1")" ]; then return; fi
  case $1 in
    link) for_each look_at_link link ;;
    *) for_each say_left "$1" ;;
  esac
}

clean() {
  if [ -z "$dry_run" ]; then count_steps 2; else count_steps 1; fi
  each_kind clean_kind
  if [ -z "$dry_run" ]; then each_kind look_again_for; fi
  say_oddities
}

links_only() {
  link_list=idea_links
  for_each remove link
  if [ -z "$dry_run" ]; then for_each say_left link; fi
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
  elif [ "$mode" != wait-conf ] && [ "$mode" != restore ] && ! has ip; then
    fail node ip 'there is no ip command'
  else
    case $mode in
      check) check ;;
      clean) clean ;;
      links-only) links_only ;;
      restore) restore ;;
      wait-conf) wait_conf ;;
    esac
  fi
  say end "$status"
  exit "$status"
}

main "$@" </dev/null
