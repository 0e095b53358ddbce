#!/usr/bin/env bats
# evict --recreate-bare-pods with all that a Pod can have, and killed after each of its writes. In a cluster
# of its own: the suite's nodes have no room for so many pods.

load prelude

ZONE=topology.kubernetes.io/zone

setup_file() {
  export KCNI_WORLD=$BATS_FILE_TMPDIR/world
  "$CLUSTER/up" --bare --workers 5 --control-planes 0 --dir "$KCNI_WORLD" >&2 3>&-
}

setup() { need_world; }

teardown() {
  kubectl uncordon w1 w2 w3 w4 w5 >/dev/null
  kubectl label nodes --all "$ZONE-" >/dev/null
  kubectl delete namespace many keys sweep zones --ignore-not-found --wait=false >/dev/null
}

teardown_file() { "$CLUSTER/down" --dir "$KCNI_WORLD"; }

# only NODE...: the rest is cordoned. What is created goes there, with nothing about it in its spec.
only() {
  kubectl cordon w1 w2 w3 w4 w5 >/dev/null
  kubectl uncordon "$@" >/dev/null
}

# fresh NAMESPACE: an empty one, in which Pods can be created.
fresh() {
  kubectl delete namespace "$1" --ignore-not-found >/dev/null
  kubectl create namespace "$1" >/dev/null
  for _ in $(seq 100); do
    if kubectl -n "$1" get serviceaccount default >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  return 1
}

pods_of() { kubectl -n "$1" get pods -o json; }

# shapes: of the pods on stdin, one a line, what is not identity or placement. Admission names the token's
# volume by chance, and takes the zone from the node.
shapes() {
  jq -cS --arg zone "$ZONE" '.items | sort_by(.metadata.name)[]
    | del(.status, .spec.nodeName, .metadata.uid, .metadata.resourceVersion, .metadata.generation,
        .metadata.creationTimestamp, .metadata.managedFields, .metadata.labels[$zone])
    | walk(if type == "string" and startswith("kube-api-access-") then "token" else . end)'
}

# uids_of: of the pods on stdin.
uids_of() { jq -r '.items[].metadata.uid' | sort; }

no_backups() { [ -z "$(kubectl get secrets -A -l kubectl-cni/backup=true -o name)" ]; }

