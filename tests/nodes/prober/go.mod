module kubectl-cni/tests/nodes/prober

go 1.26.0
