#!/usr/bin/env bats
# cleanup and who logs in with what: users, keys, the agent, passphrases.

load prelude

# start_agent [KEY...]: an agent of this test's own that holds them; its socket is in $agent.
start_agent() {
  agent=$BATS_TEST_TMPDIR/agent
  ssh-agent -D -a "$agent" >/dev/null 3>&- &
  ends_with_test
  wait_for test -S "$agent"
  for file in "$@"; do SSH_AUTH_SOCK=$agent ssh-add -q "$file"; done
  at_home+=(env "SSH_AUTH_SOCK=$agent")
}

# stranger [NAME]: a key that no node knows, in $stranger.
stranger() {
  stranger=$BATS_TEST_TMPDIR/${1:-stranger}
  ssh-keygen -q -t ed25519 -N '' -f "$stranger"
}

# lock_key FILE [KEY]: the nodes' key, or this one, behind the passphrase "open".
lock_key() {
  install -m 600 "${2:-$key}" "$1"
  ssh-keygen -q -p -P '' -N open -f "$1" >/dev/null
}

# no_public_half FILE: nor can libssh write it down, as in a folder that it may only read.
no_public_half() { ln -s missing/folder "$1.pub"; }

@test "the key that is named lets in" {
  door w1 2201
  check_with_key 0 w1
  [ "$output" = 'node/w1 clean' ]
  [ -z "$errors" ]
}

@test "~/.ssh/id_ed25519 needs not be named" {
  door w1 2201
  install -m 600 "$key" "$home/.ssh/id_ed25519"
  check 0 w1
}

@test "--ssh-key=~/.ssh/night, where no shell expands the ~, is the operator's home" {
  door w1 2201
  install -m 600 "$key" "$home/.ssh/night"
  check 0 w1 '--ssh-key=~/.ssh/night'
}

@test "no key at all: one line, with the user and what the server takes" {
  door w1 2201
  check 1 w1
  one_error_line "node/w1: ssh $(address w1):2201" 'permission denied' root publickey
}

@test "a key that the node does not know is refused" {
  door w1 2201
  stranger
  check 1 w1 --ssh-key "$stranger"
  one_error_line node/w1 'permission denied' 'user root' --ssh-key
}

@test "a user that does not exist there: refused, and named" {
  door w1 2201
  check_with_key 1 w1 --ssh-user nobody-here
  one_error_line node/w1 'permission denied' 'user nobody-here' --ssh-user
}

@test "root may not log in there: refused, and named" {
  door w1 2201 'PermitRootLogin no'
  check_with_key 1 w1
  one_error_line node/w1 'permission denied' 'user root'
}

@test "of two keys the second one lets in" {
  door w1 2201
  stranger
  check 0 w1 --ssh-key "$stranger" --ssh-key "$key"
}

@test "a key file that is not there, is no key, or is the public half: one line each that names it" {
  door w1 2201
  echo 'no key' >"$home/rubbish"
  for file in "$home/missing" "$home/rubbish" "$key.pub"; do
    check 1 w1 --ssh-key "$file"
    one_error_line "$file"
  done
}

@test "the agent alone is enough" {
  door w1 2201
  start_agent "$key"
  check 0 w1
}

@test "an encrypted key that the agent holds: named, and not asked for" {
  door w1 2201
  lock_key "$home/locked"
  cp "$key.pub" "$home/locked.pub"
  start_agent "$key"
  check 0 w1 --ssh-key "$home/locked"
  [ -z "$errors" ]
}

@test "an agent that is gone is no more than no agent" {
  door w1 2201
  at_home+=(env "SSH_AUTH_SOCK=$BATS_TEST_TMPDIR/nobody")
  check_with_key 0 w1
  [ -z "$errors" ]
  check 1 w1
  one_error_line node/w1 'permission denied'
}

# crowded_agent: more keys than the server has patience for.
crowded_agent() {
  local keys=()
  for i in 1 2 3 4 5; do stranger "$i" && keys+=("$stranger"); done
  start_agent "${keys[@]}"
}

@test "the server hangs up after too many of the agent's keys: said so at once, and what to do" {
  door w1 2201 'MaxAuthTries 3'
  crowded_agent
  begun=$SECONDS
  check 1 w1
  since "$begun" 5
  one_error_line node/w1 'oo many authentication failures' --ssh-key
}

