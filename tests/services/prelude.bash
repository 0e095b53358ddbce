# Sourced by the Bats files of this folder: a namespace for each test, Services in it, and whether they
# are what they were.

load ../cli/prelude

setup() {
  need_world
  ns=$(basename "$BATS_TEST_FILENAME" .bats)-$BATS_TEST_NUMBER-$$
  kubectl create namespace "$ns" >/dev/null
}

teardown() {
  [ -n "${ns:-}" ] || return 0
  end_behind
  if [ -n "${stopped:-}" ]; then controllers CONT; fi
  release_all
  kubectl delete namespace "$ns" --wait=false >/dev/null
}

# faults FLAG... -- COMMAND ARG...: see `world faults` in tests/cluster/world/faults.
faults() { in_world world faults "$@"; }

recreate() { # EXIT_CODE ARG...
  run_cni "$1" svc-recreate -n "$ns" "${@:2}"
}

# --- What is there ---------------------------------------------------------------------------------

make() { kubectl -n "$ns" create -f - >/dev/null; } # of the YAML on stdin

# service NAME SPEC [METADATA]: both in YAML's short style, without the outer braces.
service() {
  make <<END
apiVersion: v1
kind: Service
metadata: {name: $1${3:+, $3}}
spec: {$2}
END
}

# slice NAME SERVICE ADDRESS [METADATA]: written by hand.
slice() {
  make <<END
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1, labels: {kubernetes.io/service-name: $2}${4:+, $4}}
addressType: $([[ $3 == *:* ]] && echo IPv6 || echo IPv4)
endpoints: [{addresses: ["$3"], conditions: {ready: true}}, {addresses: ["${3%?}9"], conditions: {ready: false}}]
ports: [{name: "", port: 5432, protocol: TCP}]
END
}

# endpoints NAME ADDRESS: of the legacy kind.
endpoints() {
  make <<END
apiVersion: v1
kind: Endpoints
metadata: {name: $1, labels: {by: hand}}
subsets: [{addresses: [{ip: $2}], notReadyAddresses: [{ip: ${2%?}9}], ports: [{port: 5432, protocol: TCP}]}]
END
}

owned_by() { # KIND NAME: for METADATA above
  echo "ownerReferences: [{apiVersion: v1, kind: $1, name: $2, uid: $(uid "$1" "$2")}]"
}

# pods NAME: two that are Ready and labelled app=NAME.
pods() {
  kubectl -n "$ns" create deployment "$1" --image=example.com/pause:1 --replicas=2 >/dev/null
  kubectl -n "$ns" rollout status deployment "$1" --timeout=60s >/dev/null
}

# ready NAME: how many endpoints of a Service are.
ready() {
  kubectl -n "$ns" get endpointslices -l "kubernetes.io/service-name=$1" -o json |
    jq '[.items[].endpoints[]? | select(.conditions.ready)] | length'
}

# A Service called web with two pods, once both are its endpoints.
web_with_pods() {
  pods web
  service web 'selector: {app: web}, ports: [{port: 80}]'
  until [ "$(ready web)" = 2 ]; do sleep 0.2; done
}

# balancer NAME [SPEC [METADATA]]: of type LoadBalancer, once the cloud has given it an address.
balancer() {
  service "$1" "type: LoadBalancer, ports: [{name: http, port: 80}, {name: tls, port: 443}]${2:+, $2}" "${3:-}"
  kubectl -n "$ns" wait "service/$1" --for=jsonpath='{.status.loadBalancer.ingress}' --timeout=30s >/dev/null
}

# A balancer whose finalizer stays until release takes it off: its delete is held back.
held() { balancer "$1" '' 'finalizers: [service.kubernetes.io/load-balancer-cleanup]'; }

release() { # NAME
  kubectl -n "$ns" patch service "$1" --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null
}

release_all() {
  local name
  for name in $(kubectl -n "$ns" get services -o json | jq -r '.items[] | select(.metadata.finalizers) | .metadata.name'); do
    release "$name" || true
  done
}

being_deleted() { # NAME: waits until it is
  local i
  for i in $(seq 200); do
    [ -z "$(kubectl -n "$ns" get service "$1" -o jsonpath='{.metadata.deletionTimestamp}')" ] || return 0
    sleep 0.05
  done
  return 1
}

