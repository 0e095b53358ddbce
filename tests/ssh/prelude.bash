# Sourced by the Bats files: an operator with a home of their own, and sshd's of the test's own on
# the nodes.

load ../cli/prelude

# The operator's home is new for each test. ssh and libssh look it up in the passwd file and not in
# HOME, so the commands see another passwd file, in a mount namespace of their own.
make_home() {
  home=$BATS_TEST_TMPDIR/home
  key=$KCNI_WORLD/ssh/key
  mkdir -p "$home/.ssh"
  chmod 700 "$home" "$home/.ssh"
  touch "$home/map"
  # shellcheck disable=SC2016 # awk's own fields
  awk -F: -v OFS=: -v home="$home" -v uid="$(id -u)" '$3 == uid { $6 = home } 1' /etc/passwd >"$home.passwd"
  # What the cluster says about ssh is unset: each test says what it means.
  at_home=("$CLUSTER/in" --dir "$KCNI_WORLD" env -u KUBECTL_CNI_SSH_KEY -u KUBECTL_CNI_SSH_USER
    -u KUBECTL_CNI_SSH_KNOWN_HOSTS -u SSH_AUTH_SOCK "HOME=$home"
    unshare --mount -- bash -c 'mount --bind "$HOME.passwd" /etc/passwd && exec "$@"' bash)
}

# Our commands, at home and without a terminal.
cni() { "${at_home[@]}" setsid --wait "kubectl-cni-$1" "${@:2}"; }

# check EXIT_CODE ARG...: as run_cni, `cleanup --check` with the map that map_to wrote.
check() { run_cni "$1" cleanup --check --host-map "$home/map" "${@:2}"; }
check_with_key() { check "$1" --ssh-key "$key" "${@:2}"; }

setup() {
  need_world
  make_home
}

teardown() { end_all; }

