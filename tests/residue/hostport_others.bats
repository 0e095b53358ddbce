#!/usr/bin/env bats
# cleanup of host ports while another network's portmap is at work: it loses nothing, not even when the
# cleanup ends there.

load prelude

setup() {
  need_world
  net_conf "$UPSTREAM"
}

teardown() { tools_as_they_were; }

@test "what a portmap makes first stays while the chain above is not there yet" {
  given 'hostport_top iptables-nft
    for hook in PREROUTING OUTPUT; do
      iptables-nft -t nat -D $hook -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
    done
    iptables-nft -t nat -X CNI-HOSTPORT-DNAT'
  clean
  unchanged
}

# once COMMANDS: before the tool's first call, which is the last that has an effect when $cut is set.
once() {
  cat <<END
if [ ! -e /opt/instead/came ]; then
  touch /opt/instead/came
  $1
  "\$real" "\$@"
  exit
elif [ -n "${cut:-}" ]; then
  exit 1
fi
END
}

# another_comes TOOL: its sandbox gets its host port as the chains above go, by whichever tool.
another_comes() {
  local tool=$1 commands
  # shellcheck disable=SC2016 # for the node
  commands='PATH=${PATH#/opt/instead:}'"
    $(once "$tool -t nat -N CNI-DN-other
      $tool -t nat -A CNI-DN-other -p tcp --dport 80 -j CNI-HOSTPORT-SETMARK
      $tool -t nat -A CNI-HOSTPORT-DNAT -p tcp --dport 80 -j CNI-DN-other")
    exec \"\$real\" \"\$@\""
  instead_of "$tool-restore" "$commands"
  # shellcheck disable=SC2016 # for the node
  instead_of "$tool" 'case "$*" in *"-D PREROUTING "*) ;; *) [ -e /opt/instead/came ] || exec "$real" "$@" ;; esac'"
    $commands"
}

has_its_host_port() { # TOOL
  local rules
  on_node w1 test -e /opt/instead/came
  rules=$(on_node w1 "$1" -t nat -S)
  contains "$rules" '-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT'
  contains "$rules" '-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT'
  contains "$rules" '-A CNI-HOSTPORT-DNAT -p tcp -m tcp --dport 80 -j CNI-DN-other'
  contains "$rules" '-A CNI-HOSTPORT-SETMARK -m comment'
  contains "$rules" '-j CNI-HOSTPORT-MASQ'
}

@test "a sandbox comes as the chains above go, and nothing that we do after that has an effect" {
  local tool cut=yes
  for tool in iptables-nft iptables-legacy; do
    tools_as_they_were
    given "hostport_top $tool"
    another_comes $tool
    cni cleanup w1 || true
    has_its_host_port $tool
  done
}

@test "a sandbox comes as the chains above go" {
  local tool
  for tool in iptables-nft iptables-legacy; do
    tools_as_they_were
    given "hostport_top $tool"
    another_comes $tool
    clean
    has_its_host_port $tool
  done
}

@test "without iptables-restore the empty chains above stay" {
  given 'hostport_top iptables-nft; hostport iptables-nft cbr0 4f1d 10.244.1.5 8080 tcp'
  instead_of iptables-nft-restore 'exit 127'
  clean
  gone_hostport iptables-nft cbr0 4f1d 10.244.1.5 8080 tcp | changed
}
