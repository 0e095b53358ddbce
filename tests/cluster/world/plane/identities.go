package plane

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd/api"

	"kubectl-cni/tests/cluster/world/pki"
)

// Tokens that the API server accepts (--token-auth-file). No secret: the server lives in a network
// namespace of its own and dies with the test.
const (
	adminToken  = "admin-token-of-a-throw-away-cluster"
	viewerToken = "viewer-token-of-a-throw-away-cluster"
)

// execPlugin logs each call beside itself, so that tests can count how often a client asked.
const execPlugin = `#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >>"${0%%/*}/exec-plugin.log"
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s","expirationTimestamp":"%%s"}}\n' "$(date -u -d '+1 hour' +%%Y-%%m-%%dT%%H:%%M:%%SZ)"
`

// writeIdentities makes all certificates and kubeconfigs: those of the components below pki/, the
// operator's at DIR/kubeconfig, and below kubeconfig.d/ those that tests of good and bad
// credentials need.
func (p *Plane) writeIdentities() error {
	for _, dir := range []string{p.path("pki"), p.path("kubeconfig.d")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	ca, err := pki.NewAuthority(p.path("pki"), "ca")
	if err != nil {
		return err
	}
	stranger, err := pki.NewAuthority(p.path("pki"), "other-ca")
	if err != nil {
		return err
	}
	if err := ca.WriteServiceAccountKey("sa"); err != nil {
		return err
	}
	serving := pki.Subject{Name: "kube-apiserver", ServerIPs: []net.IP{net.ParseIP(p.Address), net.IPv4(10, 96, 0, 1)}}
	if _, _, err := ca.Issue("apiserver", serving); err != nil {
		return err
	}
	byCertificate := map[string]pki.Subject{
		"kubeconfig":               {Name: "kubernetes-admin", Group: "system:masters"},
		"kubeconfig.d/viewer.yaml": {Name: "viewer", Group: "viewers"},
		"kubeconfig.d/expired.yaml": {Name: "kubernetes-admin", Group: "system:masters",
			Expired: true},
		"pki/controller-manager.yaml": {Name: "system:kube-controller-manager"},
		"pki/scheduler.yaml":          {Name: "system:kube-scheduler"},
		"pki/kubelets.yaml":           {Name: "kubelets", Group: "system:masters"},
	}
	for file, subject := range byCertificate {
		cert, key, err := ca.Issue("client-"+filepath.Base(file), subject)
		if err != nil {
			return err
		}
		user := &api.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
		if err := pki.WriteKubeconfig(p.path(file), serverURL, ca.PEM(), user); err != nil {
			return err
		}
	}
	return p.writeTokens(ca, stranger)
}

func (p *Plane) writeTokens(ca, stranger *pki.Authority) error {
	plugin, tokenFile := p.path("kubeconfig.d/exec-plugin"), p.path("kubeconfig.d/token")
	files := map[string]string{
		p.path("pki/tokens.csv"): adminToken + `,admin-by-token,uid-1,"system:masters"` + "\n" +
			viewerToken + `,viewer-by-token,uid-2,"viewers"` + "\n",
		tokenFile:                           adminToken,
		p.path("kubeconfig.d/viewer-token"): viewerToken,
		plugin:                              fmt.Sprintf(execPlugin, adminToken),
	}
	for file, content := range files {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return err
		}
	}
	if err := os.Chmod(plugin, 0o700); err != nil {
		return err
	}
	exec := &api.ExecConfig{APIVersion: "client.authentication.k8s.io/v1", Command: plugin,
		InteractiveMode: api.NeverExecInteractiveMode, ProvideClusterInfo: true}
	users := map[string]struct {
		ca     *pki.Authority
		server string
		user   *api.AuthInfo
	}{
		"token":       {ca, serverURL, &api.AuthInfo{Token: adminToken}},
		"tokenfile":   {ca, serverURL, &api.AuthInfo{TokenFile: tokenFile}},
		"exec":        {ca, serverURL, &api.AuthInfo{Exec: exec}},
		"wrong-token": {ca, serverURL, &api.AuthInfo{Token: "nobody-knows-this-token"}},
		"wrong-ca":    {stranger, serverURL, &api.AuthInfo{Token: adminToken}},
		"unreachable": {ca, "https://127.0.0.1:1", &api.AuthInfo{Token: adminToken}},
	}
	for name, u := range users {
		path := p.path("kubeconfig.d/" + name + ".yaml")
		if err := pki.WriteKubeconfig(path, u.server, u.ca.PEM(), u.user); err != nil {
			return err
		}
	}
	return nil
}
