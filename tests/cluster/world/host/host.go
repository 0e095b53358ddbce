package host

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"kubectl-cni/tests/cluster/world/sim"
)

// The two doors of a world, both within its network namespace: port 22 at every node's
// InternalIP, and the one through which tests/cluster/on asks for a node's namespaces.
const (
	sshAddress     = "0.0.0.0:22"
	controlAddress = "127.0.0.1:10222"
)

// Host makes machines on demand and hands ssh connections to them.
type Host struct {
	Dir     string
	Cluster *sim.Cluster

	log  *os.File
	pods int
	busy chan struct{} // bounds how many machines are made at once

	mu       sync.Mutex
	machines map[string]*entry
}

// entry is a machine that exists or is being made.
type entry struct {
	once    sync.Once
	machine *machine
	err     error
}

// Start opens both doors and returns.
func (h *Host) Start() error {
	h.machines = map[string]*entry{}
	h.busy = make(chan struct{}, 4)
	var err error
	if h.log, err = os.Create(filepath.Join(h.Dir, "log/nodes.log")); err != nil {
		return err
	}
	if err := h.holdPodsNamespace(); err != nil {
		return err
	}
	for address, serve := range map[string]func(*net.TCPConn){sshAddress: h.serveSSH, controlAddress: h.serveControl} {
		listener, err := net.Listen("tcp4", address)
		if err != nil {
			return err
		}
		go accept(listener.(*net.TCPListener), serve)
	}
	return nil
}

func accept(listener *net.TCPListener, serve func(*net.TCPConn)) {
	for {
		conn, err := listener.AcceptTCP()
		if err != nil {
			return
		}
		go serve(conn)
	}
}

// holdPodsNamespace makes one network namespace for the pods' ends of all links: a pod's own would
// cost a process each and nobody looks into it.
func (h *Host) holdPodsNamespace() error {
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setsid: true}
	if err := holder.Start(); err != nil {
		return err
	}
	h.pods = holder.Process.Pid
	go func() { _ = holder.Wait() }()
	return nil
}

func (h *Host) machine(n *sim.Node) (*machine, error) {
	h.mu.Lock()
	e, ok := h.machines[n.Name]
	if !ok {
		e = &entry{}
		h.machines[n.Name] = e
	}
	h.mu.Unlock()
	e.once.Do(func() {
		h.busy <- struct{}{}
		defer func() { <-h.busy }()
		if e.machine, e.err = h.newMachine(n); e.err == nil {
			n.Attach(e.machine)
		}
	})
	return e.machine, e.err
}

// serveSSH hands the connection to a real sshd on the node whose address was called. A file
// no-ssh in the node's directory makes it a node whose sshd is down.
func (h *Host) serveSSH(conn *net.TCPConn) {
	defer conn.Close()
	address := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	node := h.Cluster.NodeAt(address)
	if node == nil || exists(filepath.Join(node.Dir(), "no-ssh")) {
		_ = conn.SetLinger(0) // a reset, not an orderly end
		return
	}
	m, err := h.machine(node)
	if err != nil {
		fmt.Fprintln(h.log, err)
		return
	}
	socket, err := conn.File()
	if err != nil {
		return
	}
	defer socket.Close()
	// sshd's connection is its standard input and output; -e keeps its words out of a syslog.
	command := m.command("/usr/sbin/sshd", "-i", "-e", "-f", "/etc/ssh/world_config")
	command.Stdin, command.Stdout = socket, socket
	command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = command.Run()
}

// serveControl answers one line, a node's name, with the id of the process that holds it.
func (h *Host) serveControl(conn *net.TCPConn) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	name := strings.TrimSpace(line)
	node := h.Cluster.Node(name)
	if address, err := netip.ParseAddr(name); err == nil {
		node = h.Cluster.NodeAt(address)
	}
	if node == nil {
		fmt.Fprintf(conn, "error: no node %q in this world\n", name)
		return
	}
	m, err := h.machine(node)
	if err != nil {
		fmt.Fprintf(conn, "error: %v\n", err)
		return
	}
	fmt.Fprintln(conn, m.hostPid)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
