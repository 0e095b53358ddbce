#!/usr/bin/env bats
# What cleanup shows while it works: a row for each node under way, and a bar that counts the nodes that it
# has told of. It runs on a terminal of the test's own, which remembers whatever stood on its screen.

load prelude

# screen ROWS COLUMNS COMMAND...: prints JSON: the exit code, what is left on the screen, and "frames": each
# state of the lines that were taken off it again, with how many nodes had been told of above them by then,
# and the seconds for which it stood there.
SCREEN=$(
  cat <<'END'
import fcntl, json, os, re, struct, subprocess, sys, termios, time

height, width, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
terminal, ours = os.openpty()
fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
child = subprocess.Popen(command, stdin=ours, stdout=ours, stderr=ours, start_new_session=True)
os.close(ours)

ERASED = r"\r\x1b\[(\d+)A\x1b\[J"
PART = re.compile(ERASED + r"|\r?\n|[^\r\n\x1b]+|\x1b\[[0-9;?]*[A-Za-z]|\r(?=[^\n\x1b])")
TOLD = re.compile(r"(?:error: )?node/([^\s:]+)(?:: | (?:is )?(?:not )?clean)")
BAR = re.compile(r"(?:node/(\S+)|(nodes)) (?:\[([#.]*)\] (\d+)/(\d+) ?)?(.*)")
screen, frames, odd, escapes = [""], [], [], 0
begun = drawn = time.time()


def read():
    try:
        return os.read(terminal, 65536).decode("latin-1")
    except OSError:  # the other end is closed
        return ""


def parsed(line):
    node, whole, bar, done, of, step = BAR.fullmatch(line).groups()
    row = {"node": node, "step": step}
    if bar is not None:
        row |= {"done": int(done), "of": int(of)}
        if bar != ("#" * (20 * row["done"] // row["of"])).ljust(20, "."):
            odd.append(line)
    return row


def erase(number, now):
    at = len(screen) - 1 - number
    lines = screen[at:-1]
    if screen[-1] or at < 0 or number >= height or any(len(line) >= width for line in lines):
        odd.append(f"{number} lines were taken off {screen}")
    more = [int(line.split()[1]) for line in lines if re.fullmatch(r"and \d+ more", line)]
    rows = [parsed(line) for line in lines if not line.startswith("and ")]
    told = {found[1] for found in map(TOLD.match, screen[:at]) if found}
    frames.append({"at": round(drawn - begun, 2), "stood": round(now - drawn, 2), "told": sorted(told),
                   "rows": [row for row in rows if row["node"]], "more": sum(more),
                   "bar": next((row for row in rows if not row["node"]), None)})
    screen[at:] = [""]


rest = ""
while piece := read():
    now = time.time()
    escapes += piece.count("\x1b")
    rest += piece
    while part := PART.match(rest):
        rest = rest[part.end():]
        if part[1]:
            erase(int(part[1]), now)
        elif part[0].endswith("\n"):
            screen.append("")
        elif part[0].isprintable():
            screen[-1] += part[0]
        else:
            odd.append(part[0])
        drawn = now
json.dump({"code": child.wait(), "frames": frames, "left": screen, "escapes": escapes,
           "odd": odd + [rest] * bool(rest)}, sys.stdout)
END
)

# Nodes beside those of the cluster, for which w1 answers the door.
setup_file() {
  need_world
  for i in $(seq 20); do
    jq -nc --arg name "row$i" '{apiVersion: "v1", kind: "Node", metadata: {name: $name, labels: {row: "yes"}}}'
  done | kubectl create -f - >/dev/null
  kubectl wait nodes -l row --for=jsonpath='{.status.addresses}' --timeout=30s >/dev/null
  seq -f "row%.0f $(kubectl get node w1 -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')" 20 \
    >"$BATS_FILE_TMPDIR/map"
}

teardown_file() {
  [ -z "${KCNI_WORLD:-}" ] || kubectl delete nodes -l row >/dev/null
}

setup() {
  need_world
  net_conf "$UPSTREAM"
}

teardown() {
  local name
  for name in w1 w2 w3; do
    NODE=$name node 'sed -i /ForceCommand/d /etc/ssh/world_config; rm -rf /opt/slow'
    rm -f "$KCNI_WORLD/nodes/$name/no-ssh"
  done
}

# slow_login NODE COMMANDS: what ssh starts there begins with these, and finds what is in /opt/slow.
slow_login() {
  NODE=$1 node 'mkdir -p /opt/slow'
  on_node "$1" tee /opt/slow/login <<<"$2" >/dev/null
  on_node "$1" tee -a /etc/ssh/world_config \
    <<<"ForceCommand . /opt/slow/login; PATH=/opt/slow:\$PATH; eval \"\$SSH_ORIGINAL_COMMAND\"" >/dev/null
}

# slow_ip NODE PATTERN SECONDS: calls of ip whose arguments are so take so long.
slow_ip() {
  on_node "$1" tee /opt/slow/ip >/dev/null <<END
#!/bin/sh
PATH=\${PATH#/opt/slow:}
case \$* in $2) sleep $3 ;; esac
exec ip "\$@"
END
  on_node "$1" chmod 755 /opt/slow/ip
}

# one_after_the_other SECONDS: the visits of row1 and so on end with so much time in between.
one_after_the_other() {
  node 'fresh; echo 0 >/run/visits'
  slow_login w1 "n=\$(flock /run/visits sh -c 'read n </run/visits; echo \$((n + 1)) | tee /run/visits')
sleep \"\$(awk \"BEGIN { print 1 + \$n * $1 }\")\""
}

# Of row1 to rowN; one kind, so that a visit is little work.
visits() { # N
  seq -f 'row%.0f' "$1"
  printf '%s\n' --check --only env --host-map "$BATS_FILE_TMPDIR/map"
}

# watch EXIT_CODE ROWS ARG...: cleanup on a terminal of so many rows. Whatever it shows, it is in keeping
# with what it has told, and nothing but that is left when it ends.
watch() {
  local expected=$1 height=$2
  shift 2
  in_world env TERM=xterm python3 -c "$SCREEN" "$height" 120 kubectl-cni-cleanup "$@" >"$BATS_TEST_TMPDIR/seen"
  left=$(jq -r '.left[]' "$BATS_TEST_TMPDIR/seen")
  if [ "$(jq .code "$BATS_TEST_TMPDIR/seen")" != "$expected" ]; then
    printf 'not exit code %s: %s\n' "$expected" "$left"
    return 1
  fi
  echo "$left"
  seen '.odd == []'
  seen '.left[-1] == "" and (.left[:-1] | all(test("^(node/\\S+ |error: |warning: |waiting: |summary: )")))'
  seen '.left | all(test("\\d+/\\d+|logging in|looking at") | not)'
  always '.bar == null or .bar.done <= (.told | length)'             # never ahead
  always '[.rows[].node] as $rows | $rows - .told == $rows'          # no row for a node that was told of
  always '[.rows[].node] | length == (unique | length)'              # one row for a node
}

seen() { # FILTER: is true of all that the terminal saw
  jq -e "$1" "$BATS_TEST_TMPDIR/seen" >/dev/null || { echo "not so: $1" && return 1; }
}

always() { # FILTER: is true of each frame
  local wrong
  wrong=$(jq -c ".frames[] | select(($1) | not)" "$BATS_TEST_TMPDIR/seen")
  if [ -n "$wrong" ]; then
    printf 'not so: %s\nin %s frames, the first ones:\n%s\n' "$1" "$(wc -l <<<"$wrong")" "$(head -n 3 <<<"$wrong")"
    return 1
  fi
}

# What an operator has the time to read.
always_readable() { always ".stood < 0.5 or ($1)"; }

@test "the bar counts what has been told, and each node under way has a row, not more than --parallel" {
  one_after_the_other 0.9
  mapfile -t visits < <(visits 6)
  watch 0 24 "${visits[@]}" --parallel 3
  contains "$left" 'summary: 6 of 6 nodes are fine'
  always '.bar == null or .bar.of == 6'
  always '.rows | length <= 3'
  always_readable '.bar.done == (.told | length)'
  always_readable '(.rows | length) == ([3, 6 - (.told | length)] | min)'
  seen '[.frames[] | select(.stood >= 0.2) | .bar.done] | unique | length >= 4'
  seen '[.frames[].rows[].node] | unique | length == 6'
}

@test "the bar is there also while one node after the other ends" {
  one_after_the_other 0.15
  mapfile -t visits < <(visits 20)
  watch 0 40 "${visits[@]}" --parallel 20
  # Between the first result and the last one, it is there for most of the time.
  seen '[.frames[] | select(.told != [])] | (map(.stood) | add) > 0.8 * ((last | .at + .stood) - first.at)'
}

@test "more rows than the terminal has: as many as fit, and how many more there are" {
  one_after_the_other 0.9
  mapfile -t visits < <(visits 6)
  watch 0 8 "${visits[@]}" --parallel 6
  seen '[.frames[].more] | max == 2'
  always_readable '(.rows | length) + .more == 6 - (.told | length)'
}

@test "the row says which step the node is at" {
  given 'bridge; vxlan 1; files'
  slow_login w1 'sleep 1'
  slow_ip w1 "'link delete dev cni0'" 2
  watch 0 24 w1
  seen '.frames | any(.stood >= 0.8 and .rows[0].step == "looking at it")'
  seen '.frames | any(.stood >= 1.5 and .rows[0].step == "link")'
  seen '[.frames[] | .bar] | unique == [null]' # for one node there is nothing to count
}

@test "a row's bar does not go back" {
  given 'bridge; vxlan 1; files'
  slow_login w1 :
  slow_ip w1 '*' 0.2
  watch 0 24 w1
  seen '[.frames[].rows[].done // 0] as $steps | $steps == ($steps | sort) or ($steps | debug | false)'
}

@test "a node that fails does not stop the others, and the summary names it" {
  local name
  for name in w1 w2 w3; do
    NODE=$name node $'fresh\nbridge; vxlan 1; files'
    slow_login "$name" 'sleep 1'
  done
  touch "$KCNI_WORLD/nodes/w2/no-ssh"
  watch 1 24 --parallel 2 w1 w2 w3
  contains "$left" 'node/w1 cleaned ('
  contains "$left" 'node/w3 cleaned ('
  [ "$(grep -c '^error: node/w2: ' <<<"$left")" = 1 ]
  contains "$left" 'summary: 2 of 3 nodes are fine, not so w2'
  always '.rows | length <= 2'
  rm "$KCNI_WORLD/nodes/w2/no-ssh"
  watch 0 24 --parallel 2 w1 w2 w3
  contains "$left" 'summary: 3 of 3 nodes are fine'
}

@test "no terminal, a dumb one: no bar, and no escape sequence" {
  one_after_the_other 0.3
  mapfile -t visits < <(visits 3)
  run_cni 0 cleanup "${visits[@]}"
  [ "$errors" = 'summary: 3 of 3 nodes are fine' ]
  [[ $output != *[$'\e\r']* ]]
  in_world env TERM=dumb python3 -c "$SCREEN" 24 120 kubectl-cni-cleanup "${visits[@]}" >"$BATS_TEST_TMPDIR/seen"
  seen '.code == 0 and .escapes == 0 and .frames == [] and .odd == []'
}