uid() { kubectl -n "$ns" get "$1" "$2" --ignore-not-found -o jsonpath='{.metadata.uid}' 2>/dev/null; }
address() { kubectl -n "$ns" get service "$1" -o jsonpath='{.spec.clusterIP}'; }
backups() { kubectl -n "$ns" get secrets -l kubectl-cni/backup=true -o name; }

# controllers STOP|CONT: those of the world write nothing for a while.
controllers() {
  kill "-$1" "$(pgrep -f -- "kube-controller-manager --kubeconfig=$KCNI_WORLD/")"
  stopped=$1
}

# --- svc-recreate beside the test ------------------------------------------------------------------

# behind ARG...: starts it; $behind is the command itself, for `in` only execs. It hears SIGHUP, even under nohup.
behind() {
  env --default-signal=HUP "$CLUSTER/in" --dir "$KCNI_WORLD" kubectl-cni-svc-recreate -n "$ns" "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  behind=$!
}

ended() { # EXIT_CODE: what it said is in $output
  local code=0
  wait "$behind" || code=$?
  behind=
  output=$(<"$BATS_TEST_TMPDIR/out")
  [ "$code" = "$1" ] || { printf 'exit code %s, not %s: %s\n' "$code" "$1" "$output" && return 1; }
}

end_behind() {
  [ -n "${behind:-}" ] || return 0
  kill -KILL "$behind" 2>/dev/null || true
  wait "$behind" 2>/dev/null || true
  behind=
}

# --- Whether it is what it was ---------------------------------------------------------------------

# look NAME: all of the namespace as it is at one time, into NAME.json.
look() {
  kubectl -n "$ns" get services,endpoints,endpointslices,secrets -o json 2>"$BATS_TEST_TMPDIR/look" >"$BATS_TEST_TMPDIR/$1.json" || {
    cat "$BATS_TEST_TMPDIR/look"
    return 1
  }
}

picture() { # own|controller NAME
  jq -S --arg who "$1" -f "$BATS_TEST_DIRNAME/picture.jq" "$BATS_TEST_TMPDIR/$2.json"
}

# settled NAME: the same once the controllers have written what they want to: nothing changes for a second.
settled() {
  local i
  look "$1"
  for i in $(seq 30); do
    sleep 1
    look again
    if cmp -s "$BATS_TEST_TMPDIR/$1.json" "$BATS_TEST_TMPDIR/again.json"; then return; fi
    mv "$BATS_TEST_TMPDIR/again.json" "$BATS_TEST_TMPDIR/$1.json"
  done
}

secrets_left() { # NAME
  jq -r '.items[] | select(.kind == "Secret") | "secret left: \(.metadata.name)"' "$BATS_TEST_TMPDIR/$1.json"
}

# same WHO NAME NAME: or a diff.
same() { diff -U4 --label "before, of $1" --label "after, of $1" <(picture "$1" "$2") <(picture "$1" "$3"); }

# as_before: what people wrote is there again now, what controllers write is soon, and no Secret is.
as_before() {
  local i wrong=
  look after
  wrong=$(secrets_left after && same own before after) || true
  for i in $(seq 20); do
    if same controller before after >/dev/null; then break; fi
    sleep 0.5
    look after
  done
  wrong+=$(same controller before after) || true
  if [ -z "$wrong" ]; then wrong=$(same own before after) || true; fi
  [ -z "$wrong" ] || { printf '%s\nstdout: %s\nstderr: %s\n' "$wrong" "${output:-}" "${errors:-}" && return 1; }
}

# recreated NAME [FLAG...]: it is another one afterwards, and all is as it was.
recreated() {
  settled before
  recreate 0 "$@"
  as_before
  contains "$output" "service/$1 recreated ($(address "$1"))"
  contains "$errors" 'absent for '
  local old
  old=$(jq -r --arg name "$1" '.items[] | select(.kind == "Service" and .metadata.name == $name) | .metadata.uid' "$BATS_TEST_TMPDIR/before.json")
  [ "$(uid service "$1")" != "$old" ]
}

# untouched: all is the very same, the versions included.
untouched() {
  look after
  diff -U4 "$BATS_TEST_TMPDIR/before.json" "$BATS_TEST_TMPDIR/after.json" || {
    printf 'stdout: %s\nstderr: %s\n' "${output:-}" "${errors:-}"
    return 1
  }
}

# refused NAME PART...: when asked for by name: exit code 4, a line with these parts, and it is untouched.
refused() {
  settled before
  recreate 4 "$1"
  [ -z "$output" ]
  one_error_line "service/$1 in namespace $ns left alone: " "${@:2}"
  untouched
}
