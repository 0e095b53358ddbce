# What a cluster must be able to do after a migration, asked with packets. Sourced by tests/nodes/migrate,
# after traffic.sh; each check prints a line for what is not as it must be.
# shellcheck shell=bash disable=SC2154

# within SECONDS COMMAND...: until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then return 1; fi
    sleep 1
  done
}

# pod_of APP [NODE]: name and address of one that is Ready.
pod_of() {
  kubectl -n shop get pods -l "app=$1" ${2:+--field-selector "spec.nodeName=$2"} -o json |
    jq -r 'first(.items[] | select(.metadata.deletionTimestamp | not) | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))) | "\(.metadata.name) \(.status.podIP)"'
}

answers() { kubectl -n shop exec "$1" -- curl -sS -m 2 "http://$2:8080/"; }

# hears_nothing POD IP: three times in a row curl runs out of time, and nothing else happens.
hears_nothing() {
  local code
  for _ in 1 2 3; do
    code=0
    answers "$@" || code=$?
    if ((code != 28)); then return 1; fi
  done
}

runs_on() { [[ -n $(pod_of agent "$1") ]]; }

# A node that joins gets its network from Cilium alone.
check_join() { # NODE
  local new new_ip old old_ip
  "$here/join" --dir "$dir" "$1" || { echo "node $1 cannot join" && return; }
  kubectl wait "node/$1" --for condition=Ready --timeout 300s >/dev/null || { echo "node $1 has joined and is not Ready" && return; }
  within 120 runs_on "$1" || { echo "no pod becomes Ready on node $1, which has joined" && return; }
  read -r new new_ip < <(pod_of agent "$1")
  read -r old old_ip < <(pod_of agent w1)
  [[ $new_ip == 10.245.* ]] || echo "pod $new on node $1, which has joined, has the address $new_ip"
  within 30 answers "$old" "$new_ip" || echo "pod $old does not reach $new on node $1, which has joined"
  within 30 answers "$new" "$old_ip" || echo "pod $new on node $1, which has joined, does not reach $old"
}

# A NetworkPolicy counts, both ways, on every node: it is for the pods of DaemonSet agent, which only those
# of Deployment web may reach.
check_policy() {
  local web db node name ip
  read -r web _ < <(pod_of web)
  read -r db _ < <(pod_of db)
  for node in "${NODES[@]}"; do
    read -r name ip < <(pod_of agent "$node")
    within 30 answers "$db" "$ip" || echo "without a NetworkPolicy $db does not reach $name"
  done
  kubectl apply -f "$here/manifests/policy.yaml" >/dev/null
  for node in "${NODES[@]}"; do
    read -r name ip < <(pod_of agent "$node")
    within 60 hears_nothing "$db" "$ip" || echo "a NetworkPolicy is not enforced on node $node: $db reaches $name"
    within 30 answers "$web" "$ip" || echo "a NetworkPolicy allows $web to reach $name, and it does not"
  done
  kubectl delete -f "$here/manifests/policy.yaml" >/dev/null
}

# Where nobody can log in, cleanup visits a node by a pod, which sees what ssh would have seen.
check_visit_by_pod() { # NODE
  local said code=0
  on_node "$1" sh -c 'ip link add cni0 type bridge; mkdir -p /run/flannel; echo x >/run/flannel/subnet.env; iptables -t nat -N FLANNEL-POSTRTG'
  said=$(in_world kubectl-cni-cleanup "$1" --check --via pod --timeout 2m 2>&1) || code=$?
  if ((code != 1)) || [[ $said != *"link cni0"*FLANNEL-POSTRTG* ]]; then echo "a pod on node $1 does not find what was left there: $said"; fi
  code=0
  said=$(in_world kubectl-cni-cleanup "$1" --via pod --timeout 2m 2>&1) || code=$?
  if ((code != 0)) || [[ $said != *"node/$1 cleaned (cni0"* ]]; then echo "a pod on node $1 does not remove what was left there: $said"; fi
  if on_node "$1" sh -c 'ip link show cni0 || test -e /run/flannel || iptables -t nat -S FLANNEL-POSTRTG' >/dev/null 2>&1; then
    echo "what a pod removed on node $1 is still there"
  fi
  said=$(kubectl get jobs -A -l app.kubernetes.io/component=cleanup -o name)
  [[ -z $said ]] || echo "a cleanup by pod has left $said"
}
