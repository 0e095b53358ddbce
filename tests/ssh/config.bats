#!/usr/bin/env bats
# cleanup and ~/.ssh/config: whoever reaches the nodes with `ssh` by it reaches them with cleanup. And
# --ssh-option, which is the same by hand.

load prelude

# config LINE...: the operator's ~/.ssh/config.
config() {
  printf '%s\n' "$@" >"$home/.ssh/config"
  chmod 600 "$home/.ssh/config"
}

logged_in_as() { grep -q "Accepted publickey for $1 " "$sshd_log"; }

@test "HostName, Port, User and IdentityFile of a Host are honoured" {
  needs sudo
  serve w1 2201
  trust "$(address w1)" 2201
  config 'Host w1-by-name' "  HostName $(address w1)" '  Port 2201' '  User ann' "  IdentityFile $key"
  map_to 'w1 w1-by-name'
  check 0 w1
  logged_in_as ann
}

@test "a Host that matches the node's address, and Include" {
  needs sudo
  door w1 2201
  config 'Include ~/.ssh/more'
  printf '%s\n' 'Host 198.18.*' '  User ann' "  IdentityFile $key" >"$home/.ssh/more"
  check 0 w1
  logged_in_as ann
}

@test "UserKnownHostsFile is honoured" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  trust "$(address w1)" 2201 "$home/known"
  config "UserKnownHostsFile $home/known"
  check_with_key 0 w1
}

@test "GlobalKnownHostsFile is honoured" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  trust "$(address w1)" 2201 "$home/known"
  config "GlobalKnownHostsFile $home/known"
  check_with_key 0 w1
}

@test "IdentityAgent is honoured" {
  door w1 2201
  ssh-agent -D -a "$home/socket" >/dev/null 3>&- &
  ends_with_test
  wait_for test -S "$home/socket"
  SSH_AUTH_SOCK=$home/socket ssh-add -q "$key"
  config "IdentityAgent $home/socket"
  check 0 w1
}

@test "flags beat the config, and the host map's port beats the flag's" {
  door w1 2201
  config 'Host *' '  Port 1' '  User nobody-here' '  UserKnownHostsFile /dev/null'
  check_with_key 0 w1 --ssh-user root --ssh-port 2 --ssh-known-hosts "$home/.ssh/known_hosts"
  logged_in_as root
}

@test "keywords that only ssh knows are passed over" {
  door w1 2201
  config 'Host *' '  ServerAliveInterval 5' '  ControlMaster auto' '  ControlPath ~/.ssh/%C' '  VisualHostKey yes' \
    '  AddKeysToAgent yes' '  RequestTTY no' '  SetEnv A=b' '  CanonicalizeHostname no' '  LocalForward 9 a:9'
  check_with_key 0 w1
  [ -z "$errors" ]
}

@test "LogLevel of the config makes no noise" {
  door w1 2201
  for level in ERROR VERBOSE DEBUG3; do
    config 'Host *' "  LogLevel $level"
    check_with_key 0 w1
    [ -z "$errors" ]
  done
}

@test "HostKeyAlias is honoured, or its absence told in one line" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  printf 'the-node %s\n' "$(cut -d' ' -f1,2 "$KCNI_WORLD/ssh/host_key.pub")" >"$home/.ssh/known_hosts"
  config 'Host *' '  HostKeyAlias the-node'
  code=0
  check_with_key 0 w1 || code=$?
  [ "$code" = 0 ] || one_error_line 'is not known'
}

# jump_to PORT [LINE...]: w2 is the way to an sshd that listens on its loopback only.
jump_to() {
  serve w2 2299 'AllowTcpForwarding yes'
  jump_log=$sshd_log
  serve w2 "$1" 'ListenAddress 127.0.0.1' "${@:2}"
  trust "$(address w2)" 2299
  trust 127.0.0.1 "$1"
  map_to "w2 127.0.0.1:$1"
}

jump_host() { printf '%s\n' 'Host jump' "  HostName $(address w2)" '  Port 2299' '  User root' "  IdentityFile $key"; }

@test "ProxyJump leads through a host that the config describes" {
  jump_to 2203
  config "$(jump_host)" 'Host 127.0.0.1' '  ProxyJump jump'
  check_with_key 0 w2
  [ "$output" = 'node/w2 clean' ]
  grep -q 'Accepted publickey' "$jump_log"
}

@test "ProxyCommand leads there as well" {
  jump_to 2203
  config "$(jump_host)" 'Host 127.0.0.1' '  ProxyCommand ssh -W %h:%p jump'
  check_with_key 0 w2
}

# one_line_about_jump: it names what of the config has failed, and nothing else is said.
one_line_about_jump() {
  check_with_key 1 w2 --ssh-timeout 3s
  one_error_line node/w2 Proxy
}

@test "a jump host that refuses the connection: one line" {
  config "$(jump_host)" 'Host 127.0.0.1' '  ProxyJump jump'
  map_to 'w2 127.0.0.1:2203'
  one_line_about_jump
}

