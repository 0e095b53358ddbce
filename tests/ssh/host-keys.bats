#!/usr/bin/env bats
# cleanup and the nodes' host keys: what ssh would not trust is not trusted, and the way out that the
# error line names is followed to its end.

load prelude

@test "an unknown host is refused; the ssh-keyscan of the error line makes it known" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  check_with_key 1 w1
  one_error_line "node/w1: ssh $(address w1):2201" 'SHA256:' 'is not known' ssh-keyscan '-p 2201' --ssh-accept-new
  follow_hint
  check_with_key 0 w1
  [ "$output" = 'node/w1 clean' ]
}

@test "the fingerprint of the error line is the one that ssh-keygen shows" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  check_with_key 1 w1
  one_error_line "$(ssh-keygen -lf "$KCNI_WORLD/ssh/host_key.pub" | cut -d' ' -f2)"
}

@test "--ssh-accept-new writes the key down: the second run needs no flag" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  check_with_key 0 w1 --ssh-accept-new
  [ -z "$errors" ]
  contains "$(cat "$home/.ssh/known_hosts")" 'ssh-ed25519'
  check_with_key 0 w1
  [ -z "$errors" ]
}

@test "--ssh-accept-new for several nodes at once: each has its line" {
  serve w1 2201
  serve w2 2201
  serve w3 2201
  map_to "w1 $(address w1):2201" "w2 $(address w2):2201" "w3 $(address w3):2201"
  check_with_key 0 w1 w2 w3 --ssh-accept-new --ssh-known-hosts "$home/known"
  [ "$(wc -l <"$home/known")" = 3 ]
  check_with_key 0 w1 w2 w3 --ssh-known-hosts "$home/known"
}

@test "a changed key is refused, the more so with --ssh-accept-new; ssh-keygen -R of the error line helps" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  distrust "$(address w1)" 2201
  cp "$home/.ssh/known_hosts" "$home/before"
  for flags in '' --ssh-accept-new; do
    # shellcheck disable=SC2086 # none or one
    check_with_key 1 w1 $flags
    one_error_line "node/w1: ssh $(address w1):2201" 'HOST KEY CHANGED' 'ssh-keygen -R'
    cmp "$home/.ssh/known_hosts" "$home/before"
  done
  follow_hint
  check_with_key 0 w1 --ssh-accept-new
}

@test "a changed key of an IPv6 node: the hint works as well" {
  serve w1 2201
  map_to "w1 [fd18:1::1]:2201"
  distrust fd18:1::1 2201
  check_with_key 1 w1
  one_error_line 'node/w1: ssh [fd18:1::1]:2201' 'HOST KEY CHANGED'
  follow_hint
  check_with_key 1 w1
  one_error_line 'is not known'
  follow_hint
  check_with_key 0 w1
}

@test "the hints hold for a file with a space in its name" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  check_with_key 1 w1 --ssh-known-hosts "$home/known hosts"
  one_error_line 'is not known'
  follow_hint
  check_with_key 0 w1 --ssh-known-hosts "$home/known hosts"
}

@test "hashed names in known_hosts are found" {
  door w1 2201
  ssh-keygen -q -H -f "$home/.ssh/known_hosts" 2>/dev/null
  lacks "$(cat "$home/.ssh/known_hosts")" "$(address w1)"
  check_with_key 0 w1
}

@test "a key that is marked @revoked is refused, also with --ssh-accept-new" {
  door w1 2201
  cp "$home/.ssh/known_hosts" "$home/known"
  for mark in @revoked $' \t@revoked'; do
    printf '%s * %s\n' "$mark" "$(cut -d' ' -f1,2 "$KCNI_WORLD/ssh/host_key.pub")" | cat "$home/known" - >"$home/.ssh/known_hosts"
    for flags in '' --ssh-accept-new; do
      # shellcheck disable=SC2086 # none or one
      check_with_key 1 w1 $flags
      one_error_line node/w1 'is revoked'
    done
  done
}

@test "patterns in known_hosts are found" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  printf '[198.18.?.*]:2201 %s\n' "$(cut -d' ' -f1,2 "$KCNI_WORLD/ssh/host_key.pub")" >"$home/.ssh/known_hosts"
  check_with_key 0 w1
}

@test "a known_hosts that cannot be written: one line, nothing trusted" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  mkdir "$home/known" # for root writes everywhere else
  check_with_key 1 w1 --ssh-accept-new --ssh-known-hosts "$home/known"
  one_error_line node/w1 "$home/known"
}

@test "a node that has several kinds of keys is asked for the known one" {
  # shellcheck disable=SC2016 # the node's shell expands it
  on_node w1 sh -c 'for t in rsa ecdsa; do [ -e "/etc/ssh/test_$t" ] || ssh-keygen -q -N "" -t "$t" -f "/etc/ssh/test_$t"; done'
  door w1 2201 'HostKey /etc/ssh/test_rsa' 'HostKey /etc/ssh/test_ecdsa'
  check_with_key 0 w1
}

@test "a key of one kind is known, the node shows one of another: refused, also with --ssh-accept-new" {
  on_node w1 sh -c '[ -e /etc/ssh/test_ecdsa ] || ssh-keygen -q -N "" -t ecdsa -f /etc/ssh/test_ecdsa'
  door w1 2201 'HostKey /etc/ssh/test_ecdsa' 'HostKeyAlgorithms ecdsa-sha2-nistp256'
  check_with_key 1 w1 --ssh-accept-new
  one_error_line node/w1
  lacks "$(cat "$home/.ssh/known_hosts")" ecdsa
}

@test "of two nodes one has a changed key: the other is looked at, and only one line tells of it" {
  serve w1 2201
  serve w2 2201
  map_to "w1 $(address w1):2201" "w2 $(address w2):2201"
  trust "$(address w1)" 2201
  distrust "$(address w2)" 2201
  check_with_key 1 w1 w2
  [ "$output" = 'node/w1 clean' ]
  one_error_of_many node/w2 'HOST KEY CHANGED'
}
