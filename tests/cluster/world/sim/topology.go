// Package sim plays what a kubelet and the CNI plugins of a node do: it gives pods addresses and
// makes them Ready, keeps the files that flannel and Cilium leave on a node, and reports a node
// without a CNI configuration as not ready. kwok plays the rest.
package sim

import (
	"fmt"
	"net/netip"
)

// The ranges of the simulated cluster. Nodes' and flannel's subnets go by a node's index.
const (
	FlannelNetwork = "10.244.0.0/16"
	ciliumNetwork  = "10.245.0.0/16"
)

// Topology says which addresses a cluster of a given size uses.
type Topology struct {
	Workers, ControlPlanes int
}

// MaxNodes is how many pod subnets of the smallest size fit into flannel's network.
const MaxNodes = 1024

// Names lists the nodes in the order of their index: cp1, cp2…, w1, w2….
func (t Topology) Names() []string {
	var names []string
	for i := 1; i <= t.ControlPlanes; i++ {
		names = append(names, fmt.Sprintf("cp%d", i))
	}
	for i := 1; i <= t.Workers; i++ {
		names = append(names, fmt.Sprintf("w%d", i))
	}
	return names
}

// subnetBits is /24, as flannel's default has it, or smaller subnets where a /16 holds too few.
func (t Topology) subnetBits() int {
	if t.Workers+t.ControlPlanes <= 200 {
		return 24
	}
	return 26
}

// subnet is the index-th pod subnet of a network.
func (t Topology) subnet(network netip.Prefix, index int) netip.Prefix {
	bits := t.subnetBits()
	return netip.PrefixFrom(offset(network.Addr(), index<<(32-bits)), bits)
}

// nodeAddress is the InternalIP of the index-th node: 172.30.0.11, .12, … 172.30.1.11, ….
func nodeAddress(index int) netip.Addr {
	return netip.AddrFrom4([4]byte{172, 30, byte(index / 200), byte(11 + index%200)})
}

// NodeAddress is the InternalIP of the first node: where the API server says it is.
func NodeAddress() string { return nodeAddress(0).String() }

func offset(a netip.Addr, n int) netip.Addr {
	b := a.As4()
	v := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// vtepMAC is the address of the node's flannel.1, which flannel also writes on the Node.
func vtepMAC(index int) string {
	return fmt.Sprintf("5e:f1:a0:00:%02x:%02x", index>>8, index&0xff)
}
