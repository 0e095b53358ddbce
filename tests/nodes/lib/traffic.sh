# Traffic between all pairs of nodes while something happens to the cluster, and what became of it.
# Sourced by tests/nodes/migrate, which sets here, dir (the world's) and out (where results go).
# shellcheck shell=bash disable=SC2154,SC2034,SC2089,SC2090

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
  : >"$out/starts"
  rm -f "$out/orphans"
  kubectl apply -f "$here/manifests/probers.yaml" >/dev/null
  follow_pods &
  TARGETS_PID=$!
  kubectl -n kube-system rollout status daemonset/from-node --timeout=120s >/dev/null
  kubectl -n kube-system rollout status daemonset/from-pod --timeout=120s >/dev/null
}

stop_traffic() {
  kill -0 "$TARGETS_PID" 2>/dev/null || { echo 'error: the follower of the pods has died; nothing was measured' >&2 && exit 1; }
  kill "$TARGETS_PID" 2>/dev/null || true
  wait "$TARGETS_PID" 2>/dev/null || true
  TARGETS_PID=''
  local node
  for node in "${NODES[@]}"; do
    on_node "$node" cat /var/lib/probes/node.log >"$out/node-$node.log"
    on_node "$node" cat /var/lib/probes/pod.log >"$out/pod-$node.log"
  done
  # Which endpoint a node's Services still had, and since when: the answer to most lost probes.
  kubectl -n kube-system logs -l k8s-app=kube-proxy --tail=-1 --prefix --timestamps >"$out/kube-proxy.log" || true
}

# The pods of DaemonSet agent are the targets of pod, node and tcp probes. Each is called by its node,
# and has a new address after each restart: a watch, so that the targets follow at once. It also
# notes each start of a pod in namespace shop.
follow_pods() {
  local line name app uid node ip deleted ready restarts template follower watcher
  local -A born=()
  template='{{.metadata.name}}|{{.metadata.labels.app}}|{{.metadata.uid}}|{{.spec.nodeName}}|{{with .status.podIP}}{{.}}{{end}}|{{with .metadata.deletionTimestamp}}yes{{end}}|{{range .status.conditions}}{{if eq .type "Ready"}}{{.status}}{{end}}{{end}}|{{range .status.containerStatuses}}{{.restartCount}}{{end}}{{"\n"}}'
  follower=$BASHPID
  exec {watch}< <(
    exec 2>/dev/null </dev/null
    export -f in_world kubectl
    export here dir template follower
    exec setsid bash -c 'while kill -0 "$follower"; do kubectl -n shop get pods --watch -o go-template="$template" || true; sleep 1; done'
  )
  watcher=$!
  trap 'kill -- "-$watcher" 2>/dev/null; finish_restarts' EXIT
  trap 'exit 0' TERM
  while read -r -u "$watch" line; do
    IFS='|' read -r name app uid node ip deleted ready restarts <<<"$line"
    if [[ -z $node || $node == '<no value>' ]]; then continue; fi
    if [[ -z ${born[$uid]-} || ${restarts:-0} -gt ${born[$uid]} ]]; then
      born[$uid]=${restarts:-0}
      printf '%s %s %s %s\n' "$(now)" "$app" "$name" "$node" >>"$out/starts"
    fi
    if [[ $app == agent ]]; then follow_agent; fi
  done
}

# follow_agent: with follow_pods' variables. Only a deletion excuses lost probes, from when it is known until
# half a second after its successor is Ready, and for MAX_EXCUSE seconds at most: its grace period, and the time
# that another one takes to start. A pod that merely is not Ready has no excuse.
readonly MAX_EXCUSE=40
follow_agent() {
  if [[ -n $deleted ]]; then
    if [[ ${AGENT_UID[$node]-} == "$uid" && -z ${DOWN[$node]-} ]]; then DOWN[$node]=$(now); fi
    return
  fi
  if [[ $ready != True || -z $ip || ${AGENT_UID[$node]-} == "$uid" ]]; then return; fi
  AGENT[$node]=$ip AGENT_UID[$node]=$uid
  write_targets
  if [[ -n ${DOWN[$node]-} ]]; then
    excuse "$node" "$(now)"
    DOWN[$node]=
  fi
}

# excuse NODE UNTIL: from DOWN on.
excuse() {
  printf 'agent-%s %s %s\n' "$1" "${DOWN[$1]}" "$(awk -v until="$2" -v down="${DOWN[$1]}" -v most="$MAX_EXCUSE" \
    'BEGIN { end = until + 0.5; if (end > down + most) end = down + most; printf "%.3f", end }')" >>"$out/restarts"
}

finish_restarts() {
  local node
  for node in "${!DOWN[@]}"; do
    if [[ -z ${DOWN[$node]} ]]; then continue; fi
    excuse "$node" "$(now)"
    echo "the pod that was deleted on node $node has no successor" >>"$out/orphans"
  done
}

# starts_by_workload: WORKLOAD PODS ON-THE-FIRST-NODE STARTS, of the time between the first and the last step.
starts_by_workload() {
  awk '
    FNR == NR {
      if (!began) began = $1
      ended = $1
      if (!first && $2 == "node") first = $3
      next
    }
    $1 < began { pods[$2]++; if ($4 == first) at_first[$2]++; next }
    $1 < ended { starts[$2]++ }
    END { for (name in pods) print name, pods[name], at_first[name] + 0, starts[name] + 0 }
  ' "$out/steps" "$out/starts" | sort
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
      if [[ $other == "$node" || -z ${ADDRESS[$other]-} ]]; then continue; fi # or a node that joined
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
  "$PROBER" draw "$out"/{node,pod}-*.log --steps "$out/steps" --restarts "$out/restarts" -o "$out/timeline.svg" --title "$TITLE"
  "$PROBER" sum "$out"/{node,pod}-*.log --steps "$out/steps" --restarts "$out/restarts" "$@"
}
