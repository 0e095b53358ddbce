# Traffic between all pairs of nodes while something happens to the cluster, and what became of it.
# Sourced by tests/nodes/migrate, which sets here, dir (the world's) and out (where results go).
# shellcheck shell=bash disable=SC2154,SC2034

in_world() { "$here/in" --dir "$dir" "$@"; }
on_node() { "$here/on" --dir "$dir" "$@"; }
kubectl() { in_world kubectl "$@"; }

now() { echo "${EPOCHREALTIME/,/.}"; }

PROBER='' NODES=() TARGETS_PID=''
declare -A ADDRESS=() AGENT=() AGENT_UID=() DOWN=()

start_traffic() {
  local node
  PROBER=$("$here/prober-path")
  mapfile -t NODES < <(kubectl get nodes -o go-template='{{range .items}}{{.metadata.name}}{{"\n"}}{{end}}')
  for node in "${NODES[@]}"; do
    ADDRESS[$node]=$(kubectl get node "$node" -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')
  done
  : >"$out/restarts"
  kubectl apply -f "$here/manifests/probers.yaml" >/dev/null
  follow_agents &
  TARGETS_PID=$!
  kubectl -n probers rollout status daemonset/from-node --timeout=120s >/dev/null
  kubectl -n probers rollout status daemonset/from-pod --timeout=120s >/dev/null
}

stop_traffic() {
  kill -0 "$TARGETS_PID" 2>/dev/null || { echo 'error: the follower of the pods has died; nothing was measured' >&2 && exit 1; }
  kill "$TARGETS_PID" 2>/dev/null || true
  wait "$TARGETS_PID" 2>/dev/null || true
  local node
  for node in "${NODES[@]}"; do
    on_node "$node" cat /var/lib/probes/node.log >"$out/node-$node.log"
    on_node "$node" cat /var/lib/probes/pod.log >"$out/pod-$node.log"
  done
}

# The pods of DaemonSet agent are the targets of pod, node and tcp probes. Each is called by its node,
# and has a new address after each restart: a watch, so that the targets follow at once.
follow_agents() {
  local line uid node ip deleted ready template follower watcher
  template='{{.metadata.uid}}|{{.spec.nodeName}}|{{with .status.podIP}}{{.}}{{end}}|{{with .metadata.deletionTimestamp}}yes{{end}}|{{range .status.conditions}}{{if eq .type "Ready"}}{{.status}}{{end}}{{end}}{{"\n"}}'
  follower=$BASHPID
  exec {watch}< <(
    exec 2>/dev/null </dev/null
    while kill -0 "$follower"; do
      kubectl -n shop get pods -l app=agent --watch -o go-template="$template" || true
      sleep 1
    done
  )
  watcher=$!
  trap 'kill "$watcher" 2>/dev/null; finish_restarts' EXIT
  trap 'exit 0' TERM
  while read -r -u "$watch" line; do
    IFS='|' read -r uid node ip deleted ready <<<"$line"
    if [[ -z $node || $node == '<no value>' ]]; then continue; fi
    if [[ -n $deleted || $ready != True || -z $ip ]]; then
      # Of the pod that is the target now; a new one that is not Ready yet says nothing.
      if [[ ${AGENT_UID[$node]-} == "$uid" && -z ${DOWN[$node]-} ]]; then DOWN[$node]=$(now); fi
      continue
    fi
    if [[ ${AGENT_UID[$node]-} == "$uid" && -z ${DOWN[$node]-} ]]; then continue; fi
    AGENT[$node]=$ip AGENT_UID[$node]=$uid
    write_targets
    if [[ -n ${DOWN[$node]-} ]]; then
      printf 'agent-%s %s %s\n' "$node" "${DOWN[$node]}" "$(awk -v t="$(now)" 'BEGIN { printf "%.3f", t + 0.5 }')" >>"$out/restarts"
      DOWN[$node]=
    fi
  done
}

finish_restarts() {
  local node
  for node in "${!DOWN[@]}"; do
    if [[ -n ${DOWN[$node]} ]]; then printf 'agent-%s %s -\n' "$node" "${DOWN[$node]}" >>"$out/restarts"; fi
  done
}

# For each node, the targets of its two probers: the pods of the other nodes, every node's NodePort, and
# the Service by address and name.
write_targets() {
  local node other pod nodeport
  : "${SERVICE:=$(kubectl -n shop get service web -o jsonpath='{.spec.clusterIP}')}"
  for node in "${NODES[@]}"; do
    mkdir -p "$out/targets"
    nodeport="clusterip web $SERVICE:80"$'\n'
    pod="clusterip web $SERVICE:80"$'\n'"dns web.shop.svc.cluster.local 10.96.0.10"$'\n'
    for other in "${NODES[@]}"; do nodeport+="nodeport $other ${ADDRESS[$other]}:30080"$'\n'; done
    for other in "${!AGENT[@]}"; do
      if [[ $other == "$node" ]]; then continue; fi
      nodeport+="node agent-$other ${AGENT[$other]}:8080"$'\n'
      pod+="pod agent-$other ${AGENT[$other]}:8080"$'\n'"tcp agent-$other ${AGENT[$other]}:8081"$'\n'
    done
    printf '%s' "$nodeport" >"$out/targets/node.targets"
    printf '%s' "$pod" >"$out/targets/pod.targets"
    tar -C "$out/targets" -cf - node.targets pod.targets |
      on_node "$node" sh -c 'mkdir -p /var/lib/probes/new && cd /var/lib/probes/new && tar -xf - && mv node.targets pod.targets ..'
  done
}

# sum_up ARG...: the table; draws the timeline as well.
sum_up() {
  "$PROBER" draw "$out"/*.log --steps "$out/steps" --restarts "$out/restarts" -o "$out/timeline.svg" --title "$TITLE"
  "$PROBER" sum "$out"/*.log --steps "$out/steps" --restarts "$out/restarts" "$@"
}
