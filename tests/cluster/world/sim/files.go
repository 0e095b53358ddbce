package sim

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// cni is what plugs a node's pods in: whose configuration comes first in /etc/cni/net.d.
type cni string

const (
	noCNI      cni = ""
	flannelCNI cni = "flannel"
	ciliumCNI  cni = "cilium"
)

const (
	flannelConf = "10-flannel.conflist"
	ciliumConf  = "05-cilium.conflist"

	flannelConfList = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    }
  ]
}
`
	ciliumConfList = `{
  "cniVersion": "0.3.1",
  "name": "cilium",
  "plugins": [
    {
       "type": "cilium-cni",
       "enable-debug": false,
       "log-file": "/var/run/cilium/cilium-cni.log"
    }
  ]
}
`
)

// A node's own directories are plain directories below files, bound into the node when its
// namespaces are made. So the truth is in one place, whether anyone has looked at the node or not.
func (n *Node) path(name string) string { return filepath.Join(n.files, name) }

func (n *Node) netD(name string) string { return n.path("etc-cni/net.d/" + name) }

func (n *Node) makeDirs() error {
	for _, dir := range []string{"etc-cni/net.d", "run", "var-lib-cni"} {
		if err := os.MkdirAll(n.path(dir), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Conf tells whose configuration a runtime would load: the first in the order of names.
func (n *Node) Conf() cni {
	entries, err := os.ReadDir(n.path("etc-cni/net.d"))
	if err != nil {
		return noCNI
	}
	for _, entry := range entries { // sorted by name
		switch filepath.Ext(entry.Name()) {
		case ".conf", ".conflist", ".json":
		default:
			continue
		}
		content, err := os.ReadFile(n.netD(entry.Name()))
		if err != nil || !json.Valid(content) {
			continue
		}
		if strings.Contains(string(content), `"cilium-cni"`) {
			return ciliumCNI
		}
		return flannelCNI
	}
	return noCNI
}

// writeFlannelFiles does what flannel's init container and flanneld do when they start.
func (n *Node) writeFlannelFiles() error {
	if err := os.MkdirAll(n.path("run/flannel"), 0o755); err != nil {
		return err
	}
	gateway := netip.PrefixFrom(n.podCIDR.Addr().Next(), n.podCIDR.Bits())
	env := fmt.Sprintf("FLANNEL_NETWORK=%s\nFLANNEL_SUBNET=%s\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
		FlannelNetwork, gateway)
	if err := os.WriteFile(n.path("run/flannel/subnet.env"), []byte(env), 0o644); err != nil {
		return err
	}
	return writeConf(n.netD(flannelConf), flannelConfList)
}

// writeConf makes missing directories anew and lets nobody see half a file.
func writeConf(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// writeCiliumConf does what the agent does once it is ready; exclusive moves others' aside.
func (n *Node) writeCiliumConf(exclusive bool) error {
	if err := writeConf(n.netD(ciliumConf), ciliumConfList); err != nil || !exclusive {
		return err
	}
	return n.moveFlannelConfAside()
}

func (n *Node) moveFlannelConfAside() error {
	err := os.Rename(n.netD(flannelConf), n.netD(flannelConf+".cilium_bak"))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// sandboxFiles are what flannel's plugin and its delegates remember of a plugged pod.
func (n *Node) sandboxFiles(p *sandbox) map[string]string {
	result := fmt.Sprintf(`{"kind":"cniCacheV1","containerId":"%s","ifName":"eth0","networkName":"cbr0"}`, p.id)
	delegate := fmt.Sprintf(`{"cniVersion":"0.3.1","hairpinMode":true,"ipMasq":false,"ipam":{"subnet":"%s","type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}`, n.podCIDR)
	return map[string]string{
		"var-lib-cni/networks/cbr0/" + p.address.String(): p.id + "\r\neth0",
		"var-lib-cni/flannel/" + p.id:                     delegate,
		"var-lib-cni/results/cbr0-" + p.id + "-eth0":      result,
		"var-lib-cni/networks/cbr0/last_reserved_ip.0":    p.address.String(),
	}
}

func (n *Node) writeSandboxFiles(p *sandbox) error {
	for name, content := range n.sandboxFiles(p) {
		path := n.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) removeSandboxFiles(p *sandbox) {
	for name := range n.sandboxFiles(p) {
		if !strings.HasSuffix(name, "last_reserved_ip.0") {
			_ = os.Remove(n.path(name))
		}
	}
}