# same_pods BEFORE AFTER: files. Each exists once, is another one, is Ready, and is otherwise equal.
same_pods() {
  [ "$(jq '.items | length' "$1")" = "$(jq '.items | length' "$2")" ]
  [ -z "$(comm -12 <(uids_of <"$1") <(uids_of <"$2"))" ]
  [ -z "$(jq -r '.items[] | select(any(.status.conditions[]?; .type == "Ready" and .status == "True") | not)
    | .metadata.name' "$2")" ]
  if ! diff <(shapes <"$1") <(shapes <"$2") >"$BATS_TEST_TMPDIR/diff"; then
    echo "$(grep -c '^>' "$BATS_TEST_TMPDIR/diff") differ; the first of them, before and after:"
    diff <(sed -n 's/^< //p' "$BATS_TEST_TMPDIR/diff" | head -n 1 | jq .) \
      <(sed -n 's/^> //p' "$BATS_TEST_TMPDIR/diff" | head -n 1 | jq .)
    return 1
  fi
}

# --- Every field that a user can set --------------------------------------------------------------

# What the pods refer to.
companions() {
  cat <<'YAML'
apiVersion: v1
kind: ServiceAccount
metadata: {name: keeper}
imagePullSecrets: [{name: from-the-account}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: owner}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1", b: "2"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {k: secret}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: many}
value: 1000
preemptionPolicy: Never
YAML
}

# many_pods HOW_MANY OWNER_UID: the first has everything, each other one another part of it; every tenth
# is on its host's namespaces. None tolerates a cordon.
many_pods() {
  jq -nc --argjson count "$1" --arg owner "$2" -f /dev/stdin <<'JQ'
# chosen($i): about three quarters of an array, others for each $i, and all for the first.
def chosen($i): to_entries | map(select($i == 0 or ($i + 1) * (.key + 3) % 31 % 4 != 0) | .value);

def volumes: [
  {volume: {name: "settings", configMap: {name: "settings", defaultMode: 292, optional: true,
      items: [{key: "a", path: "a.txt", mode: 256}, {key: "b", path: "deep/b.txt"}]}},
    mount: {mountPath: "/settings", readOnly: true}},
  {volume: {name: "keys", secret: {secretName: "keys", defaultMode: 256, items: [{key: "k", path: "key"}]}},
    mount: {mountPath: "/keys", readOnly: true, recursiveReadOnly: "IfPossible"}},
  {volume: {name: "everything", projected: {defaultMode: 288, sources: [
      {configMap: {name: "settings", items: [{key: "a", path: "settings/a"}]}},
      {secret: {name: "keys", optional: true, items: [{key: "k", path: "keys/k", mode: 256}]}},
      {downwardAPI: {items: [{path: "labels", fieldRef: {fieldPath: "metadata.labels"}}]}},
      {serviceAccountToken: {path: "vault", audience: "vault", expirationSeconds: 3600}}]}},
    mount: {mountPath: "/everything"}},
  {volume: {name: "about", downwardAPI: {defaultMode: 420, items: [
      {path: "name", fieldRef: {apiVersion: "v1", fieldPath: "metadata.name"}},
      {path: "cpu", resourceFieldRef: {containerName: "main", resource: "limits.cpu", divisor: "1m"}, mode: 256}]}},
    mount: {mountPath: "/about"}},
  {volume: {name: "logs", hostPath: {path: "/var/log", type: "DirectoryOrCreate"}},
    mount: {mountPath: "/logs", subPath: "main", mountPropagation: "HostToContainer"}},
  {volume: {name: "plain", hostPath: {path: "/srv"}}, mount: {mountPath: "/srv"}},
  {volume: {name: "memory", emptyDir: {medium: "Memory", sizeLimit: "64Mi"}}, mount: {mountPath: "/memory"}},
  {volume: {name: "scratch", emptyDir: {}}, mount: {mountPath: "/scratch", subPathExpr: "$(POD_NAME)"}},
  {volume: {name: "share", nfs: {server: "192.0.2.9", path: "/share", readOnly: true}}, mount: {mountPath: "/share"}}
] | map(.mount.name = .volume.name);

def container($i): [
  {imagePullPolicy: ["IfNotPresent", "Always", "Never"][$i % 3]},
  {command: ["/bin/main", ""], args: ["--number", "\($i)", "--node=$(NODE)", "tab\there", "quote\"d", "größer"], workingDir: "/srv"},
  {env: [
    {name: "PLAIN", value: "a  b\nc"}, {name: "EMPTY"},
    {name: "POD_NAME", valueFrom: {fieldRef: {fieldPath: "metadata.name"}}},
    {name: "APP", valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}},
    {name: "NODE", valueFrom: {fieldRef: {apiVersion: "v1", fieldPath: "spec.nodeName"}}},
    {name: "CPU", valueFrom: {resourceFieldRef: {resource: "requests.cpu"}}},
    {name: "SETTING", valueFrom: {configMapKeyRef: {name: "settings", key: "a"}}},
    {name: "KEY", valueFrom: {secretKeyRef: {name: "keys", key: "none", optional: true}}}]},
  {envFrom: [{prefix: "S_", configMapRef: {name: "settings", optional: true}}, {secretRef: {name: "keys"}}]},
  {ports: [{name: "http", containerPort: 8080}, {name: "dns", containerPort: 53, protocol: "UDP"},
    {containerPort: 9000, hostPort: (20000 + $i)}]},
  {livenessProbe: {httpGet: {path: "/live", port: "http", scheme: "HTTPS", host: "localhost",
      httpHeaders: [{name: "X-From", value: "kubelet"}]},
    initialDelaySeconds: 5, periodSeconds: 20, timeoutSeconds: 2, failureThreshold: 4, terminationGracePeriodSeconds: 5}},
  {readinessProbe: {tcpSocket: {port: 8080}, successThreshold: 2}},
  {startupProbe: {exec: {command: ["true"]}, failureThreshold: 30}},
  {lifecycle: {postStart: {exec: {command: ["/bin/sh", "-c", "true"]}}, preStop: {httpGet: {path: "/stop", port: 8080}}}},
  {resources: {requests: {cpu: "0.01", memory: "8Mi"}, limits: {cpu: "20m", memory: "16Mi", "ephemeral-storage": "32Mi"}}},
  {securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsUser: 1001, runAsGroup: 1001,
    runAsNonRoot: true, capabilities: {drop: ["ALL"], add: ["NET_BIND_SERVICE"]}, procMount: "Default",
    seccompProfile: {type: "Localhost", localhostProfile: "profiles/main.json"},
    appArmorProfile: {type: "Unconfined"}, seLinuxOptions: {type: "container_t"}}},
  {terminationMessagePath: "/dev/last-words", terminationMessagePolicy: "FallbackToLogsOnError"},
  {stdin: true, stdinOnce: true, tty: true}
] | chosen($i) | add;