@test "a jump host whose key is not known: one line" {
  jump_to 2203
  rm "$home/.ssh/known_hosts"
  trust 127.0.0.1 2203
  config "$(jump_host)" 'Host 127.0.0.1' '  ProxyJump jump'
  one_line_about_jump
}

@test "a jump host that refuses the key: one line" {
  jump_to 2203
  config "$(jump_host | sed 's/User root/User nobody-here/')" 'Host 127.0.0.1' '  ProxyJump jump'
  one_line_about_jump
}

@test "a jump host from which the node cannot be reached: one line" {
  jump_to 2203
  config "$(jump_host)" 'Host 127.0.0.1' '  ProxyJump jump'
  map_to 'w2 127.0.0.1:2204'
  one_line_about_jump
}

@test "a jump host that is hung: --ssh-timeout ends it with one line, and nothing stays behind" {
  map_to 'w2 127.0.0.1:2203'
  config 'Host 127.0.0.1' "  ProxyCommand sleep 60.$BASHPID"
  begun=$SECONDS
  check_with_key 1 w2 --ssh-timeout 2s
  since "$begun" 5
  one_error_line node/w2 'timed out'
  wait_for none_runs "60.$BASHPID"
}

one_runs() { grep -qzxF -e "$1" /proc/[0-9]*/cmdline; }
none_runs() { ! one_runs "$1"; }

# interrupted_when COMMAND...: Ctrl-C as a terminal gives it, which is to all of the process group,
# once the command succeeds.
interrupted_when() {
  env --default-signal=INT setsid "${at_home[@]}" kubectl-cni-cleanup w2 --check --host-map "$home/map" \
    --ssh-key "$key" >/dev/null 2>"$home/said" 3>&- &
  local group=$!
  wait_for "$@"
  kill -INT -- "-$group"
  code=0
  wait "$group" || code=$?
  errors=$(cat "$home/said")
  [ "$code" = 130 ]
  one_error_of_many interrupted
}

@test "Ctrl-C while a ProxyCommand connects, which it ends as well: exit code 130" {
  map_to 'w2 127.0.0.1:2203'
  config 'Host 127.0.0.1' "  ProxyCommand sleep 60.$BASHPID"
  interrupted_when one_runs "60.$BASHPID"
}

@test "Ctrl-C behind a ProxyJump once we are in: exit code 130" {
  jump_to 2203 "ForceCommand sleep 20.$BASHPID"
  config "$(jump_host)" 'Host 127.0.0.1' '  ProxyJump jump'
  interrupted_when one_runs "20.$BASHPID"
}

@test "a ProxyCommand that does not exist: one line" {
  map_to 'w2 127.0.0.1:2203'
  config 'Host *' '  ProxyCommand no-such-command %h %p'
  one_line_about_jump
}

@test "a config that cannot be understood: one line, or passed over" {
  door w1 2201
  config 'Host *' '  Port abc' 'nonsense'
  code=0
  check_with_key 0 w1 || code=$?
  [ "$code" = 0 ] || one_error_line node/w1
}

@test "--ssh-option Port, User, IdentityFile, UserKnownHostsFile; in any case of letters" {
  needs sudo
  serve w1 2201
  map_to "w1 $(address w1)"
  trust "$(address w1)" 2201 "$home/known"
  check 0 w1 --ssh-option Port=2201 --ssh-option USER=ann --ssh-option "identityfile=$key" \
    --ssh-option "UserKnownHostsFile=$home/known"
  logged_in_as ann
}

@test "--ssh-option ProxyJump, of a host that the config describes and of any" {
  jump_to 2203
  config "$(jump_host)"
  check_with_key 0 w2 --ssh-option ProxyJump=jump
  grep -q 'Accepted publickey' "$jump_log"
  rm "$home/.ssh/config"
  install -m 600 "$key" "$home/.ssh/id_ed25519"
  check 0 w2 --ssh-option "ProxyJump=root@$(address w2):2299"
}

@test "--ssh-option HostName is the address that is called" {
  door w1 2201
  map_to 'w1 no-such-node.invalid:2201'
  check_with_key 0 w1 --ssh-option "HostName=$(address w1)"
}

@test "--ssh-option beats ~/.ssh/config" {
  door w1 2201
  config 'Host *' '  User nobody-here'
  check_with_key 0 w1 --ssh-option User=root
}

@test "--ssh-option with an unknown keyword, without '=', or without a value: wrong usage" {
  door w1 2201
  for option in Frobnicate=yes Port =2201 Port=; do
    check_with_key 2 w1 --ssh-option "$option"
    contains "$errors" "$option"
    contains "$errors" --ssh-option
  done
}

@test "--ssh-option with a value that cannot be: wrong usage" {
  door w1 2201
  for option in Port=abc Port=0 Port=99999 Ciphers=bogus; do
    check_with_key 2 w1 --ssh-option "$option"
    contains "$errors" "$option"
  done
}

@test "--ssh-option StrictHostKeyChecking=no does not let a changed key pass" {
  serve w1 2201
  map_to "w1 $(address w1):2201"
  distrust "$(address w1)" 2201
  check_with_key 1 w1 --ssh-option StrictHostKeyChecking=no
  one_error_line node/w1 'HOST KEY CHANGED'
}