@test "the same after a named key that does not fit" {
  door w1 2201 'MaxAuthTries 3'
  crowded_agent
  begun=$SECONDS
  check 1 w1 --ssh-key "$stranger"
  since "$begun" 5
  one_error_line node/w1 'oo many authentication failures'
}

@test "the same with too many named keys" {
  door w1 2201 'MaxAuthTries 2'
  local keys=()
  for i in 1 2 3 4; do stranger "$i" && keys+=(--ssh-key "$stranger"); done
  begun=$SECONDS
  check 1 w1 "${keys[@]}"
  since "$begun" 5
  one_error_line node/w1 'oo many authentication failures'
}

@test "a named key that fits comes before all of the agent's" {
  door w1 2201 'MaxAuthTries 3'
  crowded_agent
  check_with_key 0 w1
}

# certify: the node trusts an authority only, and the operator has its certificate.
certify() {
  ssh-keygen -q -t ed25519 -N '' -f "$home/authority"
  on_node w1 tee /etc/ssh/test_authority <"$home/authority.pub" >/dev/null
  door w1 2201 'AuthorizedKeysFile none' 'TrustedUserCAKeys /etc/ssh/test_authority'
  ssh-keygen -q -t ed25519 -N '' -f "$home/certified"
  ssh-keygen -q -s "$home/authority" -I operator -n root "$home/certified.pub"
}

@test "a certificate that the agent holds lets in" {
  certify
  start_agent "$home/certified" # ssh-add takes the certificate beside it along
  check 0 w1
}

@test "a certificate beside the key lets in, or one line says what to do" {
  certify
  code=0
  check 0 w1 --ssh-key "$home/certified" || code=$?
  [ "$code" = 0 ] || one_error_line node/w1 'permission denied' ssh-add
}

@test "the server wants a password as well: said so" {
  door w1 2201 'PasswordAuthentication yes' 'AuthenticationMethods publickey,password'
  check_with_key 1 w1
  one_error_line node/w1 'wants more than a key' password
}

@test "the server takes passwords only: said so" {
  door w1 2201 'PasswordAuthentication yes' 'PubkeyAuthentication no'
  check_with_key 1 w1
  one_error_line node/w1 'permission denied' password
}

@test "an encrypted key without a terminal: one line, with the ssh-add that helps" {
  door w1 2201
  lock_key "$home/locked"
  check 1 w1 --ssh-key "$home/locked"
  one_error_line node/w1 passphrase "ssh-add $home/locked"
}

@test "an encrypted ~/.ssh/id_ed25519 without a terminal: one line, with an ssh-add" {
  door w1 2201
  lock_key "$home/.ssh/id_ed25519"
  check 1 w1
  one_error_line node/w1 passphrase ssh-add
}

@test "an encrypted key without a terminal that is not needed is no obstacle" {
  door w1 2201
  lock_key "$home/locked"
  check 0 w1 --ssh-key "$home/locked" --ssh-key "$key"
  [ -z "$errors" ]
}

@test "an encrypted key at a terminal: asked for once, for three nodes" {
  needs script
  for node in w1 w2 w3; do serve "$node" 2201 && trust "$(address "$node")" 2201; done
  map_to "w1 $(address w1):2201" "w2 $(address w2):2201" "w3 $(address w3):2201"
  lock_key "$home/locked"
  on_terminal open "${at_home[@]}" kubectl-cni-cleanup w1 w2 w3 --check --host-map "$home/map" --ssh-key "$home/locked"
  contains "$shown" "Passphrase for $home/locked: "
  [ "$(asked "$BATS_TEST_TMPDIR/terminal")" = 1 ]
  [ "$code" = 0 ]
  for node in w1 w2 w3; do contains "$shown" "node/$node clean"; done
  lacks "$shown" open # nobody looks over the shoulder
}

@test "an encrypted ~/.ssh/id_ed25519 at a terminal is asked for, too" {
  needs script
  door w1 2201
  lock_key "$home/.ssh/id_ed25519"
  on_terminal open "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map"
  contains "$shown" 'Passphrase for '
  contains "$shown" .ssh/id_ed25519
  [ "$code" = 0 ]
}

