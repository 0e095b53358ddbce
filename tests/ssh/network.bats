#!/usr/bin/env bats
# cleanup and the way to the nodes: what does not answer, what answers late, what breaks off.

load prelude

# one_node_late BEGIN NODE: the one line that says so came within five seconds.
one_node_late() {
  since "$1" 5
  one_error_of_many "node/$2" 'timed out'
}

teardown() {
  end_all
  on_node w1 iptables -F INPUT
  rm -f "$KCNI_WORLD/nodes/w1/no-ssh"
}

# beside_w2 PORT: w1 at that port, and w2 at a door that works.
beside_w2() {
  serve w2 2201
  trust "$(address w2)" 2201
  map_to "w1 $(address w1):$1" "w2 $(address w2):2201"
}

# hung PORT: an sshd on w1 that accepts (the kernel does it) and says nothing.
hung() {
  door w1 "$1"
  kill -STOP "$served"
}

@test "connection refused: one line" {
  map_to "w1 $(address w1):2298"
  check_with_key 1 w1
  one_error_line "node/w1: ssh $(address w1):2298" 'onnection refused'
}

@test "no route to the node: one line" {
  in_world ip route replace unreachable 198.18.99.0/24
  map_to 'w1 198.18.99.1'
  check_with_key 1 w1
  one_error_line 'node/w1: ssh 198.18.99.1' 'o route to host'
}

@test "a name that does not exist: one line" {
  map_to 'w1 no-such-node.invalid'
  check_with_key 1 w1
  one_error_line node/w1 'no-such-node.invalid' 'cannot look up'
}

@test "packets into the void: --ssh-timeout ends it, the other node is looked at" {
  on_node w1 iptables -A INPUT -p tcp --dport 2298 -j DROP
  beside_w2 2298
  begun=$SECONDS
  check_with_key 1 w1 w2 --ssh-timeout 2s
  one_node_late "$begun" w1
  contains "$errors" connecting
  [ "$output" = 'node/w2 clean' ]
}

@test "an sshd that accepts and says nothing: --ssh-timeout ends it, the other node is looked at" {
  hung 2202
  beside_w2 2202
  begun=$SECONDS
  check_with_key 1 w1 w2 --ssh-timeout 2s
  one_node_late "$begun" w1
  [ "$output" = 'node/w2 clean' ]
}

@test "the same with one node at a time: the other node gets its turn" {
  hung 2202
  beside_w2 2202
  check_with_key 1 w1 w2 --ssh-timeout 1s --parallel 1
  one_error_of_many node/w1 'timed out'
  [ "$output" = 'node/w2 clean' ]
}

@test "an sshd that hangs while logging in: --ssh-timeout ends it" {
  on_node w1 sh -c 'printf "#!/bin/sh\nexec sleep 20\n" >/usr/bin/test-late && chmod 755 /usr/bin/test-late'
  door w1 2202 'AuthorizedKeysFile none' 'AuthorizedKeysCommand /usr/bin/test-late' 'AuthorizedKeysCommandUser root'
  begun=$SECONDS
  check_with_key 1 w1 --ssh-timeout 2s
  one_node_late "$begun" w1
  contains "$errors" 'logging in'
}

@test "a node that hangs once we are in: --timeout ends it with exit code 3, the other node is looked at" {
  door w1 2202 'ForceCommand sleep 20'
  beside_w2 2202
  begun=$SECONDS
  check_with_key 3 w1 w2 --timeout 3s
  one_node_late "$begun" w1
  contains "$errors" 'waiting for the node'
  [ "$output" = 'node/w2 clean' ]
}

@test "a node that talks without end: --timeout ends it with exit code 3" {
  door w1 2202 'ForceCommand yes'
  begun=$SECONDS
  check_with_key 3 w1 --timeout 3s
  one_node_late "$begun" w1
}

@test "Ctrl-C at a hung sshd: exit code 130 at once, and one error line" {
  hung 2202
  "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map" --ssh-key "$key" 2>"$home/said" 3>&- &
  command=$!
  sleep 1
  begun=$SECONDS code=0
  kill -INT "$command"
  wait "$command" || code=$?
  since "$begun" 2
  [ "$code" = 130 ]
  errors=$(cat "$home/said")
  one_error_of_many interrupted
}

@test "a node far away, 200 ms each way: it works" {
  serve w1 2201
  in_world "$BATS_TEST_DIRNAME/slow-proxy" 127.0.0.1 2207 "$(address w1)" 2201 200 3>&- &
  ends_with_test
  wait_for in_world bash -c ': </dev/tcp/127.0.0.1/2207'
  map_to 'w1 127.0.0.1:2207'
  trust 127.0.0.1 2207
  begun=$SECONDS
  check_with_key 0 w1
  [ "$output" = 'node/w1 clean' ]
  since "$begun" 8
}

@test "a node that answers late: it works, and says meanwhile what it waits for" {
  # shellcheck disable=SC2016 # the node's shell expands it
  door w1 2202 'ForceCommand sleep 8; eval "$SSH_ORIGINAL_COMMAND"'
  check_with_key 0 w1
  [ "$output" = 'node/w1 clean' ]
  contains "$errors" w1
}

@test "a port that accepts and hangs up: one line" {
  touch "$KCNI_WORLD/nodes/w1/no-ssh"
  check_with_key 1 w1
  one_error_line 'node/w1: ssh ' 'onnection '
}

@test "a connection that is cut while the script runs: one line" {
  door w1 2202 'ForceCommand kill -KILL $PPID; sleep 5'
  check_with_key 1 w1
  one_error_line node/w1
}

@test "something that is no sshd: one line" {
  map_to 'w1 127.0.0.1:10222' # the cluster's own door: it answers, in another language
  check_with_key 1 w1 --ssh-timeout 2s
  one_error_line node/w1
}

@test "an sshd that speaks only what libssh does not: one line that says so" {
  door w1 2202 'KexAlgorithms sntrup761x25519-sha512@openssh.com'
  check_with_key 1 w1
  one_error_line node/w1 'no match'
}