def spec($i): [
  {restartPolicy: ["Always", "OnFailure", "Never"][$i % 3]},
  {activeDeadlineSeconds: (86400 + $i)},
  {dnsPolicy: "None", dnsConfig: {nameservers: ["192.0.2.53"], searches: ["example.com"],
    options: [{name: "ndots", value: "2"}, {name: "edns0"}]}},
  {hostAliases: [{ip: "192.0.2.7", hostnames: ["db", "db.example.com"]}]},
  [{hostname: "h\($i)", subdomain: "many", setHostnameAsFQDN: true}, {hostname: "h\($i)", subdomain: "many"},
    {hostnameOverride: "h\($i).example.com"}][$i % 3],
  {priorityClassName: "many"},
  {schedulerName: "default-scheduler"},
  {serviceAccountName: "keeper"},
  {automountServiceAccountToken: ($i % 2 == 0)},
  {enableServiceLinks: false},
  {shareProcessNamespace: true},
  {imagePullSecrets: [{name: "registry"}]},
  {nodeSelector: {"kubernetes.io/os": "linux"}},
  {os: {name: "linux"}},
  {hostUsers: false},
  {tolerations: [{key: "dedicated", operator: "Equal", value: "many", effect: "NoSchedule"},
    {key: "example.com/spare", operator: "Exists"},
    {key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 60}]},
  {affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
        {matchExpressions: [{key: "kubernetes.io/os", operator: "In", values: ["linux"]}]}]},
      preferredDuringSchedulingIgnoredDuringExecution: [
        {weight: 1, preference: {matchExpressions: [{key: "disk", operator: "In", values: ["ssd", "nvme"]}]}}]},
    podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {
      labelSelector: {matchLabels: {app: "none"}}, namespaces: ["default"], topologyKey: "kubernetes.io/hostname"}}]},
    podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {
      labelSelector: {matchExpressions: [{key: "app", operator: "In", values: ["other"]}]},
      namespaceSelector: {matchLabels: {team: "none"}}, topologyKey: "kubernetes.io/hostname"}}]}}},
  {topologySpreadConstraints: [{maxSkew: 5, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: {matchLabels: {app: "many"}}, nodeAffinityPolicy: "Ignore", nodeTaintsPolicy: "Honor"}]},
  {securityContext: {runAsUser: 1000, runAsGroup: 1000, runAsNonRoot: true, fsGroup: 2000,
    fsGroupChangePolicy: "OnRootMismatch", supplementalGroups: [3000, 3001], supplementalGroupsPolicy: "Merge",
    seccompProfile: {type: "RuntimeDefault"}, appArmorProfile: {type: "RuntimeDefault"},
    seLinuxOptions: {level: "s0:c1,c2"}, sysctls: [{name: "net.ipv4.ip_local_port_range", value: "1024 65535"}]}},
  {resources: {requests: {cpu: "100m", memory: "64Mi"}, limits: {cpu: "1", memory: "256Mi"}}},
  {initContainers: [
    {name: "once", image: "example.com/once:1", command: ["true"], env: [{name: "A", value: "b"}],
      resources: {requests: {cpu: "1m"}}},
    {name: "beside", image: "example.com/beside:1", restartPolicy: "Always",
      readinessProbe: {grpc: {port: 9001, service: "beside"}, periodSeconds: 15},
      lifecycle: {preStop: {exec: {command: ["true"]}}}}]}
] | chosen($i) | add;

def on_its_host:
  .spec |= (del(.hostUsers, .shareProcessNamespace, .hostnameOverride, .securityContext.sysctls, .containers[].ports)
    + {hostNetwork: true, hostPID: true, hostIPC: true, dnsPolicy: "ClusterFirstWithHostNet"});

def pod($i):
  (volumes | chosen($i)) as $volumes
  | {apiVersion: "v1", kind: "Pod",
     metadata: ({labels: {app: "many", "example.com/number": "\($i)"},
         annotations: {"example.com/note": "two\nlines, \"quoted\", größer", "example.com/empty": ""}}
       + (if $i % 25 == 24 then {generateName: "nameless-"} else {name: "pod-\($i)"} end)
       + (if $i % 4 == 0 then {ownerReferences: [{apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: $owner}]}
          else {} end)),
     spec: ({terminationGracePeriodSeconds: 1, volumes: ($volumes | map(.volume)),
         containers: ([{name: "main", image: "example.com/main:\($i)", volumeMounts: ($volumes | map(.mount))} + container($i)]
           + (if $i % 3 == 1 then [{name: "second", image: "example.com/second:1"}] else [] end))}
       + spec($i))}
  | if $i % 10 == 7 then on_its_host else . end;

