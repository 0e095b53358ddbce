#!/usr/bin/env bats
# svc-recreate --restore --backup-dir: what is missing comes back from files.

load prelude

@test "a Service with slices and a status, from its file" {
  balancer web
  slice mine web 192.0.2.7 "$(owned_by Service web)"
  recreate 0 web --allow-load-balancer --backup-dir "$BATS_TEST_TMPDIR/kept"
  settled before
  kubectl -n "$ns" delete service web --wait >/dev/null
  until [ -z "$(uid endpointslice mine)" ]; do sleep 0.2; done
  recreate 0 --restore --backup-dir "$BATS_TEST_TMPDIR/kept"
  contains "$output" "service/web restored ($(address web))"
  as_before
  recreate 0 --restore --backup-dir "$BATS_TEST_TMPDIR/kept"
  contains "$errors" 'nothing to restore'
}

@test "only its Endpoints are missing: they are put back from the file, and named" {
  service web 'ports: [{port: 80}]'
  endpoints web 192.0.2.7
  recreate 0 web --backup-dir "$BATS_TEST_TMPDIR/kept"
  settled before
  kubectl -n "$ns" delete endpoints web >/dev/null
  recreate 0 --restore --backup-dir "$BATS_TEST_TMPDIR/kept" --dry-run=server
  contains "$errors" "endpoints/web of service/web in namespace $ns would be put back"
  [ -z "$(uid endpoints web)" ]
  recreate 0 --restore --backup-dir "$BATS_TEST_TMPDIR/kept"
  contains "$errors" "endpoints/web of service/web in namespace $ns put back"
  lacks "$errors" 'nothing to restore'
  as_before
}

@test "one that is there otherwise is not touched: exit code 1" {
  service web 'ports: [{port: 80}]'
  recreate 0 web --backup-dir "$BATS_TEST_TMPDIR/kept"
  kubectl -n "$ns" patch service web --type=merge -p '{"spec": {"sessionAffinity": "ClientIP"}}' >/dev/null
  settled before
  recreate 1 --restore --backup-dir "$BATS_TEST_TMPDIR/kept"
  one_error_line "service/web in namespace $ns" 'spec.sessionAffinity' 'not touched'
  untouched
}

@test "its address is somebody else's now: he is named, and no other address is taken" {
  local ip
  service web 'ports: [{port: 80}]'
  ip=$(address web)
  recreate 0 web --backup-dir "$BATS_TEST_TMPDIR/kept"
  kubectl -n "$ns" delete service web >/dev/null
  service thief "clusterIP: $ip, ports: [{port: 80}]"
  recreate 1 --restore --backup-dir "$BATS_TEST_TMPDIR/kept" --timeout 2s
  contains "$errors" "service/thief in namespace $ns (clusterIP $ip)"
  contains "$errors" 'waiting: service/web cannot be made anew yet: '
  [ -z "$(uid service web)" ]
}

@test "several files, one of which is spoilt: it is named, and nothing is begun" {
  service web 'ports: [{port: 80}]'
  service other 'ports: [{port: 80}]'
  recreate 0 --all --backup-dir "$BATS_TEST_TMPDIR/kept"
  kubectl -n "$ns" delete service web other >/dev/null
  echo '{' >"$BATS_TEST_TMPDIR/kept/$ns.Service.zz.json"
  recreate 1 --restore --backup-dir "$BATS_TEST_TMPDIR/kept"
  one_error_line "$ns.Service.zz.json" 'no backup'
  rm "$BATS_TEST_TMPDIR/kept/$ns.Service.zz.json"
  recreate 0 --restore --backup-dir "$BATS_TEST_TMPDIR/kept"
  [ "$(grep -c ' restored' <<<"$output")" = 2 ]
}

@test "--dry-run says what would come back, and does nothing" {
  service web 'ports: [{port: 80}]'
  recreate 0 web --backup-dir "$BATS_TEST_TMPDIR/kept"
  kubectl -n "$ns" delete service web >/dev/null
  for flag in --dry-run --dry-run=server; do
    recreate 0 --restore --backup-dir "$BATS_TEST_TMPDIR/kept" "$flag"
    contains "$output" 'service/web restored'
    [ -z "$(uid service web)" ]
  done
}

@test "no such directory, names, other modes: one line" {
  recreate 1 --restore --backup-dir "$BATS_TEST_TMPDIR/none"
  one_error_line "$BATS_TEST_TMPDIR/none"
  recreate 2 --restore web
  contains "$errors" '--restore takes no names'
  recreate 2 --restore --explain
  contains "$errors" 'exclude each other'
}

@test "a directory that cannot be written: the Service is named, and untouched" {
  service web 'ports: [{port: 80}]'
  settled before
  recreate 1 web --backup-dir /proc/none
  one_error_line "service/web in namespace $ns left alone: no backup could be made: " /proc/none
  untouched
}
