// Package host makes the nodes' namespaces when somebody first looks at a node, by ssh or by hand,
// so that a node nobody looks at costs nothing.
package host

import (
	"bufio"
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"kubectl-cni/tests/cluster/world/sim"
)

//go:embed init.sh
var initScript string

//go:embed flannel.rules
var flannelRules string

// machine is one node's namespaces, held by a process that sleeps.
type machine struct {
	hostPid string // as the machine's /proc names it: for nsenter
	pods    int    // the process that holds the namespace of the pods' ends of links
	log     *os.File
}

// newMachine makes the namespaces of a node and waits until they are complete.
func (h *Host) newMachine(n *sim.Node) (*machine, error) {
	ssh := filepath.Join(h.Dir, "ssh")
	command := exec.Command("bash", "-c", initScript, "init.sh", n.Name, n.Address.String(), n.Dir(), ssh)
	command.Stderr = h.log
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	pid, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		_ = command.Process.Kill()
		_ = command.Wait()
		return nil, fmt.Errorf("node %s cannot be made: see %s", n.Name, h.log.Name())
	}
	go func() { _ = command.Wait() }()
	return &machine{hostPid: pid, pods: h.pods, log: h.log}, nil
}

// command runs a program on the node.
func (m *machine) command(args ...string) *exec.Cmd {
	enter := []string{"-t", m.hostPid, "-n", "-m", "-u", "-i", "-r", "-w", "--"}
	command := exec.Command("nsenter", append(enter, args...)...)
	command.Stdout, command.Stderr = m.log, m.log
	return command
}

// Links runs lines of `ip -batch`; a link that is there already is no error.
func (m *machine) Links(lines ...string) {
	command := m.command("ip", "-force", "-batch", "-")
	batch := strings.Join(lines, "\n") + "\n"
	command.Stdin = strings.NewReader(strings.ReplaceAll(batch, "@pods", strconv.Itoa(m.pods)))
	_ = command.Run()
}

// FlannelRules makes flannel's chains, unless they are there: flanneld looks first, too.
func (m *machine) FlannelRules(podCIDR netip.Prefix) {
	look := m.command("iptables", "-t", "nat", "-n", "-L", "FLANNEL-POSTRTG")
	look.Stderr = nil // "no such chain" is an answer
	if look.Run() == nil {
		return
	}
	command := m.command("iptables-restore", "--noflush")
	replace := strings.NewReplacer("@subnet@", podCIDR.String(), "@network@", sim.FlannelNetwork)
	command.Stdin = strings.NewReader(replace.Replace(flannelRules))
	_ = command.Run()
}
