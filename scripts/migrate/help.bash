# shellcheck shell=bash
# What --help says.

usage() {
  cat <<'HELP'
Move a running cluster from flannel to Cilium, and prove that nothing of flannel is left.

A bit more than half of the workers leave flannel first, then the control plane; they get Cilium,
the workloads move over, and the remaining workers follow. Stopped or killed anywhere, the same
command continues where the cluster says it stopped.

In the order bridged, Cilium runs beside flannel on every node until the end instead, so that pods of
both can talk at any time; see --mode.

Usage:
  kubectl cni migrate --cilium FILE [flags]
  kubectl cni migrate --mode bridged --cilium FILE --cilium-final FILE [flags]

Examples:
  # What would be done, command by command; changes nothing
  kubectl cni migrate --cilium cilium.yaml --dry-run

  # Migrate; shows the plan and asks before the first step
  kubectl cni migrate --cilium cilium.yaml

  # Unattended, two workers first, emptyDir data may be lost, flannel's last objects go as well
  kubectl cni migrate --cilium cilium.yaml --yes --first 2 --delete-emptydir-data --purge

  # The manifest comes from Cilium's chart, with values that fit a migration
  helm template cilium cilium/cilium -n kube-system \
    --set ipam.mode=cluster-pool --set ipam.operator.clusterPoolIPv4PodCIDRList=10.245.0.0/16 \
    --set kubeProxyReplacement=false --set operator.unmanagedPodWatcher.restart=false > cilium.yaml

Flags:
      --cilium FILE             Cilium's manifest, as rendered by its chart (required)
  -y, --yes                     do not ask; bare Pods may be deleted and created anew
      --dry-run                 print the commands, change nothing
      --mode MODE               islands (default): a node has flannel or Cilium, never both; bridged:
                                both on every node until the end, nothing is pinned
      --cilium-final FILE       for bridged: the manifest with the values for the time after (cni.customConf
                                false, policyEnforcementMode default), else the same as --cilium
      --key KEY                 node label to use (default: cni)
      --first N                 workers that migrate first (default: n/2+1, one stays on flannel)
      --timeout DURATION        limit of each single wait, 0 for none (default: 10m)
      --delete-emptydir-data    let go of emptyDir data of the pods that move
      --recreate-services WHICH none, broken or all (default: broken)
      --accept-outage           go on with fewer than two schedulable workers: workloads stop
                                meanwhile, and their pods are deleted without asking budgets
      --accept-webhook-outage   go on although webhooks or aggregated APIs run on the pod network
      --purge                   after the proof delete flannel's ConfigMap, RBAC and namespace
      --with-kube-proxy         an experiment, for islands: kube-proxy only on the nodes with flannel, and
                                from the first that gets Cilium on those with Cilium; see the README
      --flannel-daemonset NS/NAME, --cilium-daemonset NS/NAME
                                for DaemonSets that label and image do not give away
  -h, --help                    this text
      --version                 the suite's version

Passed on to every command: kubectl's connection flags (--kubeconfig, --context, --cluster, --user,
--as, --as-group, --as-uid, --as-user-extra, --token, -s/--server, --certificate-authority,
--client-certificate, --client-key, --insecure-skip-tls-verify, --tls-server-name,
--request-timeout, --disable-compression, --cache-dir), and to `cleanup`, which logs into the nodes:
--ssh-user, --ssh-port, --ssh-key, --ssh-known-hosts, --ssh-accept-new, --ssh-timeout, --ssh-option,
--address-type, --host-map, --parallel, --via, --image.
Each long flag can be given by environment instead: KUBECTL_CNI_SSH_KEY for --ssh-key.

Exit codes: 0 done and proved, 1 failed, 2 wrong usage, 3 timed out or blocked, 4 refused for
safety (the message names the flag or value), 130 interrupted.
HELP
}
