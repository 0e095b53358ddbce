# shellcheck shell=sh disable=SC2154
# flannel's chains and the rules that jump to them, in every iptables that this node may be using,
# and its nft tables. Rules are deleted one by one: kube-proxy is writing to the same tables.

# Prints the tools to ask for a family (iptables or ip6tables), each flavour once. A legacy tool
# loads kernel modules and makes the table, so it is asked only for tables that are there already.
firewall_tools() { # FAMILY TABLE
  family=$1
  tables=/proc/net/ip_tables_names
  [ "$family" = ip6tables ] && tables=/proc/net/ip6_tables_names
  nft_tool=
  has "$family-nft" && nft_tool=$family-nft
  legacy_tool=
  has "$family-legacy" && legacy_tool=$family-legacy
  case $("$family" -V 2>/dev/null) in
    *nf_tables*) nft_tool=${nft_tool:-$family} ;;
    ?*) legacy_tool=${legacy_tool:-$family} ;;
  esac
  [ -n "$nft_tool" ] && echo "$nft_tool"
  [ -n "$legacy_tool" ] && grep -qxF "$2" "$tables" 2>/dev/null && echo "$legacy_tool"
  return 0
}

# for_tables FUNCTION: FUNCTION TOOL TABLE HOOK CHAIN COMMENT for all that flannel writes to.
for_tables() {
  for ip_family in iptables ip6tables; do
    for tool in $(firewall_tools "$ip_family" nat); do
      "$1" "$tool" nat POSTROUTING FLANNEL-POSTRTG 'flanneld masq'
    done
    for tool in $(firewall_tools "$ip_family" filter); do
      "$1" "$tool" filter FORWARD FLANNEL-FWD 'flanneld forward'
    done
  done
}

# Rules of the hook that jump to flannel's chain, and those that older flannels put there
# themselves, known by their comment. Quoted text is blanked before looking for the jump: another
# rule's comment may say anything.
rules_of() {
  "$1" -w 30 -t "$2" -S "$3" 2>/dev/null | awk -v start="$1 $2 " -v hook="-A $3 " -v jump="-j $4" \
    -v comment="--comment \"$5\"" '
    index($0, hook) == 1 {
      bare = $0 " "
      gsub(/"([^"\\]|\\.)*"/, "\"\"", bare)
      if (index(bare, " " jump " ") || index($0, " " comment " ")) print start $0
    }'
}

chain_of() {
  if "$1" -w 30 -t "$2" -S "$4" >/dev/null 2>&1; then echo "$1 $2 $4"; fi
}

# A table that cannot be read cannot be called clean. A kernel without nf_tables has nothing in it.
unreadable_of() {
  [ "$2" = nat ] || wants rule || return 0 # host ports are in nat
  if ! why=$("$1" -w 30 -t "$2" -S "$3" 2>&1 >/dev/null); then
    case $why in
      *'generation id'* | *'not supported'* | *'does not exist'*) ;;
      *) echo "$1 $2 $why" | tr '\n' ' ' ;;
    esac
  fi
}

find_rule() { for_tables rules_of; }
find_chain() { for_tables chain_of; }
find_unreadable() { for_tables unreadable_of; }

find_unreadable_nft() {
  has nft || return 0
  if ! why=$(nft list tables 2>&1 >/dev/null); then
    case $why in
      *'not supported'* | *'Invalid argument'*) ;;
      *) echo "nft tables $why" | tr '\n' ' ' ;;
    esac
  fi
}

say_unreadable() {
  rest=${2#* }
  fail firewall "${2%% *} ${rest%% *}" "${rest#* }"
}

# rule_words SPEC: for xargs, which takes the quotes that -S printed apart; no shell sees the rule. But
# within quotes it knows no backslash, which -S puts before quotes and backslashes.
rule_words() {
  mark=$(printf '\001')
  printf '%s\n' "$1" |
    sed -e "s/\\\\\\\\/$mark/g" -e "s/\\\\'/'/g" -e "s/\\\\\"/\"'\"'\"/g" -e "s/$mark/\\\\/g"
}

run_rule() { # TOOL TABLE SPEC: -A or -D and a rule
  rule_words "$3" | xargs "$1" -w 30 -t "$2"
}

say_rule() { # TOOL TABLE SPEC
  say would "$(rule_words "$3" | xargs -n 1 printf '%s\n' | {
    set -- "$1" -w 30 -t "$2"
    while IFS= read -r word; do set -- "$@" "$word"; done
    quoted "$@"
  })"
}

remove_rule() {
  rule_tool=${1%% *}
  rule_rest=${1#* }
  rule_table=${rule_rest%% *}
  rule_spec=-D${rule_rest#"$rule_table" -A}
  if [ -n "$dry_run" ]; then
    say_rule "$rule_tool" "$rule_table" "$rule_spec"
  else
    step run_rule "$rule_tool" "$rule_table" "$rule_spec"
  fi
}

remove_chain() {
  chain_tool=${1%% *}
  chain_name=${1##* }
  chain_table=${1#* }
  chain_table=${chain_table%% *}
  step "$chain_tool" -w 30 -t "$chain_table" -F "$chain_name" &&
    step "$chain_tool" -w 30 -t "$chain_table" -X "$chain_name"
}

find_nft() {
  has nft || return 0
  nft list tables 2>/dev/null |
    sed -n -e 's/^table \(ip flannel-ipv4\)$/\1/p' -e 's/^table \(ip6 flannel-ipv6\)$/\1/p'
}

remove_nft() { step nft delete table "${1%% *}" "${1#* }"; }

# Nobody can look into iptables here; say so instead of calling it clean.
say_blind() {
  has iptables || has iptables-nft || has iptables-legacy ||
    say kept firewall iptables 'no iptables on this node: its chains were not looked for'
}
