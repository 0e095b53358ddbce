#!/usr/bin/env bats
# cleanup and what it meets once it is in: login shells that talk, that are other than sh, or that let
# nobody in, and disks that are full.

load prelude

# login NAME SHELL: a user of w1 with that shell who may sudo.
login() {
  # shellcheck disable=SC2016 # the node's shell expands it
  on_node w1 sh -euc '
    id "$1" >/dev/null 2>&1 || useradd --create-home --password "*" "$1"
    usermod --shell "$2" "$1"
    install -m 644 /root/.ssh/authorized_keys "/etc/ssh/keys/$1"
    echo "$1 ALL=(ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$1"' sh "$1" "$2"
}

# shell_that NAME LINE...: a login shell of that name on w1 that does this first.
shell_that() {
  local name=$1
  shift
  printf '%s\n' '#!/bin/sh' "$@" 'exec /bin/sh "$@"' |
    on_node w1 sh -c "cat >/usr/local/bin/$name && chmod 755 /usr/local/bin/$name"
}

# full PATH: a tiny file system on w1 that is full, until the end of the test.
full() {
  on_node w1 mount -t tmpfs -o size=16k tmpfs "$1"
  echo "$1" >>"$BATS_TEST_TMPDIR/mounts"
  on_node w1 dd if=/dev/zero of="$1/full" bs=4k 2>/dev/null || true
  ! on_node w1 sh -c "echo more >$1/more" 2>/dev/null
}

teardown() {
  end_all
  touch "$BATS_TEST_TMPDIR/mounts"
  while read -r path; do on_node w1 umount -l "$path"; done <"$BATS_TEST_TMPDIR/mounts"
  on_node w1 ln -sfn dash /bin/sh
}

# litter: something of flannel's on w1 for cleanup to find.
litter() {
  on_node w1 sh -c 'ip link add cni0 type bridge && mkdir -p /etc/cni/net.d /run/flannel &&
    echo FLANNEL_NETWORK=10.244.0.0/16 >/run/flannel/subnet.env'
}

clean() { run_cni "$1" cleanup --force --host-map "$home/map" --ssh-key "$key" "${@:2}"; }

@test "a login shell that greets on both streams: it works, and nothing of it is shown" {
  needs sudo
  shell_that greeter 'echo "Welcome to w1!"' 'echo "error: mind the step" >&2'
  login greet /usr/local/bin/greeter
  door w1 2201
  check_with_key 0 w1 --ssh-user greet
  [ "$output" = 'node/w1 clean' ]
  [ -z "$errors" ]
}

@test "a greeting does not hide what sudo says" {
  needs sudo
  shell_that greeter 'echo "Welcome to w1!"'
  login greet /usr/local/bin/greeter
  on_node w1 rm /etc/sudoers.d/greet
  door w1 2201
  check_with_key 1 w1 --ssh-user greet
  one_error_line node/w1 'sudo wants a password' --ssh-user
}

@test "a greeting without a newline at its end, and one of two megabytes" {
  needs sudo
  door w1 2201
  shell_that greeter 'printf "Welcome: "'
  login greet /usr/local/bin/greeter
  check_with_key 0 w1 --ssh-user greet
  shell_that greeter 'yes "Welcome to w1!" | head -c 2000000'
  code=0
  check_with_key 0 w1 --ssh-user greet || code=$?
  [ "$code" = 0 ] || { check_with_key 1 w1 --ssh-user greet && one_error_line node/w1; }
}

@test "a banner before the login is nothing to show" {
  on_node w1 sh -c 'echo "Authorised use only!" >/etc/test-banner'
  door w1 2201 'Banner /etc/test-banner' 'PrintMotd yes'
  check_with_key 0 w1
  [ -z "$errors" ]
}

@test "a home that is not there: it works" {
  needs sudo
  login homeless /bin/sh
  on_node w1 rm -rf /home/homeless
  door w1 2201
  check_with_key 0 w1 --ssh-user homeless
  [ -z "$errors" ]
}

@test "/usr/sbin/nologin: one line, with what it says" {
  login nobodys /usr/sbin/nologin
  door w1 2201
  check_with_key 1 w1 --ssh-user nobodys
  one_error_line node/w1 'not available' --ssh-user
}

@test "/bin/false: one line" {
  login silent /bin/false
  door w1 2201
  check_with_key 1 w1 --ssh-user silent
  one_error_line node/w1
}

@test "a login shell that does not exist: one line" {
  login bare /no/such/shell
  door w1 2201
  check_with_key 1 w1 --ssh-user bare
  one_error_line node/w1
}

@test "a door for files only: one line" {
  door w1 2201 'ForceCommand internal-sftp'
  check_with_key 1 w1 --timeout 5s
  one_error_line node/w1
}

@test "what a node says in colours and control characters arrives harmless" {
  shell_that painter 'printf "\033]0;owned\007\033[31mgo away\033[0m\n"; exit 1'
  login paint /usr/local/bin/painter
  door w1 2201
  check_with_key 1 w1 --ssh-user paint
  one_error_line node/w1 'go away'
  lacks "$errors" $'\033'
  lacks "$errors" $'\007'
}

# looks_and_cleans USER SHELL: who has it as a login shell.
looks_and_cleans() {
  needs "$2"
  needs sudo
  login "$1" "$(command -v "$2")"
  door w1 2201
  litter
  check_with_key 1 w1 --ssh-user "$1"
  contains "$output" 'link cni0'
  clean 0 w1 --ssh-user "$1"
  check_with_key 0 w1 --ssh-user "$1"
}

@test "csh as login shell: it looks and cleans" {
  looks_and_cleans see csh
}

@test "fish as login shell: it looks and cleans" {
  looks_and_cleans fisher fish
}

@test "bash as login shell, with a .bashrc that talks, fails and aliases" {
  needs sudo
  login basher "$(command -v bash)"
  printf '%s\n' 'echo "Welcome to w1!"' 'alias sh=false id=false sudo=false' 'cd /no/such/folder' 'set -o noclobber' |
    on_node w1 sh -c 'cat >/home/basher/.bashrc'
  door w1 2201
  check_with_key 0 w1 --ssh-user basher
  [ -z "$errors" ]
}

@test "/tmp of the node is full: cleanup needs none, whichever shell is sh there" {
  door w1 2201
  full /tmp
  full /var/tmp
  for shell in dash bash; do
    on_node w1 ln -sfn "$shell" /bin/sh
    litter
    clean 0 w1
    contains "$output" 'node/w1 cleaned (cni0'
    check_with_key 0 w1
    [ "$output" = 'node/w1 clean' ]
  done
}

@test "all of the node's disk is full, also for sudo: it still cleans" {
  needs sudo
  door w1 2201
  for path in /tmp /var/tmp /run/sudo /var/lib/sudo /var/log; do
    on_node w1 mkdir -p "$path"
    full "$path"
  done
  litter
  clean 0 w1 --ssh-user ann
  check_with_key 0 w1 --ssh-user ann
}
