# shellcheck shell=sh disable=SC2154
# What the plugin portmap made for host ports of flannel's sandboxes: a chain CNI-DN-* each in nat,
# or rules in nft's table cni_hostport (containernetworking/plugins, plugins/meta/portmap). Chains
# of other networks, Cilium's own host ports among them, look alike: a chain tells whose it is by the
# comment on the rule that jumps to it, a rule of nft by the sandbox that it names.

hostport_top=CNI-HOSTPORT-DNAT
hostport_mark='--comment "dnat name: \"cbr0\" id: '

hostport_tools() {
  for ip_family in iptables ip6tables; do firewall_tools "$ip_family" nat; done
}

# The chains that a jump from the top one says to be flannel's, and those that a cleanup which was
# cut off has emptied and found no jump to any more.
hostport_chains() { # TOOL
  "$1" -w 30 -t nat -S 2>/dev/null | awk -v tool="$1" -v top="-A $hostport_top " '
    $1 == "-N" && $2 ~ /^CNI-DN-/ { known[$2] = 1 }
    $1 == "-A" && $2 ~ /^CNI-DN-/ { filled[$2] = 1 }
    { for (i = 3; i <= NF; i++) if ($i ~ /^CNI-DN-/ && $(i - 1) == "-j") wanted[$i] = 1 }
    index($0, top) == 1 && index($0, "--comment \"dnat name: \\\"cbr0\\\" id: ") && $(NF - 1) == "-j" { ours[$NF] = 1 }
    END {
      for (chain in known) if (chain in ours || !(chain in filled || chain in wanted)) print tool, chain
    }' | sort
}

# Sandboxes of flannel, by the state that is taken away last.
sandbox_ids() {
  set +f
  for path in /var/lib/cni/flannel/* /var/lib/cni/results/cbr0-*; do
    if [ -f "$path" ]; then printf '%s\n' "${path##*/}"; fi
  done | sed -e 's/^cbr0-//' -e 's/-[^-]*$//' | sort -u
}

hostport_rules() { # FAMILY
  ids=$(sandbox_ids | tr '\n' ,)
  [ -n "$ids" ] || return 0
  nft -a list table "$1" cni_hostport 2>/dev/null | awk -v family="$1" -v ids="$ids" '
    BEGIN { split(ids, list, ","); for (i in list) ours["\"" list[i] "\""] = 1 }
    $1 == "chain" { chain = $2 }
    { for (i = 2; i <= NF; i++) if ($(i - 1) == "comment" && $i in ours && $(NF - 1) == "handle") print "nft", family, chain, $NF }'
}

find_hostport() {
  for tool in $(hostport_tools); do hostport_chains "$tool"; done
  if has nft; then
    for nft_family in ip ip6; do hostport_rules "$nft_family"; done
  fi
}

# Emptied first: that is how the next run knows it when this one ends before the last step.
remove_hostport() {
  case $1 in
    'nft '*)
      # shellcheck disable=SC2086  # words
      set -- $1
      step nft delete rule "$2" cni_hostport "$3" handle "$4"
      ;;
    *) remove_hostport_chain "${1%% *}" "${1##* }" ;;
  esac
}

# Without a jump that names flannel's network it may be another sandbox's that is being made: -X
# leaves what is filled.
remove_hostport_chain() { # TOOL CHAIN
  if "$1" -w 30 -t nat -S "$hostport_top" 2>/dev/null | grep -F -e "$hostport_mark" | grep -q -e " -j $2\$"; then
    step "$1" -w 30 -t nat -F "$2" || return 1
  fi
  remove_jumps "$1" "$hostport_top" "$2" && step "$1" -w 30 -t nat -X "$2"
}

remove_jumps() { # TOOL FROM TO
  jumps=$("$1" -w 30 -t nat -S "$2" 2>/dev/null | grep -e " -j $3\$")
  jump_ifs=$IFS
  IFS=$NL
  for jump in $jumps; do
    IFS=$jump_ifs
    remove_rule "$1 nat $jump" || return 1
  done
  IFS=$jump_ifs
}

# What all sandboxes share goes with the last of them. Where it is empty for another reason it is
# nobody's residue, so it is not looked for, and its maker makes it anew when he needs it.
drop_hostport_tops() {
  for tool in $(hostport_tools); do
    # What cannot be read is not empty.
    if top_rules=$("$tool" -w 30 -t nat -S "$hostport_top" 2>/dev/null); then
      ours=$(hostport_chains "$tool" | sed 's/.* / -j /')
      printf '%s\n' "$top_rules" | grep '^-A' | grep -qvF -e "${ours:- none}" || drop_tops_of "$tool"
    elif "$tool" -w 30 -t nat -S CNI-HOSTPORT-SETMARK >/dev/null 2>&1; then
      drop_tops_of "$tool" # of a cleanup that was cut off
    fi
  done
  if has nft; then
    for nft_family in ip ip6; do drop_hostport_table "$nft_family"; done
  fi
}

drop_tops_of() { # TOOL
  drop_top "$1" "$hostport_top" PREROUTING OUTPUT || return 0
  drop_top "$1" CNI-HOSTPORT-MASQ POSTROUTING
  drop_top "$1" CNI-HOSTPORT-SETMARK
}

# Only in its own rules it names the others, so they may go with it; those of the top chain are
# sandboxes, and -X leaves it when there is one again: then its hooks are put back.
drop_top() { # TOOL CHAIN HOOK...
  top_tool=$1
  top_chain=$2
  shift 2
  "$top_tool" -w 30 -t nat -S "$top_chain" >/dev/null 2>&1 || return 0
  hooked=$(jumps_to_top)
  for hook; do remove_jumps "$top_tool" "$hook" "$top_chain"; done
  if [ "$top_chain" != "$hostport_top" ]; then
    # A sandbox that has come meanwhile needs what is in it.
    [ -n "$dry_run" ] || [ -z "$(jumps_to_top)" ] || return 1
    step "$top_tool" -w 30 -t nat -F "$top_chain" || return 1
  fi
  if ! step "$top_tool" -w 30 -t nat -X "$top_chain"; then
    put_hooks_back
    return 1
  fi
  [ -n "$dry_run" ] || say removed hostport "$top_tool $top_chain"
}

jumps_to_top() { "$top_tool" -w 30 -t nat -S 2>/dev/null | grep -e " -j $top_chain\$"; }

put_hooks_back() {
  printf '%s\n' "$hooked" | while IFS= read -r jump; do
    [ -z "$jump" ] || run_rule "$top_tool" nat "$jump" >/dev/null 2>&1
  done
}

drop_hostport_table() { # FAMILY
  table_rules=$(nft -a list table "$1" cni_hostport 2>/dev/null) || return 0
  all=$(printf '%s\n' "$table_rules" | awk '
    $1 == "chain" { own = $2 == "hostports" || $2 == "hostip_hostports" || $2 == "masquerading"; next }
    own && NF > 1 && $(NF - 1) == "handle" && $1 != "type" { n++ }
    END { print n + 0 }')
  if [ -n "$dry_run" ]; then all=$((all - $(hostport_rules "$1" | wc -l))); fi
  [ "$all" = 0 ] || return 0
  step nft delete table "$1" cni_hostport || return 0
  [ -n "$dry_run" ] || say removed hostport "nft $1 cni_hostport"
}
