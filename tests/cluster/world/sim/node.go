package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Machine is what stands behind a node once somebody has looked at it: namespaces with links.
// Its methods run commands in these namespaces.
type Machine interface {
	// Links runs `ip -batch` with these lines; what fails is passed over.
	Links(lines ...string)
	// FlannelRules makes flannel's iptables chains.
	FlannelRules(podCIDR netip.Prefix)
}

// Node is one simulated node: its place in the topology, its files, and the sandboxes on it.
type Node struct {
	Name    string
	Address netip.Addr
	index   int
	podCIDR netip.Prefix
	files   string

	mu        sync.Mutex
	machine   Machine // nil until materialised
	sandboxes map[types.UID]*sandbox
	used      map[netip.Addr]bool
	last      map[cni]netip.Addr
	// What the node's kernel would hold if it had been made already.
	flannelLink, bridge bool
	// ciliumRange is where the running agent's addresses come from.
	ciliumRange netip.Prefix
	exclusive   bool
	// agents are the last pods seen of flannel (true) and Cilium (false).
	agents map[bool]types.UID
}

// sandbox is a pod's network: where a CNI plugin plugged it in.
type sandbox struct {
	by      cni
	address netip.Addr
	id      string // the container's, as the runtime names it
}

func newNode(t Topology, name string, index int, dir string) *Node {
	flannel, cilium := netip.MustParsePrefix(FlannelNetwork), netip.MustParsePrefix(ciliumNetwork)
	return &Node{
		Name: name, Address: nodeAddress(index), index: index, files: dir,
		podCIDR:     t.subnet(flannel, index),
		ciliumRange: t.subnet(cilium, index),
		sandboxes:   map[types.UID]*sandbox{},
		used:        map[netip.Addr]bool{},
		last:        map[cni]netip.Addr{},
		agents:      map[bool]types.UID{},
	}
}

// Dir is where the node's own directories are.
func (n *Node) Dir() string { return n.files }

var (
	errNoConf   = errors.New("cni plugin not initialized")
	errNoSubnet = errors.New(`plugin type="flannel" failed (add): open /run/flannel/subnet.env: no such file or directory`)
)

// plug gives the pod an address by the CNI whose configuration is there.
func (n *Node) plug(uid types.UID) (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.sandboxes[uid]; ok {
		return s.address, nil
	}
	s := &sandbox{by: n.Conf(), id: containerID(uid)}
	switch s.by {
	case noCNI:
		return netip.Addr{}, errNoConf
	case flannelCNI:
		if _, err := os.Stat(n.path("run/flannel/subnet.env")); err != nil {
			return netip.Addr{}, errNoSubnet
		}
		s.address = n.allocate(s.by, n.podCIDR)
	case ciliumCNI:
		s.address = n.allocate(s.by, n.ciliumRange)
	}
	if !s.address.IsValid() {
		return netip.Addr{}, fmt.Errorf("no IP addresses available in %s's range", s.by)
	}
	n.used[s.address] = true
	n.sandboxes[uid] = s
	if s.by == flannelCNI {
		if err := n.writeSandboxFiles(s); err != nil {
			return netip.Addr{}, err
		}
		n.bridge = true
		if n.machine != nil {
			n.machine.Links(append(n.bridgeLines(), s.linkLines()...)...)
		}
	}
	return s.address, nil
}

// allocate goes round in the range, as host-local does: a freed address is not used again at once.
func (n *Node) allocate(by cni, in netip.Prefix) netip.Addr {
	first := in.Addr().Next().Next() // the network's and the gateway's are taken
	size := 1<<(32-in.Bits()) - 3
	next := first
	if last := n.last[by]; in.Contains(last) {
		next = last.Next()
	}
	for range size {
		if !in.Contains(next.Next()) { // the broadcast address
			next = first
		}
		if !n.used[next] {
			n.last[by] = next
			return next
		}
		next = next.Next()
	}
	return netip.Addr{}
}

// unplug forgets the pod. What flannel's plugin remembered goes only while its configuration is
// the one in use: the runtime asks the plugins of today to delete what those of yesterday made.
func (n *Node) unplug(uid types.UID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, ok := n.sandboxes[uid]
	if !ok {
		return
	}
	delete(n.sandboxes, uid)
	delete(n.used, s.address)
	if s.by != flannelCNI {
		return
	}
	if n.Conf() == flannelCNI {
		n.removeSandboxFiles(s)
	}
	if n.machine != nil { // the pod's namespace goes in any case, and its link with it
		n.machine.Links("link del " + s.link())
	}
}

// startFlannel is a flannel pod that starts on the node. What it makes stays when it leaves.
func (n *Node) startFlannel() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.writeFlannelFiles(); err != nil {
		return err
	}
	n.flannelLink = true
	if n.machine != nil {
		n.machine.Links(n.vxlanLines()...)
		n.machine.FlannelRules(n.podCIDR)
	}
	if n.exclusive {
		return n.moveFlannelConfAside()
	}
	return nil
}

// Attach makes everything that the node should have by now on its machine.
func (n *Node) Attach(m Machine) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.machine = m
	var lines []string
	if n.flannelLink {
		lines = append(lines, n.vxlanLines()...)
		m.FlannelRules(n.podCIDR)
	}
	if n.bridge {
		lines = append(lines, n.bridgeLines()...)
	}
	for _, s := range n.sandboxes {
		if s.by == flannelCNI {
			lines = append(lines, s.linkLines()...)
		}
	}
	m.Links(lines...)
}

func (n *Node) vxlanLines() []string {
	return []string{
		fmt.Sprintf("link add flannel.1 address %s type vxlan id 1 local %s dev eth0 dstport 8472 nolearning",
			vtepMAC(n.index), n.Address),
		fmt.Sprintf("addr add %s/32 dev flannel.1", n.podCIDR.Addr()),
		"link set flannel.1 mtu 1450 up",
	}
}

func (n *Node) bridgeLines() []string {
	return []string{
		"link add cni0 mtu 1450 type bridge",
		fmt.Sprintf("addr add %s/%d brd + dev cni0", n.podCIDR.Addr().Next(), n.podCIDR.Bits()),
		"link set cni0 up",
	}
}

func (s *sandbox) link() string { return "veth" + s.id[:8] }

func (s *sandbox) linkLines() []string {
	return []string{
		// "@pods" is the namespace where all pods' ends are; the machine knows it.
		fmt.Sprintf("link add %s mtu 1450 type veth peer name p%s netns @pods", s.link(), s.id[:12]),
		fmt.Sprintf("link set %s master cni0 up", s.link()),
	}
}

func containerID(uid types.UID) string {
	sum := sha256.Sum256([]byte(uid))
	return hex.EncodeToString(sum[:])
}
