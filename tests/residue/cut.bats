#!/usr/bin/env bats
# cleanup, over real ssh, whose connection is cut after each single step that changes the node: by killing
# the sshd of this very connection. The next run does the rest, and what both did is what one would have.

load prelude

setup() {
  need_world
  net_conf '{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "vxlan"}}'
  count_calls
}

teardown() { count_no_calls; }

# Something of each kind. What others have is there already: each cut proves that it still is, all but
# the chains, which are beside flannel's and are made anew with them.
residue='bare_firewall; rm -rf /var/lib/kubectl-cni; their_tables
  bridge; vxlan 1; vxlan6 1; chains iptables-nft ip6tables-legacy; nft_tables; files
  hostport_top iptables-nft; hostport iptables-nft cbr0 4f1d 10.244.1.5 8080 tcp
  rm "/etc/cni/net.d/20 old.conf" /etc/cni/net.d/*.cilium_bak
  ip route add 10.244.3.0/24 via 172.30.0.13 dev eth0
  echo $step >/opt/cut/at; rm -f /opt/cut/calls /opt/cut/left; touch /opt/cut/calls'

gone_residue() {
  gone_bridge && gone_vxlan 1 && gone_vxlan6 1 && gone_nft_tables && gone_env && gone_state
  gone_conf | grep -v -e bak -e old
  gone_chains iptables-nft ip6tables-legacy
  gone_hostport_top iptables-nft && gone_hostport iptables-nft cbr0 4f1d 10.244.1.5 8080 tcp
  echo '- route 10.244.3.0/24 via 172.30.0.13 dev eth0'
}

# sweep HOW STRIDE: cuts after each step in turn, or each STRIDE-th, until a run goes through uncut. All
# cuts are made before those that went wrong are told.
sweep() {
  local step=$((1 - $2)) code wrong=0
  node "fresh; echo $1 >/opt/cut/how"
  while true; do
    step=$((step + $2))
    given_more "step=$step; $residue"
    code=0
    cni cleanup w1 >"$BATS_TEST_TMPDIR/said" 2>"$BATS_TEST_TMPDIR/stderr" || code=$?
    output=$(<"$BATS_TEST_TMPDIR/said") errors=$(grep -v '^warning: ' "$BATS_TEST_TMPDIR/stderr" || true)
    [ $code != 0 ] || break
    script_has_ended
    if ! after_the_cut >"$BATS_TEST_TMPDIR/why"; then
      wrong=$((wrong + 1))
      echo "cut after step $step: $(on_node w1 tail -n 1 /opt/cut/calls_before)"
      cat "$BATS_TEST_TMPDIR/why"
    fi
  done
  gone_residue | changed
  echo "# the run has $(on_node w1 grep -c '' /opt/cut/calls) steps" >&3
  [ "$step" -gt 35 ]
  [ "$wrong" = 0 ]
}

# Told by one line, which names the node and does not speak of anything as done; then cleaned.
after_the_cut() {
  echo "exit code $code, stdout: $output, stderr: $errors"
  [ "$code" = 1 ] && [ -z "$output" ] && one_error_line node/w1 && clean && gone_residue | changed
}

# What sshd started goes on until it has something to say to nobody. The next run is not to be cut.
script_has_ended() {
  on_node w1 bash -c 'echo 0 >/opt/cut/at; cp /opt/cut/calls /opt/cut/calls_before
    while [ -e "/proc/$(cat /opt/cut/left)" ]; do sleep 0.02; done'
}

@test "cut after each step, and what ran on the node ends with it: the next run does the rest" {
  sweep everything 1
}

# Some of the steps, for between two words of the script it makes no difference where it is cut.
@test "cut while the script goes on until it speaks: the next run does the rest" {
  sweep connection 4
}
