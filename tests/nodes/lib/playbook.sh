# The playbook run as an operator runs it, its steps marked on the timeline. Sourced by tests/nodes/migrate,
# which sets mode, dir, out and kill_every.
# shellcheck shell=bash disable=SC2154

# install_gate: an admission webhook that the API server, on a node, must reach through its CNI.
install_gate() {
  local tls=$work/gate
  mkdir -p "$tls"
  "$("$here/prober-path")" certificate --host gate.gate.svc --out "$tls"
  kubectl create namespace gate >/dev/null
  kubectl -n gate create secret tls gate --cert="$tls/tls.crt" --key="$tls/tls.key" >/dev/null
  sed "s|@ca@|$(base64 -w0 "$tls/tls.crt")|" "$here/manifests/gate.yaml" | kubectl apply -f - >/dev/null
  kubectl -n gate rollout status deployment/gate --timeout 120s >/dev/null
}

# asks_gate: would a pod be let in? Dry runs are asked about as well (sideEffects: None).
asks_gate() { kubectl -n shop run asked --image none --restart Never --dry-run=server --request-timeout=10s -o name; }

# gate_bites: nothing is let in while the gate has no pods.
gate_bites() {
  kubectl -n gate scale deployment/gate --replicas 0 >/dev/null
  kubectl -n gate wait pod -l app=gate --for delete --timeout 60s >/dev/null
  if asks_gate >/dev/null 2>&1; then echo 'pods are made although the gate is away'; fi
  kubectl -n gate scale deployment/gate --replicas 2 >/dev/null
  kubectl -n gate rollout status deployment/gate --timeout 120s >/dev/null
  within 30 asks_gate || echo 'the gate lets nothing in'
}

# watch_gate: asks all the time, and writes down when it was let in and when not.
watch_gate() {
  while kill -0 $$; do
    if asks_gate >/dev/null 2>>"$out/gate-errors"; then now >>"$out/gate-allowed"; else now >>"$out/gate-refused"; fi
    sleep 2 # kubectl costs more than it asks
  done
}

gate_was_away() { # FROM TO
  local refused=0 allowed
  [ ! -e "$out/gate-refused" ] || refused=$(wc -l <"$out/gate-refused")
  ((refused == 0)) || echo "the API server did not reach its admission webhook $refused times: $(tail -n 1 "$out/gate-errors")"
  allowed=$(awk -v a="$1" -v b="$2" '$1 >= a && $1 <= b' "$out/gate-allowed" | wc -l)
  awk -v n="$allowed" -v s="$1" -v e="$2" 'BEGIN { if (n < (e - s) / 10) printf "the webhook was asked for only %d times in %d s\n", n, e - s }'
}

# gate_is_refused: by the order islands, which would cut the API server off from it. Then it goes.
gate_is_refused() {
  local code=0 said
  said=$(in_world kubectl cni migrate --yes --delete-emptydir-data --cilium "$dir/cilium.yaml" 2>&1) || code=$?
  if ((code != 4)) || ! grep -q 'validatingwebhookconfigurations/gate .*--accept-webhook-outage' <<<"$said"; then
    echo "the order islands does not refuse a webhook on the pod network: exit code $code"
  fi
  kubectl delete validatingwebhookconfiguration gate >/dev/null
}

# What the playbook says goes on to the terminal; its steps and nodes are marks on the timeline.
mark_steps() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line"
    if [[ $line =~ ^\[[0-9]+/[0-9]+\]\ (.*)\ \([0-9:]+\)$ ]]; then step "${BASH_REMATCH[1]}"; fi
    if [[ $line =~ ^\ +node\ ([a-z0-9]+)\  ]]; then step "node ${BASH_REMATCH[1]}"; fi
  done
}

PLAYBOOK=''
# The whole process group, and at once: what a machine that loses its power does.
kill_playbook() { [ -z "$PLAYBOOK" ] || kill -KILL -- "-$PLAYBOOK" 2>/dev/null || true; }

# kill_after N: commands that it has shown, somewhere within the last one.
kill_after() {
  local shown=0
  while ((shown < $1)); do
    kill -0 "$PLAYBOOK" 2>/dev/null || return 0
    sleep 0.2
    shown=$(grep -c '^       \$ ' "$out/run.txt" || true)
  done
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  kill -0 "$PLAYBOOK" 2>/dev/null || return 0
  echo "killed after $1 commands: $(grep '^       \$ ' "$out/run.txt" | tail -n 1)" >>"$out/kills"
  kill_playbook
}

# run_playbook COMMAND...: in a process group of its own, so that it can be killed as a whole.
run_playbook() {
  local code=0 killer='' marker
  mkfifo "$work/said"
  tee "$out/run.txt" <"$work/said" | tee -a "$out/playbook.txt" | mark_steps &
  marker=$!
  setsid -w "$here/in" --dir "$dir" "$@" >"$work/said" 2>&1 &
  PLAYBOOK=$!
  if ((KILL_AFTER > 0)); then
    kill_after "$KILL_AFTER" &
    killer=$!
  fi
  wait "$PLAYBOOK" || code=$?
  PLAYBOOK=''
  [ -z "$killer" ] || { kill "$killer" && wait "$killer"; } 2>/dev/null || true
  wait "$marker" || true
  rm "$work/said"
  return "$code"
}

migrate() {
  local flags=(--yes --delete-emptydir-data --timeout 5m "${playbook_flags[@]}") code before
  : >"$out/playbook.txt"
  KILL_AFTER=0
  case $mode in
    naive)
      run_playbook "$here/../bench/naive" "$dir/cilium.yaml"
      return
      ;;
    bridged) flags+=(--mode bridged --cilium "$dir/cilium-bridged.yaml" --cilium-final "$dir/cilium-final.yaml") ;;
    islands) flags+=(--cilium "$dir/cilium.yaml") ;;
  esac
  rm -f "$out/kills"
  while :; do
    KILL_AFTER=$((KILL_AFTER + kill_every)) code=0 before=$(kills)
    run_playbook kubectl cni migrate "${flags[@]}" || code=$?
    if (($(kills) == before)); then return "$code"; fi
    echo "==> $(tail -n 1 "$out/kills"); once more" | tee -a "$out/playbook.txt"
    sleep 1
  done
}

kills() { if [ -e "$out/kills" ]; then wc -l <"$out/kills"; else echo 0; fi; }

readonly FEWEST_KILLS=5
too_few_kills() { ((kill_every == 0 || $(kills) >= FEWEST_KILLS)) || echo "the playbook was killed only $(kills) times"; }
