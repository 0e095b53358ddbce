#!/usr/bin/env bats
# cleanup as a user who is not root: what sudo says there becomes one line that says what to do.

load prelude

# sudoers LINE...: on w1, until the end of the test.
sudoers() { printf '%s\n' "$@" | on_node w1 sh -c 'cat >/etc/sudoers.d/test && chmod 440 /etc/sudoers.d/test'; }

teardown() {
  on_node w1 rm -f /etc/sudoers.d/test
  end_all
}

@test "sudo without a password works: it looks, and it cleans" {
  needs sudo
  door w1 2201
  check_with_key 0 w1 --ssh-user ann
  on_node w1 ip link add cni0 type bridge
  check_with_key 1 w1 --ssh-user ann
  contains "$output" 'link cni0'
  run_cni 0 cleanup w1 --force --host-map "$home/map" --ssh-key "$key" --ssh-user ann
  [ "$output" = 'node/w1 cleaned (cni0)' ]
  check_with_key 0 w1 --ssh-user ann
}

@test "sudo that wants a password: one line with both ways out" {
  needs sudo
  door w1 2201
  check_with_key 1 w1 --ssh-user bob
  one_error_line node/w1 'sudo wants a password' NOPASSWD '--ssh-user root'
}

@test "a user who is not in sudoers: one line" {
  needs sudo
  door w1 2201
  check_with_key 1 w1 --ssh-user eve
  one_error_line node/w1 sudo --ssh-user
}

@test "a user who is not in sudoers, where sudo says so at once" {
  needs sudo
  door w1 2201
  sudoers 'Defaults:eve !authenticate'
  check_with_key 1 w1 --ssh-user eve
  one_error_line node/w1 'may not use sudo' --ssh-user
}

@test "a user who may run something else than a shell with sudo: one line" {
  needs sudo
  door w1 2201
  sudoers 'eve ALL=(ALL) NOPASSWD: /usr/bin/id'
  check_with_key 1 w1 --ssh-user eve
  one_error_line node/w1 sudo --ssh-user
}

@test "sudo that wants a terminal: one line that says this, not something about passwords" {
  needs sudo
  door w1 2201
  sudoers 'Defaults:ann requiretty'
  check_with_key 1 w1 --ssh-user ann
  one_error_line node/w1 requiretty
  lacks "$errors" NOPASSWD
}

@test "sudo's lecture and a sudoers file with a mistake do not get into the way" {
  needs sudo
  door w1 2201
  sudoers 'Defaults lecture=always' 'this is no line of sudoers'
  check_with_key 0 w1 --ssh-user ann
  [ -z "$errors" ]
}

@test "no sudo at all: one line that says so" {
  door w3 2201
  on_node w3 sh -c 'rm -f "$(command -v sudo)"' # of the node's own view
  check_with_key 1 w3 --ssh-user ann
  one_error_line node/w3 'no sudo' '--ssh-user root'
}

@test "of two nodes one wants a password: the other is looked at" {
  needs sudo
  serve w1 2201
  serve w2 2201
  map_to "w1 $(address w1):2201" "w2 $(address w2):2201"
  trust "$(address w1)" 2201
  trust "$(address w2)" 2201
  on_node w2 sh -c 'echo "bob ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/bob'
  check_with_key 1 w1 w2 --ssh-user bob
  [ "$output" = 'node/w2 clean' ]
  one_error_of_many node/w1 'sudo wants a password'
}
