# What the commands of tests/nodes share, on top of what those of tests/cluster share. Sourced.
# shellcheck shell=bash

# shellcheck source=tests/cluster/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../cluster/lib/common.sh"

# shellcheck disable=SC2034 # for those who source this
default_dir=/tmp/kubectl-cni-nodes-$(id -u) up_command=tests/nodes/up
