package pki

import (
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// WriteKubeconfig writes a kubeconfig with one cluster, one user and one context.
func WriteKubeconfig(path, server string, ca []byte, user *api.AuthInfo) error {
	config := api.NewConfig()
	config.Clusters["world"] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos["user"] = user
	config.Contexts["world"] = &api.Context{Cluster: "world", AuthInfo: "user"}
	config.CurrentContext = "world"
	return clientcmd.WriteToFile(*config, path)
}
