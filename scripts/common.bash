# Sourced by the scripts beside it: where things are, and how progress is told.

# shellcheck disable=SC2034  # used by those who source this
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything that is built for the tests and need not be built again, whatever the checkout.
CACHE=${KUBECTL_CNI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-cni}
# A Go that `scripts/setup` had to fetch lies there.
PATH=$PATH:$CACHE/go/bin

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