@test "a wrong passphrase: one error line, exit code 1, no endless questions" {
  needs script
  door w1 2201
  lock_key "$home/locked"
  on_terminal shut "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map" --ssh-key "$home/locked"
  [ "$code" = 1 ]
  [ "$(grep -c 'error: ' <<<"$shown")" = 1 ]
  [ "$(asked "$BATS_TEST_TMPDIR/terminal")" -le 3 ]
  contains "$shown" "$home/locked"
}

@test "a key without a passphrase is not asked for at a terminal" {
  needs script
  door w1 2201
  on_terminal open "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map" --ssh-key "$key"
  [ "$code" = 0 ]
  lacks "$shown" assphrase
}

@test "Ctrl-C at the passphrase: 130, and the terminal echoes again" {
  needs script
  door w1 2201
  lock_key "$home/locked"
  # shellcheck disable=SC2016 # the terminal's shell expands it
  on_terminal $'\003' bash -c '"$@"; echo "ended $?"; stty -a' bash \
    "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map" --ssh-key "$home/locked"
  contains "$shown" 'ended 130'
  contains "$shown" ' echo '
}

@test "a passphrase is waited for until --timeout: exit code 3, the terminal echoes again, the half of it is lost" {
  needs script
  door w1 2201
  lock_key "$home/locked"
  at_prompt() { printf half >&7; }
  begun=$SECONDS
  # shellcheck disable=SC2016 # the terminal's shell expands it
  on_terminal '' bash -c '"$@"; echo "ended $?"; stty -a; read -t 0.1 -n 1 && echo "half is there"' bash \
    "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map" --ssh-key "$home/locked" --timeout 2s
  since "$begun" 5
  contains "$shown" 'waiting for a passphrase'
  contains "$shown" 'ended 3'
  contains "$shown" ' echo '
  lacks "$shown" half
}

@test "Ctrl-C at one passphrase: no other is asked for, of the same node or of the next" {
  needs script
  for node in w1 w2; do serve "$node" 2201 && trust "$(address "$node")" 2201; done
  map_to "w1 $(address w1):2201" "w2 $(address w2):2201"
  for file in first second third; do lock_key "$home/$file"; done
  printf '%s\n' "Host $(address w1)" "  IdentityFile $home/first" "  IdentityFile $home/second" \
    "Host $(address w2)" "  IdentityFile $home/third" >"$home/.ssh/config"
  on_terminal $'\003' "${at_home[@]}" kubectl-cni-cleanup w1 w2 --check --host-map "$home/map"
  [ "$(asked "$BATS_TEST_TMPDIR/terminal")" = 1 ]
  [ "$code" = 130 ]
}

@test "a passphrase that opens the key is not asked for again when the node refuses the key" {
  needs script
  door w1 2201
  stranger
  lock_key "$home/.ssh/id_ed25519" "$stranger"
  no_public_half "$home/.ssh/id_ed25519"
  on_terminal open "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map"
  [ "$(asked "$BATS_TEST_TMPDIR/terminal")" = 1 ]
  [ "$code" = 1 ]
  contains "$shown" 'permission denied'
  lacks "$shown" 'has a passphrase'
}

@test "two keys, one refused by the node, one with a passphrase mistyped at first: only this is asked for again" {
  needs script
  door w1 2201
  stranger
  lock_key "$home/.ssh/id_ed25519" "$stranger"
  no_public_half "$home/.ssh/id_ed25519"
  lock_key "$home/.ssh/id_ecdsa"
  at_prompt() { if [ "$2" = 2 ]; then echo shut >&7; else echo open >&7; fi; }
  on_terminal '' "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map"
  [ "$(asked "$BATS_TEST_TMPDIR/terminal")" = 3 ]
  contains "$shown" "Not it. Passphrase for $home/.ssh/id_ecdsa: "
  [ "$code" = 0 ]
}

@test "a wrong passphrase is wiped from memory before the next is asked for" {
  needs script
  door w1 2201
  lock_key "$home/locked"
  at_prompt() {
    [ "$2" = 1 ] || "$BATS_TEST_DIRNAME/in-memory" "$(pgrep -f "^kubectl-cni-cleanup .*$home/map")" "$1" >>"$home/found"
    echo "$1" >&7
  }
  on_terminal shut-and-forgotten "${at_home[@]}" kubectl-cni-cleanup w1 --check --host-map "$home/map" --ssh-key "$home/locked"
  cat "$home/found"
  [ "$(cat "$home/found")" = $'absent\nabsent' ]
}
