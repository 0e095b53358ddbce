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
    / # handle [0-9]+$/ {
      for (i = 2; i <= NF; i++) if ($(i - 1) == "comment" && $i in ours) print "nft", family, chain, $NF
    }'
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

# Is there a host port of flannel's in nft that only the state tells from others'?
tells_of_hostports() {
  has nft || return 1
  if [ -n "$(find_unreadable_nft)" ]; then return; fi
  if wants hostport && [ -n "$dry_run" ]; then return 1; fi
  [ -n "$(hostport_rules ip)$(hostport_rules ip6)" ]
}

# What all sandboxes share goes with the last of them. Where it is empty for another reason it is
# nobody's residue, so it is not looked for, and its maker makes it anew when he needs it. SETMARK and
# MASQ without the top chain are a portmap at its beginning. nft's table stays, for nft deletes even a
# chain together with the rules that have just come to it.
drop_hostport_tops() {
  for tool in $(hostport_tools); do
    # What cannot be read is not empty.
    top_rules=$("$tool" -w 30 -t nat -S "$hostport_top" 2>/dev/null) || continue
    ours=$(hostport_chains "$tool" | sed 's/.* / -j /')
    printf '%s\n' "$top_rules" | grep '^-A' | grep -qvF -e "${ours:- none}" || drop_tops_of "$tool"
  done
}

# In one transaction: -X refuses what a sandbox that has come meanwhile needs, and then nothing is
# changed; a portmap between two steps fails at its next one, and is run again.
drop_tops_of() { # TOOL
  has "$1-restore" || return 0
  tops_tool=$1
  tops_ifs=$IFS
  IFS=$NL
  # shellcheck disable=SC2046  # lines
  set -- '*nat' $(tops_changes "$tops_tool") COMMIT
  IFS=$tops_ifs
  if [ -n "$dry_run" ]; then
    say would "$(quoted printf '%s\n' "$@") | $tops_tool-restore --noflush -w 30"
  elif printf '%s\n' "$@" | "$tops_tool-restore" --noflush -w 30 >/dev/null 2>&1; then
    say removed hostport "$tops_tool $hostport_top"
  fi
}

tops_changes() { # TOOL
  "$1" -w 30 -t nat -S 2>/dev/null | awk '
    $1 == "-N" && $2 ~ /^CNI-HOSTPORT-(DNAT|MASQ|SETMARK)$/ { tops[++n] = $2 }
    /^-A (PREROUTING|OUTPUT) .*-j CNI-HOSTPORT-DNAT$/ ||
    /^-A POSTROUTING .*-j CNI-HOSTPORT-MASQ$/ ||
    /^-A CNI-HOSTPORT-(MASQ|SETMARK) / { print "-D" substr($0, 3) }
    END { for (i = 1; i <= n; i++) print "-X", tops[i] }'
}