# end_all: what this test has started, each by its id. KILL also ends what is stopped.
end_all() {
  if [ ! -e "$BATS_TEST_TMPDIR/pids" ]; then return; fi
  while read -r pid; do
    kill -KILL "$pid" 2>/dev/null || true
    wait_for gone "$pid" # for the next test takes its port
  done <"$BATS_TEST_TMPDIR/pids"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# ends_with_test: the process that was just started in the background; its id is in $started.
ends_with_test() {
  started=$!
  disown "$started" # or the shell tells of its end
  echo "$started" >>"$BATS_TEST_TMPDIR/pids"
}

address() { echo "198.18.${1#w}.1"; }

# What the API says of a node's addresses: for a file's setup_file, its tests, its teardown.
remember_addresses() { # NODE
  [ -z "${KCNI_WORLD:-}" ] || kubectl get node "$1" -o json | jq -c .status.addresses >"$BATS_FILE_TMPDIR/addresses"
}
set_addresses() { # NODE JSON
  kubectl patch node "$1" --subresource=status --type=json -p \
    "[{\"op\": \"add\", \"path\": \"/status/addresses\", \"value\": $2}]" >/dev/null
}
restore_addresses() { set_addresses "$1" "$(cat "$BATS_FILE_TMPDIR/addresses")"; } # NODE

# wait_for COMMAND...: until it succeeds, for three seconds.
wait_for() {
  for _ in $(seq 60); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.05
  done
  echo "in vain: $*"
  return 1
}

# serve NODE PORT [LINE...]: an sshd on the node with these lines in its configuration (the first to
# name a keyword wins). Its id is in $served, its words are in $sshd_log.
serve() {
  local node=$1 port=$2 config=/etc/ssh/test_$2
  shift 2
  printf '%s\n' "$@" "Port $port" 'HostKey /etc/ssh/world_host_key' 'AuthorizedKeysFile /etc/ssh/keys/%u' \
    'UsePAM no' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' 'PrintMotd no' \
    'PrintLastLog no' 'UseDNS no' 'LogLevel VERBOSE' | on_node "$node" tee "$config" >/dev/null
  sshd_log=$BATS_TEST_TMPDIR/sshd.$node.$port
  "$CLUSTER/on" --dir "$KCNI_WORLD" "$node" /usr/sbin/sshd -D -e -f "$config" 2>"$sshd_log" 3>&- &
  ends_with_test
  served=$started
  wait_for grep -q 'Server listening' "$sshd_log" || { cat "$sshd_log" && return 1; }
}

# map_to "NODE HOST[:PORT]"...: the host map, one line each.
map_to() { printf '%s\n' "$@" >"$home/map"; }

# trust HOST PORT [FILE]: the nodes' key is known for it (port 22 is written otherwise).
trust() {
  printf '[%s]:%s %s\n' "$1" "$2" "$(cut -d' ' -f1,2 "$KCNI_WORLD/ssh/host_key.pub")" >>"${3:-$home/.ssh/known_hosts}"
}

# distrust HOST PORT [FILE]: another key is known for it.
distrust() {
  [ -e "$BATS_TEST_TMPDIR/other" ] || ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
  printf '[%s]:%s %s\n' "$1" "$2" "$(cut -d' ' -f1,2 "$BATS_TEST_TMPDIR/other.pub")" >>"${3:-$home/.ssh/known_hosts}"
}

# door NODE PORT [LINE...]: an sshd that is mapped and trusted, for tests that are about what follows.
door() {
  serve "$@"
  map_to "$1 $(address "$1"):$2"
  trust "$(address "$1")" "$2"
}

# one_error_of_many TEXT...: as one_error_line, beside the line that sums the nodes up.
one_error_of_many() {
  errors=$(grep '^error: ' <<<"$errors")
  one_error_line "$@"
}

# hint: the command that the error line puts between `backticks`.
hint() { sed -n 's/.*`\(.*\)`.*/\1/p' <<<"$errors"; }

# follow_hint: does what the error line says, as the operator would.
follow_hint() {
  local command
  command=$(hint)
  [ -n "$command" ] || contains "$errors" 'a command in backticks'
  "${at_home[@]}" sh -c "$command" >/dev/null 2>&1
}

needs() { command -v "$1" >/dev/null || skip "$1 is not installed"; }

# since BEGIN SECONDS: no more than that many have passed since $SECONDS was BEGIN.
since() {
  if [ $((SECONDS - $1)) -gt "$2" ]; then
    echo "took $((SECONDS - $1)) s, not $2"
    return 1
  fi
}

# at_prompt ANSWER N: what is done at the Nth question of on_terminal, unless a test does otherwise.
at_prompt() { echo "$1" >&7; }

# on_terminal ANSWER COMMAND...: on a terminal, where ANSWER is typed whenever a passphrase is asked
# for (typed before, it could get lost). What the terminal showed is in $shown, the exit code in $code.
on_terminal() {
  local answer=$1 answered=0 terminal log=$BATS_TEST_TMPDIR/terminal keyboard=$BATS_TEST_TMPDIR/keyboard
  shift
  rm -f "$keyboard" && mkfifo "$keyboard"
  script -qec "$(printf '%q ' "$@")" /dev/null <"$keyboard" >"$log" 2>&1 3>&- &
  terminal=$!
  exec 7>"$keyboard"
  for _ in $(seq 200); do
    kill -0 "$terminal" 2>/dev/null || break
    if [ "$(asked "$log")" -gt "$answered" ]; then
      answered=$((answered + 1))
      at_prompt "$answer" "$answered"
    fi
    sleep 0.05
  done
  exec 7>&-
  if kill -KILL "$terminal" 2>/dev/null; then echo 'still running after 10 s' >>"$log"; fi
  code=0
  wait "$terminal" || code=$?
  shown=$(tr -d '\r' <"$log")
}

asked() { grep -o 'assphrase for' "$1" | wc -l; }
