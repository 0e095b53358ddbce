package plane

// etcd keeps its data on a tmpfs that vanishes with the world: nothing needs to survive a crash.
func etcdFlags(data string) []string {
	return []string{
		"--name=world", "--data-dir=" + data, "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=world=" + peerURL, "--quota-backend-bytes=4294967296",
	}
}

func (p *Plane) apiServerFlags() []string {
	return []string{
		"--etcd-servers=" + etcdURL, "--secure-port=6443", "--bind-address=0.0.0.0",
		"--kubelet-preferred-address-types=InternalIP", // as kubeadm sets it: no name server knows the nodes
		"--advertise-address=" + p.Address,
		"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112", "--service-node-port-range=30000-32767",
		"--tls-cert-file=" + p.path("pki/apiserver.crt"),
		"--tls-private-key-file=" + p.path("pki/apiserver.key"),
		"--client-ca-file=" + p.path("pki/ca.crt"),
		"--token-auth-file=" + p.path("pki/tokens.csv"),
		"--service-account-key-file=" + p.path("pki/sa.key"),
		"--service-account-signing-key-file=" + p.path("pki/sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--authorization-mode=Node,RBAC", "--allow-privileged=true", "--profiling=false",
		"--audit-policy-file=" + p.path("pki/audit.yaml"),
		"--audit-log-path=" + p.path("log/audit.jsonl"),
		// A line must be in the file once the request is answered: tests count at once.
		"--audit-log-mode=blocking",
	}
}

func (p *Plane) controllerManagerFlags(kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig, "--leader-elect=false",
		"--secure-port=0", "--use-service-account-credentials=true", "--profiling=false",
		"--root-ca-file=" + p.path("pki/ca.crt"),
		"--service-account-private-key-file=" + p.path("pki/sa.key"),
		"--cluster-signing-cert-file=" + p.path("pki/ca.crt"),
		"--cluster-signing-key-file=" + p.path("pki/ca.key"),
		"--kube-api-qps=1000", "--kube-api-burst=2000",
		// An overloaded machine delays the leases; nodes must not be called dead for it.
		"--node-monitor-grace-period=600s",
	}
}

func (p *Plane) schedulerFlags() []string {
	return []string{
		"--kubeconfig=" + p.path("pki/scheduler.yaml"), "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=1000", "--kube-api-burst=2000", "--profiling=false",
	}
}

// A lease renewed every ten seconds, as a kubelet does, would be 100 writes a second for 1,000
// nodes and half a core; kwok renews after a quarter of the lease's duration.
func (p *Plane) kwokFlags() []string {
	return []string{
		"--kubeconfig=" + p.path("pki/kubelets.yaml"), "--config=" + p.path("pki/stages.yaml"),
		"--manage-all-nodes", "--node-lease-duration-seconds=240",
		"--server-address=127.0.0.1:10247", "-v=WARN",
	}
}
