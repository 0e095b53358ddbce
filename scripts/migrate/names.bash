# shellcheck shell=bash
# Names that are written into the cluster, and other constants.

readonly KUBECTL="${KUBECTL_PATH:-kubectl}"
readonly CORDON_MARK=kubectl-cni/was-cordoned   # cordoned by the operator: stays cordoned
readonly UNREADY_MARK=kubectl-cni/not-ready-before   # a workload that was broken before we came
readonly DELETED_LABEL=kubectl-cni/deleted      # on backups of what is to stay deleted
readonly PROVED_LABEL=kubectl-cni/proved          # on such a backup: the end was proved
readonly LABEL_MARK=kubectl-cni/label-key       # `label` leaves this on every node it labelled
readonly TAKEOVER=kubectl-cni                   # the CiliumNodeConfig that lets Cilium take nodes over
readonly TAINT=kubectl-cni/still-on-flannel     # on nodes that pods should rather not go to
readonly FIELD_MANAGER=kubectl-cni
readonly MOVE_SECONDS=120                        # a rollout that has no room is given up after that
readonly SETTLE_SECONDS=60                      # how long workloads may recover between two nodes