{apiVersion: "v1", kind: "List", items: [range($count) | pod(.)]}
JQ
}

@test "200 bare pods with every field: each exists once, Ready, and as it was" {
  local owner
  fresh many
  companions | kubectl -n many create -f - >/dev/null
  owner=$(kubectl -n many get configmap owner -o jsonpath='{.metadata.uid}')
  many_pods 200 "$owner" >"$BATS_TEST_TMPDIR/pods.json"
  only w1 w2
  kubectl -n many create -f "$BATS_TEST_TMPDIR/pods.json" >/dev/null
  kubectl -n many wait pods --all --for=condition=Ready --timeout=120s >/dev/null
  pods_of many >"$BATS_TEST_TMPDIR/before.json"
  [ "$(jq '.items | length' "$BATS_TEST_TMPDIR/before.json")" = 200 ]
  kubectl uncordon w3 w4 w5 >/dev/null
  run_cni 0 evict w1 w2 --recreate-bare-pods --delete-emptydir-data --max-nodes-in-parallel 2 --timeout 5m
  [ "$(grep -c ' recreated$' <<<"$output")" = 200 ]
  kubectl -n many wait pods --all --for=condition=Ready --timeout=120s >/dev/null
  pods_of many >"$BATS_TEST_TMPDIR/after.json"
  same_pods "$BATS_TEST_TMPDIR/before.json" "$BATS_TEST_TMPDIR/after.json"
  [ "$(jq '[.items[] | select(.spec.nodeName | IN("w1", "w2"))] | length' "$BATS_TEST_TMPDIR/after.json")" = 0 ]
  no_backups
}

# lone_on NODE NAMESPACE MORE_SPEC: a bare Pod, Ready. Then all nodes are free.
lone_on() {
  only "$1"
  kubectl -n "$2" create -f - >/dev/null <<<'{"apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "lone", "labels": {"app": "lone", "release": "blue"}},
    "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "lone", "image": "example.com/lone:1"}]'"${3:+, $3}"'}}'
  kubectl -n "$2" wait pod/lone --for=condition=Ready --timeout=30s >/dev/null
  kubectl uncordon w1 w2 w3 w4 w5 >/dev/null
}

# The server writes the label's value into the selector when the pod is created, and refuses a pod that
# brings along what it would write.
@test "a bare pod with matchLabelKeys is made anew, and as it was" {
  fresh keys
  lone_on w1 keys '"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
      "whenUnsatisfiable": "ScheduleAnyway", "matchLabelKeys": ["release"],
      "labelSelector": {"matchLabels": {"app": "lone"}}}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm":
      {"topologyKey": "kubernetes.io/hostname", "matchLabelKeys": ["release"], "mismatchLabelKeys": ["app"],
       "labelSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}}}]}}'
  pods_of keys >"$BATS_TEST_TMPDIR/before.json"
  run_cni 0 evict w1 --recreate-bare-pods --pod-selector app=lone --timeout 60s
  kubectl -n keys wait pod/lone --for=condition=Ready --timeout=30s >/dev/null
  pods_of keys >"$BATS_TEST_TMPDIR/after.json"
  same_pods "$BATS_TEST_TMPDIR/before.json" "$BATS_TEST_TMPDIR/after.json"
  no_backups
}

# A pod that is bound gets its node's zone as a label.
@test "killed before its backup goes: the next run knows the pod, though its zone is another one" {
  local writes
  fresh zones
  kubectl label nodes w1 "$ZONE=a" >/dev/null
  kubectl label nodes w2 "$ZONE=b" >/dev/null
  lone_on w1 zones
  [ "$(kubectl -n zones get pods -l "$ZONE=a" -o name)" = pod/lone ]
  only w1 w2
  run_faults 0 --count "$BATS_TEST_TMPDIR/count" -- kubectl-cni-evict w1 --recreate-bare-pods \
    --pod-selector app=lone --timeout 60s
  writes=$(<"$BATS_TEST_TMPDIR/count")
  kubectl -n zones wait pod/lone --for=condition=Ready --timeout=30s >/dev/null
  [ "$(kubectl -n zones get pods -l "$ZONE=b" -o name)" = pod/lone ]
  # And back again, with as many writes: the last one deletes the backup.
  kubectl uncordon w1 >/dev/null
  run_faults 137 --kill-before "$writes" -- kubectl-cni-evict w2 --recreate-bare-pods \
    --pod-selector app=lone --timeout 60s
  kubectl -n zones wait pod/lone --for=condition=Ready --timeout=30s >/dev/null
  [ "$(kubectl -n zones get pods -l "$ZONE=a" -o name)" = pod/lone ]
  [ -n "$(kubectl -n zones get secrets -l kubectl-cni/backup=true -o name)" ]
  run_cni 0 evict w2 --recreate-bare-pods --pod-selector app=lone --timeout 60s
  lacks "$errors" 'is not what an interrupted run deleted'
  [ "$(kubectl -n zones get pods -o name)" = pod/lone ]
  no_backups
}

