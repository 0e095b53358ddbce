#!/usr/bin/env bats
# What an operator sees when something outside is wrong: one clear line and the right exit code.

load prelude

setup() { need_world; }

with_config() { export KUBECTL_CNI_KUBECONFIG=$KCNI_WORLD/kubeconfig.d/$1.yaml; }

@test "a kubeconfig that does not exist is named" {
  run_cni 1 label w1 --to none --kubeconfig /nonexistent/config
  one_error_line /nonexistent/config
}

@test "a kubeconfig that is no YAML is named with its line" {
  printf 'clusters: [\n' >"$BATS_TEST_TMPDIR/bad"
  run_cni 1 label w1 --to none --kubeconfig "$BATS_TEST_TMPDIR/bad"
  one_error_line "$BATS_TEST_TMPDIR/bad"
}

@test "a context that does not exist is named" {
  run_cni 1 label w1 --to none --context moon
  one_error_line moon
}

@test "a server that does not get through its handshake is no matter of certificates" {
  local port
  (exec 3>&- && exec timeout 60 "$KCNI_WORLD/bin/kubectl" --kubeconfig "$KCNI_WORLD/kubeconfig" proxy --port=0) >"$BATS_TEST_TMPDIR/proxy" 2>&1 &
  until port=$(sed -n 's/^Starting to serve on .*://p' "$BATS_TEST_TMPDIR/proxy") && [ -n "$port" ]; do sleep 0.1; done
  run_cni 1 label w1 --to none --server "https://127.0.0.1:$port"
  one_error_line 'cannot talk to the server' 'is the server running'
  kill "$!"
}

@test "an unreachable server is named" {
  with_config unreachable
  run_cni 1 pin --to flannel
  one_error_line 'cannot talk to the server' 'is the server running'
}

@test "an expired client certificate is told" {
  with_config expired
  run_cni 1 label w1 --to none
  one_error_line 'server'
}

@test "a server whose certificate is not trusted is told" {
  with_config wrong-ca
  run_cni 1 label w1 --to none
  one_error_line 'certificate'
}

@test "401: a wrong token is told without being shown" {
  with_config wrong-token
  run_cni 1 pin --to flannel
  one_error_line 'must be logged in'
  lacks "$errors" "$(sed -n 's/.*token: *//p' "$KCNI_WORLD/kubeconfig.d/wrong-token.yaml" | tr -d '"{}')"
}

@test "403: a viewer is told what is forbidden, and nothing is half-done" {
  with_config viewer
  run_cni 1 label w1 --to none
  one_error_line 'Forbidden' 'w1'
  [ -z "$(kubectl get node w1 -o jsonpath='{.metadata.labels.cni}')" ]
}

@test "403: each workload that a viewer may not pin is named" {
  cni label --all --to flannel
  with_config viewer
  run_cni 1 pin deployment/web deployment/api -n shop --to flannel
  contains "$errors" 'deployments.apps "web" is forbidden'
  contains "$errors" 'deployments.apps "api" is forbidden'
  unset KUBECTL_CNI_KUBECONFIG
  cni label --all --remove --force
}

@test "an unknown node is named and nothing is changed" {
  run_cni 1 label w1 moon --to none
  one_error_line 'nodes "moon" not found'
  [ -z "$(kubectl get node w1 -o jsonpath='{.metadata.labels.cni}')" ]
}

@test "every command names an unknown node" {
  run_cni 1 evict moon
  one_error_line 'nodes "moon" not found'
  run_cni 1 cleanup moon --check
  one_error_line 'nodes "moon" not found'
}

@test "ssh refused: the node and the address are named" {
  run_cni 1 cleanup w1 --check --ssh-port 2
  one_error_line 'node/w1' 'refused'
}

@test "a wrong host key is never accepted" {
  run_cni 1 cleanup w1 --check --ssh-known-hosts "$KCNI_WORLD/ssh/known_hosts.wrong" --ssh-accept-new
  one_error_line 'node/w1' 'ssh-keygen -R'
}

@test "an unknown host key is refused, and the way to accept it is told" {
  : >"$BATS_TEST_TMPDIR/known_hosts"
  run_cni 1 cleanup w1 --check --ssh-known-hosts "$BATS_TEST_TMPDIR/known_hosts"
  one_error_line 'node/w1' '--ssh-accept-new'
}

@test "a key that the node does not take is told" {
  ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/key"
  HOME=$BATS_TEST_TMPDIR SSH_AUTH_SOCK='' KUBECTL_CNI_SSH_KEY=x \
    run_cni 1 cleanup w1 --check --ssh-key "$BATS_TEST_TMPDIR/key"
  one_error_line 'node/w1' 'root'
}

@test "wrong usage: exit code 2 and where to read on" {
  run_cni 2 label --all --to
  contains "$errors" 'flag needs an argument: --to'
  contains "$errors" "--help' for usage."
  run_cni 2 label w1 --two none
  contains "$errors" 'unknown flag: --two'
  run_cni 2 label w1
  contains "$errors" '--to VALUE or --remove'
  run_cni 2 label --to none
  run_cni 2 evict
  run_cni 2 evict w1 --all
  run_cni 2 pin --to flannel --dry-run=perhaps
  run_cni 2 pin --to flannel -o table
  contains "$errors" 'json,name,wide,yaml'
  run_cni 2 cleanup w1 --check --links-only
  run_cni 2 svc-recreate
}

@test "a misspelt flag brings the right one to mind" {
  run_cni 2 evict w1 --delete-emptydir-dat
  contains "$errors" 'did you mean --delete-emptydir-data?'
}

@test "connecting by token, token file and exec plugin works" {
  for user in token tokenfile exec; do
    with_config "$user"
    run_cni 0 label w1 --to none --dry-run
    contains "$output" 'node/w1 labeled (cni=none) (dry run)'
  done
}

@test "the exec plugin is run once for a command" {
  : >"$KCNI_WORLD/kubeconfig.d/exec-plugin.log"
  with_config exec
  run_cni 0 pin --to flannel --dry-run
  [ "$(wc -l <"$KCNI_WORLD/kubeconfig.d/exec-plugin.log")" = 1 ]
}

@test "impersonation reaches the server" {
  run_cni 1 label w1 --to none --as nobody-in-particular
  one_error_line 'nobody-in-particular' 'forbidden'
}
