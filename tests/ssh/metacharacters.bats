#!/usr/bin/env bats
# cleanup and a cluster, or a node, that somebody has put shell code into: it is text everywhere, and
# runs neither here nor on the node.

load prelude

# Each way to make a shell run something; with and without blanks, for some fields take none.
code_in() { # FILE
  printf '%s\n' "\$(touch $1)" "\`touch $1\`" "; touch $1;" "| touch $1" "' ; touch $1 ; '" "\" ; touch $1 ; \"" \
    "\$(touch\${IFS}$1)" "-oProxyCommand=touch\${IFS}$1" "a -oProxyCommand=touch\${IFS}$1" "x\$(id>$1)"
}

setup_file() { remember_addresses w3; }

setup() {
  need_world
  make_home
  mark=/var/tmp/kcni-ran-$BASHPID # a directory that both this machine and the node have
}

teardown() {
  end_all
  restore_addresses w3
  kubectl annotate node w3 flannel.alpha.coreos.com/backend-data- >/dev/null
  network 10.244.0.0/16
  on_node w3 sh -c "rm -f $mark /etc/cni/net.d/*"
  rm -f "$mark"
}

# network TEXT: flannel's range, as its ConfigMap has it.
network() {
  local conf
  conf=$(jq -nc --arg network "$1" '{Network: $network, Backend: {Type: "vxlan"}}')
  kubectl -n kube-flannel patch configmap kube-flannel-cfg --type=merge \
    -p "$(jq -nc --arg conf "$conf" '{data: {"net-conf.json": $conf}}')" >/dev/null
}

nothing_ran() {
  if [ -e "$mark" ]; then echo "it ran here: $1" && return 1; fi
  if on_node w3 test -e "$mark"; then echo "it ran on the node: $1" && return 1; fi
}

@test "code in a node's InternalIP: one line that shows it, nothing runs" {
  printf '%s\n' 'Host *' '  ProxyCommand nc %h %p' >"$home/.ssh/config" # libssh gives it to a shell
  code_in "$mark" >"$home/codes"
  while read -r code; do
    set_addresses w3 "$(jq -nc --arg code "$code" '[{type: "InternalIP", address: $code}]')"
    run_cni 1 cleanup w3 --check --ssh-key "$key"
    one_error_line node/w3 'is no host'
    nothing_ran "$code"
  done <"$home/codes"
}

@test "code in a node's Hostname: the same" {
  set_addresses w3 "$(jq -nc --arg code "\$(touch $mark);\`id\`" '[{type: "Hostname", address: $code}]')"
  run_cni 1 cleanup w3 --check --ssh-key "$key" --address-type Hostname
  one_error_line node/w3 'is no host' '`id`'
  nothing_ran
}

@test "an address of several lines is one line" {
  set_addresses w3 "$(jq -nc '[{type: "InternalIP", address: "10.0.0.1\nerror: node/w1: all is lost\u001b[31m"}]')"
  run_cni 1 cleanup w3 --check --ssh-key "$key"
  one_error_line node/w3 'is no host'
  lacks "$errors" $'\033'
}

@test "code in the host map: the same" {
  code_in "$mark" | grep -v ' ' >"$home/codes" # a blank ends a column
  while read -r code; do
    map_to "w3 $code"
    check_with_key 1 w3
    one_error_line node/w3 'is no host'
    nothing_ran "$code"
  done <"$home/codes"
}

@test "code in the host map where the config has %h in a ProxyCommand: the same" {
  printf '%s\n' 'Host *' '  ProxyCommand nc %h %p' >"$home/.ssh/config"
  map_to "w3 \$(touch\${IFS}$mark):2201"
  check_with_key 1 w3
  one_error_line node/w3 'is no host'
  nothing_ran
}

@test "code in flannel's backend-data: nothing runs, the node is looked at all the same" {
  door w3 2201
  for data in "{\"VNI\":\"1;touch $mark\"}" "\$(touch $mark)" "{\"VNI\":\"\$(touch $mark)\"}" \
    '{"VNI":-7}' '{"VNI":99999999999999999999}' '{"VNI":4294967297}' '{"VNI":1.5}' '[]' '{'; do
    kubectl annotate --overwrite node w3 "flannel.alpha.coreos.com/backend-data=$data" >/dev/null
    echo "backend-data: $data"
    check_with_key 1 w3
    [ "$output" = 'node/w3 not clean (mark annotation flannel.alpha.coreos.com/backend-data)' ]
    [ -z "$errors" ]
    nothing_ran "$data"
  done
}

@test "code in flannel's Network: nothing runs, and a line says what cannot be known" {
  door w3 2201
  printf '%s\n' "\$(touch $mark)" "\`touch $mark\`" "10.244.0.0/16;touch $mark" "10.244.0.0/\$(touch $mark)" >"$home/codes"
  while read -r code; do
    network "$code"
    check_with_key 0 w3
    contains "$errors" "flannel's address range is not known"
    run_cni 4 cleanup w3 --host-map "$home/map" --ssh-key "$key"
    one_error_line "flannel's address range" --force
    nothing_ran "$code"
  done <"$home/codes"
}

@test "a net-conf.json that is no JSON: one line that names the ConfigMap" {
  door w3 2201
  kubectl -n kube-flannel patch configmap kube-flannel-cfg --type=merge \
    -p "{\"data\": {\"net-conf.json\": \"\$(touch $mark)\"}}" >/dev/null
  check_with_key 1 w3
  one_error_line kube-flannel-cfg JSON
  nothing_ran
}

@test "code in the names of files and links on the node: found, shown, removed, and not run" {
  door w3 2201
  local name
  # A link's name has at most 15 characters and no slash: what runs would leave a file in the folder.
  on_node w3 sh -euc 'ip link add cni0 type bridge
    for name in "a;id>kran" "\$(id>kran)" "\`id>kran\`"; do
      ip link add name "$name" type veth peer name "p$(echo "$name" | cksum | cut -c1-8)"
      ip link set dev "$name" master cni0
    done'
  for name in '$(id>kran)' '`id>kran`' ';id>kran;' "'"; do
    on_node w3 sh -c 'mkdir -p /etc/cni/net.d && echo "{\"type\": \"flannel\"}" >"/etc/cni/net.d/$1.conflist"' sh "10-flannel$name"
  done
  check_with_key 1 w3
  contains "$output" 'a;id>kran'
  run_cni 0 cleanup w3 --force --host-map "$home/map" --ssh-key "$key"
  check_with_key 0 w3
  ! on_node w3 sh -c 'ls /kran /root/kran /etc/cni/net.d/kran 2>/dev/null' | grep -q .
}

@test "code in --ssh-user is the operator's own, and yet only a name for the server" {
  door w3 2201
  check_with_key 1 w3 --ssh-user "\$(touch $mark)"
  one_error_line node/w3
  nothing_ran
}