# --- Killed after each write ----------------------------------------------------------------------

sweep_objects() {
  cat <<'YAML'
apiVersion: v1
kind: Pod
metadata:
  name: lone
  labels: {app: lone, swept: "yes"}
  annotations: {example.com/note: mine}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - {name: lone, image: example.com/lone:1, env: [{name: A, value: b}]}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web, swept: "yes"}
    spec:
      automountServiceAccountToken: false
      containers:
      - {name: web, image: example.com/web:1}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
spec:
  replicas: 1
  serviceName: db
  selector:
    matchLabels: {app: db}
  template:
    metadata:
      labels: {app: db, swept: "yes"}
    spec:
      automountServiceAccountToken: false
      containers:
      - {name: db, image: example.com/db:1}
YAML
}

# anew: the namespace as it is to be, all of it on $from. How it looks then is kept in before.json.
anew() {
  kubectl delete namespace sweep --ignore-not-found --timeout=60s >/dev/null
  from=w1 to=w2
  only "$from"
  sweep_objects >"$BATS_TEST_TMPDIR/sweep.yaml"
  fill sweep "$BATS_TEST_TMPDIR/sweep.yaml"
  look sweep "$BATS_TEST_TMPDIR/before.json"
}

evict_from() { echo kubectl-cni-evict "$from" --recreate-bare-pods --pod-selector swept=yes --timeout 60s; }

# left_on NODE FILE: a line for each pod that is there.
left_on() { jq -r --arg node "$1" '.items[] | select(.kind == "Pod" and .spec.nodeName == $node) | "\(.metadata.name) is on \($node)"' "$2"; }

# step N: all is on $from; evict is killed after its Nth write and run again. True if all is on $to then,
# and as it was; ended=yes if it had no Nth write.
step() {
  local first=0 second=0 log=$BATS_TEST_TMPDIR/log command found
  read -ra command < <(evict_from)
  kubectl uncordon "$from" "$to" >/dev/null
  faults --kill-after "$1" -- "${command[@]}" >"$log" 2>&1 || first=$?
  look sweep "$BATS_TEST_TMPDIR/killed.json"
  in_world "${command[@]}" >>"$log" 2>&1 || second=$?
  if [ "$second" = 0 ] && ! settle sweep >>"$log" 2>&1; then second='success, with pods that are not Ready'; fi
  look sweep "$BATS_TEST_TMPDIR/now.json"
  case $first in
    0) ended=yes ;;
    137) kills=$((kills + 1)) ;;
  esac
  found=$(
    [ "$first" = 0 ] || [ "$first" = 137 ] || echo "it ended with $first"
    unsafe "$BATS_TEST_TMPDIR/killed.json"
    [ "$second" = 0 ] || echo "run again, it ended with $second"
    unfinished "$BATS_TEST_TMPDIR/now.json"
    left_on "$from" "$BATS_TEST_TMPDIR/now.json"
    [ "$(kubectl get node "$from" -o jsonpath='{.spec.unschedulable}')" = true ] || echo "$from is not cordoned"
    diff <(state "$BATS_TEST_TMPDIR/before.json") <(state "$BATS_TEST_TMPDIR/now.json") || true
  )
  [ -n "$found" ] || return 0
  problems=$((problems + 1))
  printf -- '--- killed after write %s:\n%s\nboth runs said:\n%s\n' "$1" "$found" "$(cat "$log")"
  return 1
}

@test "killed after each of its writes, evict loses nothing, and the next run goes on" {
  local n from to ended='' kills=0 problems=0 free
  anew
  for ((n = 1; n <= 40 && problems < 3; n++)); do
    if ! step "$n"; then
      anew
    elif [ -n "$ended" ]; then
      break
    else # and back again
      free=$from from=$to to=$free
    fi
  done
  echo "$kills kills, $problems problems"
  [ "$problems" = 0 ]
  [ -n "$ended" ]
  # The cordon, five at least for the bare pod, two for the Deployment, one for the StatefulSet.
  [ "$kills" -ge 9 ]
}
