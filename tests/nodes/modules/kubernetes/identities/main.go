// identities makes the keys, certificates and kubeconfigs of one world of real nodes, below DIR/pki
// and DIR/kubeconfig; for each node also its kubelet's, named after it.
//
// usage: identities -dir DIR -server ADDRESS NODE=ADDRESS...
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd/api"

	"kubectl-cni/tests/cluster/world/pki"
)

// serviceIP is the Service kubernetes', the first of the Service range.
var serviceIP = net.IPv4(10, 96, 0, 1)

func main() {
	dir := flag.String("dir", "", "the world's directory")
	server := flag.String("server", "", "the API server's address")
	flag.Parse()
	if err := write(*dir, *server, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func write(dir, server string, nodes []string) error {
	below := filepath.Join(dir, "pki")
	if err := os.MkdirAll(below, 0o700); err != nil {
		return err
	}
	ca, err := pki.NewAuthority(below, "ca")
	if err != nil {
		return err
	}
	if err := ca.WriteServiceAccountKey("sa"); err != nil {
		return err
	}
	serving := pki.Subject{Name: "kube-apiserver", ServerIPs: []net.IP{net.ParseIP(server), serviceIP}}
	if _, _, err := ca.Issue("apiserver", serving); err != nil {
		return err
	}
	clients := map[string]pki.Subject{
		"../kubeconfig":      {Name: "kubernetes-admin", Group: "system:masters"},
		"controller-manager": {Name: "system:kube-controller-manager"},
		"scheduler":          {Name: "system:kube-scheduler"},
		// How the API server introduces itself to a kubelet, for logs, exec and port-forward.
		"apiserver-client": {Name: "kube-apiserver", Group: "system:masters"},
	}
	for _, node := range nodes {
		name, address, found := strings.Cut(node, "=")
		if !found || net.ParseIP(address) == nil {
			return fmt.Errorf("%q is no NODE=ADDRESS", node)
		}
		clients[name] = pki.Subject{Name: "system:node:" + name, Group: "system:nodes"}
		kubelet := pki.Subject{Name: name, ServerIPs: []net.IP{net.ParseIP(address)}}
		if _, _, err := ca.Issue("kubelet-"+name, kubelet); err != nil {
			return err
		}
	}
	for name, subject := range clients {
		cert, key, err := ca.Issue(filepath.Base(name), subject)
		if err != nil {
			return err
		}
		user := &api.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
		path := filepath.Join(below, name)
		if err := pki.WriteKubeconfig(path, "https://"+server+":6443", ca.PEM(), user); err != nil {
			return err
		}
	}
	return nil
}
